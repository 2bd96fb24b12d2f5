/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end looks at a file before it runs it: its #! line, its ending, its ELF headers. An input is
 * a byte, which name the file has, and the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "tests/fuzz/forget.h"
#include "tests/fuzz/fuzz.h"

/* In memory where that can be: on a disk, cutting the file off is most of the time. */
static char dir[32] = "/dev/shm/sbx-fuzz-XXXXXX";
static const char *const names[] = { "p", "p.py", "p.sh", "p.x" };

static void remove_all(void)
{
    char path[64];

    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static bool begun;
    struct view v = { .root = AT_FDCWD, .cwd = dir, .path = "/bin", .moved = n % 2 };
    char path[64], *args[] = { path, (char *)"arg", NULL };
    struct program prog;
    int fd;

    if (!begun) {
        if (!mkdtemp(dir) && !mkdtemp(strcpy(dir, "/tmp/sbx-fuzz-XXXXXX")))
            abort();
        atexit(remove_all);
        begun = true;
    }
    if (n < 1)
        return 0;
    snprintf(path, sizeof path, "%s/%s", dir, names[p[0] % 4]);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, p[0] & 4 ? 0755 : 0644);
    if (fd < 0 || write(fd, p + 1, n - 1) != (ssize_t)n - 1 ||
        fchmod(fd, p[0] & 4 ? 0755 : 0644) < 0)
        abort();
    close(fd);
    forget_begin();
    if (program_find(&v, args, 2, p[0] & 8, &prog) == 0 &&
        (!prog.exec_path || prog.exec_path[0] != '/' || !prog.argv[0]))
        abort();
    forget_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const lines[] = { "#!/bin/sh\n",      "#! /usr/bin/env python3\n",
                                         "#!/bin/none -x\n", "#!\n",
                                         "print(1)\n",       "#!/bin/sh -e x\r\n",
                                         "#! \t /bin/sh" };
    static const uint8_t elf[] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0>\0\1\0\0\0\0\0@\0\0\0\0\0"
                                 "@\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0@\0008\0\1\0\0\0\0\0\0"
                                 "\3\0\0\0\4\0\0\0x\0\0\0\0\0\0\0\0\0@\0\0\0\0\0\0\0@\0\0\0\0\0"
                                 "\10\0\0\0\0\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0/ld.so\0";
    const void *p = i % 2 ? (const void *)elf : lines[i / 2 % 7];
    size_t n = i % 2 ? sizeof elf : strlen(lines[i / 2 % 7]);

    if (cap < n + 1)
        return 0;
    buf[0] = (uint8_t)(i / 2 % 16);
    memcpy(buf + 1, p, n);
    return n + 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of /proc that take what is written to them, and those that show what the process says of itself.
 * An input: a byte, which file; a byte, where; the bytes that are written. The name of the process is
 * set to them as well, and everything that shows it is read.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

static const char *const files[] = {
    "/proc/self/comm",
    "/proc/self/oom_score_adj",
    "/proc/self/oom_adj",
    "/proc/self/coredump_filter",
    "/proc/self/mem",
    "/proc/self/clear_refs",
    "/proc/self/loginuid",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
    "/proc/self/setgroups",
    "/proc/self/timerslack_ns",
    "/proc/self/autogroup",
    "/proc/self/task/0/comm",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/threads-max",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/printk",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/file-max",
    "/proc/sys/fs/pipe-max-size",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/ping_group_range",
    "/proc/sys/net/core/somaxconn",
    "/proc/self/attr/current",
    "/proc/sysrq-trigger",
    "/proc/self/environ",
    "/proc/self/cmdline",
};
static const char *const shown[] = { "/proc/self/stat",      "/proc/self/status",
                                     "/proc/self/comm",      "/proc/self/mounts",
                                     "/proc/self/mountinfo", "/proc/self/fdinfo/0",
                                     "/proc/self/maps",      "/proc/self/cmdline" };

static gaddr_t put(struct args *a, struct ctx *c, const char *s)
{
    return args_put(a, c, s, strlen(s) + 1);
}

static void read_file(struct args *a, struct ctx *c, const char *path, unsigned piece)
{
    long fd = CALL(c, SYS_open, put(a, c, path), O_RDONLY, 0);

    for (int i = 0; fd >= 0 && i < 50; i++)
        if (CALL(c, SYS_read, (uint64_t)fd, MOCK_DATA + 0x20000, piece) <= 0)
            break;
    if (fd >= 0)
        CALL(c, SYS_close, (uint64_t)fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct take t = { p, n };
    const char *path;
    struct args a;
    struct ctx *c;
    unsigned how;
    gaddr_t at;
    long fd;

    mock_boot();
    c = mock_spawn();
    args_init(&a);
    path = files[take8(&t) % (sizeof files / sizeof files[0])];
    how = take8(&t);
    at = args_put(&a, c, t.p, t.n < 0x4000 ? t.n : 0x4000);
    if (how & 1)
        CALL(c, SYS_prctl, PR_SET_NAME, at);
    if (how & 2) /* a name with these bytes, for what shows paths */
        CALL(c, SYS_open, at, O_CREAT | O_RDWR, 0644);
    if (how & 4)
        CALL(c, SYS_mount, at, put(&a, c, "/d"), put(&a, c, "tmpfs"), 0, 0);
    if (how & 8)
        CALL(c, SYS_setresuid, 1000, 1000, 1000);
    fd = CALL(c, SYS_open, put(&a, c, path), O_RDWR | (how & 16 ? O_TRUNC : 0), 0);
    if (fd < 0)
        fd = CALL(c, SYS_open, put(&a, c, path), O_WRONLY, 0);
    if (fd >= 0 && how & 32)
        CALL(c, SYS_pwrite64, (uint64_t)fd, at, t.n, how & 64 ? 3 : MOCK_DATA);
    else if (fd >= 0)
        CALL(c, SYS_write, (uint64_t)fd, at, how & 64 ? 0x3000 : t.n);
    read_file(&a, c, path, how & 128 ? 7 : 4096);
    for (unsigned i = 0; i < sizeof shown / sizeof shown[0]; i++)
        read_file(&a, c, shown[i], 1000);
    mock_ctx_put(c);
    mock_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const texts[] = { "0\n",
                                         "-1000",
                                         "17",
                                         "0x10 ",
                                         "1 2\n",
                                         "name (x) y\n",
                                         "",
                                         "99999999999999999999",
                                         "0 0 4294967295\n",
                                         " \t5\n\n" };
    const char *s = texts[i / 30 % 10];
    size_t n = strlen(s);

    if (cap < n + 2)
        return 0;
    buf[0] = (uint8_t)(i % 30);
    buf[1] = (uint8_t)(i / 300);
    memcpy(buf + 2, s, n);
    return n + 2;
}

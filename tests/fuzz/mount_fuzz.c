/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount: type, flags, source and options of the input's, three times over the same place, and what comes
 * of it is used and unmounted.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

static gaddr_t put(struct args *a, struct ctx *c, const char *s)
{
    return args_put(a, c, s, strlen(s) + 1);
}

/* Bytes behind a length as a string. */
static gaddr_t string(struct args *a, struct ctx *c, struct take *t)
{
    char s[300];
    size_t n;
    const uint8_t *p = take_bytes(t, take8(t), &n);

    if (n)
        memcpy(s, p, n);
    s[n] = 0;
    return args_put(a, c, s, n + 1);
}

static void one(struct args *a, struct ctx *c, struct take *t)
{
    static const char *const types[] = { "tmpfs", "ramfs", "proc", "sysfs", "devpts", "devtmpfs" };
    static const char *const places[] = { "/d", "/l", "/proc", "/d/f", "/", "/dev/shm", "/d/m" };
    uint8_t how = take8(t);
    gaddr_t type = how % 7 < 6 ? put(a, c, types[how % 7]) : string(a, c, t);
    gaddr_t place = put(a, c, places[take8(t) % 7]);
    uint64_t flags = take_int(t, 3);
    gaddr_t source = how & 64 ? string(a, c, t) : put(a, c, places[how / 7 % 7]);
    gaddr_t options = how & 128 ? string(a, c, t) : 0;
    long fd;

    CALL(c, SYS_mount, source, place, type, flags, options);
    CALL(c, SYS_statfs, place, MOCK_DATA + 0x20000);
    CALL(c, SYS_chdir, place);
    CALL(c, SYS_mkdir, put(a, c, "m"), 0755);
    fd = CALL(c, SYS_open, put(a, c, "new"), O_CREAT | O_RDWR, 0644);
    if (fd >= 0) {
        CALL(c, SYS_write, (uint64_t)fd, MOCK_DATA, 0x9000);
        CALL(c, SYS_fallocate, (uint64_t)fd, 0, 0x9000, 0x100000);
    }
    fd = CALL(c, SYS_open, put(a, c, "/proc/self/mountinfo"), O_RDONLY, 0);
    if (fd >= 0)
        CALL(c, SYS_read, (uint64_t)fd, MOCK_DATA + 0x20000, 0x8000);
    if (how & 1)
        CALL(c, SYS_umount2, place, how & 2 ? MNT_DETACH : 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct take t = { p, n };
    struct args a;
    struct ctx *c;

    mock_boot();
    c = mock_spawn();
    args_init(&a);
    for (int i = 0; i < 3 && t.n; i++)
        one(&a, c, &t);
    mock_ctx_put(c);
    mock_end();
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const options[] = { "size=1m",
                                           "mode=1777,size=64k",
                                           "mode=700",
                                           "nr_inodes=5",
                                           "uid=0,gid=0",
                                           "size=50%",
                                           "size=18446744073709551615g",
                                           "mode=",
                                           ",,,",
                                           "size=4096,x",
                                           "newinstance,ptmxmode=0666" };
    const char *s = options[i % 11];
    size_t n = strlen(s);

    if (cap < n + 6)
        return 0;
    buf[0] = (uint8_t)(128 | i / 11 % 64);
    buf[1] = (uint8_t)(i / 700 % 7);
    buf[2] = buf[3] = buf[4] = 0;
    buf[5] = (uint8_t)n;
    memcpy(buf + 6, s, n);
    return n + 6;
}

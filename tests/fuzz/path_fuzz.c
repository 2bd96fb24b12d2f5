/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks: over a tree of directories, links, hard links, mounts and magic links, which the input changes
 * on the way. Nobody leads out of a chroot here; what is looked for is a broken cache or tree.
 */
#include <fcntl.h>
#include <sys/syscall.h>

#include "tests/fuzz/calls.h"
#include "tests/fuzz/fuzz.h"

static gaddr_t str(struct args *a, struct ctx *c, const char *s)
{
    return args_put(a, c, s, strlen(s) + 1);
}

static void setup(struct args *a, struct ctx *c)
{
    CALL(c, SYS_mkdir, str(a, c, "a"), 0755);
    CALL(c, SYS_mkdir, str(a, c, "a/b"), 0755);
    CALL(c, SYS_mkdir, str(a, c, "a/b/c"), 0700);
    CALL(c, SYS_mkdir, str(a, c, "m"), 0755);
    CALL(c, SYS_symlink, str(a, c, "../a/b/.."), str(a, c, "a/l"));
    CALL(c, SYS_symlink, str(a, c, "ll"), str(a, c, "ll"));
    CALL(c, SYS_symlink, str(a, c, "/m/a/l"), str(a, c, "a/b/l"));
    CALL(c, SYS_mount, str(a, c, "t"), str(a, c, "m"), str(a, c, "tmpfs"), 0, 0);
    CALL(c, SYS_mkdir, str(a, c, "m/a"), 0755);
    CALL(c, SYS_open, str(a, c, "a"), O_RDONLY, 0);
    CALL(c, SYS_open, str(a, c, "m/f"), O_CREAT | O_RDWR, 0644);
    CALL(c, SYS_open, str(a, c, "a/b"), O_PATH, 0);
    CALL(c, SYS_open, str(a, c, "/proc/self/fd"), O_RDONLY, 0);
}

static const uint16_t nrs[] = {
    SYS_openat,       SYS_openat2,    SYS_mkdirat,    SYS_symlinkat,  SYS_linkat,
    SYS_renameat2,    SYS_unlinkat,   SYS_chdir,      SYS_fchdir,     SYS_chroot,
    SYS_mount,        SYS_umount2,    SYS_getcwd,     SYS_mknodat,    SYS_statx,
    SYS_readlinkat,   SYS_newfstatat, SYS_rmdir,      SYS_rename,     SYS_unlink,
    SYS_open,         SYS_close,      SYS_getdents64, SYS_symlink,    SYS_mkdir,
    SYS_link,         SYS_truncate,   SYS_utimensat,  SYS_faccessat2, SYS_execve,
    SYS_fork,         SYS_setresuid,  SYS_chmod,      SYS_setxattr,   SYS_inotify_add_watch,
    SYS_inotify_init1
};
static const struct calls calls = { nrs, sizeof nrs / sizeof nrs[0], setup };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    calls_run(&calls, p, n);
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    return calls_seed(&calls, i, buf, cap);
}

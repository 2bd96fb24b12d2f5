/* SPDX-License-Identifier: Apache-2.0 */
/* Names: mkdir, mknod, symlink, link, unlink, rmdir, rename. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"

long sys_mkdirat(struct task *t, int dfd, gaddr_t upath, unsigned mode)
{
    char path[PATH_MAX];
    int r = path_in(t, path, upath);

    return r < 0 ? r : vfs_mkdir_at(t, dfd, path, mode);
}

long sys_mkdir(struct task *t, gaddr_t path, unsigned mode)
{
    return sys_mkdirat(t, AT_FDCWD, path, mode);
}

long sys_mknodat(struct task *t, int dfd, gaddr_t upath, unsigned mode, unsigned dev)
{
    char path[PATH_MAX];
    int r;

    switch (mode & S_IFMT) {
    case 0:
        mode |= S_IFREG;
        /* fallthrough */
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    r = path_in(t, path, upath);
    return r < 0 ? r : vfs_mknod_at(t, dfd, path, mode & (S_IFMT | 07777), dev, NULL);
}

long sys_mknod(struct task *t, gaddr_t path, unsigned mode, unsigned dev)
{
    return sys_mknodat(t, AT_FDCWD, path, mode, dev);
}

long sys_symlinkat(struct task *t, gaddr_t utarget, int dfd, gaddr_t upath)
{
    char target[PATH_MAX], path[PATH_MAX];
    int r = path_in(t, target, utarget);

    if (r == 0)
        r = path_in(t, path, upath);
    return r < 0 ? r : vfs_symlink_at(t, target, dfd, path);
}

long sys_symlink(struct task *t, gaddr_t target, gaddr_t path)
{
    return sys_symlinkat(t, target, AT_FDCWD, path);
}

long sys_linkat(struct task *t, int odfd, gaddr_t uold, int ndfd, gaddr_t unew, int flags)
{
    char old[PATH_MAX], new[PATH_MAX];
    int r;

    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    r = path_in(t, old, uold);
    if (r == 0)
        r = path_in(t, new, unew);
    return r < 0 ? r : vfs_link_at(t, odfd, old, ndfd, new, flags);
}

long sys_link(struct task *t, gaddr_t old, gaddr_t new)
{
    return sys_linkat(t, AT_FDCWD, old, AT_FDCWD, new, 0);
}

long sys_unlinkat(struct task *t, int dfd, gaddr_t upath, int flags)
{
    char path[PATH_MAX];
    int r;

    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    r = path_in(t, path, upath);
    if (r < 0)
        return r;
    return flags & AT_REMOVEDIR ? vfs_rmdir_at(t, dfd, path) : vfs_unlink_at(t, dfd, path);
}

long sys_unlink(struct task *t, gaddr_t path)
{
    return sys_unlinkat(t, AT_FDCWD, path, 0);
}

long sys_rmdir(struct task *t, gaddr_t path)
{
    return sys_unlinkat(t, AT_FDCWD, path, AT_REMOVEDIR);
}

long sys_renameat2(struct task *t, int odfd, gaddr_t uold, int ndfd, gaddr_t unew, unsigned flags)
{
    char old[PATH_MAX], new[PATH_MAX];
    int r = path_in(t, old, uold);

    if (r == 0)
        r = path_in(t, new, unew);
    return r < 0 ? r : vfs_rename_at(t, odfd, old, ndfd, new, flags);
}

long sys_renameat(struct task *t, int odfd, gaddr_t old, int ndfd, gaddr_t new)
{
    return sys_renameat2(t, odfd, old, ndfd, new, 0);
}

long sys_rename(struct task *t, gaddr_t old, gaddr_t new)
{
    return sys_renameat2(t, AT_FDCWD, old, AT_FDCWD, new, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* stat and its kin, statx, access, readlink, statfs. */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi/mount.h"
#include "abi/stat.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/learn.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/mount.h"

unsigned walk_of_at(int flags)
{
    return (flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
           (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

int at_path(struct task *t, int dfd, gaddr_t upath, int flags, struct path *ret,
            struct file **ret_file)
{
    char path[PATH_MAX];
    struct file *f;
    int r = 0;

    *ret_file = NULL;
    path[0] = 0;
    if (upath || !(flags & AT_EMPTY_PATH))
        r = path_in(t, path, upath);
    if (r < 0)
        return r;
    if (*path || !(flags & AT_EMPTY_PATH) || dfd == AT_FDCWD)
        return walk_path(t, dfd, path, walk_of_at(flags), ret);
    f = fd_get_path(t, dfd);
    if (!f)
        return -EBADF;
    *ret = f->path.dentry ? path_ref(f->path) : (struct path){};
    if (ret->dentry)
        file_put(f);
    else
        *ret_file = f;
    return 0;
}

static int at_getattr(struct task *t, int dfd, gaddr_t upath, int flags, struct kstat *ret)
{
    struct file *f;
    struct path p;
    int r = at_path(t, dfd, upath, flags, &p, &f);

    if (r < 0)
        return r;
    r = f ? file_getattr(t, f, ret) : vfs_getattr(t, &p, ret);
    if (kernel.learn && !f && r == 0)
        learn_look(t, &p);
    file_put(f);
    path_put(&p);
    return r;
}

static long stat_out(struct task *t, gaddr_t at, const struct kstat *k)
{
    struct lx_stat st = {
        .st_dev = k->dev,
        .st_ino = k->ino,
        .st_nlink = k->nlink,
        .st_mode = k->mode,
        .st_uid = k->uid,
        .st_gid = k->gid,
        .st_rdev = k->rdev,
        .st_size = k->size,
        .st_blksize = k->blksize,
        .st_blocks = k->blocks,
        .st_atime_ = k->atime.tv_sec,
        .st_atime_nsec = k->atime.tv_nsec,
        .st_mtime_ = k->mtime.tv_sec,
        .st_mtime_nsec = k->mtime.tv_nsec,
        .st_ctime_ = k->ctime.tv_sec,
        .st_ctime_nsec = k->ctime.tv_nsec,
    };

    return put_guest(t, at, &st);
}

long sys_newfstatat(struct task *t, int dfd, gaddr_t path, gaddr_t buf, int flags)
{
    struct kstat k;
    int r;

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
        return -EINVAL;
    r = at_getattr(t, dfd, path, flags, &k);
    return r < 0 ? r : stat_out(t, buf, &k);
}

long sys_stat(struct task *t, gaddr_t path, gaddr_t buf)
{
    return sys_newfstatat(t, AT_FDCWD, path, buf, 0);
}

long sys_lstat(struct task *t, gaddr_t path, gaddr_t buf)
{
    return sys_newfstatat(t, AT_FDCWD, path, buf, AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(struct task *t, int fd, gaddr_t buf)
{
    struct file *f = fd_get_path(t, fd);
    struct kstat k;
    int r;

    if (!f)
        return -EBADF;
    r = file_getattr(t, f, &k);
    file_put(f);
    return r < 0 ? r : stat_out(t, buf, &k);
}

static struct lx_statx_timestamp xtime(struct timespec ts)
{
    return (struct lx_statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec };
}

long sys_statx(struct task *t, int dfd, gaddr_t path, int flags, unsigned mask, gaddr_t buf)
{
    struct kstat k;
    struct lx_statx x = {};
    int r;

    if (mask & LX_STATX_RESERVED || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
        flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
        return -EINVAL;
    r = at_getattr(t, dfd, path, flags, &k);
    if (r < 0)
        return r;
    x.stx_mask = STATX_BASIC_STATS | STATX_BTIME |
                 (mask & LX_STATX_MNT_ID_UNIQUE ? LX_STATX_MNT_ID_UNIQUE : LX_STATX_MNT_ID);
    if (k.btime.tv_sec == 0 && k.btime.tv_nsec == 0)
        x.stx_mask &= ~STATX_BTIME;
    x.stx_blksize = k.blksize;
    x.stx_attributes = k.attributes;
    x.stx_attributes_mask = k.attributes_mask;
    x.stx_nlink = k.nlink;
    x.stx_uid = k.uid;
    x.stx_gid = k.gid;
    x.stx_mode = k.mode;
    x.stx_ino = k.ino;
    x.stx_size = k.size;
    x.stx_blocks = k.blocks;
    x.stx_atime = xtime(k.atime);
    x.stx_btime = xtime(k.btime);
    x.stx_ctime = xtime(k.ctime);
    x.stx_mtime = xtime(k.mtime);
    x.stx_rdev_major = major(k.rdev);
    x.stx_rdev_minor = minor(k.rdev);
    x.stx_dev_major = major(k.dev);
    x.stx_dev_minor = minor(k.dev);
    x.stx_mnt_id = mask & LX_STATX_MNT_ID_UNIQUE && k.mnt_id ? MOUNT_UNIQUE_ID(k.mnt_id) : k.mnt_id;
    return put_guest(t, buf, &x);
}

/* ---- access ---- */

static int check_access(struct task *t, int dfd, gaddr_t upath, int mode, int flags)
{
    struct inode *i;
    struct file *f;
    struct path p;
    int r = at_path(t, dfd, upath, flags, &p, &f);

    if (r < 0)
        return r;
    i = f ? f->inode : dentry_inode(p.dentry);
    if (mode & X_OK && i && S_ISREG(i->mode) && p.mnt && p.mnt->flags & MS_NOEXEC)
        r = -EACCES;
    else if (i)
        r = inode_permission(t, i, mode);
    if (r == 0 && mode & W_OK && p.dentry &&
        (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)))
        r = mnt_want_write(&p);
    if (kernel.learn && !f && r == 0)
        learn_look(t, &p);
    file_put(f);
    path_put(&p);
    return r;
}

long sys_faccessat2(struct task *t, int dfd, gaddr_t path, int mode, int flags)
{
    struct cred as;
    int r;

    if (mode & ~7 || flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (!(flags & AT_EACCESS)) {
        cred_lend(t->cred, &as);
        as.fsuid = as.uid;
        as.fsgid = as.gid;
        as.cap_effective = as.uid ? 0 : as.cap_permitted;
        t->call.fs_cred = &as;
    }
    r = check_access(t, dfd, path, mode, flags);
    t->call.fs_cred = NULL;
    return r;
}

long sys_faccessat(struct task *t, int dfd, gaddr_t path, int mode)
{
    return sys_faccessat2(t, dfd, path, mode, 0);
}

long sys_access(struct task *t, gaddr_t path, int mode)
{
    return sys_faccessat2(t, AT_FDCWD, path, mode, 0);
}

/* ---- readlink ---- */

long sys_readlinkat(struct task *t, int dfd, gaddr_t upath, gaddr_t buf, int size)
{
    char path[PATH_MAX], target[PATH_MAX];
    struct path p;
    ssize_t n;
    int r;

    if (size <= 0)
        return -EINVAL;
    r = path_in(t, path, upath);
    if (r == 0)
        r = walk_path(t, dfd, path, WALK_EMPTY, &p);
    if (r < 0)
        return r;
    n = vfs_readlink(t, dentry_inode(p.dentry), target, MIN((size_t)size, sizeof target));
    if (n == -EINVAL && !*path)
        n = -ENOENT; /* no link behind the descriptor */
    path_put(&p);
    if (n > 0 && copy_out(t, buf, target, n) < 0)
        return -EFAULT;
    return n;
}

long sys_readlink(struct task *t, gaddr_t path, gaddr_t buf, int size)
{
    return sys_readlinkat(t, AT_FDCWD, path, buf, size);
}

/* ---- statfs ---- */

static long statfs_out(struct task *t, struct super *sb, struct mount *mnt, gaddr_t buf)
{
    struct lx_statfs st = {
        .f_type = sb->magic, .f_bsize = 4096, .f_frsize = 4096, .f_namelen = 255
    };
    unsigned flags = mnt ? mnt->flags : 0;
    int r = sb->ops->statfs ? sb->ops->statfs(t, sb, &st) : 0;

    if (r < 0)
        return r;
    st.f_fsid[0] = sb->dev;
    st.f_flags = 0x20; /* ST_VALID */
    if (flags & MS_RDONLY || sb->readonly)
        st.f_flags |= ST_RDONLY;
    if (flags & MS_NOSUID)
        st.f_flags |= ST_NOSUID;
    if (flags & MS_NODEV)
        st.f_flags |= ST_NODEV;
    if (flags & MS_NOEXEC)
        st.f_flags |= ST_NOEXEC;
    if (flags & MS_NOATIME)
        st.f_flags |= ST_NOATIME;
    if (flags & MS_NODIRATIME)
        st.f_flags |= ST_NODIRATIME;
    if (flags & MS_RELATIME)
        st.f_flags |= ST_RELATIME;
    if (flags & LX_MS_NOSYMFOLLOW)
        st.f_flags |= LX_ST_NOSYMFOLLOW;
    return put_guest(t, buf, &st);
}

long sys_statfs(struct task *t, gaddr_t upath, gaddr_t buf)
{
    struct path p;
    long r = walk_user(t, AT_FDCWD, upath, WALK_FOLLOW, &p);

    if (r < 0)
        return r;
    r = statfs_out(t, p.dentry->sb, p.mnt, buf);
    path_put(&p);
    return r;
}

long sys_fstatfs(struct task *t, int fd, gaddr_t buf)
{
    struct file *f = fd_get_path(t, fd);
    long r;

    if (!f)
        return -EBADF;
    r = f->inode ? statfs_out(t, f->inode->sb, f->path.mnt, buf) : -ENOSYS;
    file_put(f);
    return r;
}

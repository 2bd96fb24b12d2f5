/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: chmod, chown, utimes, truncate, fallocate and their kin. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/ids.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/lease.h"

static int file_setattr(struct task *t, struct file *f, const struct setattr *a)
{
    if (f->path.dentry)
        return vfs_setattr(t, &f->path, a);
    return f->inode ? inode_setattr(t, f->inode, a) : -EPERM;
}

static int at_setattr(struct task *t, int dfd, gaddr_t upath, int flags, const struct setattr *a)
{
    struct file *f;
    struct path p;
    int r = at_path(t, dfd, upath, flags, &p, &f);

    if (r < 0)
        return r;
    if (a->valid & ATTR_MODE && p.dentry && S_ISLNK(dentry_inode(p.dentry)->mode))
        r = -EOPNOTSUPP;
    else
        r = f ? file_setattr(t, f, a) : vfs_setattr(t, &p, a);
    file_put(f);
    path_put(&p);
    return r;
}

static int fd_setattr(struct task *t, int fd, const struct setattr *a)
{
    struct file *f = call_file(t, 0, fd);

    return IS_ERR(f) ? PTR_ERR(f) : file_setattr(t, f, a);
}

/* ---- chmod ---- */

long sys_fchmodat2(struct task *t, int dfd, gaddr_t path, unsigned mode, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return at_setattr(t, dfd, path, flags,
                      &(struct setattr){ .valid = ATTR_MODE, .mode = mode & 07777 });
}

long sys_fchmodat(struct task *t, int dfd, gaddr_t path, unsigned mode)
{
    return sys_fchmodat2(t, dfd, path, mode, 0);
}

long sys_chmod(struct task *t, gaddr_t path, unsigned mode)
{
    return sys_fchmodat2(t, AT_FDCWD, path, mode, 0);
}

long sys_fchmod(struct task *t, int fd, unsigned mode)
{
    return fd_setattr(t, fd, &(struct setattr){ .valid = ATTR_MODE, .mode = mode & 07777 });
}

/* ---- chown ---- */

static bool owner_known(uid_t uid, gid_t gid)
{
    return (uid == (uid_t)-1 || uid_known(uid)) && (gid == (gid_t)-1 || gid_known(gid));
}

static struct setattr owner(uid_t uid, gid_t gid)
{
    struct setattr a = { .valid = ATTR_CHOWN, .uid = uid, .gid = gid };

    if (uid != (uid_t)-1)
        a.valid |= ATTR_UID;
    if (gid != (gid_t)-1)
        a.valid |= ATTR_GID;
    return a;
}

long sys_fchownat(struct task *t, int dfd, gaddr_t path, uid_t uid, gid_t gid, int flags)
{
    struct setattr a = owner(uid, gid);

    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) || !owner_known(uid, gid))
        return -EINVAL;
    return at_setattr(t, dfd, path, flags, &a);
}

long sys_chown(struct task *t, gaddr_t path, uid_t uid, gid_t gid)
{
    return sys_fchownat(t, AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(struct task *t, gaddr_t path, uid_t uid, gid_t gid)
{
    return sys_fchownat(t, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(struct task *t, int fd, uid_t uid, gid_t gid)
{
    struct setattr a = owner(uid, gid);

    return owner_known(uid, gid) ? fd_setattr(t, fd, &a) : -EINVAL;
}

/* ---- times ---- */

/* The change that two times ask for (NULL: now). False: none at all. */
static bool times_attr(const struct timespec ts[2], struct setattr *ret)
{
    *ret = (struct setattr){ .valid = ATTR_ATIME | ATTR_MTIME | ATTR_TOUCH };
    if (!ts || (ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW))
        return true;
    if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
        return false;
    ret->valid = ATTR_TIMES_SET;
    if (ts[0].tv_nsec != UTIME_OMIT)
        ret->valid |= ts[0].tv_nsec == UTIME_NOW ? ATTR_ATIME : ATTR_ATIME | ATTR_ATIME_SET;
    if (ts[1].tv_nsec != UTIME_OMIT)
        ret->valid |= ts[1].tv_nsec == UTIME_NOW ? ATTR_MTIME : ATTR_MTIME | ATTR_MTIME_SET;
    ret->atime = ts[0];
    ret->mtime = ts[1];
    return true;
}

static bool nsec_ok(long n)
{
    return n == UTIME_NOW || n == UTIME_OMIT || (n >= 0 && n < 1000000000);
}

long sys_utimensat(struct task *t, int dfd, gaddr_t path, gaddr_t times, int flags)
{
    struct timespec ts[2];
    struct setattr a;

    if (times) {
        if (copy_in(t, ts, times, sizeof ts) < 0)
            return -EFAULT;
        if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
            return 0;
        if (!nsec_ok(ts[0].tv_nsec) || !nsec_ok(ts[1].tv_nsec))
            return -EINVAL;
    }
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    times_attr(times ? ts : NULL, &a);
    if (!path && dfd != AT_FDCWD)
        return flags ? -EINVAL : fd_setattr(t, dfd, &a);
    return at_setattr(t, dfd, path, flags, &a);
}

long sys_futimesat(struct task *t, int dfd, gaddr_t path, gaddr_t times)
{
    struct timeval tv[2];
    struct timespec ts[2];
    struct setattr a;

    if (times) {
        if (copy_in(t, tv, times, sizeof tv) < 0)
            return -EFAULT;
        for (int i = 0; i < 2; i++) {
            if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
                return -EINVAL;
            ts[i] = (struct timespec){ tv[i].tv_sec, tv[i].tv_usec * 1000 };
        }
    }
    times_attr(times ? ts : NULL, &a);
    if (!path && dfd != AT_FDCWD)
        return fd_setattr(t, dfd, &a);
    return at_setattr(t, dfd, path, 0, &a);
}

long sys_utimes(struct task *t, gaddr_t path, gaddr_t times)
{
    return sys_futimesat(t, AT_FDCWD, path, times);
}

long sys_utime(struct task *t, gaddr_t path, gaddr_t times)
{
    struct utimbuf u;
    struct timespec ts[2];
    struct setattr a;

    if (times) {
        if (get_guest(t, &u, times) < 0)
            return -EFAULT;
        ts[0] = (struct timespec){ .tv_sec = u.actime };
        ts[1] = (struct timespec){ .tv_sec = u.modtime };
    }
    times_attr(times ? ts : NULL, &a);
    return at_setattr(t, AT_FDCWD, path, 0, &a);
}

/* ---- sizes ---- */

static int truncate_path(struct task *t, const struct path *p, loff_t size)
{
    struct inode *i = dentry_inode(p->dentry);
    int r;

    if (S_ISDIR(i->mode))
        return -EISDIR;
    if (!S_ISREG(i->mode))
        return -EINVAL;
    r = inode_permission(t, i, W_OK);
    if (r == 0)
        r = mnt_want_write(p);
    if (r < 0)
        return r;
    if (__atomic_load_n(&i->writers, __ATOMIC_RELAXED) < 0)
        return -ETXTBSY;
    r = lease_break(t, i, O_WRONLY);
    if (r < 0)
        return r;
    return vfs_setattr(t, p, &(struct setattr){ .valid = ATTR_SIZE | ATTR_MTIME, .size = size });
}

long sys_truncate(struct task *t, gaddr_t path, loff_t size)
{
    struct path p;
    int r;

    if (size < 0)
        return -EINVAL;
    r = walk_user(t, AT_FDCWD, path, WALK_FOLLOW, &p);
    if (r < 0)
        return r;
    r = truncate_path(t, &p, size);
    path_put(&p);
    return r;
}

long sys_ftruncate(struct task *t, int fd, loff_t size)
{
    struct file *f;

    if (size < 0)
        return -EINVAL;
    f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (!(f->mode & FMODE_WRITE) || !f->inode || !S_ISREG(f->inode->mode) || !f->ops->truncate)
        return -EINVAL;
    return f->ops->truncate(t, f, size);
}

long sys_fallocate(struct task *t, int fd, int mode, loff_t off, loff_t len)
{
    struct file *f = call_file(t, 0, fd);
    loff_t end;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (off < 0 || len <= 0)
        return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
                 FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE) ||
        (mode & FALLOC_FL_PUNCH_HOLE && !(mode & FALLOC_FL_KEEP_SIZE)))
        return -EOPNOTSUPP;
    if (!(f->mode & FMODE_WRITE))
        return -EBADF;
    if (!f->inode)
        return -ESPIPE;
    if ((mode & ~FALLOC_FL_KEEP_SIZE && inode_is_append(f->inode)) || inode_is_immutable(f->inode))
        return -EPERM;
    if (S_ISFIFO(f->inode->mode))
        return -ESPIPE;
    if (S_ISDIR(f->inode->mode))
        return -EISDIR;
    if (!S_ISREG(f->inode->mode))
        return -ENODEV;
    if (__builtin_add_overflow(off, len, &end))
        return -EFBIG;
    return f->ops->fallocate ? f->ops->fallocate(t, f, mode, off, len) : -EOPNOTSUPP;
}

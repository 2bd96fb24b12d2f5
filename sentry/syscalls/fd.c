/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: close, dup, flock, and the ioctls that every file has. */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/file.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/fasync.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/vfs.h"

long sys_close(struct task *t, int fd)
{
    return fd_close(t, fd);
}

long sys_close_range(struct task *t, unsigned first, unsigned last, unsigned flags)
{
    int r;

    if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        r = files_unshare(t);
        if (r < 0)
            return r;
    }
    fd_close_range(t, first, last, flags & CLOSE_RANGE_CLOEXEC);
    return 0;
}

long sys_dup(struct task *t, int fd)
{
    struct file *f = fd_get_path(t, fd);

    return f ? fd_install(t, f, /* min= */ 0, /* cloexec= */ false) : -EBADF;
}

static long dup_to(struct task *t, int oldfd, int newfd, bool cloexec)
{
    struct file *f = fd_get_path(t, oldfd);

    return f ? fd_install_at(t, f, newfd, cloexec) : -EBADF;
}

long sys_dup2(struct task *t, int oldfd, int newfd)
{
    if (oldfd == newfd)
        return fd_get_cloexec(t, oldfd) < 0 ? -EBADF : newfd;
    return dup_to(t, oldfd, newfd, /* cloexec= */ false);
}

long sys_dup3(struct task *t, int oldfd, int newfd, int flags)
{
    if (flags & ~O_CLOEXEC || oldfd == newfd)
        return -EINVAL;
    return dup_to(t, oldfd, newfd, flags & O_CLOEXEC);
}

long sys_flock(struct task *t, int fd, unsigned op)
{
    struct file *f;

    if (op & LOCK_MAND) /* gone since 5.15: does nothing, as there */
        return 0;
    if ((op & ~LOCK_NB) != LOCK_SH && (op & ~LOCK_NB) != LOCK_EX && (op & ~LOCK_NB) != LOCK_UN)
        return -EINVAL;
    f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return locks_flock(t, f, (int)op);
}

static long set_nonblock(struct task *t, struct file *f, gaddr_t arg)
{
    unsigned flags = atomic_load(&f->flags);
    int on, r;

    r = get_guest(t, &on, arg);
    if (r < 0)
        return r;
    flags = on ? flags | O_NONBLOCK : flags & ~(unsigned)O_NONBLOCK;
    r = f->ops->set_flags ? f->ops->set_flags(t, f, flags) : 0;
    if (r < 0)
        return r;
    if (on)
        atomic_fetch_or(&f->flags, O_NONBLOCK);
    else
        atomic_fetch_and(&f->flags, ~(unsigned)O_NONBLOCK);
    if (f->ops->unlend)
        f->ops->unlend(f, /* gone= */ false);
    return 0;
}

static long regular_ioctl(struct task *t, struct file *f, unsigned cmd, gaddr_t arg)
{
    struct kstat st;
    int64_t size;
    int n, r;

    switch (cmd) {
    case FIONREAD:
    case FIOQSIZE:
        r = file_getattr(t, f, &st);
        if (r < 0)
            return r;
        size = (int64_t)st.size;
        if (cmd == FIOQSIZE)
            return put_guest(t, arg, &size);
        n = (int)(size - f->pos);
        return put_guest(t, arg, &n);
    case FICLONE:
    case FICLONERANGE:
        return -EOPNOTSUPP;
    default:
        return -ENOTTY;
    }
}

/* What a file's own operation does not know. */
static long common_ioctl(struct task *t, struct file *f, int fd, unsigned cmd, gaddr_t arg)
{
    struct kstat st;
    int n, r;

    switch (cmd) {
    case FIOASYNC:
        if (get_guest(t, &n, arg) < 0)
            return -EFAULT;
        if (fasync_possible(f))
            return fasync_set(f, fd, n != 0);
        return n ? -ENOTTY : 0;
    case FIGETBSZ:
        r = file_getattr(t, f, &st);
        n = (int)st.blksize;
        return r < 0 ? r : put_guest(t, arg, &n);
    case FS_IOC_FIEMAP:
        return f->inode && S_ISREG(f->inode->mode) ? -EOPNOTSUPP : -ENOTTY;
    default:
        r = fsflags_ioctl(t, f, cmd, arg);
        if (r != -ENOIOCTLCMD)
            return r;
        if (f->inode && S_ISREG(f->inode->mode) && f->path.dentry)
            return regular_ioctl(t, f, cmd, arg);
        return -ENOTTY;
    }
}

long sys_ioctl(struct task *t, int fd, unsigned cmd, gaddr_t arg)
{
    struct file *f = call_file(t, 0, fd);
    long r = -ENOIOCTLCMD;

    if (IS_ERR(f))
        return PTR_ERR(f);
    switch (cmd) {
    case FIOCLEX:
        return fd_set_cloexec(t, fd, true);
    case FIONCLEX:
        return fd_set_cloexec(t, fd, false);
    case FIONBIO:
        return set_nonblock(t, f, arg);
    default:
        if (f->ops->ioctl)
            r = f->ops->ioctl(t, f, cmd, arg);
        return r == -ENOIOCTLCMD ? common_ioctl(t, f, fd, cmd, arg) : r;
    }
}

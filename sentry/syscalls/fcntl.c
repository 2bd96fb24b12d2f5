/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl(2). */
#include <errno.h>
#include <fcntl.h>

#include "sentry/fs/dnotify.h"
#include "sentry/ipc/pipe.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/fasync.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/vfs.h"

#define LX_F_GETOWNER_UIDS 17
#define LX_F_DUPFD_QUERY 1027
#define LX_F_CREATED_QUERY 1028
#define LX_F_GET_RW_HINT 1035
#define LX_F_SET_RW_HINT 1036
#define LX_RWH_WRITE_LIFE_EXTREME 5
#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static long dupfd(struct task *t, struct file *f, unsigned long min, bool cloexec)
{
    rlim_t max = __atomic_load_n(&task_rlimit(t, RLIMIT_NOFILE)->rlim_cur, __ATOMIC_RELAXED);

    if (min >= max || min > INT32_MAX)
        return -EINVAL;
    return fd_install(t, file_ref(f), (int)min, cloexec);
}

static long set_flags(struct task *t, struct file *f, int fd, unsigned arg)
{
    unsigned old = atomic_load(&f->flags), new = (old & ~SETFL_MASK) | (arg & SETFL_MASK);
    int r;

    if ((new ^ old) & O_APPEND && f->inode && inode_is_append(f->inode))
        return -EPERM;
    if (new & ~old & O_NOATIME && f->inode && !inode_owner_or_capable(t, f->inode))
        return -EPERM;
    if (f->ops->set_flags) {
        r = f->ops->set_flags(t, f, new);
        if (r < 0)
            return r;
    }
    if ((arg ^ old) & O_ASYNC && fasync_possible(f)) {
        r = fasync_set(f, fd, arg & O_ASYNC);
        if (r < 0)
            return r;
    }
    while (!atomic_compare_exchange_weak(&f->flags, &old, (old & ~SETFL_MASK) | (arg & SETFL_MASK)))
        ;
    if (f->ops->unlend)
        f->ops->unlend(f, /* gone= */ false);
    return 0;
}

/* ---- locks ---- */

static long set_lock(struct task *t, struct file *f, gaddr_t arg, bool wait, bool ofd)
{
    struct lock_call *lc = locks_call(t);
    int r;

    if (!lc)
        return -ENOLCK;
    if (t->call.phase == 0) {
        r = get_guest(t, &lc->fl, arg);
        if (r < 0)
            return r;
        t->call.phase = 1;
    }
    return locks_set(t, f, lc, wait, ofd);
}

static long get_lock(struct task *t, struct file *f, gaddr_t arg, bool ofd)
{
    struct lx_flock fl;
    int r = get_guest(t, &fl, arg);

    if (r == 0)
        r = locks_get(t, f, &fl, ofd);
    return r < 0 ? r : put_guest(t, arg, &fl);
}

/* ---- who is told of I/O ---- */

static long set_owner(struct task *t, struct file *f, int type, pid_t pid)
{
    bool there;

    if (type != F_OWNER_TID && type != F_OWNER_PID && type != F_OWNER_PGRP)
        return -EINVAL;
    lock(&kernel.tasks_lock);
    there = pid == 0 || (type == F_OWNER_PGRP ? pid_find_locked(t->group->pidns, pid) != NULL
                                              : task_find_locked(t->group->pidns, pid) != NULL);
    unlock(&kernel.tasks_lock);
    if (!there)
        return -ESRCH;
    fasync_set_owner(t, f, type, pid);
    return 0;
}

static long set_owner_ex(struct task *t, struct file *f, gaddr_t arg)
{
    struct lx_f_owner_ex ex;
    int r = get_guest(t, &ex, arg);

    return r < 0 ? r : set_owner(t, f, ex.type, ex.pid);
}

static long get_owner_ex(struct task *t, struct file *f, gaddr_t arg)
{
    struct lx_f_owner_ex ex;

    ex = (struct lx_f_owner_ex){ f->owner.pid ? f->owner.type : F_OWNER_TID, f->owner.pid };
    return put_guest(t, arg, &ex);
}

static long get_owner(struct file *f)
{
    return f->owner.type == F_OWNER_PGRP ? -f->owner.pid : f->owner.pid;
}

static long get_owner_uids(struct task *t, struct file *f, gaddr_t arg)
{
    uid_t ids[2];

    ids[0] = f->owner.uid;
    ids[1] = f->owner.euid;
    return copy_out(t, arg, ids, sizeof ids);
}

static long same_file(struct task *t, struct file *f, int fd)
{
    struct file *other = fd_get_path(t, fd);
    long r = other == f;

    if (!other)
        return -EBADF;
    file_put(other);
    return r;
}

/* How long what is written is said to live. */
static long rw_hint(struct task *t, struct file *f, bool set, gaddr_t arg)
{
    uint64_t hint;

    if (!f->inode)
        return -EINVAL;
    if (!set) {
        hint = __atomic_load_n(&f->inode->write_hint, __ATOMIC_RELAXED);
        return put_guest(t, arg, &hint);
    }
    if (!inode_owner_or_capable(t, f->inode))
        return -EPERM;
    if (get_guest(t, &hint, arg) < 0)
        return -EFAULT;
    if (hint > LX_RWH_WRITE_LIFE_EXTREME)
        return -EINVAL;
    __atomic_store_n(&f->inode->write_hint, (uint8_t)hint, __ATOMIC_RELAXED);
    return 0;
}

/* What needs an open file, and not only a path. */
static long fcntl_file(struct task *t, struct file *f, int fd, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_SETFL:
        return set_flags(t, f, fd, (unsigned)arg);
    case F_GETLK:
    case F_OFD_GETLK:
        return get_lock(t, f, arg, cmd == F_OFD_GETLK);
    case F_SETLK:
    case F_SETLKW:
        return set_lock(t, f, arg, cmd == F_SETLKW, /* ofd= */ false);
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return set_lock(t, f, arg, cmd == F_OFD_SETLKW, /* ofd= */ true);
    case F_SETOWN:
        if ((int)arg == INT32_MIN)
            return -EINVAL;
        return (int)arg < 0 ? set_owner(t, f, F_OWNER_PGRP, -(int)arg)
                            : set_owner(t, f, F_OWNER_PID, (int)arg);
    case F_GETOWN:
        return get_owner(f);
    case F_SETOWN_EX:
        return set_owner_ex(t, f, arg);
    case F_GETOWN_EX:
        return get_owner_ex(t, f, arg);
    case LX_F_GETOWNER_UIDS:
        return get_owner_uids(t, f, arg);
    case F_SETSIG:
        if (arg > LX_NSIG)
            return -EINVAL;
        f->owner.sig = (int)arg;
        return 0;
    case F_GETSIG:
        return f->owner.sig;
    case F_SETLEASE:
        return lease_set(t, f, fd, (int)arg);
    case F_GETLEASE:
        return lease_get(f);
    case F_NOTIFY:
        return dnotify_set(t, f, fd, (unsigned)arg);
    case LX_F_GET_RW_HINT:
    case LX_F_SET_RW_HINT:
        return rw_hint(t, f, cmd == LX_F_SET_RW_HINT, arg);
    case F_SETPIPE_SZ:
        return pipe_set_size(t, f, arg);
    case F_GETPIPE_SZ:
        return pipe_get_size(f);
    case F_ADD_SEALS:
        return f->ops->add_seals ? f->ops->add_seals(t, f, (unsigned)arg) : -EINVAL;
    case F_GET_SEALS:
        return f->ops->get_seals ? f->ops->get_seals(f) : -EINVAL;
    default: /* the hints of a single open file too, which Linux has given up */
        return -EINVAL;
    }
}

long sys_fcntl(struct task *t, int fd, unsigned cmd, unsigned long arg)
{
    struct file *f = t->call.files[0];

    if (!f) {
        f = fd_get_path(t, fd);
        if (!f)
            return -EBADF;
        call_keep_file(t, 0, f);
    }
    switch (cmd) {
    case F_DUPFD:
        return dupfd(t, f, arg, /* cloexec= */ false);
    case F_DUPFD_CLOEXEC:
        return dupfd(t, f, arg, /* cloexec= */ true);
    case LX_F_DUPFD_QUERY:
        return same_file(t, f, (int)arg);
    case LX_F_CREATED_QUERY:
        return f->created;
    case F_GETFD:
        return fd_get_cloexec(t, fd);
    case F_SETFD:
        return fd_set_cloexec(t, fd, arg & FD_CLOEXEC);
    case F_GETFL:
        return atomic_load(&f->flags);
    default:
        return f->mode & FMODE_PATH ? -EBADF : fcntl_file(t, f, fd, cmd, arg);
    }
}

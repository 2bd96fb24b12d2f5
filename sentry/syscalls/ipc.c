/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of pipes, splices and the small descriptors: eventfd, timerfd, signalfd, pidfd. */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "abi/time.h"
#include "sentry/ipc/eventfd.h"
#include "sentry/ipc/pidfd.h"
#include "sentry/ipc/pipe.h"
#include "sentry/ipc/signalfd.h"
#include "sentry/ipc/splice.h"
#include "sentry/ipc/timerfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"

#define SPLICE_ALL (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

static long install(struct task *t, struct file *f, bool cloexec)
{
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, cloexec);
}

/* ---- pipes ---- */

long sys_pipe2(struct task *t, gaddr_t fds, int flags)
{
    struct file *r, *w;
    int fd[2];
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    int err = pipe_new(t, (unsigned)flags, &r, &w);
    if (err)
        return err;
    fd[0] = fd_install(t, r, 0, flags & O_CLOEXEC);
    if (fd[0] < 0) {
        file_put(w);
        return fd[0];
    }
    fd[1] = fd_install(t, w, 0, flags & O_CLOEXEC);
    err = fd[1] < 0 ? fd[1] : copy_out(t, fds, fd, sizeof fd);
    if (err) {
        fd_close(t, fd[0]);
        if (fd[1] >= 0)
            fd_close(t, fd[1]);
    }
    return err;
}

long sys_pipe(struct task *t, gaddr_t fds)
{
    return sys_pipe2(t, fds, 0);
}

/* The offset that the guest points to, or none. */
static int offset_get(struct task *t, gaddr_t at, loff_t *val, loff_t **ret)
{
    *ret = NULL;
    if (!at)
        return 0;
    if (get_guest(t, val, at))
        return -EFAULT;
    *ret = val;
    return 0;
}

long sys_splice(struct task *t, int fd_in, gaddr_t off_in, int fd_out, gaddr_t off_out, size_t len,
                unsigned flags)
{
    loff_t in_val, out_val, *in_at, *out_at;
    if (len == 0)
        return 0;
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    struct file *in = call_file(t, 0, fd_in), *out = call_file(t, 1, fd_out);
    if (IS_ERR(in) || IS_ERR(out))
        return -EBADF;
    if ((off_in && pipe_of(in)) || (off_out && pipe_of(out)))
        return -ESPIPE;
    /* of later runs only the pointers count: do_splice keeps what it read in the first */
    if (offset_get(t, off_in, &in_val, &in_at) || offset_get(t, off_out, &out_val, &out_at))
        return -EFAULT;
    long r = do_splice(t, in, in_at, out, out_at, len, flags);
    if (r > 0 &&
        ((in_at && put_guest(t, off_in, in_at)) || (out_at && put_guest(t, off_out, out_at))))
        return -EFAULT;
    return r;
}

long sys_tee(struct task *t, int fd_in, int fd_out, size_t len, unsigned flags)
{
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    if (len == 0)
        return 0;
    struct file *in = call_file(t, 0, fd_in), *out = call_file(t, 1, fd_out);
    if (IS_ERR(in) || IS_ERR(out))
        return -EBADF;
    return do_tee(t, in, out, MIN(len, MAX_RW_COUNT), flags);
}

struct vmsplice_call {
    struct seg *segs;
    struct iter it;
};

static void vmsplice_call_done(void *scratch)
{
    kfree(((struct vmsplice_call *)scratch)->segs);
}

long sys_vmsplice(struct task *t, int fd, gaddr_t iov, unsigned long nr_segs, unsigned flags)
{
    if (flags & ~SPLICE_ALL)
        return -EINVAL;
    struct file *f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (nr_segs > 1024)
        return -EINVAL;
    struct vmsplice_call *v = call_scratch(t, sizeof *v);
    if (!v)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = vmsplice_call_done;
        ssize_t n = copy_in_iovec(t, iov, (unsigned)nr_segs, &v->segs);
        if (n < 0)
            return n;
        iter_segs(&v->it, t, v->segs, (unsigned)nr_segs);
        t->call.phase = 1;
    }
    return do_vmsplice(t, f, &v->it, flags);
}

/* ---- eventfd, signalfd, timerfd ---- */

long sys_eventfd2(struct task *t, unsigned count, int flags)
{
    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
        return -EINVAL;
    return install(t, eventfd_new(count, (unsigned)flags), flags & EFD_CLOEXEC);
}

long sys_eventfd(struct task *t, unsigned count)
{
    return sys_eventfd2(t, count, 0);
}

long sys_signalfd4(struct task *t, int fd, gaddr_t mask, size_t sizemask, int flags)
{
    sigset64 set;
    if (sizemask != sizeof set || (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK)))
        return -EINVAL;
    if (get_guest(t, &set, mask))
        return -EFAULT;
    if (fd == -1)
        return install(t, signalfd_new(set, (unsigned)flags), flags & SFD_CLOEXEC);
    struct file *f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    int r = signalfd_set_mask(t, f, set);
    return r ? r : fd;
}

long sys_signalfd(struct task *t, int fd, gaddr_t mask, size_t sizemask)
{
    return sys_signalfd4(t, fd, mask, sizemask, 0);
}

long sys_timerfd_create(struct task *t, int clockid, int flags)
{
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
        return -EINVAL;
    return install(t, timerfd_new(t, clockid, (unsigned)flags), flags & TFD_CLOEXEC);
}

long sys_timerfd_settime(struct task *t, int fd, int flags, gaddr_t value, gaddr_t old)
{
    struct itimerspec v, o;
    if (get_guest(t, &v, value))
        return -EFAULT;
    struct file *f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    int r = timerfd_set(f, flags, &v, &o);
    return r ? r : old ? put_guest(t, old, &o) : 0;
}

long sys_timerfd_gettime(struct task *t, int fd, gaddr_t cur)
{
    struct itimerspec v;
    struct file *f = call_file(t, 0, fd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    int r = timerfd_get(f, &v);
    return r ? r : put_guest(t, cur, &v);
}

/* ---- pidfd ---- */

long sys_pidfd_open(struct task *t, pid_t pid, unsigned flags)
{
    if ((flags & ~(O_NONBLOCK | PIDFD_THREAD)) || pid <= 0)
        return -EINVAL;
    return install(t, pidfd_open_pid(t, pid, flags), true);
}

long sys_pidfd_send_signal(struct task *t, int pidfd, int sig, gaddr_t info, unsigned flags)
{
    struct lx_siginfo si;
    if (flags & ~7u || (flags & (flags - 1))) /* one PIDFD_SIGNAL_* at most */
        return -EINVAL;
    struct file *f = call_file(t, 0, pidfd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    if (info && get_guest(t, &si, info))
        return -EFAULT;
    return pidfd_send_signal(t, f, sig, info ? &si : NULL, flags);
}

long sys_pidfd_getfd(struct task *t, int pidfd, int fd, unsigned flags)
{
    if (flags)
        return -EINVAL;
    struct file *f = call_file(t, 0, pidfd);
    if (IS_ERR(f))
        return PTR_ERR(f);
    return install(t, pidfd_get_file(t, f, fd), true);
}

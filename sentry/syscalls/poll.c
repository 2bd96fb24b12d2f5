/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that wait for files: poll, select, epoll. */
#include <errno.h>
#include <sys/epoll.h>

#include "sentry/ipc/epoll.h"
#include "sentry/ipc/poll.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/table.h"

long sys_poll(struct task *t, gaddr_t fds, unsigned nfds, int timeout)
{
    return do_poll(t, fds, nfds, timeout);
}

long sys_ppoll(struct task *t, gaddr_t fds, unsigned nfds, gaddr_t tsp, gaddr_t sigmask,
               size_t sigsetsize)
{
    return do_ppoll(t, fds, nfds, tsp, sigmask, sigsetsize);
}

long sys_select(struct task *t, int n, gaddr_t inp, gaddr_t outp, gaddr_t exp, gaddr_t tvp)
{
    return do_select(t, n, inp, outp, exp, tvp);
}

long sys_pselect6(struct task *t, int n, gaddr_t inp, gaddr_t outp, gaddr_t exp, gaddr_t tsp,
                  gaddr_t sig)
{
    return do_pselect(t, n, inp, outp, exp, tsp, sig);
}

long sys_epoll_create1(struct task *t, int flags)
{
    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    struct file *f = epoll_new();
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(struct task *t, int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(t, 0);
}

long sys_epoll_ctl(struct task *t, int epfd, int op, int fd, gaddr_t event)
{
    struct lx_epoll_event ev;
    bool has = op != EPOLL_CTL_DEL;
    if (has && get_guest(t, &ev, event))
        return -EFAULT;
    struct file *ep = call_file(t, 0, epfd), *f = call_file(t, 1, fd);
    if (IS_ERR(ep) || IS_ERR(f))
        return -EBADF;
    return epoll_control(t, ep, op, fd, f, has ? &ev : NULL);
}

/* t->call.phase after the first run: whether there is anything to wait for. */
enum { EP_FIRST, EP_WAIT, EP_NOW };

static long wait_common(struct task *t, int epfd, gaddr_t events, int max)
{
    if (max <= 0 || max > EPOLL_MAX_EVENTS)
        return -EINVAL;
    struct file *ep = call_file(t, 0, epfd);
    if (IS_ERR(ep))
        return PTR_ERR(ep);
    return epoll_collect(t, ep, events, max, t->call.phase == EP_NOW);
}

static void wait_limit_ms(struct task *t, int timeout)
{
    if (t->call.phase != EP_FIRST)
        return;
    t->call.phase = timeout == 0 ? EP_NOW : EP_WAIT;
    if (timeout > 0)
        call_deadline(t, ktime_add(ktime_now(), (ktime_t)timeout * 1000000));
}

long sys_epoll_wait(struct task *t, int epfd, gaddr_t events, int maxevents, int timeout)
{
    wait_limit_ms(t, timeout);
    return wait_common(t, epfd, events, maxevents);
}

long sys_epoll_pwait(struct task *t, int epfd, gaddr_t events, int maxevents, int timeout,
                     gaddr_t sigmask, size_t sigsetsize)
{
    if (t->call.phase == EP_FIRST) {
        int r = poll_set_mask(t, sigmask, sigsetsize);
        if (r)
            return r;
    }
    wait_limit_ms(t, timeout);
    return wait_common(t, epfd, events, maxevents);
}

long sys_epoll_pwait2(struct task *t, int epfd, gaddr_t events, int maxevents, gaddr_t timeout,
                      gaddr_t sigmask, size_t sigsetsize)
{
    if (t->call.phase == EP_FIRST) {
        struct poll_limit limit = { 0 };
        struct timespec ts;
        if (timeout && get_guest(t, &ts, timeout))
            return -EFAULT;
        int r = poll_limit_set(t, &limit, timeout ? &ts : NULL);
        if (!r)
            r = poll_set_mask(t, sigmask, sigsetsize);
        if (r)
            return r;
        t->call.phase = limit.now ? EP_NOW : EP_WAIT;
    }
    return wait_common(t, epfd, events, maxevents);
}

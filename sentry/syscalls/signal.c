/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: decode, call, encode. */
#include <errno.h>

#include "sentry/kernel/altstack.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kill.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

long sys_rt_sigaction(struct task *t, int sig, gaddr_t act, gaddr_t oact, size_t sigsetsize)
{
    struct lx_sigaction new, old;
    if (sigsetsize != sizeof(sigset64))
        return -EINVAL;
    if (act && get_guest(t, &new, act))
        return -EFAULT;
    int r = signal_action(t, sig, act ? &new : NULL, &old);
    if (r == 0 && oact && put_guest(t, oact, &old))
        r = -EFAULT;
    return r;
}

long sys_rt_sigprocmask(struct task *t, int how, gaddr_t set, gaddr_t oset, size_t sigsetsize)
{
    sigset64 old, new;
    if (sigsetsize != sizeof new)
        return -EINVAL;
    lock(&kernel.tasks_lock);
    signal_pull_mask_locked(t);
    old = t->blocked;
    unlock(&kernel.tasks_lock);
    if (set) {
        if (get_guest(t, &new, set))
            return -EFAULT;
        if (how == SIG_BLOCK)
            new |= old;
        else if (how == SIG_UNBLOCK)
            new = old & ~new;
        else if (how != SIG_SETMASK)
            return -EINVAL;
        signal_set_blocked(t, new);
    }
    return oset ? put_guest(t, oset, &old) : 0;
}

long sys_rt_sigpending(struct task *t, gaddr_t set, size_t sigsetsize)
{
    if (sigsetsize > sizeof(sigset64))
        return -EINVAL;
    lock(&kernel.tasks_lock);
    signal_pull_mask_locked(t);
    sigset64 pending = signal_pending_set_locked(t) & t->blocked;
    unlock(&kernel.tasks_lock);
    return copy_out(t, set, &pending, sigsetsize);
}

long sys_rt_sigsuspend(struct task *t, gaddr_t set, size_t sigsetsize)
{
    if (!t->call.phase) {
        sigset64 mask;
        if (sigsetsize != sizeof mask)
            return -EINVAL;
        if (get_guest(t, &mask, set))
            return -EFAULT;
        signal_set_call_mask(t, mask);
        t->call.phase = 1;
    }
    int r = task_sleep(t);
    return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

long sys_pause(struct task *t)
{
    int r = task_sleep(t);
    return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

struct timedwait {
    sigset64 set;
    bool decoded, wait;
};

static int timedwait_decode(struct task *t, struct timedwait *w, gaddr_t set, gaddr_t timeout)
{
    if (get_guest(t, &w->set, set))
        return -EFAULT;
    w->wait = true;
    if (timeout) {
        struct timespec ts;
        ktime_t left;
        if (get_guest(t, &ts, timeout))
            return -EFAULT;
        if (timespec_to_ktime(&ts, &left))
            return -EINVAL;
        w->wait = left > 0;
        call_deadline(t, ktime_add(ktime_now(), left));
    }
    w->decoded = true;
    return 0;
}

long sys_rt_sigtimedwait(struct task *t, gaddr_t set, gaddr_t info, gaddr_t timeout,
                         size_t sigsetsize)
{
    if (sigsetsize != sizeof(sigset64))
        return -EINVAL;
    struct timedwait *w = call_scratch(t, sizeof *w);
    if (!w)
        return -ENOMEM;
    if (!w->decoded) {
        int r = timedwait_decode(t, w, set, timeout);
        if (r)
            return r;
    }
    struct lx_siginfo si;
    long sig = do_sigtimedwait(t, w->set, w->wait, &si);
    if (sig > 0 && info && put_guest(t, info, &si))
        return -EFAULT;
    return sig;
}

long sys_kill(struct task *t, pid_t pid, int sig)
{
    return do_kill(t, pid, sig, NULL);
}

long sys_tkill(struct task *t, pid_t tid, int sig)
{
    return tid <= 0 ? -EINVAL : do_tkill(t, 0, tid, sig, NULL);
}

long sys_tgkill(struct task *t, pid_t tgid, pid_t tid, int sig)
{
    return tgid <= 0 || tid <= 0 ? -EINVAL : do_tkill(t, tgid, tid, sig, NULL);
}

/* A made-up siginfo must not look like the kernel's or kill's, but to oneself. */
static int queue_info(struct task *t, pid_t to, int sig, gaddr_t uinfo, struct lx_siginfo *ret)
{
    if (get_guest(t, ret, uinfo))
        return -EFAULT;
    ret->signo = sig;
    if ((ret->code >= 0 || ret->code == SI_TKILL) && to != t->tid)
        return -EPERM;
    return 0;
}

long sys_rt_sigqueueinfo(struct task *t, pid_t pid, int sig, gaddr_t uinfo)
{
    struct lx_siginfo info;
    int r = queue_info(t, pid, sig, uinfo, &info);
    if (r)
        return r;
    if (sig < 0 || sig > LX_NSIG)
        return -EINVAL;
    return pid <= 0 ? -ESRCH : do_kill(t, pid, sig, &info);
}

long sys_rt_tgsigqueueinfo(struct task *t, pid_t tgid, pid_t tid, int sig, gaddr_t uinfo)
{
    struct lx_siginfo info;
    int r = queue_info(t, tid, sig, uinfo, &info);
    if (r)
        return r;
    return tgid <= 0 || tid <= 0 ? -EINVAL : do_tkill(t, tgid, tid, sig, &info);
}

long sys_sigaltstack(struct task *t, gaddr_t ss, gaddr_t oss)
{
    struct lx_sigaltstack new, old;
    if (ss && get_guest(t, &new, ss))
        return -EFAULT;
    gaddr_t sp = kernel.platform->ctx_regs(t->ctx)->rsp;
    int r = do_sigaltstack(t, ss ? &new : NULL, oss ? &old : NULL, sp);
    if (r == 0 && oss && put_guest(t, oss, &old))
        r = -EFAULT;
    return r;
}

long sys_rt_sigreturn(struct task *t)
{
    return do_sigreturn(t);
}

long sys_restart_syscall(struct task *t)
{
    return t->restart_fn ? t->restart_fn(t) : -EINTR;
}

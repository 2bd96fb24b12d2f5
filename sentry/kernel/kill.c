/* SPDX-License-Identifier: Apache-2.0 */
/* kill(2) and its like: finding the receivers and asking for each whether t may. */
#include "sentry/kernel/kill.h"

#include <errno.h>
#include <limits.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"

static int kill_group(struct task *t, struct tgroup *g, int sig, const struct lx_siginfo *info)
{
    int r = signal_permitted(t, g, sig);
    return r ? r : signal_send_group_locked(g, sig, info);
}

int kill_pgrp_locked(struct task *t, struct pid_entry *e, int sig, const struct lx_siginfo *info)
{
    int last = -ESRCH;
    bool any = false;
    struct tgroup *g;
    if (!e)
        return -ESRCH;
    list_for_each(g, &e->pgrp, pgrp_link) {
        g->group_signals++;
        last = kill_group(t, g, sig, info);
        any |= last == 0;
    }
    return any ? 0 : last;
}

struct kill_all {
    struct task *t;
    int sig, result;
    const struct lx_siginfo *info;
    bool any;
};

static int kill_each(struct tgroup *g, void *arg)
{
    struct kill_all *k = arg;
    if (g->is_init || g == k->t->group || g->reaped)
        return 0;
    k->any = true;
    g->group_signals++;
    int r = kill_group(k->t, g, k->sig, k->info);
    if (r != -EPERM)
        k->result = r;
    return 0;
}

int do_kill(struct task *t, pid_t pid, int sig, const struct lx_siginfo *info)
{
    struct lx_siginfo user;
    if (sig < 0 || sig > LX_NSIG)
        return -EINVAL;
    if (pid == INT_MIN)
        return -ESRCH;
    if (!info) {
        siginfo_user(&user, sig, SI_USER, t);
        info = &user;
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    if (pid > 0) {
        struct task *to = task_find_locked(t->group->pidns, pid);
        return to ? kill_group(t, to->group, sig, info) : -ESRCH;
    }
    if (pid == -1) {
        struct kill_all k = { .t = t, .sig = sig, .info = info };
        tgroup_each_locked(t->group->pidns, kill_each, &k);
        return k.any ? k.result : -ESRCH;
    }
    return kill_pgrp_locked(t, pid ? pid_find_locked(t->group->pidns, -pid) : t->group->pgrp, sig,
                            info);
}

int do_tkill(struct task *t, pid_t tgid, pid_t tid, int sig, const struct lx_siginfo *info)
{
    struct lx_siginfo user;
    if (sig < 0 || sig > LX_NSIG)
        return -EINVAL;
    if (!info) {
        siginfo_user(&user, sig, SI_TKILL, t);
        info = &user;
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *to = task_find_locked(t->group->pidns, tid);
    if (!to || (tgid && to->group->pid != tgid))
        return -ESRCH;
    int r = signal_permitted(t, to->group, sig);
    if (r)
        return r;
    r = signal_send_task_locked(to, sig, info);
    return r == -ESRCH ? 0 : r; /* one that leaves just now does not count as missing */
}

/*
 * While it waits the mask lacks the signals waited for, so that sending one interrupts it;
 * real_blocked keeps the true mask, by which they are neither ignored nor fatal meanwhile.
 */
long do_sigtimedwait(struct task *t, sigset64 set, bool wait, struct lx_siginfo *ret)
{
    set &= ~SIG_UNBLOCKABLE;
    LOCK_SCOPE(&kernel.tasks_lock);
    int sig = signal_dequeue_locked(t, set, ret), r = -EAGAIN;
    if (!sig && wait) {
        if (!t->call.phase) {
            t->call.phase = 1;
            signal_pull_mask_locked(t);
            t->real_blocked = t->blocked;
            t->blocked &= ~set;
            signal_push_mask_locked(t);
            signal_recalc_locked(t);
        }
        r = task_sleep(t);
        if (r == -EWAITING)
            return r;
        r = r == -ETIMEDOUT ? -EAGAIN : -EINTR;
    }
    if (t->call.phase) {
        sigset64 mask = t->real_blocked;
        t->real_blocked = 0;
        signal_set_blocked_locked(t, mask);
    }
    return sig ? sig : r;
}

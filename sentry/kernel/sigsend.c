/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending signals: to a thread, a process, a process group. A signal that is not ignored is queued,
 * then a thread is chosen that takes it, and that one's wait or guest code is interrupted. A signal
 * that will end the process for certain ends it here (group_kill_locked), without a queue.
 *
 * Everything under kernel.tasks_lock.
 */
#include <errno.h>
#include <string.h>

#include "abi/unfenced.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sigset.h"

#define CAP_KILL 5

void siginfo_user(struct lx_siginfo *info, int sig, int code, const struct task *from)
{
    memset(info, 0, sizeof *info);
    info->signo = sig;
    info->code = code;
    info->rt.pid = from->group->pid;
    info->rt.uid = from->cred->uid;
}

int signal_permitted(const struct task *from, const struct tgroup *to, int sig)
{
    assert_locked(&kernel.tasks_lock);
    const struct cred *c = from->cred, *tc = to->leader->cred;
    if (from->group == to || c->euid == tc->suid || c->euid == tc->uid || c->uid == tc->suid ||
        c->uid == tc->uid || cred_capable(c, CAP_KILL) || unfenced("permission"))
        return 0;
    if (sig == SIGCONT && from->group->session == to->session)
        return 0;
    return -EPERM;
}

/* ---- is it to be queued at all? ---- */

/* by_kernel: not from a process, so that not even pid 1 is spared a SIGKILL. */
static bool ignored_by(struct task *t, int sig, bool by_kernel)
{
    signal_pull_mask_locked(t);
    if (SIGBIT(sig) & (t->blocked | t->real_blocked))
        return false; /* it may have a handler by the time it is unblocked */
    uint64_t handler = t->group->sighand->action[sig - 1].handler;
    if (t->group->unkillable && handler == LX_SIG_DFL &&
        !(by_kernel && (SIGBIT(sig) & SIG_UNBLOCKABLE)))
        return true;
    return sig_handler_ignores(handler, sig);
}

/* Stop and continue cancel each other, whether they are then ignored, blocked or caught. */
static bool prepare(struct task *t, int sig, bool by_kernel)
{
    struct tgroup *g = t->group;
    if (g->exiting || g->is_sentry || g->zombie)
        return false;
    if (SIGBIT(sig) & SIG_STOPS) {
        group_remove_signals_locked(g, SIGBIT(SIGCONT));
    } else if (sig == SIGCONT) {
        group_remove_signals_locked(g, SIG_STOPS);
        group_continue_locked(g);
    }
    return !ignored_by(t, sig, by_kernel);
}

/* ---- who takes it ---- */

static bool wants(struct task *t, int sig)
{
    signal_pull_mask_locked(t);
    if (atomic_load(&t->leaving) || (SIGBIT(sig) & t->blocked))
        return false;
    if (sig == SIGKILL)
        return true;
    return !t->stop_counted && !atomic_load(&t->sigpending);
}

static bool ends_process(const struct tgroup *g, int sig)
{
    return g->sighand->action[sig - 1].handler == LX_SIG_DFL &&
           !(SIGBIT(sig) & (SIG_IGNORED | SIG_STOPS));
}

static struct task *choose(struct task *t, int sig, bool whole_group)
{
    if (wants(t, sig))
        return t;
    if (!whole_group)
        return NULL;
    struct task *o;
    list_for_each(o, &t->group->tasks, group_link) {
        if (wants(o, sig))
            return o;
    }
    return NULL;
}

static void note_pending(struct task *t, bool whole_group)
{
    struct task *o;
    if (!whole_group) {
        signal_note_pending_locked(t, true);
        return;
    }
    list_for_each(o, &t->group->tasks, group_link)
        signal_note_pending_locked(o, true);
}

static void complete(struct task *t, int sig, bool whole_group)
{
    struct tgroup *g = t->group;
    note_pending(t, whole_group);
    struct task *taker = choose(t, sig, whole_group);
    if (!taker)
        return; /* all block it, or look at their signals anyway */
    if (ends_process(g, sig) && !(SIGBIT(sig) & taker->real_blocked) &&
        !(SIGBIT(sig) & SIG_CORES)) {
        group_kill_locked(g, sig);
        return;
    }
    task_wake_signal_locked(taker);
}

static void notify_signalfds(struct task *t, bool whole_group)
{
    struct task *o;
    if (!whole_group) {
        wq_wake(&t->signalfd_wq, 1 /* POLLIN */);
        return;
    }
    list_for_each(o, &t->group->tasks, group_link)
        wq_wake(&o->signalfd_wq, 1);
}

/* ---- send ---- */

static bool from_kernel(const struct lx_siginfo *info)
{
    return !info || info->code > 0;
}

static int enqueue(struct task *t, struct sigpending *p, int sig, const struct lx_siginfo *info)
{
    if (sig == SIGKILL)
        return 0;
    struct sigqueue *q = sigqueue_new_locked(t, !sig_is_rt(sig) &&
                                                    (from_kernel(info) || info->code >= 0));
    if (!q) {
        bool lossy = !sig_is_rt(sig) || from_kernel(info) || info->code == SI_USER;
        return lossy ? 0 : -EAGAIN;
    }
    if (info)
        q->info = *info;
    else
        q->info.code = SI_KERNEL;
    q->info.signo = sig;
    q->pending = p;
    list_add_tail(&p->queue, &q->link);
    return 0;
}

static int send(struct task *t, int sig, const struct lx_siginfo *info, bool whole_group)
{
    assert_locked(&kernel.tasks_lock);
    if (sig == 0)
        return 0;
    if (!prepare(t, sig, !info))
        return 0;
    struct sigpending *p = whole_group ? &t->group->pending : &t->pending;
    if (!sig_is_rt(sig) && (p->set & SIGBIT(sig)))
        return 0;
    int r = enqueue(t, p, sig, info);
    if (r)
        return r;
    p->set |= SIGBIT(sig);
    notify_signalfds(t, whole_group);
    complete(t, sig, whole_group);
    return 0;
}

int signal_send_task_locked(struct task *t, int sig, const struct lx_siginfo *info)
{
    if (t->async) /* SIGPIPE, SIGXFSZ: of the thread that it works for */
        t = t->async_for;
    if (!t || t->async)
        return 0;
    return t->dead ? -ESRCH : send(t, sig, info, false);
}

int signal_send_group_locked(struct tgroup *g, int sig, const struct lx_siginfo *info)
{
    return g->reaped ? -ESRCH : send(g->leader, sig, info, true);
}

int signal_send_task(struct task *t, int sig, const struct lx_siginfo *info)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return signal_send_task_locked(t, sig, info);
}

int signal_send_group(struct tgroup *g, int sig, const struct lx_siginfo *info)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return signal_send_group_locked(g, sig, info);
}

int signal_send_pgrp_locked(struct pid_entry *e, int sig, const struct lx_siginfo *info)
{
    if (!e || list_empty(&e->pgrp))
        return -ESRCH;
    struct tgroup *g;
    list_for_each(g, &e->pgrp, pgrp_link) {
        g->group_signals++;
        signal_send_group_locked(g, sig, info);
    }
    return 0;
}

bool signal_send_entry_locked(struct task *t, struct tgroup *g, struct task *first,
                              struct sigqueue *q)
{
    assert_locked(&kernel.tasks_lock);
    int sig = q->info.signo;
    struct task *to = t ? t : first ? first : g->leader;
    if (!list_empty(&q->link) || to->group->reaped || (t && t->dead) || !prepare(to, sig, false))
        return false;
    struct sigpending *p = t ? &t->pending : &g->pending;
    /* A timer's entry is queued even where a standard signal of that number is pending already. */
    q->pending = p;
    list_add_tail(&p->queue, &q->link);
    p->set |= SIGBIT(sig);
    notify_signalfds(to, !t);
    complete(to, sig, !t);
    return true;
}

void signal_force(struct task *t, int sig, const struct lx_siginfo *info)
{
    if (t->async)
        return;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (sig != SIGPIPE && sig != SIGXFSZ) {
        struct lx_sigaction *sa = &t->group->sighand->action[sig - 1];
        signal_pull_mask_locked(t);
        bool blocked = t->blocked & SIGBIT(sig);
        if (blocked || sa->handler == LX_SIG_IGN)
            sa->handler = LX_SIG_DFL;
        t->blocked &= ~SIGBIT(sig);
        signal_push_mask_locked(t);
        if (sa->handler == LX_SIG_DFL)
            t->group->unkillable = false; /* its own fault: nothing spares it */
    }
    send(t, sig, info, false);
    signal_recalc_locked(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a task has of signals: actions (shared by CLONE_SIGHAND), the blocked mask, and the flag
 * sigpending, which says that there is something to look at before guest code goes on. The flag is
 * never missing; it may be set where delivery then finds nothing.
 *
 * Everything under kernel.tasks_lock. Sending is sigsend.c, queues sigqueue.c, delivery
 * sigdeliver.c.
 */
#include "sentry/kernel/signal.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sigset.h"
#include "sentry/kernel/task.h"

/* ---- actions ---- */

struct sighand *sighand_new(void)
{
    struct sighand *sh = kzalloc(sizeof *sh);
    if (sh)
        sh->refs = 1;
    return sh;
}

struct sighand *sighand_copy_locked(const struct sighand *from)
{
    struct sighand *sh = sighand_new();
    if (sh)
        memcpy(sh->action, from->action, sizeof sh->action);
    return sh;
}

void sighand_put_locked(struct sighand *sh)
{
    assert_locked(&kernel.tasks_lock);
    if (sh && --sh->refs == 0)
        kfree(sh);
}

void sighand_exec_locked(struct sighand *sh)
{
    for (int i = 0; i < LX_NSIG; i++) {
        struct lx_sigaction *sa = &sh->action[i];
        bool ignored = sa->handler == LX_SIG_IGN;
        memset(sa, 0, sizeof *sa);
        if (ignored)
            sa->handler = LX_SIG_IGN;
    }
}

#define SA_KNOWN                                                                                   \
    (LX_SA_NOCLDSTOP | LX_SA_NOCLDWAIT | LX_SA_SIGINFO | LX_SA_EXPOSE_TAGBITS | LX_SA_RESTORER |   \
     LX_SA_ONSTACK | LX_SA_RESTART | LX_SA_NODEFER | LX_SA_RESETHAND)

int signal_action(struct task *t, int sig, const struct lx_sigaction *new, struct lx_sigaction *old)
{
    if (sig < 1 || sig > LX_NSIG || (new && (SIGBIT(sig) & SIG_UNBLOCKABLE)))
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    struct lx_sigaction *sa = &t->group->sighand->action[sig - 1];
    if (old)
        *old = *sa;
    if (!new)
        return 0;
    *sa = *new;
    sa->flags &= SA_KNOWN;
    sa->mask &= ~SIG_UNBLOCKABLE;
    /* What is pending and would now be ignored is dropped, blocked or not (POSIX). */
    if (sig_handler_ignores(sa->handler, sig))
        group_remove_signals_locked(t->group, SIGBIT(sig));
    return 0;
}

/* ---- the flag ---- */

/*
 * What a task that was told to look does not take, because it has blocked it meanwhile, is for
 * others to look at.
 */
void signal_recalc_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    const struct tgroup *g = t->group;
    sigset64 pending = signal_pending_set_locked(t);
    signal_note_pending_locked(t, pending != 0);
    signal_pull_mask_locked(t);
    bool look = (pending & ~t->blocked) || atomic_load(&t->fatal) ||
                (g->stop_pending && !t->stop_counted);
    bool looked = atomic_exchange(&t->sigpending, look);
    if (looked && g->nlive > 1 && (g->pending.set & t->blocked))
        signal_retarget_locked(t, t->blocked);
}

void task_wake_signal_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    atomic_store(&t->sigpending, true);
    if (!atomic_load(&t->leaving) && t->ctx)
        task_interrupt(t);
}

/* ---- masks ---- */

/*
 * A thread changes its mask without a call where the platform lets it; so the one in force is the
 * word that it keeps, and t->blocked a copy: made before it is looked at, written back when changed.
 */
void signal_pull_mask_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    if (t->ctx)
        t->blocked = kernel.platform->ctx_word(t->ctx, CW_BLOCKED) & ~SIG_UNBLOCKABLE;
}

void signal_push_mask_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    if (t->ctx)
        kernel.platform->ctx_set_word(t->ctx, CW_BLOCKED, t->blocked);
}

void signal_note_pending_locked(struct task *t, bool pending)
{
    assert_locked(&kernel.tasks_lock);
    if (t->ctx && (kernel.platform->ctx_word(t->ctx, CW_PENDING) != 0) != pending)
        kernel.platform->ctx_set_word(t->ctx, CW_PENDING, pending);
}

void signal_retarget_locked(struct task *t, sigset64 which)
{
    struct tgroup *g = t->group;
    which &= g->pending.set;
    struct task *o;
    list_for_each(o, &g->tasks, group_link) {
        if (!which)
            return;
        if (o == t || atomic_load(&o->leaving))
            continue;
        signal_pull_mask_locked(o);
        if (!(which & ~o->blocked))
            continue;
        which &= o->blocked;
        if (!atomic_load(&o->sigpending))
            task_wake_signal_locked(o);
    }
}

void signal_set_blocked_locked(struct task *t, sigset64 set)
{
    assert_locked(&kernel.tasks_lock);
    t->blocked = set & ~SIG_UNBLOCKABLE;
    signal_push_mask_locked(t);
    signal_recalc_locked(t);
}

void signal_set_blocked(struct task *t, sigset64 set)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    signal_set_blocked_locked(t, set);
}

void signal_set_call_mask(struct task *t, sigset64 set)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    signal_pull_mask_locked(t);
    if (!t->restore_blocked) { /* a later run of the handler comes here again */
        t->saved_blocked = t->blocked;
        t->restore_blocked = true;
    }
    signal_set_blocked_locked(t, set);
}

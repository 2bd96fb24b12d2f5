/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group stop and continue.
 *
 *   running --group_stop_locked--> stop_pending --last thread counted--> stopped
 *      ^------------------- group_continue_locked / group_kill_locked ------/
 *
 * A stop begins when a thread takes a stop signal; each thread is then interrupted and comes by
 * jobctl_stop_locked on its way back to guest code, is counted and waits on group->stop_wq, where
 * only a continue or a fatal signal wakes it. The parent hears of it when all are counted.
 *
 * Everything under kernel.tasks_lock.
 */
#include "sentry/kernel/jobctl.h"

#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sigset.h"

static void check_complete(struct tgroup *g)
{
    if (!g->stop_pending || g->stopped)
        return;
    unsigned running = 0;
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        running += !atomic_load(&t->leaving) && !t->dead && !t->stop_counted;
    if (running || g->nstopped == 0)
        return;
    g->stopped = true;
    g->stop_reported = g->continued = false;
    group_notify_stop_locked(g, CLD_STOPPED, g->stop_signal);
}

static void clear(struct tgroup *g)
{
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        t->stop_counted = false;
    g->stop_pending = g->stopped = false;
    g->nstopped = 0;
}

void group_stop_locked(struct tgroup *g, int sig)
{
    assert_locked(&kernel.tasks_lock);
    if (g->exiting || g->stop_pending || g->is_sentry)
        return;
    g->stop_pending = true;
    g->stop_signal = sig;
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        task_wake_signal_locked(t);
}

void group_continue_locked(struct tgroup *g)
{
    assert_locked(&kernel.tasks_lock);
    if (!g->stop_pending)
        return;
    bool was_stopped = g->stopped, begun = g->nstopped > 0;
    int sig = g->stop_signal;
    clear(g);
    g->continued = true;
    wq_wake_all(&g->stop_wq, 0);
    if (was_stopped)
        group_notify_stop_locked(g, CLD_CONTINUED, SIGCONT);
    else if (begun)
        group_notify_stop_locked(g, CLD_STOPPED, sig);
}

void jobctl_cancel_locked(struct tgroup *g)
{
    clear(g);
    wq_wake_all(&g->stop_wq, 0);
}

void jobctl_leave_locked(struct task *t)
{
    struct tgroup *g = t->group;
    if (t->stop_counted) {
        t->stop_counted = false;
        g->nstopped--;
    }
    check_complete(g);
}

int jobctl_stop_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    struct tgroup *g = t->group;
    if (!g->stop_pending || atomic_load(&t->fatal))
        return 0;
    if (!t->stop_counted) {
        t->stop_counted = true;
        g->nstopped++;
        check_complete(g);
    }
    /* The call is over; its deadline has nothing to say here. */
    t->call.deadline = KTIME_NEVER;
    t->call.expired = false;
    int r = task_wait(t, &g->stop_wq, WAIT_KILL);
    return r == -EWAITING ? r : 0;
}

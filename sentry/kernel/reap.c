/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parents and children when a process ends or stops: what the parent is told, who inherits the
 * children, and how a zombie leaves the tree.
 *
 * Everything under kernel.tasks_lock.
 */
#include <string.h>

#include "sentry/kernel/container.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/cpulimit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sigset.h"

#define NS_PER_TICK 10000000ull /* clock_t counts hundredths */

int group_wait_status_locked(const struct tgroup *g)
{
    return g->exit_code;
}

void siginfo_child_locked(struct lx_siginfo *info, const struct tgroup *g, int sig, int code,
                          int status)
{
    memset(info, 0, sizeof *info);
    info->signo = sig;
    info->code = code;
    info->chld.pid = g->pid;
    info->chld.uid = g->leader->cred->uid;
    info->chld.status = status;
    info->chld.utime = (int64_t)(g->utime_ns / NS_PER_TICK);
    info->chld.stime = (int64_t)(g->stime_ns / NS_PER_TICK);
}

void group_notify_stop_locked(struct tgroup *g, int why, int status)
{
    assert_locked(&kernel.tasks_lock);
    struct tgroup *parent = g->parent;
    if (!parent)
        return;
    if (parent->is_sentry && g->pid == 2 && kernel.first == 2 && why == CLD_STOPPED)
        sandbox_stopped(status);
    const struct lx_sigaction *sa = &parent->sighand->action[SIGCHLD - 1];
    if (sa->handler != LX_SIG_IGN && !(sa->flags & LX_SA_NOCLDSTOP)) {
        struct lx_siginfo info;
        siginfo_child_locked(&info, g, SIGCHLD, why, status);
        signal_send_group_locked(parent, SIGCHLD, &info);
    }
    wq_wake_all(&parent->child_wq, 0);
}

/* Tells the parent of g's end. true: nobody will wait for it. */
static bool notify_exit(struct tgroup *g)
{
    struct tgroup *parent = g->parent;
    if (!parent || parent->is_sentry)
        return true;
    int sig = g->leader->exit_signal, status = group_wait_status_locked(g);
    bool reap = false;
    if (sig == SIGCHLD) {
        const struct lx_sigaction *sa = &parent->sighand->action[SIGCHLD - 1];
        reap = sa->handler == LX_SIG_IGN || (sa->flags & LX_SA_NOCLDWAIT);
        if (sa->handler == LX_SIG_IGN)
            sig = 0;
    }
    if (sig > 0 && sig <= LX_NSIG) {
        struct lx_siginfo info;
        int code = !(status & 0x7f) ? CLD_EXITED : status & 0x80 ? CLD_DUMPED : CLD_KILLED;
        siginfo_child_locked(&info, g, sig, code,
                             code == CLD_EXITED ? status >> 8 & 0xff : status & 0x7f);
        signal_send_group_locked(parent, sig, &info);
    }
    wq_wake_all(&parent->child_wq, 0);
    return reap;
}

void group_release_locked(struct tgroup *g)
{
    assert_locked(&kernel.tasks_lock);
    struct task *leader = g->leader;
    g->reaped = true;
    g->leader = NULL;
    list_del(&g->sibling);
    group_set_pgrp_locked(g, NULL);
    group_set_session_locked(g, NULL, NULL);
    sigpending_flush_locked(&g->pending);
    sighand_put_locked(g->sighand);
    g->sighand = NULL;
    g->pid_entry->group = NULL;
    pid_put_locked(g->pid_entry);
    g->pid_entry = NULL;
    task_unlink_locked(leader);
    task_put(leader); /* the group's reference */
    if (!g->is_sentry)
        container_group_gone_locked(g->container);
    tgroup_put(g); /* the tree's */
}

void task_unlink_locked(struct task *t)
{
    sigpending_flush_locked(&t->pending);
    list_del(&t->group_link);
    t->pid->task = NULL;
    pid_put_locked(t->pid);
    t->pid = NULL;
    container_give_task(t->group->container);
    task_put(t); /* the tree's reference */
}

/* ---- orphans ---- */

/* In a container what a program of `exec` leaves behind is pid 1's, too. */
struct tgroup *group_reaper_locked(const struct tgroup *g)
{
    struct tgroup *p = g->parent, *first;
    while (p && p->parent && !p->is_init && !(p->child_subreaper && p->nlive))
        p = p->parent;
    if (!p || !p->is_sentry || kernel.first != 1)
        return p;
    first = tgroup_find_locked(g->pidns, 1);
    return first && first != g && first->nlive ? first : p;
}

struct task *group_live_task_locked(struct tgroup *g)
{
    struct task *t;
    list_for_each(t, &g->tasks, group_link) {
        if (!t->dead)
            return t;
    }
    return g->leader;
}

/* A stopped process group that nobody is left to continue is hung up and continued (POSIX). */
static void hang_up_orphans(struct tgroup *g, const struct tgroup *parent,
                            const struct tgroup *ignored)
{
    struct pid_entry *pgrp = g->pgrp;
    if (!pgrp || !parent || parent->pgrp == pgrp || parent->session != g->session ||
        !pgrp_orphaned_locked(pgrp, ignored) || !pgrp_has_stopped_locked(pgrp))
        return;
    signal_send_pgrp_locked(pgrp, SIGHUP, NULL);
    signal_send_pgrp_locked(pgrp, SIGCONT, NULL);
}

static void send_pdeath(struct tgroup *child)
{
    struct task *t;
    list_for_each(t, &child->tasks, group_link) {
        if (t->pdeath_signal)
            signal_send_group_locked(child, t->pdeath_signal, NULL);
    }
}

static void reparent(struct tgroup *child, struct tgroup *old, struct tgroup *to)
{
    list_del(&child->sibling);
    child->parent = to;
    child->parent_task = group_live_task_locked(to);
    list_add_tail(&to->children, &child->sibling);
    child->leader->exit_signal = SIGCHLD;
    if (child->zombie && notify_exit(child)) {
        group_release_locked(child);
        return;
    }
    hang_up_orphans(child, old, NULL);
}

void task_orphan_children_locked(struct task *t)
{
    struct tgroup *g = t->group, *child, *tmp;
    struct tgroup *to = g->nlive ? NULL : group_reaper_locked(g);
    list_for_each_safe(child, tmp, &g->children, sibling) {
        if (child->parent_task == t) {
            send_pdeath(child);
            child->parent_task = g->nlive ? group_live_task_locked(g) : NULL;
        }
        if (!g->nlive && to)
            reparent(child, g, to);
    }
}

bool group_became_zombie_locked(struct tgroup *g)
{
    assert_locked(&kernel.tasks_lock);
    g->zombie = true;
    if (ktimer_cancel(&g->last_word))
        tgroup_put(g); /* the timer's */
    cpulimit_gone_locked(g);
    hang_up_orphans(g, g->parent, g);
    bool reap = notify_exit(g);
    wq_wake_all(&g->exit_wq, 1 /* POLLIN */);
    return reap;
}

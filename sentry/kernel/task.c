/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and freeing tasks and thread groups.
 *
 *      task_alloc --task_publish--> in the tree --do_exit--> dead --release--> gone
 *            \--task_abort--> gone
 *
 * A task holds a reference on its group, a group one on its leader; the tree itself holds one on
 * each published thread and group. Release (exit.c) takes a group out of the tree; what is left is
 * memory, freed when the last reference (a pidfd, an open /proc directory, a worker) goes. Dropping
 * a reference takes no lock, so it may be done under any.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/async.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/core.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/cpulimit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sched.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define CAP_SYS_ADMIN 21
#define CAP_SYS_RESOURCE 24

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif

static void task_free(struct task *t);

struct task *task_ref(struct task *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void task_put(struct task *t)
{
    if (t && atomic_fetch_sub(&t->refs, 1) == 1)
        task_free(t);
}

struct tgroup *tgroup_ref(struct tgroup *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void tgroup_put(struct tgroup *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    wq_done(&g->child_wq);
    wq_done(&g->exit_wq);
    wq_done(&g->stop_wq);
    core_free(g->core);
    pidns_put(g->pidns);
    container_put(g->container);
    kfree(g);
}

static void task_free(struct task *t)
{
    ktimer_cancel_sync(&t->deadline);
    wq_done(&t->signalfd_wq);
    wq_done(&t->vfork_wq);
    if (t->async) {
        t->async->free(t);
        return;
    }
    if (t->cred)
        cred_put(t->cred);
    tgroup_put(t->group);
    kfree(t->leave_ops);
    kfree(t);
}

/* ---- limits ---- */

struct uid_tasks {
    uid_t uid;
    uint64_t n;
};

static int count_uid(struct tgroup *g, void *arg)
{
    struct uid_tasks *u = arg;
    struct task *t;
    list_for_each(t, &g->tasks, group_link) {
        if (t->cred->uid == u->uid)
            u->n++;
    }
    return 0;
}

/*
 * Tasks of one user are counted only where there are as many tasks in all as the user's limit
 * allows; below that the answer is known.
 */
static bool over_nproc_locked(struct task *parent)
{
    uint64_t max = task_rlimit(parent, RLIMIT_NPROC)->rlim_cur;
    if (atomic_load(&kernel.ntasks) < max || parent->cred->uid == 0 ||
        task_capable(parent, CAP_SYS_RESOURCE) || task_capable(parent, CAP_SYS_ADMIN))
        return false;
    struct uid_tasks u = { .uid = parent->cred->uid };
    tgroup_each_locked(NULL, count_uid, &u);
    return u.n >= max;
}

/* ---- groups ---- */

static struct tgroup *group_new(void)
{
    struct tgroup *g = kzalloc(sizeof *g);
    if (!g)
        return NULL;
    atomic_init(&g->refs, 1);
    list_init(&g->tasks);
    list_init(&g->children);
    list_init(&g->sibling);
    list_init(&g->pgrp_link);
    list_init(&g->sess_link);
    list_init(&g->timers);
    sigpending_init(&g->pending);
    wq_init(&g->child_wq);
    wq_init(&g->exit_wq);
    wq_init(&g->stop_wq);
    cpulimit_init(g);
    group_last_word_init(g);
    g->start = ktime_boot();
    return g;
}

/* Pid 1 has no parent and ignores what has no handler. */
static int group_first(struct tgroup *g)
{
    g->is_init = g->unkillable = true;
    g->dumpable = true;
    g->core_filter = CORE_FILTER_DEFAULT;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        g->rlim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
    return (g->sighand = sighand_new()) ? 0 : -ENOMEM;
}

static int group_inherit_locked(struct tgroup *g, struct task *parent, uint64_t flags)
{
    struct tgroup *from = parent->group;
    memcpy(g->rlim, from->rlim, sizeof g->rlim);
    g->dumpable = from->dumpable;
    g->oom_score_adj = from->oom_score_adj;
    g->core_filter = from->core_filter;
    g->exe = from->exe ? file_ref(from->exe) : NULL;
    if (flags & CLONE_SIGHAND) {
        g->sighand = from->sighand;
        g->sighand->refs++;
        return 0;
    }
    g->sighand = sighand_copy_locked(from->sighand);
    if (!g->sighand)
        return -ENOMEM;
    if (flags & CLONE_CLEAR_SIGHAND)
        sighand_exec_locked(g->sighand);
    return 0;
}

/* ---- tasks ---- */

void task_init(struct task *t)
{
    atomic_init(&t->refs, 1);
    list_init(&t->async_link);
    list_init(&t->async_calls);
    list_init(&t->group_link);
    list_init(&t->pi_owned);
    sigpending_init(&t->pending);
    wq_init(&t->signalfd_wq);
    wq_init(&t->vfork_wq);
    t->altstack.flags = SS_DISABLE;
    call_task_init(t);
}

static struct task *task_blank(void)
{
    struct task *t = kzalloc(sizeof *t);
    if (t)
        task_init(t);
    return t;
}

static void task_inherit_locked(struct task *t, struct task *parent, uint64_t flags)
{
    signal_pull_mask_locked(parent);
    t->blocked = parent->restore_blocked ? parent->saved_blocked : parent->blocked;
    t->cred = cred_ref(parent->cred);
    t->personality = parent->personality;
    sched_inherit_locked(t, parent);
    t->policy = parent->policy;
    t->no_tsc = parent->no_tsc;
    t->io_flusher = parent->io_flusher;
    t->mce_kill = parent->mce_kill;
    memcpy(t->comm, parent->comm, sizeof t->comm);
    t->fork_gen = parent->group->group_signals;
    /* A second stack in the same memory needs an alternate stack of its own; vfork borrows. */
    if ((flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM)
        t->altstack = parent->altstack;
    if (flags & CLONE_THREAD)
        t->exit_signal = -1;
    else if (flags & CLONE_PARENT)
        t->exit_signal = parent->group->leader->exit_signal;
}

static int task_setup_locked(struct task *t, struct task *parent, uint64_t flags, pid_t wanted)
{
    if (parent && over_nproc_locked(parent))
        return -EAGAIN;
    if (parent)
        task_inherit_locked(t, parent, flags);
    if (flags & CLONE_THREAD) {
        t->group = tgroup_ref(parent->group);
    } else {
        t->group = group_new();
        if (!t->group)
            return -ENOMEM;
        t->group->leader = t;
        t->group->container = container_ref(parent ? parent->group->container : container_here());
        t->group->pidns = pidns_ref(parent ? parent->group->pidns : t->group->container->pidns);
        int r = parent ? group_inherit_locked(t->group, parent, flags) : group_first(t->group);
        if (r)
            return r;
    }
    if (t->group->container->ending)
        return -ENOMEM; /* as Linux answers where pid 1 has ended */
    int r = pid_new_locked(t->group->pidns, wanted, &t->pid);
    if (r)
        return r;
    t->tid = t->pid->nr;
    if (!(flags & CLONE_THREAD)) {
        t->group->pid = t->tid;
        t->group->pid_entry = pid_ref_locked(t->pid);
        t->group->parent_task = parent; /* the maker, until task_publish */
        t->clone_parent = flags & CLONE_PARENT;
    }
    return 0;
}

int task_alloc(struct task *parent, uint64_t flags, int exit_signal, struct task **ret)
{
    return task_alloc_at(parent, flags, exit_signal, /* wanted= */ 0, ret);
}

int task_alloc_at(struct task *parent, uint64_t flags, int exit_signal, pid_t wanted,
                  struct task **ret)
{
    struct container *c = parent ? parent->group->container : container_here();
    if (!container_take_task(c))
        return -EAGAIN;
    struct task *t = task_blank();
    if (!t) {
        container_give_task(c);
        return -ENOMEM;
    }
    t->exit_signal = exit_signal;
    lock(&kernel.tasks_lock);
    int r = task_setup_locked(t, parent, flags, wanted);
    unlock(&kernel.tasks_lock);
    if (r && !t->group) {
        container_give_task(c);
        task_put(t);
        return r;
    }
    if (r) {
        task_abort(t);
        return r;
    }
    return *ret = t, 0;
}

/* Undoes what task_setup_locked did of a group of its own. */
static struct file *group_abort_locked(struct tgroup *g)
{
    struct file *exe = g->exe;
    g->exe = NULL;
    g->leader = NULL;
    if (g->sighand)
        sighand_put_locked(g->sighand);
    pid_put_locked(g->pid_entry);
    return exe;
}

void task_abort(struct task *t)
{
    struct file *exe = NULL;
    lock(&kernel.tasks_lock);
    pid_put_locked(t->pid);
    if (t->group && t->group->leader == t)
        exe = group_abort_locked(t->group);
    unlock(&kernel.tasks_lock);
    file_put(exe);
    task_drop_resources(t);
    container_give_task(t->group->container);
    task_put(t);
}

/* The parent is looked up only now: the maker still lives, but its parent may have changed. */
static void publish_group_locked(struct task *t)
{
    struct tgroup *g = t->group;
    struct task *maker = g->parent_task;
    g->pid_entry->group = g;
    if (!g->is_sentry)
        g->container->ngroups++;
    task_ref(t);   /* the group's */
    tgroup_ref(g); /* the tree's */
    if (!maker)
        return;
    g->parent = t->clone_parent ? maker->group->parent : maker->group;
    g->parent_task = t->clone_parent ? maker->group->parent_task : maker;
    list_add_tail(&g->parent->children, &g->sibling);
    cpulimit_changed_locked(g);
    if (maker->group->pgrp)
        group_set_pgrp_locked(g, maker->group->pgrp);
    if (maker->group->sess_entry)
        group_set_session_locked(g, maker->group->sess_entry, maker->group->session);
}

int task_publish(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *g = t->group;
    bool leader = g->leader == t;
    struct tgroup *from = leader ? g->parent_task ? g->parent_task->group : NULL : g;
    if (from && (from->exiting || from->exec_task || g->container->ending))
        return -ERESTARTNOINTR;
    if (from && leader && from->group_signals != t->fork_gen)
        return -ERESTARTNOINTR; /* a signal for the whole process group must not miss the child */
    t->pid->task = t;
    t->published = true;
    if (leader)
        publish_group_locked(t);
    list_add_tail(&g->tasks, &t->group_link);
    g->nlive++;
    atomic_fetch_add(&kernel.forks_total, 1);
    signal_recalc_locked(t);
    return 0;
}

void task_tell_facts(struct task *t)
{
    const struct cred *c = t->cred;
    struct ctx_facts f = { .pid = (uint32_t)t->group->pid,
                           .tid = (uint32_t)t->tid,
                           .uid = c->uid,
                           .euid = c->euid,
                           .gid = c->gid,
                           .egid = c->egid };

    if (t->ctx)
        kernel.platform->ctx_facts(t->ctx, kernel.strace ? NULL : &f);
}

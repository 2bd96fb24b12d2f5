/* SPDX-License-Identifier: Apache-2.0 */
/* Nice values and I/O priorities: kept, told again, advice to a host that schedules for itself. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/sched.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/rw.h"
#include "sentry/syscalls/table.h"

#define IOPRIO_CLASS(p) ((p) >> 13 & 7)

/* Each thread that a call is about: one, those of a process group, those of a user. */
struct walk {
    struct task *t;
    int which, who; /* PRIO_*; who resolved: a uid, a process group */
    void (*each)(struct walk *w, struct task *of);
    int value, error;
    bool found;
};

static int walk_group(struct tgroup *g, void *arg)
{
    struct walk *w = arg;
    struct task *of;

    if (g->is_sentry || (w->which == PRIO_PGRP && group_pgid(g) != w->who))
        return 0;
    list_for_each(of, &g->tasks, group_link) {
        if (of->dead || (w->which == PRIO_USER && of->cred->uid != (uid_t)w->who))
            continue;
        w->found = true;
        w->each(w, of);
    }
    return 0;
}

static int walk(struct walk *w, int who)
{
    struct task *one;

    LOCK_SCOPE(&kernel.tasks_lock);
    if (w->which == PRIO_PROCESS) {
        one = who ? task_find_locked(w->t->group->pidns, who) : w->t;
        w->found = one;
        if (one)
            w->each(w, one);
    } else {
        w->who = who ? who : w->which == PRIO_PGRP ? group_pgid(w->t->group) : (int)w->t->cred->uid;
        tgroup_each_locked(w->t->group->pidns, walk_group, w);
    }
    return w->found ? w->error : -ESRCH;
}

/* ---- nice ---- */

static void nice_get(struct walk *w, struct task *of)
{
    w->value = MAX(w->value, 20 - of->sched.nice);
}

static void nice_set(struct walk *w, struct task *of)
{
    if (!sched_may_change_locked(w->t, of))
        w->error = -EPERM;
    else if (!sched_nice_allowed_locked(of, w->value) && !task_capable(w->t, CAP_SYS_NICE))
        w->error = -EACCES;
    else
        of->sched.nice = w->value;
}

long sys_getpriority(struct task *t, int which, int who)
{
    struct walk w = { .t = t, .which = which, .each = nice_get };
    int r = which < PRIO_PROCESS || which > PRIO_USER ? -EINVAL : walk(&w, who);

    return r < 0 ? r : w.value;
}

long sys_setpriority(struct task *t, int which, int who, int prio)
{
    struct walk w = { .t = t, .which = which, .each = nice_set, .value = MAX(-20, MIN(19, prio)) };

    return which < PRIO_PROCESS || which > PRIO_USER ? -EINVAL : walk(&w, who);
}

/* ---- I/O priority ---- */

/* The one that counts: of those who have set none, what the nice value gives. Lower goes before. */
static int effective(const struct task *of)
{
    int p = of->sched.ioprio, policy = of->sched.policy;

    if (IOPRIO_CLASS(p))
        return p;
    return policy == 5 /* SCHED_IDLE */                         ? 3 << 13
           : policy == 1 || policy == 2 || policy == 6 /* RT */ ? 1 << 13 | 4
                                                                : 2 << 13 |
                                                                      (of->sched.nice + 20) / 5;
}

static void io_get(struct walk *w, struct task *of)
{
    int p = w->which == PRIO_PROCESS ? of->sched.ioprio : effective(of);

    w->value = w->value < 0 ? p : MIN(w->value, p);
}

static void io_set(struct walk *w, struct task *of)
{
    const struct cred *a = w->t->cred, *b = of->cred;

    if (a->euid != b->uid && a->uid != b->uid && !task_capable(w->t, CAP_SYS_NICE))
        w->error = -EPERM;
    else if (!w->error)
        of->sched.ioprio = (uint16_t)w->value;
}

/* which: 1 process, 2 process group, 3 user. */
long sys_ioprio_get(struct task *t, int which, int who)
{
    struct walk w = { .t = t, .which = which - 1, .each = io_get, .value = -1 };
    int r = which < 1 || which > 3 ? -EINVAL : walk(&w, who);

    return r < 0 ? r : w.value;
}

int ioprio_check(struct task *t, int ioprio)
{
    switch (IOPRIO_CLASS(ioprio)) {
    case 0: /* none */
        return ioprio & 7 ? -EINVAL : 0;
    case 1: /* real time */
        return task_capable(t, CAP_SYS_ADMIN) || task_capable(t, CAP_SYS_NICE) ? 0 : -EPERM;
    case 2:
    case 3:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_ioprio_set(struct task *t, int which, int who, int ioprio)
{
    struct walk w = { .t = t, .which = which - 1, .each = io_set, .value = ioprio };
    int r = ioprio_check(t, ioprio);

    if (r < 0)
        return r;
    return which < 1 || which > 3 ? -EINVAL : walk(&w, who);
}

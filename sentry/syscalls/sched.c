/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling. The host schedules; a guest may choose among the ordinary policies and its cpus. Nice
 * values, policies and I/O priorities are advice: they are kept and told again. Real-time policies
 * are refused as to a caller without the right.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "abi/sched.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/rw.h"
#include "sentry/syscalls/table.h"

#define LX_SCHED_DEADLINE 6
#define LX_SCHED_RESET_ON_FORK 0x40000000
#define LX_SCHED_FLAG_RESET_ON_FORK 1
#define IOPRIO_CLASS(p) ((p) >> 13)

/* The thread pid names (0: t). tasks_lock held. */
static struct task *target_locked(struct task *t, pid_t pid)
{
    return pid ? task_find_locked(pid) : t;
}

static bool may_change_locked(const struct task *t, const struct task *other)
{
    const struct cred *a = t->cred, *b = other->cred;

    return a->euid == b->euid || a->euid == b->uid || task_capable(t, CAP_SYS_NICE);
}

long sys_sched_yield(struct task *t)
{
    (void)t;
    sched_yield();
    return 0;
}

/* ---- policies ---- */

static bool policy_known(int policy)
{
    return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE ||
           policy == SCHED_FIFO || policy == SCHED_RR || policy == LX_SCHED_DEADLINE;
}

static int set_policy(struct task *t, pid_t pid, int policy, int priority, bool reset)
{
    bool rt = policy == SCHED_FIFO || policy == SCHED_RR;
    struct task *other;

    if (!policy_known(policy))
        return -EINVAL;
    if (rt ? priority < 1 || priority > 99 : priority != 0)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = target_locked(t, pid);
    if (!other)
        return -ESRCH;
    if (rt || policy == LX_SCHED_DEADLINE || !may_change_locked(t, other))
        return -EPERM;
    other->sched.policy = policy;
    other->sched.reset_on_fork = reset;
    return 0;
}

long sys_sched_setscheduler(struct task *t, pid_t pid, int policy, gaddr_t param)
{
    struct lx_sched_param p;

    if (!param || pid < 0 || policy < 0)
        return -EINVAL;
    if (get_guest(t, &p, param) < 0)
        return -EFAULT;
    return set_policy(t, pid, policy & ~LX_SCHED_RESET_ON_FORK, p.priority,
                      policy & LX_SCHED_RESET_ON_FORK);
}

/* What of a thread the question is about; -EINVAL, -ESRCH. */
static int get_sched(struct task *t, pid_t pid, struct task_sched *ret)
{
    struct task *other;

    if (pid < 0)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = target_locked(t, pid);
    if (!other)
        return -ESRCH;
    *ret = other->sched;
    return 0;
}

long sys_sched_getscheduler(struct task *t, pid_t pid)
{
    struct task_sched s;
    int r = get_sched(t, pid, &s);

    return r < 0 ? r : s.policy | (s.reset_on_fork ? LX_SCHED_RESET_ON_FORK : 0);
}

long sys_sched_setparam(struct task *t, pid_t pid, gaddr_t param)
{
    struct lx_sched_param p;
    struct task_sched s;
    int r;

    if (!param || pid < 0)
        return -EINVAL;
    if (get_guest(t, &p, param) < 0)
        return -EFAULT;
    r = get_sched(t, pid, &s);
    return r < 0 ? r : set_policy(t, pid, s.policy, p.priority, s.reset_on_fork);
}

long sys_sched_getparam(struct task *t, pid_t pid, gaddr_t param)
{
    struct lx_sched_param p = { 0 };
    struct task_sched s;
    int r = param ? get_sched(t, pid, &s) : -EINVAL;

    return r < 0 ? r : put_guest(t, param, &p);
}

long sys_sched_get_priority_max(struct task *t, int policy)
{
    (void)t;
    if (!policy_known(policy))
        return -EINVAL;
    return policy == SCHED_FIFO || policy == SCHED_RR ? 99 : 0;
}

long sys_sched_get_priority_min(struct task *t, int policy)
{
    (void)t;
    if (!policy_known(policy))
        return -EINVAL;
    return policy == SCHED_FIFO || policy == SCHED_RR ? 1 : 0;
}

long sys_sched_rr_get_interval(struct task *t, pid_t pid, gaddr_t interval)
{
    struct timespec slice = { .tv_nsec = 3000000 };
    struct task_sched s;
    int r = get_sched(t, pid, &s);

    return r < 0 ? r : put_guest(t, interval, &slice);
}

long sys_sched_setattr(struct task *t, pid_t pid, gaddr_t attr, unsigned flags)
{
    struct lx_sched_attr a = { 0 };
    uint32_t size;
    char extra;

    if (!attr || pid < 0 || flags)
        return -EINVAL;
    if (get_guest(t, &size, attr) < 0)
        return -EFAULT;
    if (size == 0)
        size = LX_SCHED_ATTR_SIZE_VER0;
    if (size < LX_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE_4K)
        return -E2BIG;
    if (copy_in(t, &a, attr, MIN(size, sizeof a)) < 0)
        return -EFAULT;
    for (size_t i = sizeof a; i < size; i++) { /* what we do not know must be zero */
        if (copy_in(t, &extra, attr + i, 1) < 0)
            return -EFAULT;
        if (extra)
            return -E2BIG;
    }
    if ((int)a.policy < 0 || a.flags & ~(uint64_t)LX_SCHED_FLAG_RESET_ON_FORK)
        return -EINVAL;
    return set_policy(t, pid, (int)a.policy, (int)a.priority, a.flags != 0);
}

long sys_sched_getattr(struct task *t, pid_t pid, gaddr_t attr, unsigned size, unsigned flags)
{
    struct lx_sched_attr a = { .size = sizeof a };
    struct task_sched s;
    int r;

    if (!attr || pid < 0 || size > PAGE_SIZE_4K || size < LX_SCHED_ATTR_SIZE_VER0 || flags)
        return -EINVAL;
    r = get_sched(t, pid, &s);
    if (r < 0)
        return r;
    a.size = (uint32_t)MIN(size, sizeof a);
    a.policy = (uint32_t)s.policy;
    a.flags = s.reset_on_fork ? LX_SCHED_FLAG_RESET_ON_FORK : 0;
    lock(&kernel.tasks_lock);
    a.nice = t->group->nice;
    unlock(&kernel.tasks_lock);
    a.util_max = 1024;
    return copy_out(t, attr, &a, a.size);
}

/* ---- cpus ---- */

/* The cpus of the host that the sandbox may use, and how many bytes its kernel's masks have. */
static int host_affinity(uint64_t mask[16])
{
    int n;

    memcpy(mask, kernel.host_cpus, sizeof kernel.host_cpus);
    if (mask[0] == 0 && memcmp(mask, mask + 1, 15 * sizeof *mask) == 0)
        return -EPERM; /* the host did not tell */
    for (n = 16; n > 1 && mask[n - 1] == 0; n--)
        ;
    return n * (int)sizeof *mask;
}

long sys_sched_getaffinity(struct task *t, pid_t pid, unsigned len, gaddr_t mask)
{
    uint64_t host[16];
    struct task_sched s;
    int bytes = host_affinity(host), r;

    if (bytes < 0)
        return bytes;
    if (len < (unsigned)bytes || len & 7)
        return -EINVAL;
    if (pid < 0)
        return -ESRCH; /* not EINVAL, which says that the mask is too short */
    r = get_sched(t, pid, &s);
    if (r < 0)
        return r;
    for (unsigned i = 0; i < 16; i++)
        if (s.affinity[i])
            return copy_out(t, mask, s.affinity, (size_t)bytes) < 0 ? -EFAULT : bytes;
    return copy_out(t, mask, host, (size_t)bytes) < 0 ? -EFAULT : bytes;
}

long sys_sched_setaffinity(struct task *t, pid_t pid, unsigned len, gaddr_t mask)
{
    uint64_t want[16] = { 0 }, host[16], any = 0;
    struct task *other;
    int r = host_affinity(host);

    if (r < 0)
        return r;
    if (copy_in(t, want, mask, MIN(len, sizeof want)) < 0)
        return -EFAULT;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = target_locked(t, pid);
    if (!other)
        return -ESRCH;
    if (!may_change_locked(t, other))
        return -EPERM;
    for (unsigned i = 0; i < 16; i++)
        any |= want[i] &= host[i];
    if (!any)
        return -EINVAL;
    memcpy(other->sched.affinity, want, sizeof want);
    if (other->ctx)
        r = kernel.platform->ctx_affinity(other->ctx, want, sizeof want);
    return r < 0 ? r : 0;
}

/* ---- nice and I/O priority ---- */

struct prio_walk {
    struct task *t;
    int which, who; /* who resolved: a uid, a process group */
    bool set;
    int value; /* nice to set; or the best (20 - nice) found */
    int error;
    bool found;
};

static bool nice_allowed_locked(const struct task *t, const struct tgroup *g, int nice)
{
    rlim_t max = g->rlim[RLIMIT_NICE].rlim_cur;

    return nice >= g->nice || (rlim_t)(20 - nice) <= max || task_capable(t, CAP_SYS_NICE);
}

static void prio_one_locked(struct prio_walk *w, struct tgroup *g)
{
    w->found = true;
    if (!w->set) {
        w->value = MAX(w->value, 20 - g->nice);
        return;
    }
    if (!may_change_locked(w->t, g->leader))
        w->error = -EPERM;
    else if (!nice_allowed_locked(w->t, g, w->value))
        w->error = -EACCES;
    else
        g->nice = w->value;
}

static int prio_each(struct tgroup *g, void *arg)
{
    struct prio_walk *w = arg;

    if (w->which == PRIO_PGRP ? group_pgid(g) == w->who
                              : g->leader && g->leader->cred->uid == (uid_t)w->who)
        prio_one_locked(w, g);
    return 0;
}

static int prio_walk(struct prio_walk *w, int who)
{
    struct task *other;

    if (w->which < PRIO_PROCESS || w->which > PRIO_USER)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (w->which == PRIO_PROCESS) {
        other = target_locked(w->t, who);
        if (other)
            prio_one_locked(w, other->group);
    } else {
        w->who = who ? who : w->which == PRIO_PGRP ? group_pgid(w->t->group) : (int)w->t->cred->uid;
        tgroup_each_locked(prio_each, w);
    }
    return w->found ? w->error : -ESRCH;
}

long sys_getpriority(struct task *t, int which, int who)
{
    struct prio_walk w = { .t = t, .which = which };
    int r = prio_walk(&w, who);

    return r < 0 ? r : w.value;
}

long sys_setpriority(struct task *t, int which, int who, int prio)
{
    struct prio_walk w = { .t = t,
                           .which = which,
                           .set = true,
                           .value = prio < -20  ? -20
                                    : prio > 19 ? 19
                                                : prio };

    return prio_walk(&w, who);
}

/* which: 1 process, 2 process group, 3 user; only the first is more than the caller's own here. */
static struct task *ioprio_target_locked(struct task *t, int which, int who, int *ret_err)
{
    struct task *other = NULL;

    *ret_err = which < 1 || which > 3 ? -EINVAL : -ESRCH;
    if (which == 1)
        other = target_locked(t, who);
    else if (which == 2 && (who == 0 || who == group_pgid(t->group)))
        other = t;
    else if (which == 3 && (uid_t)who == t->cred->uid)
        other = t;
    return other;
}

long sys_ioprio_get(struct task *t, int which, int who)
{
    struct task *other;
    int err;

    LOCK_SCOPE(&kernel.tasks_lock);
    other = ioprio_target_locked(t, which, who, &err);
    return other ? other->sched.ioprio : err;
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
    struct task *other;
    int err = ioprio_check(t, ioprio);

    if (err < 0)
        return err;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = ioprio_target_locked(t, which, who, &err);
    if (!other)
        return err;
    if (!may_change_locked(t, other))
        return -EPERM;
    other->sched.ioprio = (uint16_t)ioprio;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling. The host schedules all threads of a guest alike, on the cpus that the guest has chosen.
 * Policies are kept and told again, under the rules that Linux has for who may set which: a program
 * sees what it would see on a machine whose processors are shared with others.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "abi/sched.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sched.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#define LX_SCHED_DEADLINE 6
#define LX_SCHED_RESET_ON_FORK 0x40000000
#define LX_SCHED_FLAG_RESET_ON_FORK 1
#define LX_SCHED_FLAG_DL 6 /* RECLAIM, DL_OVERRUN */
#define LX_SCHED_FLAG_KEEP_POLICY 8
#define LX_SCHED_FLAG_KEEP_PARAMS 16
#define LX_SCHED_FLAG_UTIL_CLAMP 0x60
#define LX_SCHED_FLAG_ALL 0x7f

/* The thread pid names (0: t). tasks_lock held. */
static struct task *target_locked(struct task *t, pid_t pid)
{
    return pid ? task_find_locked(t->group->pidns, pid) : t;
}

long sys_sched_yield(struct task *t)
{
    (void)t;
    sched_yield();
    return 0;
}

/* ---- policies ---- */

static bool is_rt(int policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_fair(int policy)
{
    return policy == SCHED_OTHER || policy == SCHED_BATCH;
}

static bool policy_known(int policy)
{
    return is_fair(policy) || is_rt(policy) || policy == SCHED_IDLE || policy == LX_SCHED_DEADLINE;
}

/* What a caller asks for; as struct lx_sched_attr, decoded. */
struct request {
    int policy, priority, nice;
    bool reset, has_nice, keep_params;
    uint64_t runtime, deadline, period, dl_flags;
};

/* Times of a deadline: at least a microsecond of work, in this order, below 2^63. */
static bool deadline_valid(const struct request *rq)
{
    uint64_t period = rq->period ? rq->period : rq->deadline;

    return rq->deadline && rq->runtime >= 1024 && rq->runtime <= rq->deadline &&
           rq->deadline <= period && !(period >> 63) && period >= 100000 && period <= 1ull << 42;
}

static bool request_valid(const struct request *rq)
{
    if (rq->policy == LX_SCHED_DEADLINE)
        return rq->priority == 0 && deadline_valid(rq);
    return is_rt(rq->policy) ? rq->priority >= 1 && rq->priority <= 99 : rq->priority == 0;
}

/* Without CAP_SYS_NICE: what the limits of other allow, who belongs to the same user. */
static bool request_allowed_locked(const struct task *t, const struct task *other,
                                   const struct request *rq)
{
    const struct task_sched *now = &other->sched;
    rlim_t rt = other->group->rlim[RLIMIT_RTPRIO].rlim_cur;

    if (task_capable(t, CAP_SYS_NICE))
        return true;
    if (is_fair(rq->policy) && rq->has_nice && !sched_nice_allowed_locked(other, rq->nice))
        return false;
    if (is_rt(rq->policy) && ((rq->policy != now->policy && !rt) ||
                              (rq->priority > now->priority && (rlim_t)rq->priority > rt)))
        return false;
    if (rq->policy == LX_SCHED_DEADLINE)
        return false;
    if (now->policy == SCHED_IDLE && rq->policy != SCHED_IDLE &&
        !sched_nice_allowed_locked(other, now->nice - 1))
        return false;
    return sched_may_change_locked(t, other) && !(now->reset_on_fork && !rq->reset);
}

static int set_policy(struct task *t, pid_t pid, struct request *rq)
{
    struct task *other;
    struct task_sched *s;

    LOCK_SCOPE(&kernel.tasks_lock);
    other = target_locked(t, pid);
    if (!other)
        return -ESRCH;
    s = &other->sched;
    if (rq->policy < 0) { /* as it is */
        rq->policy = s->policy;
        rq->reset = s->reset_on_fork;
    }
    if (rq->keep_params)
        rq->priority = s->priority, rq->has_nice = false;
    if (!policy_known(rq->policy) || !request_valid(rq))
        return -EINVAL;
    if (!request_allowed_locked(t, other, rq))
        return -EPERM;
    s->policy = rq->policy;
    s->priority = rq->priority;
    s->reset_on_fork = rq->reset;
    if (is_fair(rq->policy) && rq->has_nice)
        s->nice = rq->nice;
    s->runtime = rq->runtime;
    s->dl_deadline = rq->deadline;
    s->dl_period = rq->period ? rq->period : rq->deadline;
    s->dl_flags = rq->dl_flags;
    return 0;
}

long sys_sched_setscheduler(struct task *t, pid_t pid, int policy, gaddr_t param)
{
    struct lx_sched_param p;

    if (!param || pid < 0 || policy < 0)
        return -EINVAL;
    if (get_guest(t, &p, param) < 0)
        return -EFAULT;
    return set_policy(t, pid,
                      &(struct request){ .policy = policy & ~LX_SCHED_RESET_ON_FORK,
                                         .priority = p.priority,
                                         .reset = policy & LX_SCHED_RESET_ON_FORK });
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

    if (!param || pid < 0)
        return -EINVAL;
    if (get_guest(t, &p, param) < 0)
        return -EFAULT;
    return set_policy(t, pid, &(struct request){ .policy = -1, .priority = p.priority });
}

long sys_sched_getparam(struct task *t, pid_t pid, gaddr_t param)
{
    struct lx_sched_param p;
    struct task_sched s;
    int r = param ? get_sched(t, pid, &s) : -EINVAL;

    if (r < 0)
        return r;
    p.priority = s.priority;
    return put_guest(t, param, &p);
}

long sys_sched_get_priority_max(struct task *t, int policy)
{
    (void)t;
    if (!policy_known(policy))
        return -EINVAL;
    return is_rt(policy) ? 99 : 0;
}

long sys_sched_get_priority_min(struct task *t, int policy)
{
    (void)t;
    if (!policy_known(policy))
        return -EINVAL;
    return is_rt(policy) ? 1 : 0;
}

long sys_sched_rr_get_interval(struct task *t, pid_t pid, gaddr_t interval)
{
    struct timespec slice = { 0 };
    struct task_sched s;
    int r = get_sched(t, pid, &s);

    if (r < 0)
        return r;
    if (s.policy == SCHED_RR)
        slice.tv_nsec = 100000000;
    else if (is_fair(s.policy))
        slice.tv_nsec = 4000000;
    return put_guest(t, interval, &slice);
}

/* The structure, as long as the caller has it: what we do not know must be zero. */
static int read_attr(struct task *t, gaddr_t attr, struct lx_sched_attr *ret)
{
    uint32_t size, known = sizeof *ret;
    char extra;

    if (get_guest(t, &size, attr) < 0)
        return -EFAULT;
    if (size == 0)
        size = LX_SCHED_ATTR_SIZE_VER0;
    if (size < LX_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE_4K)
        return put_guest(t, attr, &known) < 0 ? -EFAULT : -E2BIG;
    if (copy_in(t, ret, attr, MIN(size, sizeof *ret)) < 0)
        return -EFAULT;
    for (size_t i = sizeof *ret; i < size; i++) {
        if (copy_in(t, &extra, attr + i, 1) < 0)
            return -EFAULT;
        if (extra)
            return put_guest(t, attr, &known) < 0 ? -EFAULT : -E2BIG;
    }
    return 0;
}

long sys_sched_setattr(struct task *t, pid_t pid, gaddr_t attr, unsigned flags)
{
    struct lx_sched_attr a = { 0 };
    struct request rq;
    int r;

    if (!attr || pid < 0 || flags)
        return -EINVAL;
    r = read_attr(t, attr, &a);
    if (r < 0)
        return r;
    if ((int)a.policy < 0 || (int)a.priority < 0 || a.flags & ~(uint64_t)LX_SCHED_FLAG_ALL)
        return -EINVAL;
    if (a.flags & LX_SCHED_FLAG_UTIL_CLAMP) /* as without CONFIG_UCLAMP_TASK */
        return -EOPNOTSUPP;
    rq = (struct request){ .policy = a.flags & LX_SCHED_FLAG_KEEP_POLICY ? -1 : (int)a.policy,
                           .priority = (int)a.priority,
                           .nice = MAX(-20, MIN(19, a.nice)),
                           .has_nice = true,
                           .keep_params = a.flags & LX_SCHED_FLAG_KEEP_PARAMS,
                           .reset = a.flags & LX_SCHED_FLAG_RESET_ON_FORK,
                           .runtime = a.runtime,
                           .deadline = a.deadline,
                           .period = a.period,
                           .dl_flags = a.flags & LX_SCHED_FLAG_DL };
    return set_policy(t, pid, &rq);
}

long sys_sched_getattr(struct task *t, pid_t pid, gaddr_t attr, unsigned size, unsigned flags)
{
    struct lx_sched_attr a = { .size = (uint32_t)MIN(size, sizeof a) };
    struct task_sched s;
    int r;

    if (!attr || pid < 0 || size > PAGE_SIZE_4K || size < LX_SCHED_ATTR_SIZE_VER0 || flags)
        return -EINVAL;
    r = get_sched(t, pid, &s);
    if (r < 0)
        return r;
    a.policy = (uint32_t)s.policy;
    a.flags = s.reset_on_fork ? LX_SCHED_FLAG_RESET_ON_FORK : 0;
    if (s.policy == LX_SCHED_DEADLINE) {
        a.runtime = s.runtime, a.deadline = s.dl_deadline, a.period = s.dl_period;
        a.flags |= s.dl_flags;
    } else if (is_rt(s.policy)) {
        a.priority = (uint32_t)s.priority;
    } else {
        a.nice = s.nice;
    }
    return copy_out(t, attr, &a, a.size);
}

/* ---- cpus ---- */

long sys_sched_getaffinity(struct task *t, pid_t pid, unsigned len, gaddr_t mask)
{
    uint64_t host[16];
    struct task_sched s;
    int bytes = sched_host_cpus(host), r;

    if (bytes < 0)
        return bytes;
    if (len < (unsigned)bytes || len & 7)
        return -EINVAL;
    if (pid < 0)
        return -ESRCH; /* not EINVAL, which says that the mask is too short */
    r = get_sched(t, pid, &s);
    if (r < 0)
        return r;
    sched_cpus(&s, host);
    return copy_out(t, mask, host, (size_t)bytes) < 0 ? -EFAULT : bytes;
}

long sys_sched_setaffinity(struct task *t, pid_t pid, unsigned len, gaddr_t mask)
{
    uint64_t want[16] = { 0 }, host[16], any = 0;
    struct task *other;
    int r = sched_host_cpus(host);

    if (r < 0)
        return r;
    if (copy_in(t, want, mask, MIN(len, sizeof want)) < 0)
        return -EFAULT;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = target_locked(t, pid);
    if (!other)
        return -ESRCH;
    if (!sched_may_change_locked(t, other))
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

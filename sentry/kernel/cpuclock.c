/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks that count processor time: of a process or thread, own or another's by the ids that
 * clock_getcpuclockid makes (~pid << 3 | 4 for a thread | kind). Nobody tells us when such a clock
 * reaches a value, so who waits for that looks again when it could have at the earliest.
 */
#include "sentry/kernel/cpuclock.h"

#include <errno.h>

#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"

#define CLOCK_BITS_KIND 3
#define CLOCK_BIT_THREAD 4
#define LOOK_AGAIN_NS 1000000 /* at the earliest; Linux looks once a tick */

int clock_can_wait(clockid_t id)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return 0;
    case CLOCK_REALTIME_ALARM: /* as without a clock that can wake the machine */
    case CLOCK_BOOTTIME_ALARM:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        return -EOPNOTSUPP;
    }
    return clock_is_cpu(id) ? 0 : -EINVAL;
}

int cpuclock_open(struct task *t, clockid_t id, struct cpuclock *ret)
{
    struct cpuclock c = { .kind = CPU_SCHED };
    bool thread = id == CLOCK_THREAD_CPUTIME_ID;
    pid_t pid = 0;
    if (id < 0) {
        if ((id & CLOCK_BITS_KIND) > CPU_SCHED)
            return -EINVAL; /* a clock of a descriptor */
        c.kind = (enum cpu_kind)(id & CLOCK_BITS_KIND);
        thread = id & CLOCK_BIT_THREAD;
        pid = ~(id >> 3);
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *o = pid ? task_find_locked(t->group->pidns, pid) : t;
    if (!o || (thread ? o->group != t->group : pid && o->group->pid != pid))
        return -EINVAL;
    if (thread)
        c.task = task_ref(o);
    else
        c.group = tgroup_ref(o->group);
    return *ret = c, 0;
}

void cpuclock_done(struct cpuclock *c)
{
    task_put(c->task);
    tgroup_put(c->group);
    c->task = NULL;
    c->group = NULL;
}

uint64_t cpuclock_read_locked(const struct cpuclock *c)
{
    uint64_t u, s;
    if (c->task)
        task_cputime_locked(c->task, &u, &s);
    else
        group_cputime_locked(c->group, &u, &s);
    return c->kind == CPU_VIRT ? u : u + s;
}

ktime_t cpuclock_estimate_locked(const struct cpuclock *c, uint64_t ns)
{
    uint64_t now = cpuclock_read_locked(c);
    uint64_t left = ns > now ? ns - now : 0;
    unsigned wide = c->task ? 1 : MIN(MAX(c->group->nlive, 1u), MAX(kernel.ncpus, 1u));
    left = MAX(left / wide, (uint64_t)LOOK_AGAIN_NS);
    return left > INT64_MAX ? KTIME_NEVER : ktime_add(ktime_now(), (ktime_t)left);
}

int task_clock_get(struct task *t, clockid_t id, struct timespec *ret)
{
    if (!clock_is_cpu(id))
        return kclock_get(id, ret);
    struct cpuclock c;
    int r = cpuclock_open(t, id, &c);
    if (r)
        return r;
    lock(&kernel.tasks_lock);
    uint64_t ns = cpuclock_read_locked(&c);
    unlock(&kernel.tasks_lock);
    cpuclock_done(&c);
    *ret = ktime_to_timespec((ktime_t)ns);
    return 0;
}

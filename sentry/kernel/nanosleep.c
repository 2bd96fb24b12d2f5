/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nanosleep and clock_nanosleep. A relative sleep that a signal interrupts without a handler goes on
 * by restart_syscall to the deadline it had, so time stopped counts; an absolute one is made again.
 */
#include "sentry/kernel/nanosleep.h"

#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cpuclock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"

static long sleep_restart(struct task *t);

static long sleep_on(struct task *t, bool absolute, gaddr_t rmtp)
{
    int r = task_sleep(t);
    if (r == -ETIMEDOUT)
        return 0;
    if (r != -ERESTARTSYS)
        return r;
    if (absolute)
        return -ERESTARTNOHAND;
    ktime_t left = t->call.deadline - ktime_now();
    if (left <= 0)
        return 0;
    struct timespec rem = ktime_to_timespec(left);
    if (rmtp && put_guest(t, rmtp, &rem))
        return -EFAULT;
    t->restart_fn = sleep_restart;
    t->restart_arg[0] = (uint64_t)t->call.deadline;
    t->restart_arg[1] = rmtp;
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct task *t)
{
    call_deadline(t, (ktime_t)t->restart_arg[0]);
    return sleep_on(t, false, t->restart_arg[1]);
}

/* ---- by processor time ---- */

struct cpu_sleep {
    struct cpuclock clock;
    uint64_t until;
};

static void cpu_sleep_free(void *p)
{
    cpuclock_done(&((struct cpu_sleep *)p)->clock);
}

static int cpu_sleep_begin(struct task *t, struct cpu_sleep *s, clockid_t clock, bool absolute,
                           ktime_t value)
{
    int r = cpuclock_open(t, clock, &s->clock);
    if (r)
        return r;
    t->call.scratch_free = cpu_sleep_free;
    if (s->clock.task == t)
        return -EINVAL; /* it would stand still */
    lock(&kernel.tasks_lock);
    s->until = (uint64_t)value + (absolute ? 0 : cpuclock_read_locked(&s->clock));
    unlock(&kernel.tasks_lock);
    return 0;
}

static long cpu_sleep(struct task *t, clockid_t clock, bool absolute, ktime_t value, gaddr_t rmtp)
{
    struct cpu_sleep *s = call_scratch(t, sizeof *s);
    if (!s)
        return -ENOMEM;
    if (!t->call.phase) {
        int r = cpu_sleep_begin(t, s, clock, absolute, value);
        if (r)
            return r;
        t->call.phase = 1;
    }
    lock(&kernel.tasks_lock);
    uint64_t now = cpuclock_read_locked(&s->clock);
    t->call.deadline = cpuclock_estimate_locked(&s->clock, s->until);
    unlock(&kernel.tasks_lock);
    if (now >= s->until)
        return 0;
    int r = task_sleep(t);
    if (r != -ERESTARTSYS)
        return r;
    if (absolute)
        return -ERESTARTNOHAND;
    struct timespec rem = ktime_to_timespec((ktime_t)(s->until - now));
    return rmtp && put_guest(t, rmtp, &rem) ? -EFAULT : -EINTR;
}

long do_nanosleep(struct task *t, clockid_t clock, bool absolute, ktime_t value, gaddr_t rmtp)
{
    if (clock_is_cpu(clock))
        return cpu_sleep(t, clock, absolute, value, rmtp);
    if (!t->call.phase) {
        ktime_t when;
        int r = kclock_deadline(clock, absolute, value, &when);
        if (r)
            return r;
        call_deadline(t, when);
        t->call.phase = 1;
    }
    return sleep_on(t, absolute, rmtp);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that count processor time (cpuclock.c). */
#pragma once

#include "sentry/kernel/task.h"

enum cpu_kind { CPU_PROF, CPU_VIRT, CPU_SCHED }; /* user+system in ticks, user, user+system */

struct cpuclock {
    struct tgroup *group; /* of the process, or */
    struct task *task;    /* of one thread; references */
    enum cpu_kind kind;
};

static inline bool clock_is_cpu(clockid_t id)
{
    return id < 0 || id == CLOCK_PROCESS_CPUTIME_ID || id == CLOCK_THREAD_CPUTIME_ID;
}

/* Can timers and sleeps go by it? 0, -EOPNOTSUPP, -EINVAL. */
int clock_can_wait(clockid_t id);

/* What id means to t; -EINVAL. cpuclock_done afterwards. */
int cpuclock_open(struct task *t, clockid_t id, struct cpuclock *ret);
void cpuclock_done(struct cpuclock *c);
/* Nanoseconds; tasks_lock held. */
uint64_t cpuclock_read_locked(const struct cpuclock *c);
/* When to look again for a clock that shall reach ns: it may run on every processor at once. */
ktime_t cpuclock_estimate_locked(const struct cpuclock *c, uint64_t ns);

/* clock_gettime for any clock. */
int task_clock_get(struct task *t, clockid_t id, struct timespec *ret);

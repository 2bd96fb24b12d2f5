/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit on processor time. Nobody tells us when a process reaches it, so a timer looks again
 * when it could have at the earliest (cpuclock.c).
 *
 * An armed timer holds a reference to its group. It is armed and cancelled under tasks_lock only,
 * and its function decides under that lock whether it goes on with the reference it has.
 */
#include "sentry/kernel/cpulimit.h"

#include <signal.h>

#include "sentry/kernel/cpuclock.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/task.h"

#define NSEC 1000000000ull

static bool limited(const struct tgroup *g)
{
    return g->rlim[RLIMIT_CPU].rlim_cur < RLIM_INFINITY / NSEC;
}

/* The caller's reference to g goes with it. */
static void arm_locked(struct tgroup *g)
{
    struct cpuclock c = { .group = g, .kind = CPU_SCHED };

    ktimer_arm(&g->cpu_timer, cpuclock_estimate_locked(&c, g->rlim[RLIMIT_CPU].rlim_cur * NSEC));
}

static void look_locked(struct tgroup *g)
{
    struct cpuclock c = { .group = g, .kind = CPU_SCHED };
    uint64_t sec = cpuclock_read_locked(&c) / NSEC;

    if (sec >= g->rlim[RLIMIT_CPU].rlim_max) {
        (void)signal_send_group_locked(g, SIGKILL, NULL);
    } else if (sec >= g->rlim[RLIMIT_CPU].rlim_cur) {
        (void)signal_send_group_locked(g, SIGXCPU, NULL);
        g->rlim[RLIMIT_CPU].rlim_cur = sec + 1;
    }
}

static void expired(struct ktimer *tm)
{
    struct tgroup *g = container_of(tm, struct tgroup, cpu_timer);
    bool again;

    lock(&kernel.tasks_lock);
    if (!g->zombie && limited(g))
        look_locked(g);
    /* Set anew meanwhile, it is armed with a reference of its own. */
    again = !g->zombie && limited(g) && tm->index == SIZE_MAX;
    if (again)
        arm_locked(g);
    unlock(&kernel.tasks_lock);
    if (!again)
        tgroup_put(g);
}

void cpulimit_init(struct tgroup *g)
{
    ktimer_init(&g->cpu_timer, expired);
}

void cpulimit_changed_locked(struct tgroup *g)
{
    assert_locked(&kernel.tasks_lock);
    cpulimit_gone_locked(g);
    if (limited(g) && !g->zombie)
        arm_locked(tgroup_ref(g));
}

/* The caller has a reference, so the one put here is not the last. */
void cpulimit_gone_locked(struct tgroup *g)
{
    if (ktimer_cancel(&g->cpu_timer))
        tgroup_put(g);
}

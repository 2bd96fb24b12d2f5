/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See spent.h. Processor time is looked at when all of it could have gone at the earliest: with every
 * cpu at work. The end is brought about on the event thread, whoever found that a limit is reached.
 */
#include "sentry/kernel/spent.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/timer.h"

#define STATUS_TIME 124
#define LOOK_MIN 10000000 /* ns */

static struct ktimer look, output_over;
static _Atomic uint64_t printed;
static _Atomic bool refused; /* some of it */

static int add_group(struct tgroup *g, void *arg)
{
    uint64_t user, sys;

    if (!g->is_sentry && !g->zombie) {
        group_cputime_locked(g, &user, &sys);
        *(uint64_t *)arg += user + sys;
    }
    return 0;
}

uint64_t spent_cpu(void)
{
    struct timespec own = { 0, 0 };
    uint64_t sum;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    lock(&kernel.tasks_lock);
    sum = kernel.guest_utime_ns + kernel.guest_stime_ns;
    tgroup_each_locked(NULL, add_group, &sum);
    unlock(&kernel.tasks_lock);
    return sum + (uint64_t)own.tv_sec * 1000000000u + (uint64_t)own.tv_nsec;
}

static void look_now(struct ktimer *tm)
{
    uint64_t max = limit_of(LIMIT_CPU_TIME), spent = spent_cpu();

    if (spent >= max) {
        sandbox_limited(STATUS_TIME, SIGKILL,
                        "processor time is limited to %.6g s (--cpu-time): the program was ended",
                        (double)max / 1e9);
        return;
    }
    ktimer_arm(tm, ktime_now() + (ktime_t)MAX((max - spent) / kernel.ncpus, (uint64_t)LOOK_MIN));
}

static void on_output_over(struct ktimer *tm)
{
    (void)tm;
    sandbox_limited(0, SIGXFSZ,
                    "output is limited to %" PRIu64 " bytes (--output): the program was ended",
                    limit_of(LIMIT_OUTPUT));
}

void spent_start(void)
{
    ktimer_init(&output_over, on_output_over);
    ktimer_init(&look, look_now);
    if (limit_of(LIMIT_CPU_TIME) != UNLIMITED)
        ktimer_arm(&look, ktime_now() + (ktime_t)(limit_of(LIMIT_CPU_TIME) / kernel.ncpus));
}

size_t spent_room(size_t n)
{
    uint64_t max = limit_of(LIMIT_OUTPUT), done;

    if (max == UNLIMITED)
        return n;
    done = atomic_load(&printed);
    if (done < max)
        return MIN(n, max - done);
    if (n > 0) {
        atomic_store(&refused, true);
        ktimer_arm(&output_over, ktime_now());
    }
    return 0;
}

bool spent_ends(void)
{
    return atomic_load(&refused);
}

void spent_output(size_t n)
{
    atomic_fetch_add_explicit(&printed, n, memory_order_relaxed);
}

uint64_t spent_printed(void)
{
    return atomic_load_explicit(&printed, memory_order_relaxed);
}

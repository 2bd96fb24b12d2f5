/* SPDX-License-Identifier: Apache-2.0 */
/* What `sbx stats` shows, when it is asked for. On the event thread. */
#include <string.h>

#include "abi/hostio.h"
#include "cli/control.h"
#include "cli/stats.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/oom.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/spent.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/host.h"
#include "sentry/start.h"

#define FRESH 100000000 /* ns: who asks more often gets the same again */

static int count_group(struct tgroup *g, void *arg)
{
    if (!g->is_sentry && !g->zombie)
        ++*(uint64_t *)arg;
    return 0;
}

static void take(struct stats_usage *u)
{
    u->cpu_ns = spent_cpu();
    u->memory = oom_measure();
    u->memory_max = limit_of(LIMIT_MEMORY);
    u->kernel = kcharged();
    u->processes = 0;
    lock(&kernel.tasks_lock);
    tgroup_each_locked(NULL, count_group, &u->processes);
    unlock(&kernel.tasks_lock);
    u->tasks = atomic_load(&kernel.ntasks) - 1; /* pid 1 is the sentry */
    u->tasks_max = limit_of(LIMIT_TASKS);
    u->output = spent_printed();
    host_traffic(&u->received, &u->sent);
    u->network = broker_on();
    u->at_ns = (uint64_t)ktime_now();
}

void usage_send(const struct sentry_config *cfg)
{
    static struct stats_usage last;
    struct control_msg m = { .type = CTL_USAGE, .len = sizeof last };

    if (!last.at_ns || (uint64_t)ktime_now() - last.at_ns > FRESH)
        take(&last);
    memcpy(m.text, &last, sizeof last);
    (void)!hostio_send(cfg->control_sock, &m, sizeof m, MSG_NOSIGNAL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What `--stats` shows of the sentry: the start-up budget and, at the end, totals and calls. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "abi/hostio.h"
#include "cli/control.h"
#include "cli/stats.h"
#include "gofer/client.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/start.h"
#include "sentry/syscalls/table.h"

#define STEPS_MAX 12

static struct stats_step steps[STEPS_MAX];
static unsigned nsteps;

void start_step(const char *name)
{
    struct timespec ts;

    if (nsteps == STEPS_MAX)
        return;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(steps[nsteps].name, sizeof steps[nsteps].name, "%s", name);
    steps[nsteps++].end_ns = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void send_records(const struct sentry_config *cfg, enum stats_kind kind, const void *p,
                         size_t n)
{
    struct control_msg m = { .type = CTL_STATS, .value = kind, .len = (uint32_t)n };

    memcpy(m.text, p, n);
    (void)!hostio_send(cfg->control_sock, &m, sizeof m, MSG_NOSIGNAL);
}

static void add_times(struct stats_totals *t)
{
    t->guest_user_ns = kernel.guest_utime_ns;
    t->guest_sys_ns = kernel.guest_stime_ns;
    t->guest_peak_rss = kernel.guest_peak_rss;
}

static void send_calls(const struct sentry_config *cfg)
{
    struct stats_call calls[24];
    unsigned n = 0;

    for (uint64_t nr = 0; nr <= SYSCALL_MAX; nr++) {
        uint64_t count = syscall_count(nr);

        if (!count)
            continue;
        calls[n++] = (struct stats_call){
            .nr = nr, .count = count, .ns = syscall_time(nr), .errors = syscall_errors(nr)
        };
        if (n == ARRAY_SIZE(calls)) {
            send_records(cfg, STATS_CALLS, calls, sizeof calls);
            n = 0;
        }
    }
    if (n)
        send_records(cfg, STATS_CALLS, calls, n * sizeof calls[0]);
}

void start_report_end(const struct sentry_config *cfg)
{
    struct platform_stats ps;
    struct stats_totals t = { 0 };

    if (!cfg->stats || cfg->control_sock < 0)
        return;
    kernel.platform->stats(&ps);
    add_times(&t);
    t.tasks = atomic_load(&kernel.forks_total);
    t.gofer_trips = first_container.gofer ? gofer_trips(first_container.gofer) : 0;
    t.bells = ps.bells, t.light = ps.light, t.posts = ps.posts, t.patches = ps.patches;
    t.local = ps.local, t.faults = ps.faults, t.kicks = ps.kicks, t.parks = ps.parks;
    t.forks = ps.forks, t.splits = ps.splits, t.moves = ps.moves, t.blanks = ps.blanks,
    t.ops = ps.ops;
    t.mem_reads = ps.mem_reads, t.mem_writes = ps.mem_writes;
    send_records(cfg, STATS_STEPS, steps, nsteps * sizeof steps[0]);
    send_records(cfg, STATS_TOTALS, &t, sizeof t);
    send_calls(cfg);
}

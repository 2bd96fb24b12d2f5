/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --stats is made of. The sentry sends it before CTL_EXIT as CTL_STATS messages: value is the
 * kind, text holds whole records of that kind, len how many bytes of it are used. The front end
 * adds what it knows itself (its own start-up steps, wall time, cpu time of its children).
 */
#pragma once

#include <stdint.h>

enum stats_kind {
    STATS_TOTALS = 1, /* one struct stats_totals */
    STATS_STEPS,      /* struct stats_step, in order: the sentry's share of the start-up budget */
    STATS_CALLS,      /* struct stats_call, those with a count */
};

struct stats_totals {
    uint64_t guest_user_ns, guest_sys_ns;   /* cpu time of the stubs */
    uint64_t sentry_user_ns, sentry_sys_ns; /* of the sentry: filled in by the front end, as */
    uint64_t guest_peak_rss;                /* bytes; largest sum seen, or largest process */
    uint64_t sentry_peak_rss;               /* this */
    uint64_t tasks;                         /* threads and processes made */
    uint64_t gofer_trips;
    /* hand-overs: by the bell, of them without a signal frame; by memory alone; sites patched for it;
       calls that the stub answered alone (of processes that have ended) */
    uint64_t bells, light, posts, patches, local;
    uint64_t faults, kicks, parks, forks, splits, moves, blanks, ops, mem_reads, mem_writes;
};

/* CTL_USAGE: what is in use now (`sbx stats`). */
struct stats_usage {
    uint64_t at_ns;              /* CLOCK_MONOTONIC of the sentry's */
    uint64_t cpu_ns;             /* of all that ran, and the sentry's */
    uint64_t memory, memory_max; /* bytes, as --memory counts them; UINT64_MAX: no limit */
    uint64_t kernel;             /* of these, what the kernel inside keeps */
    uint64_t processes, tasks, tasks_max;
    uint64_t output; /* bytes to standard output and error */
    uint64_t received, sent,
        network; /* bytes over TCP with the outside; network 0: there is none */
};

struct stats_step {
    char name[24];
    uint64_t end_ns; /* CLOCK_MONOTONIC as the sentry sees it, when the step was over */
};

struct stats_call {
    uint64_t nr, count, ns; /* ns: between the first run of the handler and the answer */
    uint64_t errors;
};

/* SPDX-License-Identifier: Apache-2.0 */
/* What the user is told at the end: notes in one line on the terminal, and --stats. */
#pragma once

#include "cli/control.h"
#include "cli/launch.h"
#include "cli/stats.h"

#define REPORT_NOTES 4
#define REPORT_STEPS 16
#define REPORT_CALLS 512

struct report {
    char *notes[REPORT_NOTES];
    char *refused[11]; /* by the network */
    unsigned nrefused;
    unsigned nnotes, more_notes;
    uint64_t changed;
    char *limit;      /* what ended the program; NULL */
    int limit_status; /* 0: the program's own */
    struct stats_totals totals;
    struct stats_step steps[REPORT_STEPS];
    struct stats_call calls[REPORT_CALLS];
    unsigned nsteps, ncalls;
    bool have_totals;
};

/* CTL_NOTE, CTL_CHANGED, CTL_STATS; everything in it is checked. len: bytes that arrived. */
void report_message(struct report *r, const struct control_msg *msg, size_t len);
/* Which limit ended the program: for everybody, also where notes are not shown. */
void report_limit(const struct report *r);
void report_notes(const struct report *r);
void report_stats(struct report *r, const struct launch *l, enum stats_mode mode);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front end's loop while a sandbox runs: signals and the terminal in, messages of the sentry
 * out. One thread, one poll.
 */
#pragma once

#include "cli/launch.h"
#include "cli/proxy.h"
#include "cli/report.h"

struct monitor {
    struct launch *launch;
    struct proxy proxy;
    struct report report;
    int signals;       /* signalfd */
    int side;          /* what the sentry logs or traces, for our standard error; -1 */
    uint64_t deadline; /* 0: none */
    int kills;         /* steps of ending it that were taken */
    bool timed_out;
    bool ended;
    bool regular; /* the program has exited, by no signal */
    int status;   /* exit status, when ended */
};

/* Blocks the signals that are forwarded; before anything is started. Descriptor or -errno. */
int monitor_signals(void);
/* Runs to the end; the exit status. */
int monitor_run(struct monitor *m);

/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between front end and sentry: one SEQPACKET datagram each, fixed size. */
#pragma once

#include <stdint.h>

enum control_type {
    /* front end to sentry */
    CTL_SIGNAL = 1, /* value: send this signal to the program (foreground group when a terminal) */
    CTL_WINSIZE,    /* value: rows << 16 | cols */
    CTL_KILL,       /* end everything now (timeout) */
    CTL_CONT,       /* the front end was continued */
    /* sentry to front end */
    CTL_STARTED = 64, /* the program runs */
    CTL_EXIT,         /* value: wait status of the program; everything is over */
    CTL_STOPPED,      /* value: signal: the program was stopped (job control); stop too */
    CTL_ERROR,        /* value: exit status for the front end; text: one line */
    CTL_NOTE,    /* text: one line for the user at the end (a path that was not visible, ...) */
    CTL_STATS,   /* a piece of the statistics: cli/stats.h */
    CTL_CHANGED, /* value: files that the program changed beneath shown directories, discarded */
    CTL_MISSING, /* text: a path that the program looked for and that is not there inside */
};

struct control_msg {
    uint32_t type;
    uint32_t len; /* bytes of text in use */
    uint64_t value;
    char text[1008];
};

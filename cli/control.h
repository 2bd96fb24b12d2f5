/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between front end and sentry: one SEQPACKET datagram each, fixed size. */
#pragma once

#include <stdint.h>

enum control_type {
    /* front end to sentry */
    CTL_SIGNAL = 1,  /* value: the signal; CTL_SIGNAL_KEY: to the terminal's foreground group */
    CTL_WINSIZE,     /* value: rows << 16 | cols */
    CTL_KILL,        /* end everything now (timeout) */
    CTL_JOB,         /* value: a number; with descriptors: the request (sentry/job.h), 0, 1 and 2 */
    CTL_JOB_SIGNAL,  /* value: number << 32 | signal */
    CTL_JOB_WINSIZE, /* value: number << 32 | rows << 16 | cols */
    CTL_CONT,        /* the front end was continued; value: enum term_place */
    CTL_NETWORK,     /* with a descriptor: what interfaces there are (sentry/net/netdev.h) */
    CTL_CGROUP, /* with a descriptor: what is seen of the control group (sentry/fs/cgroup/cgroup.h) */
    CTL_START,  /* a container's program may run */
    CTL_FREEZE, /* nothing of the guest is to run, by CTL_FROZEN; CTL_THAW ends it */
    CTL_THAW,
    CTL_ASK_USAGE, /* answered by CTL_USAGE */
    CTL_CONTAINER, /* with descriptors: a further container (sentry/pod.h); value: POD_* */
    /* sentry to front end */
    CTL_EXIT = 64,  /* value: wait status of the program; everything is over */
    CTL_STOPPED,    /* value: signal: the program was stopped (job control); stop too */
    CTL_ERROR,      /* value: exit status for the front end; text: one line */
    CTL_NOTE,       /* text: one line for the user at the end (a path that was not visible, ...) */
    CTL_JOB_EXIT,   /* value: number << 32 | wait status */
    CTL_JOB_FAILED, /* value: number << 32 | exit status; text: why */
    CTL_STATS,      /* a piece of the statistics: cli/stats.h */
    CTL_LIMIT,   /* text: a limit that ended the program; value: exit status, 0: as the program's */
    CTL_CHANGED, /* value: files that the program changed beneath shown directories, discarded */
    CTL_REFUSED, /* text: what the network refused; one line each for the user */
    CTL_MISSING, /* text: a path that the program looked for and that is not there inside */
    CTL_READY,   /* a container's program is held, everything else is done */
    CTL_FROZEN,  /* value: 0 or an errno */
    CTL_STARTED, /* value: number << 32 (of a job; 0: the first): the program runs; where that is asked for */
    CTL_USAGE,   /* struct stats_usage of cli/stats.h, as bytes in text */
    CTL_NOTIFY,  /* a container's program has said READY=1 (sd_notify) */
    CTL_LEARNED, /* text: enum learned, then what; value 1, without text: there was more */
};

/* What a sandbox that learns tells (sentry/learn.h). */
enum learned {
    LEARNED_READ = 'r',    /* a path beyond what is shown anyway */
    LEARNED_WRITTEN = 'w', /* a path */
    LEARNED_PEER = 'n',    /* HOST:PORT, or HOST where there are no ports */
    LEARNED_PORT = 'l',    /* a port of TCP that was listened on */
};

#define CTL_SIGNAL_KEY 0x100u
#define CTL_SIGNAL_ALL 0x200u /* to every process of the container */

struct control_msg {
    uint32_t type;
    uint32_t len; /* bytes of text in use */
    uint64_t value;
    char text[1008];
};

/*
 * The terminal: a SEQPACKET socket of its own, one message a datagram, as long as its data. Settings
 * and flushing take their turn behind what was printed before them.
 */
enum term_type {
    /* sentry to front end */
    TERM_PRINT = 1, /* data: to the terminal */
    TERM_SET,       /* data: struct lx_termios2, the program's settings */
    TERM_FLUSH,     /* arg: TCIFLUSH, TCOFLUSH, TCIOFLUSH */
    TERM_READ,      /* arg: so many bytes are wanted (0: where do we stand); answered at once */
    /* front end to sentry */
    TERM_INPUT = 64, /* data: no more than was wanted; none: end of file */
    TERM_NONE,     /* the other answer: nothing can be read now; arg: an errno, 0: nothing typed */
    TERM_READY,    /* arg: bytes that can be read. Said once, again after READ, SET and FLUSH */
    TERM_SETTINGS, /* data: struct lx_termios2: somebody else has changed them */
    TERM_PLACE,    /* arg: enum term_place, before an answer when it has changed */
};

/* Where the front end stands in the host's job control. */
enum term_place {
    TERM_FOREGROUND, /* or it is not its controlling terminal */
    TERM_BACKGROUND,
    TERM_ORPHANED, /* in the background, and nobody would continue it */
};

#define TERM_DATA 4096

struct term_msg {
    uint32_t type, arg;
    uint8_t data[TERM_DATA];
};

#define TERM_HEAD 8 /* bytes of a message without data */

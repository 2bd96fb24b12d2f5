/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the host's terminal and the sandbox's. The sentry has a terminal of its own and never holds
 * a host's; messages pass here (cli/control.h).
 *
 * The host's terminal is shared: with the rest of the pipeline, and with who comes after us. So it is
 * left to do all editing, echo and signals of keys itself, in the settings that the program asks
 * for (those that it was found with, until it asks); and of what was typed no more is taken than
 * the program reads, when it reads. Output, settings and questions are done in the order in which they
 * come.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/tty.h"
#include "cli/control.h"

struct proxy {
    int sock;              /* to the sentry; -1: no terminal, or it is closed */
    int fd;                /* the host's terminal; -1: there is none */
    int out;               /* where what is printed goes instead, which may block; -1: there */
    bool controls;         /* it is our controlling terminal: its job control is ours */
    bool armed;            /* the sentry waits to hear that something can be read */
    bool orphaned;         /* nobody continued us when we wanted to stop */
    bool changed;          /* the program has made settings */
    enum term_place place; /* as the sentry was told last */
    struct lx_termios2 found, wanted, applied; /* before us, by the program, at the terminal now */
    struct term_msg print;                     /* a message that is being written */
    size_t printed, pending;
};

/* Looks for the terminal: /dev/tty, else a standard stream that is one. p->fd is -1: none. */
void proxy_open(struct proxy *p, const bool tty[3]);
/* The sentry's end is there. */
void proxy_begin(struct proxy *p, int sock);
/* Where we stand now; the caller tells the sentry. */
enum term_place proxy_place(struct proxy *p);
bool proxy_winsize(const struct proxy *p, uint16_t *ret_rows, uint16_t *ret_cols);

/* Were we stopped, others may have changed the settings: tells the sentry. */
void proxy_continued(struct proxy *p);
/* The end: the settings stay as the program left them (keep), or become what they were. */
void proxy_leave(struct proxy *p, bool keep);

/* Fills two entries; acts on them after poll. */
void proxy_poll(const struct proxy *p, struct pollfd fds[2]);
void proxy_run(struct proxy *p, const struct pollfd fds[2]);
/* What the sentry has sent so far and until it closes, at most ms milliseconds (-1: no limit). */
void proxy_drain(struct proxy *p, int ms);

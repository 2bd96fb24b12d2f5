/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the host's terminal and the sandbox's. The sentry has a pty of its own and never a host
 * terminal; bytes pass here. While the program has the terminal it is raw, so that keys (Ctrl-C,
 * Ctrl-Z) mean what the pty inside makes of them.
 *
 * Not raw, and nothing is read, when standard input is not the terminal, or when standard output
 * goes down a pipe: then other programs of the pipeline share the terminal.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#define PROXY_BUFFER 16384

struct proxy {
    int sock;    /* stream to the sentry; -1: no terminal, or it is closed */
    int in, out; /* host terminal; in -1: its input is not ours */
    bool raw;
    struct termios saved;
    char to_guest[PROXY_BUFFER];
    size_t pending, sent;
};

/* Is what the user types passed on (and the host's terminal raw then)? Not in the middle of a
 * pipeline, where the terminal belongs to whoever is at its end. */
bool proxy_types(const bool tty[3]);

void proxy_init(struct proxy *p, int sock, const bool tty[3]);
/* Raw mode on (as far as the proxy is to have it) and off. Also restored at exit. */
void proxy_enter(struct proxy *p);
void proxy_leave(struct proxy *p);
bool proxy_winsize(const struct proxy *p, uint16_t *ret_rows, uint16_t *ret_cols);

/* Fills two entries; acts on them after poll. */
void proxy_poll(const struct proxy *p, struct pollfd fds[2]);
void proxy_run(struct proxy *p, const struct pollfd fds[2]);
/* What the sentry has sent so far and until it closes, at most ms milliseconds. */
void proxy_drain(struct proxy *p, int ms);

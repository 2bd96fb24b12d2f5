/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's side of `sbx exec -t`: a stream socket to a terminal inside (sentry/fs/tty/tty_relay.c), and
 * the user's terminal in raw mode, so that every key goes there. As docker exec -t and ssh -t do it.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct exec_tty {
    int sock;     /* -1: closed, by either side */
    int fd;       /* the user's terminal; -1: none */
    bool input;   /* what is typed is passed on */
    bool changed; /* its settings; found are those from before */
    struct termios found;
    char typed[4096], print[16384];
    size_t len, sent, have, shown;
};

#define EXEC_TTY_FDS 3

/* input: -i. *ret_far: the sandbox's end, the caller's to close. 0, or the exit status after the error. */
int exec_tty_open(struct exec_tty *t, bool input, int *ret_far);
/* rows << 16 | columns; 0: unknown. */
uint32_t exec_tty_size(const struct exec_tty *t);
/* Raw mode: when it begins, and when we were stopped and continued. Undone at exit, too. */
void exec_tty_raw(struct exec_tty *t);
void exec_tty_leave(struct exec_tty *t);
/* Fills its entries; acts on them after poll. */
void exec_tty_poll(const struct exec_tty *t, struct pollfd fds[EXEC_TTY_FDS]);
void exec_tty_run(struct exec_tty *t, const struct pollfd fds[EXEC_TTY_FDS]);
/* Closed, and everything was shown. */
bool exec_tty_done(const struct exec_tty *t);

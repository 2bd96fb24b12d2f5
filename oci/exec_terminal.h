/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a terminal of exec: the caller's own, or one whose master a caller got by its socket. It is
 * raw, since the guest's terminal edits; bytes pass both ways through a stream to the sentry.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "oci/config.h"

struct exec_terminal {
    int fd;     /* the host's; -1: there is none, and all that follows does nothing */
    int to;     /* where what is printed goes: fd, or standard output that is something else */
    int ours;   /* our end of the stream; -1: it has ended */
    int theirs; /* the sentry's, to be sent; -1 */
    bool changed;
    struct termios before;
    struct half {
        char buf[4096];
        size_t n, at;
    } in, out;
};

/*
 * Where p wants a terminal: opens it and the stream, and fills p's size in. console NULL or "": the caller's
 * own. 0, or -1 with one line in why.
 */
int exec_terminal_open(struct exec_terminal *t, struct oci_process *p, const char *console,
                       char why[OCI_WHY]);
/* rows << 16 | cols */
int exec_terminal_size(const struct exec_terminal *t);
/* Fills so many entries; acts on them after poll. */
#define EXEC_TERMINAL_FDS 3
void exec_terminal_poll(const struct exec_terminal *t, struct pollfd fds[EXEC_TERMINAL_FDS]);
void exec_terminal_run(struct exec_terminal *t, const struct pollfd fds[EXEC_TERMINAL_FDS]);
/* What was printed is shown; the settings are as they were. */
void exec_terminal_close(struct exec_terminal *t);

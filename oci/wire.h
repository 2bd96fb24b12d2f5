/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between a command and the init proxy of a container: SEQPACKET, one message a request. Only the proxy's own
 * user, or root, is answered. The connection of an exec is its process: what is sent later on it is
 * for that, and its end ends it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/process.h"

enum wire_type {
    /* to the proxy */
    WIRE_START = 1, /* by WIRE_DONE, when the program was loaded, or WIRE_FAILED */
    WIRE_KILL,      /* value: a signal; all: to every process. By WIRE_DONE */
    WIRE_EXEC, /* descriptors: request (sentry/job.h), 0, 1, 2 and on; by WIRE_DONE when it was loaded
                      or WIRE_FAILED; then WIRE_EXITED */
    WIRE_PAUSE,   /* by WIRE_DONE, when nothing runs any more, or WIRE_FAILED */
    WIRE_RESUME,  /* by WIRE_DONE */
    WIRE_CGROUP,  /* with a descriptor (cgroup_view.c); by WIRE_DONE */
    WIRE_NOTIFY,  /* by WIRE_DONE when the program has said READY=1; WIRE_FAILED: it cannot */
    WIRE_WINSIZE, /* of an exec; value: rows << 16 | cols */
    WIRE_POD, /* to a pod's first: a further container, with descriptors (sentry/pod.h); value: POD_*. By WIRE_DONE; the rest is said by the socket that it brings */
    /* from it */
    WIRE_DONE = 64,
    WIRE_FAILED, /* text; value: exit status, as shells have it */
    WIRE_EXITED, /* value: wait status */
};

struct wire_msg {
    uint32_t type;
    int32_t value;
    uint32_t all;
    uint32_t len;
    char text[1200];
};

#define WIRE_FDS (8 + PASSED_MAX)

struct oci_state;

/* The proxy's end: a listener at DIR/control.sock; -errno. */
int wire_listen(const struct oci_state *s);
/* The other: a connection; -errno. */
int wire_connect(const struct oci_state *s);
/* 0 or -errno. fds NULL: none go along; at most WIRE_FDS. */
int wire_send(int sock, const struct wire_msg *m, const int *fds, unsigned n);
/* 1; 0 at the end; -errno. fds (WIRE_FDS; NULL: none are taken) get those that came, *ret_n of them. */
int wire_receive(int sock, struct wire_msg *ret, int *fds, unsigned *ret_n);
/* Asks and waits for WIRE_DONE. 0, or 1 after the error was printed. */
int wire_ask(const struct oci_state *s, const struct wire_msg *m);

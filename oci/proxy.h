/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The init proxy of a container: the host process that callers know it by. It is the front end of the
 * sandbox (parent of sentry and gofers, which end with it), lives from create until the guest's first process
 * has ended, and ends with its status, or with 128 and the signal. Signals to it act on that process.
 *
 *   create            the proxy
 *     fork ------------> cgroup, namespaces
 *     <----- NAMESPACES
 *     hooks prestart, createRuntime
 *     GO --------------> hooks createContainer, terminal, launch_start()
 *     <---------- READY  (or WIRE_FAILED, and it ends)
 *     state, pid file
 *     KEEP ------------> serves control.sock
 *     exit
 *
 * Whoever creates it ends; it is then the child of the caller's subreaper, which is told of its end.
 */
#pragma once

#include "oci/box.h"
#include "oci/passed.h"
#include "oci/wire.h"

enum { SYNC_NAMESPACES = 128, SYNC_GO, SYNC_READY, SYNC_KEEP };

struct proxy_setup {
    const struct oci_config *config;
    const struct oci_state *state;
    struct box *box;
    int sync;            /* its end of the socket to create */
    const char *console; /* path of the socket that the terminal's other side goes to; NULL: none */
    const struct passed *passed;
    bool notify;     /* its program has a socket for sd_notify */
    bool foreground; /* `run` without --detach: the caller's own terminal and session */
};

/* In the child of a fork. Never returns. */
void proxy_main(const struct proxy_setup *p) __attribute__((noreturn));

/* terminal.c: a new terminal of the host, for which the caller gets the other side. Its own side, or -1
 * with one line in why. */
int terminal_open(const char *console, unsigned rows, unsigned cols, char why[OCI_WHY]);

/* terminal.c: the caller gets a pidfd of pid by the socket at path; NULL: nobody asked. 0, or 1 after the error
 * was printed. */
int send_pidfd(const char *path, pid_t pid);

/* namespaces.c: enters or makes those that the configuration names. 0, or -1 with one line in why. */
int namespaces_enter(const struct oci_config *c, char why[OCI_WHY]);

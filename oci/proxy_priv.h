/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the init proxy share (proxy.h). */
#pragma once

#include "cli/proxy.h"
#include "oci/exec_terminal.h"
#include "oci/proxy.h"

#define CLIENTS 256

struct init_proxy {
    const struct proxy_setup *setup;
    struct launch *launch;
    struct oci_process process; /* the container's, with the size of its terminal */
    struct proxy tty;
    struct exec_terminal stream; /* of a further container of a pod: the terminal's other side */
    int signals, listener, network;
    bool ready, started, ended;
    int status;        /* exit status, when ended */
    bool notified;     /* the program said READY=1 */
    char why[OCI_WHY]; /* the last error of sandbox or hooks */
    uint32_t jobs;     /* numbers given out */
    struct client {
        int fd;
        uint32_t job; /* of an exec; 0: none */
        bool starter; /* waits for the program to be loaded */
        bool pauser;  /* waits for the guest to be frozen */
        bool notify;  /* waits for READY=1 */
    } clients[CLIENTS];
};

extern struct init_proxy px;

/* Is it of a further container of a pod, with no sentry of its own? */
static inline bool px_further(void)
{
    return px.setup->pod >= 0;
}

/* proxy.c: to the sentry. */
void px_tell(uint32_t type, uint64_t value, const int *fds, unsigned n);
void px_tell_network(void);
void px_tell_winsize(void);
/* To who asked. */
void px_answer(struct client *c, uint32_t type, int value, const char *text, size_t n);
/* It is over, with that status if nothing was said before. */
void px_end(int status);
/* The container cannot be started, for px.why: who asked is told, and it is over. */
void px_start_failed(void);
/* Waits for the next thing, and does it. */
void px_loop_once(void);
/* proxy_hooks.c: the next hook startContainer, or when there is none the program. */
void px_hooks_run(void);
/* Was it one of them that this (CTL_JOB_EXIT, CTL_JOB_FAILED) says has ended? */
bool px_hooks_ended(const struct control_msg *m);
/* For so many ms nothing is due (-1: for ever); it is. */
int px_hooks_wait(void);
void px_hooks_late(void);
/* When it is over. */
void px_leave(void) __attribute__((noreturn));

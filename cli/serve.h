/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named sandbox (`sbx run --name NAME`) can be asked: by a Unix socket of that name in a directory that is
 * the caller's alone, which the front end serves. One SEQPACKET message a request; only the same user, or
 * root, is answered.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/launch.h"

enum serve_type {
    /* to the front end */
    SERVE_INFO = 1, /* answered by SERVE_TEXT as often as it takes: what `sbx ps` shows, as JSON */
    SERVE_INSPECT,  /* by SERVE_TEXT, as often as it takes: the policy; value 1: as JSON */
    SERVE_KILL,     /* value: a signal for the program; by SERVE_DONE */
    SERVE_EXEC,     /* with descriptors: request (struct job_request without environment and ids),
                       0, 1, 2; by SERVE_EXITED or SERVE_FAILED; then value of SERVE_KILL is for it */
    SERVE_WINSIZE,  /* value: rows << 16 | cols, for its terminal */
    SERVE_NET, /* value: enum serve_net; text: rules, each with its NUL; by SERVE_TEXT as often as it
                       takes and SERVE_DONE, or SERVE_FAILED */
    SERVE_USAGE, /* by SERVE_TEXT: what it uses now (stats.h), as JSON */
    SERVE_WAIT,  /* by SERVE_EXITED, when all of it has ended; value: exit status */
    /* from it */
    SERVE_TEXT = 64,
    SERVE_DONE,
    SERVE_EXITED, /* value: wait status (of SERVE_EXEC) */
    SERVE_FAILED, /* value: exit status; text: why */
};

enum serve_net {
    SERVE_NET_TEXT,
    SERVE_NET_JSON,
    SERVE_NET_ALLOW,
    SERVE_NET_DENY,
    SERVE_NET_REMOVE
};

struct serve_msg {
    uint32_t type;
    int32_t value;
    uint32_t len;
    char text[4084];
};

#define SERVE_CLIENTS 64
#define SERVE_FDS (SERVE_CLIENTS + 1)

/* Before anything is started: takes the name. 0, or the exit status after the error was printed. */
int named_open(const char *name);
/* Its descriptors into fds (SERVE_FDS of them, -1 where there is none); then what came of the poll. */
void named_poll(struct pollfd *fds);
void named_serve(struct launch *l, const struct pollfd *fds);
/* CTL_JOB_EXIT, CTL_JOB_FAILED, CTL_USAGE. */
void named_control(const struct control_msg *m);
/* The name is free again. */
void named_close(void);
/* Tells those who wait for it. */
void named_end(int status);

/* named.c: the other end. A connection, or -1 after the error was printed. */
int named_connect(const char *name);
/* The directory of the names, made if it is not there; NULL after the error was printed. */
const char *named_dir(void);
bool named_ok(const char *name);
bool named_alive(const char *name);
/* A message and the next of its answers. False: the sandbox has ended. */
bool named_ask(int fd, enum serve_type type, int value, struct serve_msg *ret);
/* The names there are, sorted; that is, of sockets. */
char **named_list(unsigned *ret_n);
/* All of SERVE_TEXT, to be freed; NULL: there is none, or it has ended. */
char *named_text(int fd, enum serve_type type, int value);
/* The next who connects, where that is this user or root; -1. */
int serve_accept(int listener, uid_t user);
/* As named_connect; -1 and not a word. */
int named_try(const char *name);

/* inspect.c */
void inspect_print(const struct launch *l, FILE *f, bool json);
/* Of the network alone: the rules in force, and what was refused. */
void inspect_network(const struct launch *l, FILE *f, bool json);

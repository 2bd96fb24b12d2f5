/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx run -d`: the front end goes on in a session of its own when the program has been started, and keeps
 * what it prints (logs.h). Until then it is the caller's: what fails is said there, with its status.
 *
 *   caller   detach_begin() forks, waits for the word of the child, prints the name
 *   child    standard streams are pipes to itself -> starts the sandbox -> CTL_STARTED -> the word
 */
#pragma once

#include <poll.h>
#include <stdbool.h>

#define DETACH_FDS 2

/* A name that was not given: box-xxxxxxxx. */
const char *detach_name(void);
/* -1: we are the child, and go on. Else the caller's exit status. */
int detach_begin(const char *name, bool keep_log);
/* Its standard input is empty, where it is no script's. */
void detach_no_input(void);
/* The sandbox's processes have our standard streams: ours are others from now on. */
void detach_launched(void);
/* The program runs. */
void detach_started(void);
/* What it prints, in the loop. Does nothing where nobody is detached. */
void detach_poll(struct pollfd *fds);
void detach_run(const struct pollfd *fds);
/* All is over: the rest of what was printed. Returns status. */
int detach_end(int status, char *const *command);

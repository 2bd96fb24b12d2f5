/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of the caller's that a container's process finds from 3 on: with LISTEN_FDS (sd_listen_fds(3)) those,
 * then so many more as --preserve-fds says. They become files of the sentry's over a host descriptor, as the
 * standard streams do (sentry/vfs/hostfile.c).
 */
#pragma once

#include <stdbool.h>

#include "sentry/process.h"

struct passed {
    int fds[PASSED_MAX]; /* 3, 4, ...: as they are numbered here, and inside */
    unsigned n;
    unsigned listen; /* of them LISTEN_FDS */
};

/*
 * What the environment and --preserve-fds (NULL: none) ask for. Before anything is opened without close-on-exec:
 * that tells the caller's from ours. 0, or 1 after the error was printed: one is not there, or of a kind that
 * would lend more of the host than reading and writing it.
 */
int passed_find(const char *preserve, struct passed *ret);
/* env with what tells the program of them. */
char **passed_environment(const struct passed *p, char **env);
/* Not needed here any more: who reads waits for the end of all writers. */
void passed_close(const struct passed *p);

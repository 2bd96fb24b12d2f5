/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back of a run: --changes, --diff, --save-changes, --apply (cli/results*.c). The sentry is
 * asked when the program has ended (gofer/changes.h); what is written is written by a fenced process of its
 * own (gofer/writer/apply.h).
 */
#pragma once

#include <stdio.h>

#include "cli/options.h"
#include "cli/shown.h"
#include "gofer/writer/apply.h"

struct results {
    const struct run_options *options;
    const char *path;     /* inside; NULL: nobody asked */
    const char *host;     /* what is shown there */
    int dir, save, state; /* of the host: that directory, --save-changes', the journals'; or -1 */
    int sock;             /* to the sentry; -1 */
    struct timespec_ns since;
    uint64_t without;

    struct apply_change *changes;
    unsigned n;
    bool partial; /* the sentry could not tell all */
};

/* Before anything is started: what was asked for can be done. 0, or the exit status after an error. */
int results_prepare(struct results *r, const struct run_options *o, const struct view *v,
                    const struct shown *s, uint64_t without);
/* When the program has ended with status: does it. Returns the status to end with. */
int results_finish(struct results *r, int status);

/* ---- between the files ---- */

/* A path or a text of a program's, so that a terminal shows it and does nothing else. */
void results_escape(FILE *f, const char *text);
char *results_escaped(const char *text); /* the same, as a string */
void results_list(const struct results *r, FILE *f);
int results_json(const struct results *r, FILE *f); /* 0 or an exit status */
/* Text changes, as diff -u. 0 or an exit status. */
int results_diff(struct results *r);
/* Content of a change into a file of our own; -1: said already. */
int results_content(struct results *r, const struct apply_change *c);

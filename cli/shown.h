/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one run shows: the exports that the gofer will open, and the steps by which the sentry builds
 * its tree from them. Made from visible.c, the options, the program and the caller's PATH.
 */
#pragma once

#include <stdbool.h>

#include "cli/options.h"
#include "cli/program.h"
#include "cli/user.h"
#include "cli/view.h"
#include "sentry/sentry.h"

struct idmap;

struct shown_export {
    const char *src; /* on the host, absolute; opened by the gofer's launcher */
    bool public_only;
    const char *const *names;
    unsigned nnames;
    bool shared;            /* live, both ways: the second gofer's */
    bool ro;                /* shared: seen live, and not written to */
    bool setid;             /* shared: a container's own tree (gofer/gofer.h) */
    const char *dir, *only; /* shared, a single file: its directory and its name there; else NULL */
    /*
     * shared, opened before by who may more (opened): tree is the mount, detached, of src or dir. With a map of ids
     * of its own it always is; else it is taken where the gofer may not go. all: the mounts in it have the map, too.
     */
    const struct idmap *uids, *gids;
    bool opened, all;
    int tree;
};

struct shown {
    struct shown_export *exports;
    unsigned nexports, nshared; /* all, and those of them that are shared live */
    struct sentry_mount *mounts;
    unsigned nmounts;
    char *path; /* PATH inside */
    const char *home;
    const char *cwd;
};

/* 0, or the exit status after the error was printed. */
int shown_build(const struct run_options *o, const struct view *v, const struct user *u,
                const struct program *p, struct shown *ret);

/* What m shows of the host; NULL: nothing. */
const struct shown_export *shown_of(const struct shown *s, const struct sentry_mount *m);

/* For shown_trees.c */
void shown_mount(struct shown *s, const char *src, const char *dst, bool ro);
void shown_symlink(struct shown *s, const char *path, const char *target);
void shown_text(struct shown *s, const char *path, const char *text); /* a file of ours */
bool shown_covers(const struct shown *s, const char *path);
bool shown_forbidden(const struct user *u,
                     const char *path); /* a home, /, above one; credentials */

/* Shows interpreters that live in homes, found through the caller's PATH. */
void shown_trees(struct shown *s, const struct user *u, const char *path);
/* Has a program that PATH led to shown, where no tree does: itself, through its links. */
void shown_program(struct shown *s, const struct user *u, const char *file);

/* SPDX-License-Identifier: Apache-2.0 */
/* THE table of what a program sees of the host without --rootfs (docs/visible.md is made from it). */
#pragma once

#include <stdbool.h>

enum visible_kind {
    V_TREE,  /* the host's directory, or the link it is; of it what any user may read */
    V_NAMES, /* of the host's directory only the names of visible_etc, and what any user may read */
    V_PROC,  /* fresh: the sandbox's own processes */
    V_SYSFS, /* fresh: cpu and memory topology */
    V_DEV,   /* fresh: null, zero, full, random, urandom, tty, ptmx, pts, shm, fd, std* */
    V_EMPTY, /* fresh, empty, writable */
};

struct visible {
    const char *path;
    enum visible_kind kind;
    unsigned mode; /* V_EMPTY */
    const char *why;
};

extern const struct visible visible_table[];
extern const unsigned visible_count;
extern const char *const visible_etc[];
extern const unsigned visible_etc_count;

/* Folders beneath a home that are never shown unless --bind names them. */
extern const char *const visible_credentials[];
extern const unsigned visible_credentials_count;

/* Variables of the caller that the program gets (a '*' at the end: all that begin so). */
extern const char *const visible_env[];
extern const unsigned visible_env_count;

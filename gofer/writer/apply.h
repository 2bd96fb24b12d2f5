/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: a process that puts what a run changed into a directory of the host. The front end forks
 * it when the program has ended and the user has agreed; it fences itself (Landlock: that directory
 * and the journal's; seccomp: gofer/writer/fence_table.h) and works as the caller, so that the host
 * decides what may be written.
 *
 *   check     every change is looked at: what changed on the host since the run began, what is no
 *             file, directory or link, what a link or another file system is in the way of, is named and left
 *   stage     content is fetched from the sentry into files of a directory beside the rest
 *   commit    the journal, a list of renames, is made durable: from here on the next run would finish
 *   move      each staged file changes places with what it replaces; an error takes all back
 *   clean     what was replaced or removed goes
 *
 * Before the commit an interrupted one is undone by the next writer in that directory, behind it finished.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gofer/changes.h"

struct apply_change {
    struct change_head head;
    const char *path; /* checked by changes_path_ok */
    const char *link;
    uint32_t index; /* what the sentry knows it by */
};

struct apply_job {
    int dir;    /* of the host, open for reading */
    int state;  /* directory of the journals, open for reading */
    int source; /* to the sentry, behind its list */
    int report; /* SEQPACKET: struct apply_msg, the last one APPLY_DONE or APPLY_FAILED */
    bool into;  /* copies to an empty directory: what was removed is no matter */
    const struct apply_change *changes; /* sorted by path */
    unsigned n;
    struct timespec_ns {
        int64_t sec;
        uint32_t nsec;
    } since;          /* CLOCK_REALTIME_COARSE when the run began */
    uint64_t without; /* abi/without.h */
    bool root;        /* the caller is: keeps root's rights over files */
};

enum apply_type {
    APPLY_SKIPPED = 1, /* path, why */
    APPLY_NOTE,        /* path, why: done, but for that */
    APPLY_RECOVERED,   /* why: what became of an interrupted one */
    APPLY_FAILED,      /* path (may be ""), why: nothing was changed, unless why says so */
    APPLY_DONE,        /* count: so many changes were made */
};

struct apply_msg {
    uint32_t type;
    uint32_t count;
    char why[160];
    char path[4096];
};

/* Never returns; exit status 0 when it said APPLY_DONE. */
void apply_main(const struct apply_job *job) __attribute__((noreturn));

/* Has one been interrupted in that directory? The journals are in state. */
bool apply_interrupted(int state, int dir);

/* Puts its fence up: 0 or -errno. For apply_main and its tests. */
int apply_fence(const struct apply_job *job);

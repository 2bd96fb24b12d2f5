/* SPDX-License-Identifier: Apache-2.0 */
/* The gofer process as the front end starts it (forked, not exec'd). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct gofer_export {
    /*
     * A directory: O_PATH, a detached mount (open_tree) or a plain directory. A single file: open
     * for reading (only where /proc is at its place may it be O_PATH; it is then opened anew).
     */
    int fd;
    bool public_only; /* show only what any user may read (others have r, directories r and x) */
    const char *const *names; /* NULL: all; else the only names (one level) shown beneath it */
    unsigned nnames;
    /*
     * Shared live, a single file: fd is its directory, of which nothing but that name is shown, and
     * only_fd O_PATH of the file.
     */
    bool single;
    int only_fd;
    /* Shared live, and a container's own: files may have set-id bits, as with who starts it otherwise. */
    bool setid;
};

struct gofer_config {
    int sock;    /* SEQPACKET, the sentry's end is elsewhere */
    int ring_fd; /* the sentry's restricted ring for installing fixed files, or -1 */
    int root_fd; /* of its empty root, only to be kept open; 0: none */
    const struct gofer_export *exports;
    unsigned nexports;
    const int *held; /* mounts of single files, only to be kept open; -1: none */
    unsigned nheld;
    uint64_t without;   /* abi/without.h */
    bool shared;        /* its exports are shared live: written to, as the caller */
    bool lone_id;       /* its user namespace maps one id: all others are shown as root's */
    uint64_t keep_caps; /* capabilities (bit n) to keep, e.g. CAP_DAC_READ_SEARCH; mostly 0 */
};

/* Fences itself (Landlock, seccomp, no capabilities, only these descriptors), then serves until the
 * socket closes. Never returns. Exit status 0, or 1 when a fence could not be put up. */
void gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));

/*
 * For the front end, before it clones sentry and gofer, which both inherit the result: a ring that
 * can do READ, WRITE, FSYNC, POLL_ADD and ASYNC_CANCEL on fixed files and nothing else, enabled,
 * with an empty table of GOFER_RING_SLOTS files. The descriptor, or -errno (use -1 as ring_fd).
 */
#define GOFER_RING_SLOTS 512
int gofer_ring_new(void);

/* SPDX-License-Identifier: Apache-2.0 */
/* The gofer process as the front end starts it (forked, not exec'd). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct gofer_export {
    int fd;               /* O_PATH: a detached mount (open_tree) or a plain directory or file */
    bool public_only;     /* show only what any user may read (others have r, directories r and x) */
    const char *const *names; /* NULL: all; else the only names (one level) shown beneath it */
    unsigned nnames;
};

struct gofer_config {
    int sock;             /* SEQPACKET, the sentry's end is elsewhere */
    int ring_fd;          /* the sentry's restricted ring for installing fixed files, or -1 */
    const struct gofer_export *exports;
    unsigned nexports;
    uint64_t without;
};

/* Fences itself (Landlock, seccomp, no capabilities, only these descriptors), then serves until the
 * socket closes. Never returns. */
void gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));

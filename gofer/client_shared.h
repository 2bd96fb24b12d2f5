/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's requests about what is shared live (gofer/PROTOCOL.md), beside those of client.h.
 * Each is one round trip unless said; errors are the host's errno, negative.
 *
 * An open file is a node as well: with the path "" it stands for the file itself, whatever became
 * of its name. Its descriptor is the caller's and one open file description with the gofer's.
 */
#pragma once

#include "gofer/client.h"
#include "gofer/protocol.h"

struct gofer_opened {
    uint64_t node; /* of an open file, to be given back by gofer_close; of a directory made */
    int fd;        /* the caller's; -1: none */
    struct gofer_attr attr;
};

/* target: of a link, else NULL. */
int gofer_make(struct gofer *g, uint64_t node, const char *path, const struct gw_make *m,
               const char *target, struct gofer_opened *ret);
/* A regular file; flags: O_ACCMODE, O_APPEND, O_TRUNC, O_NOATIME, O_SYNC. */
int gofer_openat(struct gofer *g, uint64_t node, const char *path, int flags,
                 struct gofer_opened *ret);
/* The node goes at once, and with it the gofer's hold of the file. No round trip. */
void gofer_close(struct gofer *g, uint64_t node);
int gofer_remove(struct gofer *g, uint64_t node, const char *path, bool dir);
int gofer_rename(struct gofer *g, uint64_t node, const char *path, uint64_t to, const char *new,
                 unsigned flags);
int gofer_link(struct gofer *g, uint64_t node, const char *path, uint64_t to, const char *new);
int gofer_setattr(struct gofer *g, uint64_t node, const char *path, const struct gw_setattr *a,
                  struct gofer_attr *ret);
/* value NULL: removes it. */
int gofer_setxattr(struct gofer *g, uint64_t node, const char *path, const char *name,
                   const void *value, size_t n, int flags);
int gofer_sync(struct gofer *g, uint64_t node, const char *path, bool whole);
/* node: an open file. -EAGAIN: another holds it. GET: *l becomes what is in the way, or F_UNLCK. */
int gofer_lock(struct gofer *g, uint64_t node, struct gw_lock *l);
/* NEW: ret gets the queue. ADD: the watch's number. */
int gofer_watch(struct gofer *g, uint64_t node, const char *path, const struct gw_watch *w,
                struct gofer_opened *ret);

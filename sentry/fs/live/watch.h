/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's inotify, for inotify instances of the sandbox (fs/inotify.c). A queue of the host's is a
 * descriptor here that events are read from; what is watched is said to the gofer, which looks it up
 * beneath its exports. Each is a trip: no short lock may be held.
 */
#pragma once

#include <stdint.h>

struct gofer;
struct inode;

struct live_queue {
    struct gofer *g; /* whose it is */
    uint64_t node;
    int fd; /* does not block; -1: none */
};

/* -EMFILE and the like: the host's limits, which are the caller's. */
int live_queue_new(struct inode *i, struct live_queue *ret);
void live_queue_close(struct live_queue *q);
/* The host's number of the watch; one of the same inode's is the same. -EXDEV: i is another gofer's. */
int live_watch(struct inode *i, const struct live_queue *q, uint32_t mask);
void live_unwatch(const struct live_queue *q, int wd);

/* SPDX-License-Identifier: Apache-2.0 */
/* Inside inotify: what inotify.c and inotify_host.c share. All is guarded by notify_lock. */
#pragma once

#include "sentry/fs/inotify.h"
#include "sentry/fs/live/watch.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"
#include "sentry/vfs/notify.h"

#define LX_IN_EXCL_UNLINK 0x04000000u
#define LX_IN_MASK_CREATE 0x10000000u
#define LX_IN_MASK_ADD 0x20000000u
#define LX_IN_ONESHOT 0x80000000u

struct lx_inotify_event {
    int32_t wd;
    uint32_t mask, cookie, len;
};

struct inotify_user { /* what the instances of one user have */
    struct list link;
    uid_t uid;
    unsigned instances, watches;
};

struct inotify {
    struct inotify_user *user;
    struct waitqueue wq;
    struct list events;  /* struct event */
    struct list watches; /* struct watch */
    unsigned nevents, max_events;
    size_t bytes; /* of all queued events, as read gives them */
    int last_wd;
    bool overflowed; /* the overflow event is in the queue */
    struct live_queue host;
    unsigned adding; /* watches of the host's that are not known here yet: its events stay there */
};

struct watch {
    struct fsnotify_watch w;
    struct list link; /* in->watches */
    struct inotify *in;
    int wd;
    int host_wd; /* -1: not the host's */
    bool oneshot;
    uint32_t shown; /* mask as fdinfo shows it */
};

struct event {
    struct list link;
    struct lx_inotify_event head;
    char name[]; /* head.len bytes, padded with zeros */
};

void inotify_queue_locked(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
                          const char *name);
/* w is off its inode already. */
void inotify_watch_free_locked(struct watch *w);
struct watch *inotify_watch_of_locked(struct inotify *in, struct inode *inode);
int inotify_watch_new_locked(struct inotify *in, struct inode *inode, struct watch **ret);

/* inotify_host.c, notify_lock not held but by the second: */

/* Moves what the host has queued into our queue. */
void inotify_take_host(struct inotify *in);
/* Are there events of the host's that were not moved yet? */
bool inotify_host_ready(const struct inotify *in);
/* inotify_add for what the host watches. */
int inotify_add_on_host(struct inotify *in, struct inode *inode, uint32_t mask);

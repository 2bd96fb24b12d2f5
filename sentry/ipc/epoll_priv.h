/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of epoll share: epoll.c (the set as a file, and collecting), epoll_item.c
 * (members, their hooks on wait queues, control).
 *
 *   ep->lock          LOCK_EPOLL    [E] the members of a set; held while they are polled. A set's
 *                                   lock before those of sets it watches (lock_nested).
 *   epoll_ready_lock  LOCK_EPREADY  [R] one for all sets: ready lists, events of members, and the
 *                                   graph of who watches whom. Taken from wakes.
 *
 * A member holds no reference to its file: it is taken out by epoll_file_gone() before the file
 * goes. Wakes go up from a set to those that watch it along the graph, not through wait queues, so
 * that no two queues' locks are ever nested.
 */
#pragma once

#include <sys/epoll.h>

#include "sentry/ipc/epoll.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"

#define EP_MAX_NESTS 4
/* What is no event but a way to watch. */
#define EP_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

struct epitem;

struct epoll {
    struct lock lock;
    _Atomic int refs;      /* the file's, and those of epoll_file_gone in passing */
    struct file *file;     /* [I] not a reference */
    struct epitem **hash;  /* [E] by descriptor number */
    unsigned nhash, count; /* [E] */
    struct list ready;     /* [R] members that may hold */
    struct list nested;    /* [R] members that are sets themselves */
    uint64_t stamp;        /* [R] of the walk that came by last */
    int memo;              /* [R] what that walk found */
    struct waitqueue wq;   /* tasks in epoll_wait, and polls of the set */
};

struct ephook { /* one entry on one wait queue of a member's file */
    struct wait_entry e;
    struct epitem *item;
    struct ephook *next;
};

struct epitem {
    struct epitem *next;      /* [E] hash chain */
    struct epoll *ep;         /* [I] */
    struct file *file;        /* [I] */
    int fd;                   /* [I] */
    struct lx_epoll_event ev; /* [R] written with [E] held too */
    struct list ready_link;   /* [R] */
    struct list file_link;    /* [R] in file->epoll_items */
    struct list nested_link;  /* [R] in ep->nested */
    struct ephook *hooks;     /* [E] */
    struct task *task;        /* reference: a signalfd hangs on its queue */
};

extern struct lock epoll_ready_lock;
extern const struct file_ops epoll_ops;

static inline struct epoll *epoll_of(struct file *f)
{
    return f->ops == &epoll_ops ? f->priv : NULL;
}

void epoll_put(struct epoll *ep);

/* Puts item on its set's ready list and wakes who waits for the set; epoll_ready_lock held. Was
 * anybody there? */
bool epoll_mark_ready_locked(struct epitem *item);

/* Does a set have a member that holds? Drops those that don't from the ready list. */
bool epoll_any(struct epoll *ep, struct task *t, bool nested);

/* What item's file says now, of what is asked for; ep->lock held. pt may be NULL. */
uint32_t epitem_poll(struct epitem *item, struct task *t, struct poll_table *pt);

/* Takes item out of its set and frees it; ep->lock held. */
void epitem_remove(struct epitem *item);

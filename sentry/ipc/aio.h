/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts of asynchronous input and output, io_setup(2): a ring of events that a process reads by
 * itself, and what is still to end in it.
 *
 * A context belongs to an address space and ends with it. What it has in flight are polls only (see
 * syscalls/aio.c); they hold a reference on it, and none on memory.
 */
#pragma once

#include "abi/aio.h"
#include "sentry/kernel/wait.h"
#include "sentry/mm/shpages.h"

struct file;
struct mm;
struct task;

struct aio_ctx {
    _Atomic int refs;
    struct list link; /* mm->lock; in the table */
    gaddr_t id;       /* mm->lock; where the ring lies in the guest; 0: nowhere yet */
    unsigned index;   /* [I] as the ring's header says */
    unsigned max;     /* [I] what it counts in aio-nr */
    unsigned nr;      /* [I] events in the ring */
    struct lock lock; /* LOCK_OBJECT; guards what follows, and the ring */
    struct shpages pages;
    unsigned tail;     /* where the next event goes; what stands in the ring is not believed */
    unsigned active;   /* begun, and not in the ring yet */
    struct list polls; /* aio_poll.link */
    bool dead;
    struct waitqueue wq; /* who waits for events */
};

/* A context with room for nr events, of t's address space but without an address. ERR_PTR. */
struct aio_ctx *aio_ctx_new(struct task *t, unsigned nr);
void aio_ctx_put(struct aio_ctx *c);
/* Its address is known: from now on it is found. */
void aio_ctx_publish(struct task *t, struct aio_ctx *c, gaddr_t id);
/* By its address, in t's memory; a reference. NULL. */
struct aio_ctx *aio_ctx_get(struct task *t, gaddr_t id);
/* Takes it out of its table and ends what it has in flight. False: somebody else did. */
bool aio_ctx_kill(struct mm *mm, struct aio_ctx *c);

/* Room for one more event is taken: false when there is none. aio_complete gives it back. */
bool aio_begin(struct aio_ctx *c);
void aio_abort(struct aio_ctx *c);
void aio_complete(struct aio_ctx *c, const struct lx_io_event *ev, struct file *resfd);
/*
 * Moves events from the ring to the guest, at most max. Their number; -EFAULT when not even one could
 * be stored; -EINVAL when the context is dead and there are none.
 */
long aio_take(struct task *t, struct aio_ctx *c, gaddr_t to, long max);
/* Waits for events, unless there are some now or the context is dead (0). As task_wait. */
int aio_wait(struct task *t, struct aio_ctx *c);

/* Waits for a file's events beside the caller. Takes over the references on f and resfd (also on
 * failure), and what aio_begin took. 0 or -ENOMEM. */
int aio_poll_start(struct task *t, struct aio_ctx *c, struct file *f, struct file *resfd,
                   uint32_t events, uint64_t obj, uint64_t data);
/* -EINPROGRESS: it will end as an event. -EINVAL: there is no such request. */
int aio_poll_cancel(struct aio_ctx *c, uint64_t obj);

void aio_mm_gone(struct mm *mm);
#define AIO_MAX_NR 65536u
uint64_t aio_count(void); /* fs.aio-nr */

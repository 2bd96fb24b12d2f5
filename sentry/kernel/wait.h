/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting. A blocked call is a record, not a thread: a handler that has to wait queues its task's
 * record and returns -EWAITING; whoever makes the awaited thing true wakes the queue, and a worker
 * runs the handler again from the record.
 *
 *      handler (under the object's lock)              waker (under the same lock)
 *      ---------------------------------              ---------------------------
 *      test the condition: false                      make it true
 *      r = task_wait(t, &obj->wq, WAIT_EXCL)          wq_wake(&obj->wq, POLLIN)
 *      unlock; return r                               unlock
 *
 * The object's lock makes the test and the queueing one step, so no wake is lost. A handler is run
 * again from its first line: it must find what it has decoded and done so far in the record
 * (call.h), test its condition FIRST, and only then ask to wait again, because task_wait is where a
 * signal or an expired deadline is reported.
 *
 * State of a record (task.rec):
 *
 *      RUN --task_wait--> QUEUED --dispatcher--> WAITING --claim--> READY --worker--> RUN
 *                           \--claim--> WOKEN --dispatcher--> RUN
 *
 * claim is one compare-and-swap; event, deadline, signal, exit and freeze all use it, and the
 * losers do nothing. The winner puts a WAITING record on its worker's ready list; it never runs it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"

struct task;
struct wait_entry;

struct waitqueue {
    struct lock lock; /* LOCK_WQ */
    struct list entries;
};

enum {
    WAIT_EXCL = 1, /* woken one at a time, first come first served */
    WAIT_KILL = 2, /* only a fatal signal interrupts */
};

/*
 * Called under q's lock; may take LOCK_EPREADY and later classes only. events 0: unspecified. true:
 * somebody will see to it; an exclusive entry that says false is passed over for the next.
 */
typedef bool (*wait_func)(struct wait_entry *e, uint32_t events);

struct wait_entry {
    struct list link;    /* guarded by q->lock */
    struct waitqueue *q; /* NULL when on no queue */
    struct task *task;   /* whose record is claimed, when func is NULL */
    wait_func func;
    uint32_t mask; /* poll events it cares for; 0: all */
    bool excl;
};

void wq_init(struct waitqueue *q);
/* As wq_init, for the queue of an object that other queues' callbacks wake (an epoll set). */
void wq_init_epoll(struct waitqueue *q);
void wq_done(struct waitqueue *q);

/* Puts e on q / takes it off; for entries with a func. The queue must outlive the entry. */
void wq_add(struct waitqueue *q, struct wait_entry *e);
void wq_del(struct wait_entry *e);

/*
 * Wakes every shared entry whose mask meets events, and the first exclusive one. Call it under the
 * lock that guards the condition. wq_wake_all wakes the exclusive ones too (hang-up, close).
 */
void wq_wake(struct waitqueue *q, uint32_t events);
void wq_wake_all(struct waitqueue *q, uint32_t events);
bool wq_active(struct waitqueue *q); /* is anything on it? */

/*
 * The one way to wait. Returns -EWAITING (queued; return it), -ERESTARTSYS (a signal is pending:
 * turn it into what Linux gives for this call, bytes done first), or -ETIMEDOUT (the record's
 * deadline, call_deadline(), has passed). The caller holds the lock that guards the condition, and
 * a reference that keeps q alive lies in the record.
 */
int task_wait(struct task *t, struct waitqueue *q, unsigned flags) __must_check;

/* Waits for nothing but a signal or the deadline (pause, nanosleep). */
int task_sleep(struct task *t) __must_check;

/*
 * Waits on many queues (poll): after task_sleep has returned -EWAITING, hangs the record on q too,
 * with the next entry of call.more (false: none is left). No one lock guards what is waited for, so
 * the caller tests all once more afterwards, and calls task_interrupt(t) when something is true by
 * now: the handler is then run again at once.
 */
bool task_wait_more(struct task *t, struct waitqueue *q, uint32_t mask);

/*
 * A lock of a task, not of a thread: may be held over gofer trips, host I/O and waits. tlock
 * returns 0 when t holds it (also when it did before: a handler run again may call it again), or
 * -EWAITING. Released by tunlock, at the latest in the handler's last run.
 */
struct tlock {
    struct lock lock; /* LOCK_LEAF is not possible: wakes; class LOCK_OBJECT by default */
    struct task *_Atomic owner;
    struct waitqueue wq;
};

void tlock_init(struct tlock *l);
void tlock_done(struct tlock *l);
int tlock(struct task *t, struct tlock *l) __must_check;
void tunlock(struct task *t, struct tlock *l);

/* Signal, exit, freeze: ends t's wait if it waits, or kicks it if it runs guest code. */
void task_interrupt(struct task *t);

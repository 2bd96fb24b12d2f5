/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues and the claiming of records; the protocol stands in wait.h.
 *
 * A signal against a task that is about to wait:
 *
 *      task_wait                                  signal_send
 *      ---------                                  -----------
 *      rec = QUEUED           (A)                 t->sigpending = true       (C)
 *      test t->sigpending     (B)                 claim(t): is it QUEUED?    (D)
 *
 * All four are sequentially consistent: if B misses C, then A came before D, and D claims.
 */
#include "sentry/kernel/wait.h"

#include <errno.h>

#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"

void wq_init(struct waitqueue *q)
{
    lock_init(&q->lock, LOCK_WQ);
    list_init(&q->entries);
}

void wq_init_epoll(struct waitqueue *q)
{
    lock_init(&q->lock, LOCK_WQ_EPOLL);
    list_init(&q->entries);
}

void wq_done(struct waitqueue *q)
{
    lock_done(&q->lock);
}

void wq_add(struct waitqueue *q, struct wait_entry *e)
{
    LOCK_SCOPE(&q->lock);
    e->q = q;
    list_add_tail(&q->entries, &e->link);
}

void wq_del(struct wait_entry *e)
{
    struct waitqueue *q = e->q;

    if (!q)
        return;
    lock(&q->lock);
    list_del(&e->link);
    e->q = NULL;
    unlock(&q->lock);
}

bool wq_active(struct waitqueue *q)
{
    LOCK_SCOPE(&q->lock);
    return !list_empty(&q->entries);
}

/* One compare-and-swap decides who ends a wait. The winner's record becomes ready, or its handler is
 * still on the way out and will be run again by its own worker. */
static bool claim(struct task *t)
{
    int st = atomic_load(&t->rec);

    for (;;) {
        if (st == REC_QUEUED) {
            if (atomic_compare_exchange_weak(&t->rec, &st, REC_WOKEN))
                return true;
        } else if (st == REC_WAITING) {
            if (atomic_compare_exchange_weak(&t->rec, &st, REC_READY)) {
                task_make_ready(t);
                return true;
            }
        } else {
            return false;
        }
    }
}

bool task_take(struct task *t)
{
    int st = REC_WAITING;

    return atomic_compare_exchange_strong(&t->rec, &st, REC_READY);
}

static void wake(struct waitqueue *q, uint32_t events, bool all)
{
    struct wait_entry *e, *tmp;

    LOCK_SCOPE(&q->lock);
    bool excl_done = false;

    list_for_each_safe(e, tmp, &q->entries, link) {
        bool taken;

        if (events && e->mask && !(e->mask & events))
            continue;
        if (e->excl && excl_done)
            continue;
        taken = e->func ? e->func(e, events) : claim(e->task);
        if (taken && e->excl && !all)
            excl_done = true;
    }
}

void wq_wake(struct waitqueue *q, uint32_t events)
{
    wake(q, events, false);
}

void wq_wake_all(struct waitqueue *q, uint32_t events)
{
    wake(q, events, true);
}

static bool interrupted(const struct task *t, unsigned flags)
{
    return flags & WAIT_KILL ? atomic_load(&t->fatal) || atomic_load(&t->leaving)
                             : atomic_load(&t->sigpending) || atomic_load(&t->leaving);
}

/* RUN becomes QUEUED; a record that is queued already, or woken by now, stays so. */
static void set_queued(struct task *t)
{
    int st = REC_RUN;

    atomic_compare_exchange_strong(&t->rec, &st, REC_QUEUED);
}

static int queue_and_check(struct task *t, struct waitqueue *q, struct wait_entry *e, uint32_t mask,
                           unsigned flags)
{
    set_queued(t);
    if (e) {
        e->task = t;
        e->func = NULL;
        e->mask = mask;
        e->excl = flags & WAIT_EXCL;
        wq_add(q, e);
    }
    t->call.wait_flags = flags;
    if (interrupted(t, flags))
        claim(t); /* run again at once: the handler then sees the signal */
    return -EWAITING;
}

static int may_wait(struct task *t, unsigned flags)
{
    if (t->call.deadline != KTIME_NEVER && ktime_now() >= t->call.deadline) {
        t->call.expired = true;
        return -ETIMEDOUT;
    }
    return interrupted(t, flags) ? -ERESTARTSYS : 0;
}

int task_wait(struct task *t, struct waitqueue *q, unsigned flags)
{
    struct wait_entry *e = NULL;
    int r = may_wait(t, flags);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < CALL_ENTRIES && !e; i++) {
        if (!t->call.entries[i].q)
            e = &t->call.entries[i];
    }
    if (!e)
        return -ENOMEM; /* a handler that waits on more queues uses task_wait_more */
    return queue_and_check(t, q, e, 0, flags);
}

int task_sleep(struct task *t)
{
    int r = may_wait(t, 0);

    return r < 0 ? r : queue_and_check(t, NULL, NULL, 0, 0);
}

bool task_wait_more(struct task *t, struct waitqueue *q, uint32_t mask)
{
    struct wait_entry *e;

    if (t->call.more_used == t->call.more_cap)
        return false;
    e = &t->call.more[t->call.more_used++];
    e->task = t;
    e->func = NULL;
    e->mask = mask;
    e->excl = false;
    wq_add(q, e);
    return true;
}

void task_unqueue(struct task *t)
{
    for (unsigned i = 0; i < CALL_ENTRIES; i++)
        wq_del(&t->call.entries[i]);
    for (unsigned i = 0; i < t->call.more_used; i++)
        wq_del(&t->call.more[i]);
    t->call.more_used = 0;
}

void task_deadline(struct ktimer *tm)
{
    claim(container_of(tm, struct task, deadline));
}

/*
 * Against a wait that only a fatal signal may end this is a no-op unless one is pending. A task in
 * guest code is kicked; the kick waits in the host until the blob's handler is left.
 */
void task_interrupt(struct task *t)
{
    int st = atomic_load(&t->rec);

    if (st == REC_WAITING && (t->call.wait_flags & WAIT_KILL) && !atomic_load(&t->fatal) &&
        !atomic_load(&t->leaving))
        return;
    if (claim(t))
        return;
    if (atomic_load(&t->where) == IN_GUEST && t->ctx)
        kernel.platform->ctx_kick(t->ctx);
}

/* ---- task locks ---- */

void tlock_init(struct tlock *l)
{
    lock_init(&l->lock, LOCK_OBJECT);
    atomic_store_explicit(&l->owner, NULL, memory_order_relaxed);
    wq_init(&l->wq);
}

void tlock_done(struct tlock *l)
{
    wq_done(&l->wq);
    lock_done(&l->lock);
}

/* t NULL: at start-up, where there is nobody to wait for. */
int tlock(struct task *t, struct tlock *l)
{
    LOCK_SCOPE(&l->lock);

    if (!t || l->owner == t)
        return 0;
    if (!l->owner) {
        atomic_store_explicit(&l->owner, t, memory_order_relaxed);
        return 0;
    }
    return task_wait(t, &l->wq, WAIT_EXCL | WAIT_KILL);
}

void tunlock(struct task *t, struct tlock *l)
{
    LOCK_SCOPE(&l->lock);

    if (!t || l->owner != t)
        return;
    atomic_store_explicit(&l->owner, NULL, memory_order_relaxed);
    wq_wake(&l->wq, 0);
}

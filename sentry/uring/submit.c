/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From entries to requests. An entry is copied once and checked; what is wrong with it becomes its
 * result. Linked entries are gathered into a chain, which is started when its last one is there.
 *
 * A drain is held back until all requests before it have ended, and what comes behind it until it has
 * begun. They stand on ring->deferred, in order.
 *
 * IORING_SETUP_SQPOLL: a call without a thread takes entries off. It never spins: it says at once that
 * it has to be woken (IORING_SQ_NEED_WAKEUP), as the kernel's does when it has been idle long enough.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/uring/uring.h"

#define SQE_FLAGS                                                                                  \
    (LX_SQE_FIXED_FILE | LX_SQE_DRAIN | LX_SQE_LINK | LX_SQE_HARDLINK | LX_SQE_ASYNC |             \
     LX_SQE_BUFFER_SELECT | LX_SQE_CQE_SKIP)
#define ROUNDS_AT_ONCE 64
#define PAUSE 200000 /* ns */
#define LINKS (LX_SQE_LINK | LX_SQE_HARDLINK)

struct chain {
    struct ureq *head, *last;
    bool drain, failed;
};

/* ---- one entry ---- */

static bool fetch(struct uring *r, struct lx_sqe *to)
{
    size_t size = r->flags & LX_URING_SQE128 ? 128 : 64;
    uint32_t at = r->sq_head & (r->sq_entries - 1);

    if (sh_load(&r->head->sq_tail) == r->sq_head)
        return false;
    if (r->array)
        at = sh_load(&r->array[at]);
    sh_store(&r->head->sq_head, ++r->sq_head);
    if (at >= r->sq_entries) {
        sh_store(&r->head->sq_dropped, sh_load(&r->head->sq_dropped) + 1);
        return false;
    }
    memcpy(to, (uint8_t *)r->sqes.mem + at * size, sizeof *to);
    return true;
}

static bool restricted(const struct uring *r, const struct lx_sqe *s)
{
    const struct uring_restrict *l = &r->limit;

    if (!l->registered)
        return false;
    if (!(l->sqe_ops >> s->opcode & 1))
        return true;
    if ((s->flags & l->flags_required) != l->flags_required)
        return true;
    return s->flags & ~(l->flags_allowed | l->flags_required);
}

static int personality(struct ureq *q)
{
    struct uring *r = q->ring;
    unsigned id = q->sqe.personality;

    if (!id)
        return 0;
    LOCK_SCOPE(&r->lock);
    if (id > ARRAY_SIZE(r->personality) || !r->personality[id - 1])
        return -EINVAL;
    async_own(&q->task);
    cred_put(q->task.cred);
    q->task.cred = cred_ref(r->personality[id - 1]);
    return 0;
}

static int check(struct ureq *q, struct chain *c)
{
    struct uring *r = q->ring;
    const struct lx_sqe *s = &q->sqe;
    int n;

    q->op = uop_of(s->opcode);
    if (!q->op || s->flags & ~SQE_FLAGS)
        return -EINVAL;
    if (s->flags & LX_SQE_BUFFER_SELECT && !(q->op->flags & UOP_SELECT))
        return -EOPNOTSUPP;
    if (s->flags & LX_SQE_CQE_SKIP)
        r->drain_disabled = true;
    if (s->flags & LX_SQE_DRAIN) {
        if (r->drain_disabled)
            return -EOPNOTSUPP;
        c->drain = true;
        if (c->head)
            r->drain_next = true;
    }
    if (restricted(r, s))
        return -EACCES;
    if (s->ioprio && !(q->op->flags & UOP_PRIO))
        return -EINVAL;
    if (r->flags & LX_URING_IOPOLL && q->op->flags & UOP_NO_IOPOLL)
        return -EINVAL;
    n = personality(q);
    if (n < 0)
        return n;
    if (s->opcode == LX_OP_LINK_TIMEOUT && (!c->head || c->last->sqe.opcode == LX_OP_LINK_TIMEOUT))
        return -EINVAL;
    return q->op->prep ? q->op->prep(q) : 0;
}

/* ---- chains ---- */

static void own_all(struct ureq *q)
{
    for (; q; q = q->next)
        async_own(&q->task);
}

static void queue(struct uring *r, struct chain *c)
{
    struct ureq *head = c->head;
    bool wait;

    lock(&r->lock);
    wait = !list_empty(&r->deferred) || (c->drain && r->finished < head->seq);
    if (wait) {
        own_all(head);
        if (!c->drain)
            head->seq = 0;
        list_add_tail(&r->deferred, &head->dlink);
    }
    unlock(&r->lock);
    *c = (struct chain){ 0 };
    if (!wait)
        ureq_start(head);
}

void uring_undefer(struct uring *r)
{
    for (;;) {
        struct ureq *q = NULL;

        lock(&r->lock);
        if (!list_empty(&r->deferred)) {
            q = list_first(&r->deferred, struct ureq, dlink);
            if (r->finished < q->seq && !atomic_load(&r->closed))
                q = NULL;
            else
                list_del(&q->dlink);
        }
        unlock(&r->lock);
        if (!q)
            return;
        ureq_start(q);
    }
}

/* Adds a request to the chain, and starts that where it ends. The error of the entry, if any. */
static int add(struct uring *r, struct chain *c, struct ureq *q)
{
    int err;

    q->seq = r->submitted++;
    if (!c->head && r->drain_next) {
        r->drain_next = false;
        c->drain = true;
    }
    err = check(q, c);
    if (err < 0) {
        q->early = err;
        if (c->head && !c->failed)
            c->head->early = c->head->early ? c->head->early : -ECANCELED;
        c->failed = true;
    }
    if (c->head) {
        async_own(&q->task); /* started by whoever ends the one before */
        c->last->next = q;
    } else {
        c->head = q;
    }
    c->last = q;
    if (q->sqe.flags & LINKS)
        return 0; /* a broken chain is gathered to its end all the same */
    queue(r, c);
    return err;
}

long uring_submit(struct task *t, struct uring *r, unsigned n)
{
    uint32_t there = sh_load(&r->head->sq_tail) - r->sq_head;
    struct chain c = { 0 };
    long done = 0;

    n = MIN(n, MIN(there, r->sq_entries));
    while (done < (long)n) {
        struct ureq *q = ureq_new(t, r);

        if (!q) {
            done = done ? done : -EAGAIN;
            break;
        }
        if (!fetch(r, &q->sqe)) {
            uring_put(r);
            async_abandon(&q->task);
            break;
        }
        done++;
        if (add(r, &c, q) < 0 && !(r->flags & LX_URING_SUBMIT_ALL))
            break;
    }
    if (c.head)
        queue(r, &c);
    return done;
}

/* ---- the polling thread ---- */

struct sqpoll {
    struct task task; /* first */
    struct uring *ring;
};

static void sq_flag(struct uring *r, bool on)
{
    _Atomic uint32_t *flags = (_Atomic uint32_t *)&r->head->sq_flags;

    if (on)
        atomic_fetch_or(flags, LX_SQ_NEED_WAKEUP);
    else
        atomic_fetch_and(flags, ~LX_SQ_NEED_WAKEUP);
}

static int take_all(struct task *t, struct uring *r)
{
    long n;
    int e = tlock(t, &r->submit);

    if (e < 0)
        return e;
    do
        n = uring_submit(t, r, r->sq_entries);
    while (n > 0);
    tunlock(t, &r->submit);
    lock(&r->lock);
    wq_wake_all(&r->sq_wq, 0);
    unlock(&r->lock);
    return 0;
}

static long sqpoll_run(struct task *t)
{
    struct uring *r = container_of(t, struct sqpoll, task)->ring;
    unsigned rounds = 0;
    int w = 0;

    t->call.deadline = KTIME_NEVER;
    while (w == 0 && !async_cancelled(t)) {
        sq_flag(r, false);
        if (!atomic_load(&r->disabled)) {
            w = take_all(t, r);
            if (w < 0)
                return w;
        }
        sq_flag(r, true);
        if (!atomic_load(&r->disabled) && sh_load(&r->head->sq_tail) != r->sq_head) {
            if (++rounds < ROUNDS_AT_ONCE)
                continue;
            call_deadline(t, ktime_now() + PAUSE); /* this thread has others to serve */
        }
        lock(&r->lock);
        w = r->sq_kicked ? 0 : task_wait(t, &r->sqpoll_wq, 0);
        r->sq_kicked = false;
        unlock(&r->lock);
    }
    return w;
}

static void sqpoll_done(struct task *t, long ret)
{
    struct uring *r = container_of(t, struct sqpoll, task)->ring;
    struct task *mine;

    (void)ret;
    async_end_all(t); /* what it has submitted */
    lock(&r->lock);
    mine = r->sqpoll;
    r->sqpoll = NULL;
    wq_wake_all(&r->sq_wq, 0);
    unlock(&r->lock);
    task_put(mine);
    uring_put(r);
}

static void sqpoll_free(struct task *t)
{
    kfree(container_of(t, struct sqpoll, task));
}

static const struct async_ops sqpoll_ops = {
    .run = sqpoll_run,
    .done = sqpoll_done,
    .free = sqpoll_free,
};

int uring_sqpoll_start(struct task *t, struct uring *r)
{
    struct sqpoll *s = kzalloc(sizeof *s);

    if (!s)
        return -ENOMEM;
    async_init(&s->task, &sqpoll_ops, t);
    s->ring = r;
    atomic_fetch_add(&r->refs, 1);
    lock(&r->lock);
    r->sqpoll = task_ref(&s->task);
    unlock(&r->lock);
    async_start(&s->task);
    return 0;
}

void uring_sqpoll_kick(struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    r->sq_kicked = true;
    wq_wake_all(&r->sqpoll_wq, 0);
}

void uring_sqpoll_stop(struct uring *r)
{
    struct task *p = NULL;

    lock(&r->lock);
    if (r->sqpoll)
        p = task_ref(r->sqpoll);
    unlock(&r->lock);
    if (!p)
        return;
    async_end(p);
    task_put(p);
}

int uring_sq_wait(struct task *t, struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    if (!r->sqpoll)
        return -EOWNERDEAD;
    if (sh_load(&r->head->sq_tail) - sh_load(&r->head->sq_head) < r->sq_entries)
        return 0;
    return task_wait(t, &r->sq_wq, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a request.
 *
 *   ureq_new -> (chain, deferred) -> ureq_start -> ureq_run ... -> ureq_done -> finish
 *                                \-> ureq_fail ----------------------------> finish
 *
 * finish posts the result, ends the linked timeout, and starts or fails the rest of the chain. It
 * never nests: what it starts is put on a list of the thread, and run when the thread is back in
 * ureq_start, so that a chain is as long as it likes.
 *
 * A linked timeout (lt) against the request (q) that it guards, both under ring->lock:
 *
 *      start_one                                 finish(q)
 *      ---------                                 ---------
 *      async_start(q)                            q->timeout = NULL, was lt
 *      q->timeout still lt: lt->started          lt->started: cancel it; else it is failed here
 *      then async_start(lt)
 */
#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/proc.h"
#include "sentry/uring/uring.h"

#define TRIES_AT_ONCE 128

static _Atomic uint64_t nr_requests;

static _Thread_local struct {
    bool busy;
    struct list todo; /* ureq.dlink */
} starting;

/* ---- running ---- */

struct file *ureq_file(struct ureq *q, int fd, bool fixed)
{
    return fixed ? rsrc_file_get(q->ring, (unsigned)fd, &q->nodes[0]) : fd_get(&q->task, fd);
}

/* The handlers find the file in slot 0, whatever number the entry had. */
static void lend_file(struct ureq *q)
{
    if (q->file)
        q->task.call.files[0] = file_ref(q->file);
}

void ureq_again(struct ureq *q)
{
    struct call *c = &q->task.call;
    unsigned runs = c->runs;

    call_end(&q->task);
    call_begin(&q->task, c->nr, (const uint64_t[6]){ 0 });
    c->runs = runs;
    lend_file(q);
}

static int begin(struct ureq *q)
{
    if (async_cancelled(&q->task) || atomic_load(&q->ring->closed))
        return -ECANCELED;
    if (q->op->flags & UOP_FILE) {
        q->file = ureq_file(q, q->sqe.fd, q->sqe.flags & LX_SQE_FIXED_FILE);
        if (!q->file)
            return -EBADF;
        lend_file(q);
    }
    q->issued = true;
    return 0;
}

long ureq_wait_file(struct ureq *q, uint32_t events)
{
    q->poll = (struct poll_item){ .file = q->file, .want = events };
    return poll_items(&q->task, &q->poll, 1, /* now= */ false);
}

static bool worth_polling(struct ureq *q)
{
    return q->op->poll && !q->nowait && q->file && q->file->ops->poll && ++q->tries < TRIES_AT_ONCE;
}

static long ureq_run(struct task *t)
{
    struct ureq *q = ureq_of(t);
    long r;

    if (!q->issued) {
        r = begin(q);
        if (r < 0)
            return r;
    }
    for (;;) {
        if (q->polling) {
            r = ureq_wait_file(q, q->op->poll);
            if (r == -EWAITING)
                q->tries = 0;
            if (r < 0)
                return r;
            q->polling = false;
            ureq_again(q);
        }
        r = q->op->issue(q);
        if (r != -EAGAIN || !worth_polling(q))
            return r;
        ureq_again(q);
        q->polling = true;
    }
}

static void ureq_waits(struct task *t)
{
    struct ureq *q = ureq_of(t);

    LOCK_SCOPE(&q->ring->lock);
    list_add_tail(uring_bucket(q->ring, q->sqe.user_data), &q->link);
}

/* ---- the end ---- */

void ureq_expect(struct ureq *q, long res, long want)
{
    if (res < want)
        q->fail = true;
}

static struct ucqe cqe_of(struct ureq *q, long res, uint32_t flags)
{
    return (struct ucqe){ .user_data = q->sqe.user_data,
                          .res = (int32_t)res,
                          .flags = flags,
                          .extra = { q->extra[0], q->extra[1] } };
}

static bool more(struct ureq *q, long res, uint32_t cflags, bool may_overflow)
{
    struct uring *r = q->ring;
    struct ucqe c = cqe_of(q, res, cflags | q->cflags | LX_CQE_MORE);
    bool posted;

    lock(&r->lock);
    posted = q->task.async_waited ? cq_post_async_locked(r, &c, may_overflow)
                                  : cq_post_locked(r, &c, may_overflow);
    unlock(&r->lock);
    if (posted) {
        q->cflags = 0;
        cq_signal(r, q->sqe.flags & LX_SQE_ASYNC);
    }
    return posted;
}

bool ureq_more(struct ureq *q, long res, uint32_t cflags)
{
    return more(q, res, cflags, /* may_overflow= */ false);
}

void ureq_first(struct ureq *q, long res)
{
    q->fail |= res < 0;
    (void)more(q, res, 0, /* may_overflow= */ true);
}

/* Ends the timeout that guarded q; was_started as seen under the lock, with a reference then. */
static void end_timeout(struct ureq *lt, bool was_started)
{
    if (!was_started) {
        ureq_fail(lt, -ECANCELED);
        return;
    }
    async_cancel(&lt->task);
    task_put(&lt->task);
}

static void go_on(struct ureq *next, bool failed, bool quiet)
{
    if (!next)
        return;
    if (failed)
        ureq_fail_chain(next, quiet);
    else
        ureq_start(next);
}

/* q is not run any more, and has given back what it held. */
static void finish(struct ureq *q, long res)
{
    struct uring *r = q->ring;
    bool aside = q->sqe.opcode == LX_OP_LINK_TIMEOUT && !q->early; /* what it says is no failure */
    bool failed = (res < 0 && !q->fine && !aside) || q->fail, skip = q->sqe.flags & LX_SQE_CQE_SKIP;
    bool post = !q->no_cqe && !(skip && !failed), lt_started = false, deferred;
    struct ureq *lt, *next = q->next;
    struct ucqe c = cqe_of(q, res, q->cflags);

    q->next = NULL;
    lock(&r->lock);
    list_del(&q->link);
    list_del(&q->tlink);
    lt = q->timeout;
    q->timeout = NULL;
    if (lt && lt->started) {
        lt_started = true;
        task_ref(&lt->task);
    }
    if (q->target && q->target->timeout == q)
        q->target->timeout = NULL;
    if (q->sqe.opcode == LX_OP_TIMEOUT)
        r->cq_timeouts++;
    r->finished++;
    if (post && q->task.async_waited)
        cq_post_async_locked(r, &c, /* may_overflow= */ true);
    else if (post)
        cq_post_locked(r, &c, /* may_overflow= */ true);
    deferred = !list_empty(&r->deferred);
    unlock(&r->lock);
    if (post)
        cq_signal(r, q->sqe.flags & LX_SQE_ASYNC);
    if (q->target)
        task_put(&q->target->task);
    if (lt)
        end_timeout(lt, lt_started);
    go_on(next, failed && !(q->sqe.flags & LX_SQE_HARDLINK && !q->early), skip && failed);
    if (deferred)
        uring_undefer(r);
    rsrc_node_put(q->nodes[0]);
    rsrc_node_put(q->nodes[1]);
    uring_put(r);
}

static long outcome(struct ureq *q, long ret)
{
    bool interrupted = (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK) || ret == -EINTR;

    if (!interrupted)
        return ret;
    return async_cancelled(&q->task) ? -ECANCELED : -EINTR;
}

static void let_go(struct ureq *q)
{
    if (q->op && q->op->cleanup)
        q->op->cleanup(q);
    if (q->has_buffer)
        pbuf_give_back(q);
    file_put(q->file);
    q->file = NULL;
}

static void ureq_done(struct task *t, long ret)
{
    struct ureq *q = ureq_of(t);

    let_go(q);
    finish(q, outcome(q, ret));
}

static void ureq_free(struct task *t)
{
    kfree(ureq_of(t));
    limit_give(&nr_requests);
}

static const struct async_ops ureq_ops = {
    .run = ureq_run,
    .waits = ureq_waits,
    .done = ureq_done,
    .free = ureq_free,
};

void ureq_fail(struct ureq *q, long res)
{
    let_go(q);
    finish(q, res);
    async_abandon(&q->task);
}

void ureq_fail_chain(struct ureq *q, bool quiet)
{
    while (q) {
        struct ureq *next = q->next;

        q->next = NULL;
        q->no_cqe = quiet;
        ureq_fail(q, q->early ? q->early : -ECANCELED);
        q = next;
    }
}

/* ---- the beginning ---- */

struct ureq *ureq_new(struct task *t, struct uring *r)
{
    struct ureq *q;

    if (!limit_take(LIMIT_REQUESTS, &nr_requests))
        return NULL;
    q = kzalloc(sizeof *q);
    if (!q) {
        limit_give(&nr_requests);
        return NULL;
    }
    async_init(&q->task, &ureq_ops, t);
    list_init(&q->link);
    list_init(&q->tlink);
    list_init(&q->dlink);
    q->ring = r;
    atomic_fetch_add(&r->refs, 1);
    return q;
}

static void start_one(struct ureq *q)
{
    struct ureq *lt = q->next;
    bool go;

    if (q->early) {
        struct ureq *next = q->next;

        q->next = NULL;
        ureq_fail(q, q->early);
        ureq_fail_chain(next, /* quiet= */ false);
        return;
    }
    if (!lt || lt->sqe.opcode != LX_OP_LINK_TIMEOUT || lt->early) {
        async_start(&q->task);
        return;
    }
    q->next = lt->next;
    lt->next = NULL;
    lt->target = q;
    q->timeout = lt;
    task_ref(&q->task); /* the timeout's */
    task_ref(&q->task);
    async_start(&q->task);
    lock(&q->ring->lock);
    go = q->timeout == lt;
    if (go)
        lt->started = true;
    unlock(&q->ring->lock);
    if (go)
        async_start(&lt->task);
    task_put(&q->task);
}

void ureq_start(struct ureq *q)
{
    if (!starting.todo.next)
        list_init(&starting.todo);
    list_add_tail(&starting.todo, &q->dlink);
    if (starting.busy)
        return;
    starting.busy = true;
    while (!list_empty(&starting.todo)) {
        q = list_first(&starting.todo, struct ureq, dlink);
        list_del(&q->dlink);
        start_one(q);
    }
    starting.busy = false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IORING_OP_MADVISE. Only a thread of that address space can do it: the request waits in a list of the
 * ring, and io_uring_enter takes it off, has the caller's own context carry it out, and goes on. One that
 * follows another request (a link) may so have to wait for the next io_uring_enter. A ring with a
 * polling thread of its own has nobody to do it: EOPNOTSUPP.
 */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/mem.h"
#include "sentry/uring/ops.h"
#include "sentry/uring/uring.h"

int madvise_prep(struct ureq *q)
{
    return q->sqe.buf_index || q->sqe.splice_fd_in ? -EINVAL : 0;
}

static uint64_t length(const struct ureq *q)
{
    return q->sqe.off ? q->sqe.off : q->sqe.len;
}

static int check(const struct ureq *q)
{
    int e = madvise_check((int)q->sqe.op_flags);

    if (e == 0 && q->sqe.addr & (PAGE_SIZE_4K - 1))
        e = -EINVAL;
    return e < 0 ? e : mem_range_check(q->sqe.addr, length(q));
}

long madvise_issue(struct ureq *q)
{
    struct uring *r = q->ring;
    int w;

    if (r->flags & LX_URING_SQPOLL)
        return -EOPNOTSUPP;
    w = check(q);
    if (w < 0)
        return w;
    LOCK_SCOPE(&r->lock);
    if (q->u.ad.done)
        return q->u.ad.ret;
    if (!q->u.ad.queued) {
        q->u.ad.queued = true;
        list_add_tail(&r->advice, &q->u.ad.link);
        wq_wake_all(&r->cq_wq, 0); /* who waits for results can do it */
    }
    w = task_wait(&q->task, &r->advice_wq, 0);
    if (w < 0 && w != -EWAITING)
        list_del(&q->u.ad.link);
    return w;
}

/* What the context has done is told. */
static void settle(struct advice *a, bool carried_out)
{
    for (unsigned i = 0; i < a->n; i++) {
        struct ureq *q = a->q[i];
        struct uring *r = a->ring;

        lock(&r->lock);
        q->u.ad.done = true;
        q->u.ad.ret = carried_out ? a->op[i].ret : -EINTR;
        wq_wake_all(&r->advice_wq, 0);
        unlock(&r->lock);
        task_put(&q->task);
    }
    a->n = 0;
}

void advice_free(struct advice *a)
{
    settle(a, false);
    uring_put(a->ring);
    a->ring = NULL;
}

int uring_advise(struct task *t, struct uring *r, struct advice *a)
{
    struct ureq *q, *qn;

    settle(a, true);
    lock(&r->lock);
    list_for_each_safe(q, qn, &r->advice, u.ad.link) {
        if (a->n == ADVICE_AT_ONCE)
            break;
        if (q->task.mm != t->mm)
            continue;
        list_del(&q->u.ad.link);
        task_ref(&q->task);
        a->op[a->n] = (struct as_op){ .kind = AS_MADVISE,
                                      .fd = -1,
                                      .a = { q->sqe.addr, length(q), q->sqe.op_flags } };
        a->q[a->n++] = q;
    }
    unlock(&r->lock);
    if (!a->n)
        return 0;
    if (!a->ring) {
        atomic_fetch_add(&r->refs, 1);
        a->ring = r;
    }
    return call_ops(t, a->op, a->n);
}

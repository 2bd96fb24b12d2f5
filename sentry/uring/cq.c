/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results. They go into the ring while there is room; then onto a list, in their order, until the
 * program has taken some (IORING_FEAT_NODROP). A result for which there is no memory is counted and
 * lost, and io_uring_enter says so once (EBADR).
 *
 * The program may write anything to its index: a distance that cannot be counts as a full ring.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sentry/ipc/eventfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/uring/uring.h"

struct kept { /* on uring.overflow */
    struct list link;
    struct ucqe c;
};

static bool full_locked(struct uring *r)
{
    assert_locked(&r->lock);
    return r->cq_tail - sh_load(&r->head->cq_head) >= r->cq_entries;
}

static void write_locked(struct uring *r, const struct ucqe *c)
{
    bool big = r->flags & LX_URING_CQE32;
    uint8_t *at = r->cqes + (size_t)(r->cq_tail & (r->cq_entries - 1)) * (big ? 32 : 16);
    struct lx_cqe cqe = { .user_data = c->user_data, .res = c->res, .flags = c->flags };

    memcpy(at, &cqe, sizeof cqe);
    if (big)
        memcpy(at + sizeof cqe, c->extra, sizeof c->extra);
    sh_store(&r->head->cq_tail, ++r->cq_tail);
}

static void set_flag(struct uring *r, uint32_t bit)
{
    atomic_fetch_or((_Atomic uint32_t *)&r->head->sq_flags, bit);
}

static void clear_flag(struct uring *r, uint32_t bit)
{
    atomic_fetch_and((_Atomic uint32_t *)&r->head->sq_flags, ~bit);
}

static bool keep_locked(struct uring *r, const struct ucqe *c)
{
    struct kept *k = atomic_load(&r->closed) ? NULL : kzalloc(sizeof *k);

    if (!k) {
        sh_store(&r->head->cq_overflow, ++r->dropped);
        return false;
    }
    k->c = *c;
    list_add_tail(&r->overflow, &k->link);
    r->noverflow++;
    set_flag(r, LX_SQ_CQ_OVERFLOW);
    return true;
}

bool cq_post_locked(struct uring *r, const struct ucqe *c, bool may_overflow)
{
    bool posted = true;

    if (!r->noverflow && !full_locked(r))
        write_locked(r, c);
    else
        posted = may_overflow && keep_locked(r, c);
    if (!posted)
        return false;
    timeout_check_locked(r);
    wq_wake(&r->cq_wq, POLLIN | POLLRDNORM);
    return true;
}

void cq_signal(struct uring *r, bool async)
{
    struct file *e = NULL;

    lock(&r->lock);
    if (r->eventfd && (async || !r->eventfd_async) &&
        !(sh_load(&r->head->cq_flags) & LX_CQ_EVENTFD_DISABLED))
        e = file_ref(r->eventfd);
    unlock(&r->lock);
    if (e) {
        eventfd_signal(e);
        file_put(e);
    }
}

void cq_flush(struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    if (!r->noverflow)
        return;
    while (r->noverflow && !full_locked(r)) {
        struct kept *k = list_first(&r->overflow, struct kept, link);

        write_locked(r, &k->c);
        list_del(&k->link);
        kfree(k);
        r->noverflow--;
    }
    if (!r->noverflow)
        clear_flag(r, LX_SQ_CQ_OVERFLOW);
}

unsigned cq_ready(struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    return MIN(r->cq_tail - sh_load(&r->head->cq_head), r->cq_entries);
}

void cq_free(struct uring *r)
{
    while (!list_empty(&r->overflow)) {
        struct kept *k = list_first(&r->overflow, struct kept, link);

        list_del(&k->link);
        kfree(k);
    }
}

/*
 * Waits until min results lie in the ring, or one of a timeout has come. 0 also when there are some
 * at the end; -EINTR, -ETIME.
 */
long uring_wait(struct task *t, struct uring *r, unsigned min, uint32_t timeouts_before)
{
    unsigned ready;
    int w;

    cq_flush(r);
    lock(&r->lock);
    ready = MIN(r->cq_tail - sh_load(&r->head->cq_head), r->cq_entries);
    if (ready >= min || r->cq_timeouts != timeouts_before) {
        unlock(&r->lock);
        return 0;
    }
    if (r->dropped && !r->told_dropped) {
        r->told_dropped = true;
        unlock(&r->lock);
        return -EBADR;
    }
    w = task_wait(t, &r->cq_wq, 0);
    unlock(&r->lock);
    if (w == -EWAITING)
        return w;
    if (ready)
        return 0;
    return w == -ETIMEDOUT ? -ETIME : -EINTR;
}

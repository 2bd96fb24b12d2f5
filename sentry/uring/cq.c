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

/* This thread wakes somebody because of a result. */
static _Thread_local unsigned waking;

bool cq_waking(void)
{
    return waking;
}

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

static bool keep_locked(struct uring *r, struct list *on, const struct ucqe *c)
{
    struct kept *k = atomic_load(&r->closed) ? NULL : kzalloc(sizeof *k);

    if (!k)
        return false;
    k->c = *c;
    list_add_tail(on, &k->link);
    return true;
}

static bool overflow_locked(struct uring *r, const struct ucqe *c)
{
    if (!keep_locked(r, &r->overflow, c)) {
        sh_store(&r->head->cq_overflow, ++r->dropped);
        return false;
    }
    r->noverflow++;
    set_flag(r, LX_SQ_CQ_OVERFLOW);
    return true;
}

static void wake_locked(struct uring *r)
{
    waking++;
    wq_wake(&r->cq_wq, POLLIN | POLLRDNORM);
    waking--;
}

bool cq_post_locked(struct uring *r, const struct ucqe *c, bool may_overflow)
{
    bool posted = true;

    if (!r->noverflow && !full_locked(r))
        write_locked(r, c);
    else
        posted = may_overflow && overflow_locked(r, c);
    if (!posted)
        return false;
    timeout_check_locked(r);
    wake_locked(r);
    return true;
}

/* IORING_SETUP_DEFER_TASKRUN: not before the program asks. What has several results may not pile up. */
bool cq_post_async_locked(struct uring *r, const struct ucqe *c, bool may_overflow)
{
    if (!(r->flags & LX_URING_DEFER_TASKRUN))
        return cq_post_locked(r, c, may_overflow);
    if ((!may_overflow && r->nlate + r->cq_tail - sh_load(&r->head->cq_head) >= r->cq_entries) ||
        !keep_locked(r, &r->late, c))
        return may_overflow ? cq_post_locked(r, c, may_overflow) : false;
    r->nlate++;
    if (r->flags & LX_URING_TASKRUN_FLAG)
        set_flag(r, LX_SQ_TASKRUN);
    wake_locked(r);
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
        waking++;
        eventfd_signal(e);
        waking--;
        file_put(e);
    }
}

static struct kept *first(struct list *l)
{
    struct kept *k = list_first(l, struct kept, link);

    list_del(&k->link);
    return k;
}

void cq_flush(struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    while (r->noverflow && !full_locked(r)) {
        struct kept *k = first(&r->overflow);

        write_locked(r, &k->c);
        kfree(k);
        if (--r->noverflow == 0)
            clear_flag(r, LX_SQ_CQ_OVERFLOW);
    }
    if (r->nlate)
        clear_flag(r, LX_SQ_TASKRUN);
    while (r->nlate) {
        struct kept *k = first(&r->late);

        r->nlate--;
        cq_post_locked(r, &k->c, /* may_overflow= */ true);
        kfree(k);
    }
}

unsigned cq_ready(struct uring *r)
{
    LOCK_SCOPE(&r->lock);
    return MIN(r->cq_tail - sh_load(&r->head->cq_head), r->cq_entries);
}

void cq_free(struct uring *r)
{
    while (!list_empty(&r->overflow))
        kfree(first(&r->overflow));
    while (!list_empty(&r->late))
        kfree(first(&r->late));
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

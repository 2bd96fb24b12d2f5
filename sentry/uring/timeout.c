/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timeouts: of their own, after so many results, and of the request before them in a chain. Each is a
 * record that sleeps until its deadline; who changes the deadline wakes it.
 */
#include <errno.h>
#include <time.h>

#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/uring/uring.h"

#define CLOCKS (LX_TIMEOUT_BOOTTIME | LX_TIMEOUT_REALTIME)

static int deadline_in(struct ureq *q, gaddr_t at, unsigned flags, ktime_t *ret, ktime_t *ret_value)
{
    clockid_t id = flags & LX_TIMEOUT_REALTIME   ? CLOCK_REALTIME
                   : flags & LX_TIMEOUT_BOOTTIME ? CLOCK_BOOTTIME
                                                 : CLOCK_MONOTONIC;
    struct timespec ts;

    if ((flags & CLOCKS) == CLOCKS)
        return -EINVAL;
    if (get_guest(&q->task, &ts, at) < 0)
        return -EFAULT;
    if (timespec_to_ktime(&ts, ret_value) < 0)
        return -EINVAL;
    return kclock_deadline(id, flags & LX_TIMEOUT_ABS, *ret_value, ret);
}

static int prep(struct ureq *q, bool linked)
{
    const struct lx_sqe *s = &q->sqe;
    unsigned f = s->op_flags;

    if (s->buf_index || s->len != 1 || s->splice_fd_in || (linked && s->off))
        return -EINVAL;
    if (f & ~(LX_TIMEOUT_ABS | CLOCKS | LX_TIMEOUT_ETIME_SUCCESS | LX_TIMEOUT_MULTISHOT))
        return -EINVAL;
    if (f & LX_TIMEOUT_MULTISHOT && (linked || f & LX_TIMEOUT_ABS))
        return -EINVAL;
    q->u.tm.multi = f & LX_TIMEOUT_MULTISHOT;
    q->u.tm.repeats = q->u.tm.multi ? (unsigned)s->off : 0;
    return deadline_in(q, s->addr, f, &q->u.tm.when, &q->u.tm.period);
}

int timeout_prep(struct ureq *q)
{
    int r = prep(q, /* linked= */ false);

    /* It needs nobody, and goes on when its submitter has ended: the ring may be another's, too. */
    if (r == 0 && !q->task.async_owns) {
        q->task.async_alone = true;
        q->task.mm = NULL;
        q->task.files = NULL;
        q->task.fs = NULL;
    }
    return r;
}

int link_timeout_prep(struct ureq *q)
{
    return prep(q, /* linked= */ true);
}

static uint32_t results_locked(struct uring *r)
{
    assert_locked(&r->lock);
    return r->cq_tail + r->noverflow - r->cq_timeouts;
}

void timeout_check_locked(struct uring *r)
{
    struct ureq *q, *tmp;

    list_for_each_safe(q, tmp, &r->timeouts, tlink) {
        if ((int32_t)(results_locked(r) - (uint32_t)q->u.tm.target) < 0)
            continue;
        list_del(&q->tlink);
        q->u.tm.fired = true;
        task_interrupt(&q->task);
    }
}

/* Linked ones begin to run when their request does. */
static void set_out(struct ureq *q)
{
    struct uring *r = q->ring;

    q->u.tm.set = true;
    if (!(q->sqe.op_flags & LX_TIMEOUT_ABS))
        q->u.tm.when = ktime_add(ktime_now(), q->u.tm.period);
    if (q->sqe.opcode != LX_OP_TIMEOUT || q->u.tm.multi || !q->sqe.off)
        return;
    LOCK_SCOPE(&r->lock);
    q->u.tm.target = results_locked(r) + (uint32_t)q->sqe.off;
    list_add_tail(&r->timeouts, &q->tlink);
}

/* 0: enough results came. -ETIMEDOUT, or as task_wait. */
static int sleep_until(struct ureq *q)
{
    LOCK_SCOPE(&q->ring->lock);
    if (q->u.tm.fired)
        return 0;
    q->task.call.deadline = q->u.tm.when;
    return task_sleep(&q->task);
}

long timeout_issue(struct ureq *q)
{
    if (!q->u.tm.set)
        set_out(q);
    for (;;) {
        int r = sleep_until(q);

        if (r != -ETIMEDOUT)
            return r;
        if (!q->u.tm.multi || q->u.tm.repeats == 1 || !q->u.tm.period || !ureq_more(q, -ETIME, 0)) {
            q->fine = q->sqe.op_flags & LX_TIMEOUT_ETIME_SUCCESS;
            return -ETIME;
        }
        if (q->u.tm.repeats)
            q->u.tm.repeats--;
        q->u.tm.when = MAX(ktime_add(q->u.tm.when, q->u.tm.period), ktime_now());
    }
}

long link_timeout_issue(struct ureq *q)
{
    int r;

    if (!q->u.tm.set)
        set_out(q);
    r = sleep_until(q);
    if (r != -ETIMEDOUT)
        return r;
    if (!async_cancel(&q->target->task))
        return -EALREADY;
    return q->target->sqe.opcode == LX_OP_WAITID ? 1 : -ETIME; /* Linux tells how many it found */
}

/* ---- changing one ---- */

int timeout_remove_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    unsigned f = s->op_flags;

    if (s->flags & LX_SQE_FIXED_FILE || s->buf_index || s->len || s->splice_fd_in)
        return -EINVAL;
    if (!(f & (LX_TIMEOUT_UPDATE | LX_LINK_TIMEOUT_UPDATE)))
        return f ? -EINVAL : 0;
    if (f & ~(LX_TIMEOUT_UPDATE | LX_LINK_TIMEOUT_UPDATE | LX_TIMEOUT_ABS | CLOCKS))
        return -EINVAL;
    return deadline_in(q, s->addr2, f, &q->u.tm.when, &q->u.tm.period);
}

struct wanted {
    uint64_t user_data;
    uint8_t opcode;
};

static bool is_timeout(struct ureq *q, const void *arg)
{
    const struct wanted *w = arg;

    return q->sqe.opcode == w->opcode && q->sqe.user_data == w->user_data;
}

long timeout_remove_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    struct wanted w = { s->addr,
                        s->op_flags & LX_LINK_TIMEOUT_UPDATE ? LX_OP_LINK_TIMEOUT : LX_OP_TIMEOUT };
    struct ureq *other = uring_find(q->ring, &w.user_data, is_timeout, &w);
    long r = 0;

    if (!other)
        return -ENOENT;
    if (s->op_flags & (LX_TIMEOUT_UPDATE | LX_LINK_TIMEOUT_UPDATE)) {
        lock(&q->ring->lock);
        other->u.tm.when = q->u.tm.when;
        other->u.tm.period = q->u.tm.period;
        list_del(&other->tlink); /* it does not count any more */
        unlock(&q->ring->lock);
        task_interrupt(&other->task);
    } else {
        r = async_cancel(&other->task) ? 0 : -EALREADY;
    }
    task_put(&other->task);
    return r;
}

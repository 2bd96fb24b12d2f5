/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polls. A poll hangs on the queues of its file from beginning to end, so that one with many results
 * sees each wake: what holds all the time is told once, as by an edge.
 *
 *      hook_wake (under the queue's lock)        poll_add_issue
 *      ---------                                 --------------
 *      wakes++                  (A)              seen = wakes, ask the file     (C)
 *      claim the record         (B)              task_sleep: it is queued       (D)
 *                                                wakes != seen: claim it        (E)
 *
 * A wake that C does not see is seen by E, or B finds the record queued.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "sentry/kernel/alloc.h"
#include "sentry/uring/uring.h"

#define ALWAYS (POLLERR | POLLHUP)
#define EVENTS 0xffffu

static uint32_t both_names(uint32_t want)
{
    if (want & (POLLIN | POLLRDNORM))
        want |= POLLIN | POLLRDNORM;
    if (want & (POLLOUT | POLLWRNORM))
        want |= POLLOUT | POLLWRNORM;
    return want | ALWAYS;
}

static bool hook_wake(struct wait_entry *e, uint32_t events)
{
    struct ureq *q = container_of(e, struct uhook, e)->q;

    if (events && !(events & both_names(__atomic_load_n(&q->u.pl.events, __ATOMIC_RELAXED))))
        return false;
    if (!q->u.pl.multi) {   /* once is enough: many that hang here are not gone through again */
        list_del(&e->link); /* e->q stays: who cleans up waits for this wake by its lock */
        atomic_store(&q->u.pl.off, true);
    }
    if (cq_waking())
        atomic_store(&q->u.pl.looped, true); /* its next result is the last */
    atomic_fetch_add(&q->u.pl.wakes, 1);
    task_interrupt(&q->task);
    return true;
}

struct hooks {
    struct poll_table pt;
    struct ureq *q;
};

static void hook_add(struct poll_table *pt, struct waitqueue *q)
{
    struct hooks *hs = container_of(pt, struct hooks, pt);
    struct uhook *h = kzalloc(sizeof *h);

    if (!h) {
        pt->error = -ENOMEM;
        return;
    }
    h->e.func = hook_wake;
    h->q = hs->q;
    h->next = hs->q->u.pl.hooks;
    hs->q->u.pl.hooks = h;
    wq_add(q, &h->e);
}

void poll_add_cleanup(struct ureq *q)
{
    while (q->u.pl.hooks) {
        struct uhook *h = q->u.pl.hooks;

        q->u.pl.hooks = h->next;
        wq_del(&h->e);
        kfree(h);
    }
}

int poll_add_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->buf_index || s->off || s->addr || s->len & ~(LX_POLL_MULTI | LX_POLL_LEVEL))
        return -EINVAL;
    q->u.pl.multi = s->len & LX_POLL_MULTI;
    if (q->u.pl.multi && s->flags & LX_SQE_CQE_SKIP)
        return -EINVAL;
    q->u.pl.events = s->op_flags & EVENTS;
    return 0;
}

/* The file's events now, of those that are wanted; first: and hangs on its queues. */
static int ask(struct ureq *q, bool first, uint32_t *ret)
{
    struct hooks hs = { .pt = { .task = async_thread(&q->task) }, .q = q };

    if (first)
        hs.pt.queue = hook_add;
    *ret = file_poll(q->file, &hs.pt) &
           (__atomic_load_n(&q->u.pl.events, __ATOMIC_RELAXED) | ALWAYS);
    return hs.pt.error;
}

long poll_add_issue(struct ureq *q)
{
    bool first = !q->u.pl.armed;
    unsigned seen = atomic_load(&q->u.pl.wakes);
    uint32_t got = 0;
    bool news;
    int r;

    if (atomic_load(&q->u.pl.looped))
        q->u.pl.multi = false;
    if (atomic_exchange(&q->u.pl.off, false)) {
        poll_add_cleanup(q);
        first = true;
    }
    news = first || seen != q->u.pl.seen;
    q->u.pl.armed = true;
    q->u.pl.seen = seen;
    r = news || !q->u.pl.multi ? ask(q, first, &got) : 0;
    if (r < 0)
        return r;
    if (got && (!q->u.pl.multi || !ureq_more(q, got, 0)))
        return got;
    r = task_sleep(&q->task);
    if (r == -EWAITING && atomic_load(&q->u.pl.wakes) != seen)
        task_interrupt(&q->task);
    return r;
}

/* ---- changing one ---- */

int poll_remove_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    unsigned f = s->len;

    if (s->buf_index || s->splice_fd_in ||
        f & ~(LX_POLL_UPDATE_EVENTS | LX_POLL_UPDATE_USER_DATA | LX_POLL_MULTI))
        return -EINVAL;
    if (f == LX_POLL_MULTI) /* meaningless without a change */
        return -EINVAL;
    if (!(f & LX_POLL_UPDATE_USER_DATA) && s->off)
        return -EINVAL;
    return !(f & LX_POLL_UPDATE_EVENTS) && s->op_flags ? -EINVAL : 0;
}

static bool is_poll(struct ureq *q, const void *user_data)
{
    return q->sqe.opcode == LX_OP_POLL_ADD && q->sqe.user_data == *(const uint64_t *)user_data;
}

static void move_to(struct ureq *p, uint64_t user_data)
{
    assert_locked(&p->ring->lock);
    p->sqe.user_data = user_data;
    if (list_empty(&p->link))
        return; /* it ends just now */
    list_del(&p->link);
    list_add_tail(uring_bucket(p->ring, user_data), &p->link);
}

long poll_remove_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    struct ureq *p = uring_find(q->ring, &s->addr, is_poll, &s->addr);
    long r = 0;

    if (!p)
        return -ENOENT;
    if (!(s->len & (LX_POLL_UPDATE_EVENTS | LX_POLL_UPDATE_USER_DATA))) {
        r = async_cancel(&p->task) ? 0 : -EALREADY;
        task_put(&p->task);
        return r;
    }
    lock(&q->ring->lock);
    if (s->len & LX_POLL_UPDATE_EVENTS) {
        __atomic_store_n(&p->u.pl.events, s->op_flags & EVENTS, __ATOMIC_RELAXED);
        p->u.pl.multi = s->len & LX_POLL_MULTI;
    }
    if (s->len & LX_POLL_UPDATE_USER_DATA)
        move_to(p, s->off);
    unlock(&q->ring->lock);
    atomic_fetch_add(&p->u.pl.wakes, 1);
    task_interrupt(&p->task);
    task_put(&p->task);
    return r;
}

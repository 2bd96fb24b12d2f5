/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connected pairs and what lies between their ends: rings, marks, messages. See stream.h. All here
 * is called with the pair's lock held, but for making and ending one.
 */
#include "sentry/net/stream.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/scm.h"

#define RING_MIN 4096u

/* ---- rings ---- */

/* Makes room for want bytes in all. What is there keeps its positions. */
static int ring_grow(struct ring *r, size_t want)
{
    uint32_t size = r->size ? r->size : RING_MIN;
    size_t used = ring_used(r), at, first;
    uint8_t *buf;

    while (size < want)
        size *= 2;
    if (size == r->size)
        return 0;
    buf = kzalloc(size);
    if (!buf)
        return -ENOMEM;
    for (size_t i = 0; i < used; i += first) {
        uint64_t pos = r->rpos + i;

        at = pos & (r->size - 1);
        first = MIN(used - i, r->size - at);
        first = MIN(first, size - (pos & (size - 1)));
        memcpy(buf + (pos & (size - 1)), r->buf + at, first);
    }
    kfree(r->buf);
    r->buf = buf;
    r->size = size;
    return 0;
}

ssize_t ring_write(struct ring *r, struct iter *it, size_t n, size_t cap)
{
    size_t used = ring_used(r), done = 0;

    n = used < cap ? MIN(n, cap - used) : 0;
    if (ring_grow(r, used + n) < 0) {
        n = MIN(n, r->size - used); /* at the limit of memory: with what there is */
        if (!n)
            return -ENOMEM;
    }
    while (done < n) {
        size_t at = r->wpos & (r->size - 1), part = MIN(n - done, r->size - at);
        ssize_t got = iter_get(it, r->buf + at, part);

        if (got < 0)
            return done ? (ssize_t)done : got;
        r->wpos += (uint64_t)got;
        done += (size_t)got;
        if ((size_t)got < part)
            break;
    }
    return (ssize_t)done;
}

ssize_t ring_copy(struct ring *r, struct iter *it, uint64_t pos, size_t n)
{
    size_t done = 0;

    while (done < n) {
        size_t at = (pos + done) & (r->size - 1), part = MIN(n - done, r->size - at);
        ssize_t put = iter_put(it, r->buf + at, part);

        if (put < 0)
            return done ? (ssize_t)done : put;
        done += (size_t)put;
        if ((size_t)put < part)
            break;
    }
    return (ssize_t)done;
}

void ring_free(struct ring *r)
{
    kfree(r->buf);
    r->buf = NULL;
    r->size = 0;
    r->rpos = r->wpos;
}

/* ---- messages ---- */

struct msg *msg_new(struct iter *it, size_t n)
{
    struct msg *m = kzalloc(sizeof *m + n);
    ssize_t got = 0;

    if (!m)
        return ERR_PTR(-ENOMEM);
    list_init(&m->link);
    m->len = n;
    if (n)
        got = iter_get(it, m->data, n);
    if (got < 0 || (size_t)got < n) {
        if (got > 0)
            iter_revert(it, (size_t)got);
        kfree(m);
        return ERR_PTR(-EFAULT);
    }
    return m;
}

void msg_free(struct msg *m)
{
    if (!m)
        return;
    scm_free(m->scm);
    kfree(m);
}

ssize_t msg_deliver(struct recv_req *r, struct msg *m)
{
    size_t n = MIN(r->it->left, m->len);

    if (n && iter_put(r->it, m->data, n) != (ssize_t)n)
        return -EFAULT;
    if (n < m->len)
        r->msg_flags |= MSG_TRUNC;
    memcpy(&r->addr, &m->addr, sizeof r->addr);
    r->addrlen = m->addrlen;
    return (r->flags & MSG_TRUNC) ? (ssize_t)m->len : (ssize_t)n;
}

ssize_t msg_recv_first(struct task *t, struct sock *sk, struct list *msgs, struct recv_req *r,
                       struct msg **ret)
{
    *ret = NULL;
    if (sk->err)
        return sock_take_err(sk);
    if (list_empty(msgs)) {
        if (req_nonblock(sk, r->flags))
            return -EAGAIN;
        return sk->shut & SHUT_R ? 0 : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    }
    *ret = list_first(msgs, struct msg, link);
    return msg_deliver(r, *ret);
}

void msg_taken(struct sock *sk, struct list *msgs, size_t *bytes, struct msg *m)
{
    list_del(&m->link);
    *bytes -= msg_cost(m);
    if (!list_empty(msgs))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
}

uint32_t dgram_events(const struct sock *sk, const struct list *msgs)
{
    uint32_t ev = sk->err ? POLLERR : 0;

    if (sk->shut & SHUT_R)
        ev |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (sk->shut == SHUT_BOTH)
        ev |= POLLHUP;
    if (!list_empty(msgs))
        ev |= POLLIN | POLLRDNORM;
    return ev;
}

size_t dgram_first(const struct list *msgs)
{
    return list_empty(msgs) ? 0 : list_first(msgs, struct msg, link)->len;
}

size_t dgram_outq(struct sock *sk)
{
    (void)sk;
    return 0;
}

void dgram_shut(struct sock *sk, int how)
{
    sk->shut |= (unsigned)how;
    sock_wake_all(sk, POLLIN | POLLOUT | POLLRDHUP | (sk->shut == SHUT_BOTH ? POLLHUP : 0));
}

/* ---- what waits for more ---- */

#define SEGMENT 65483          /* of the loopback device; what fills one goes at once */
#define HOLD_LIMIT 200000000ll /* ns: Linux waits no longer either */

static void push_now(struct ktimer *tm)
{
    struct push *p = container_of(tm, struct push, timer);
    struct conn *c = p->conn;
    int side = (int)(p - c->push);

    lock(&c->lock);
    if (half_show(&c->to[side]) && c->end[side])
        sock_wake_read(c->end[side]);
    unlock(&c->lock);
}

void half_hold(struct conn *c, int side, uint64_t from)
{
    struct half *h = &c->to[side];

    assert_locked(&c->lock);
    if (!h->held) {
        h->held = true;
        h->shown = from;
        ktimer_arm(&c->push[side].timer, ktime_now() + HOLD_LIMIT);
    }
    h->shown += (h->ring.wpos - h->shown) / SEGMENT * SEGMENT;
}

bool half_show(struct half *h)
{
    bool some = h->held && h->shown < h->ring.wpos;

    h->held = false;
    return some;
}

struct conn *conn_new(void)
{
    struct conn *c = kzalloc(sizeof *c);

    if (!c)
        return NULL;
    c->refs = 1;
    lock_init(&c->lock, LOCK_SOCKET);
    for (int i = 0; i < 2; i++) {
        list_init(&c->to[i].msgs);
        list_init(&c->to[i].marks);
        ktimer_init(&c->push[i].timer, push_now);
        c->push[i].conn = c;
    }
    return c;
}

struct conn *conn_ref(struct conn *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void conn_put(struct conn *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (int i = 0; i < 2; i++) {
        struct mark *k, *kn;
        struct msg *m, *mn;

        ktimer_cancel_sync(&c->push[i].timer);
        list_for_each_safe(k, kn, &c->to[i].marks, link) {
            scm_free(k->scm);
            kfree(k);
        }
        list_for_each_safe(m, mn, &c->to[i].msgs, link)
            msg_free(m);
        ring_free(&c->to[i].ring);
    }
    lock_done(&c->lock);
    kfree(c);
}

void conn_attach(struct conn *c, struct sock *sk, int side)
{
    c->end[side] = sk;
    sk->side = side;
    atomic_store(&sk->conn, conn_ref(c));
}

/*
 * A pair, once a socket has it, stays with it until release (a TCP socket that is disconnected
 * keeps the dead pair until it connects anew, and then still until release), so the lock is there
 * to take even when another thread has just changed sk->conn.
 */
struct lock *sock_lock(struct sock *sk)
{
    for (;;) {
        struct conn *c = atomic_load(&sk->conn);
        struct lock *l = c ? &c->lock : &sk->own_lock;

        lock(l);
        if (atomic_load(&sk->conn) == c)
            return l;
        unlock(l);
    }
}

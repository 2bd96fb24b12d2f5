/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix datagrams. Messages lie in the receiver; who is connected to whom is guarded by unix_lock,
 * under which a message is also delivered, so that a receiver cannot go meanwhile.
 *
 * A receiver takes QLEN messages from senders that are not its own peer; they wait on its room.
 * Mutual peers (a socketpair) are held by the bytes of the sender's SO_SNDBUF instead.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/scm.h"
#include "sentry/net/unix.h"

#define QLEN 10

/* ---- peers ---- */

static void unpeer_locked(struct usock *u)
{
    assert_locked(&unix_lock);
    list_del(&u->peer_link);
    u->peer = NULL;
}

static bool may_send(struct usock *from, struct usock *to)
{
    return to->peer == NULL || to->peer == from;
}

static int dgram_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct usock *u = unix_sk(sk), *to = NULL;
    int r;

    if (a->sa_family != AF_UNSPEC) {
        r = unix_check_addr(a, n);
        if (r == 0 || r > 0)
            r = sk->passcred || sk->passpidfd ? unix_autobind(u) : 0;
        if (r == 0)
            r = unix_find(t, a, n, SOCK_DGRAM, &to);
        if (r < 0)
            return r;
    }
    lock(&unix_lock);
    r = to && !may_send(u, to) ? -EPERM : 0;
    if (r == 0) {
        unpeer_locked(u);
        u->peer_died = false;
        u->peer = to;
        if (to)
            list_add_tail(&to->peers, &u->peer_link);
        sk->state = to ? SOCK_CONNECTED : SOCK_CLOSED;
    }
    unlock(&unix_lock);
    if (to)
        sock_put(&to->sk);
    return r;
}

/* ---- sending ---- */

static bool has_room(struct usock *from, struct usock *to)
{
    if (to->peer == from)
        return to->msg_bytes < (size_t)from->sk.sndbuf;
    return to->nmsgs <= QLEN && to->msg_bytes < (size_t)from->sk.sndbuf;
}

/* 0: there is room now; else an error, or a wait. unix_lock and to's lock are held. */
static int want_room(struct task *t, struct usock *from, struct usock *to, struct send_req *r)
{
    if (has_room(from, to))
        return 0;
    if (from->peer == to)
        atomic_store(&from->peer_full, true);
    return req_nonblock(&from->sk, r->flags) ? -EAGAIN : room_wait(t, &to->room, from->sk.sndtimeo);
}

static int enqueue(struct task *t, struct usock *from, struct usock *to, struct send_req *r,
                   struct msg *m)
{
    int e = unix_scm_prepare(t, &from->sk, &to->sk, r);

    if (e == 0 && *r->scm)
        e = scm_enter(t, *r->scm, &to->sk);
    if (e < 0)
        return e;
    m->scm = *r->scm;
    *r->scm = NULL;
    m->stamp = ktime_real();
    if (from->addr)
        m->addrlen = (socklen_t)unix_addr_out(from->addr, &m->addr);
    list_add_tail(&to->msgs, &m->link);
    to->nmsgs++;
    to->msg_bytes += msg_cost(m);
    if (from->peer == to && !has_room(from, to))
        atomic_store(&from->peer_full, true);
    sock_wake_read(&to->sk);
    return 0;
}

/* The receiver: named by the request (dest) or the peer. unix_lock held. */
static int choose(struct usock *from, struct usock *dest, struct usock **ret)
{
    if (!dest && from->peer_died) {
        from->peer_died = false;
        return -ECONNREFUSED;
    }
    *ret = dest ? dest : from->peer;
    if (!*ret)
        return -ENOTCONN;
    if (!may_send(from, *ret))
        return -EPERM;
    return 0;
}

/* m NULL: only asks for room. */
static int deliver(struct task *t, struct usock *from, struct usock *dest, struct send_req *r,
                   struct msg *m)
{
    struct usock *to;
    int e;

    LOCK_SCOPE(&unix_lock);
    e = choose(from, dest, &to);
    if (e < 0)
        return e;
    LOCK_SCOPE(&to->sk.own_lock);
    if (to->sk.shut & SHUT_R)
        return -EPIPE;
    e = want_room(t, from, to, r);
    if (e < 0 || !m)
        return e;
    if (to->hear) {
        to->hear(m->data, m->len);
        msg_free(m);
        return 0;
    }
    return enqueue(t, from, to, r, m);
}

static int take_err(struct sock *sk)
{
    LOCK_SCOPE(&sk->own_lock);
    return sk->err ? sock_take_err(sk) : (sk->shut & SHUT_W) ? -EPIPE : 0;
}

static ssize_t send_to(struct task *t, struct sock *sk, struct usock *dest, struct send_req *r)
{
    struct usock *u = unix_sk(sk);
    size_t n = r->it->left;
    struct msg *m;
    int e;

    if (n > (size_t)sk->sndbuf - 32)
        return -EMSGSIZE;
    e = take_err(sk);
    if (e == 0)
        e = deliver(t, u, dest, r, NULL);
    if (e < 0)
        return e;
    m = msg_new(r->it, n);
    if (IS_ERR(m))
        return PTR_ERR(m);
    e = deliver(t, u, dest, r, m);
    if (e < 0) {
        msg_free(m);
        iter_revert(r->it, n);
        return e;
    }
    return (ssize_t)n;
}

static ssize_t dgram_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct usock *dest = NULL;
    ssize_t n;
    int e = 0;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (r->addr)
        e = unix_check_addr(r->addr, r->addrlen);
    if (e >= 0 && (sk->passcred || sk->passpidfd))
        e = unix_autobind(unix_sk(sk));
    if (e >= 0 && r->addr)
        e = unix_find(t, r->addr, r->addrlen, SOCK_DGRAM, &dest);
    if (e < 0)
        return e;
    n = send_to(t, sk, dest, r);
    if (dest)
        sock_put(&dest->sk);
    return n;
}

/* ---- receiving ---- */

static ssize_t recv_one(struct task *t, struct usock *u, struct recv_req *r, struct msg **ret_free)
{
    struct sock *sk = &u->sk;
    struct msg *m;
    ssize_t n = msg_recv_first(t, sk, &u->msgs, r, &m);

    if (!m)
        return n;
    unix_scm_take(r, &m->scm);
    sock_put_stamp(sk, r, m->stamp);
    if (!(r->flags & MSG_PEEK)) {
        u->nmsgs--;
        msg_taken(sk, &u->msgs, &u->msg_bytes, m);
        room_wake(u->room);
        *ret_free = m;
    }
    return n;
}

/* Our peer may poll for room here: it watches its own queue. */
static void wake_peer(struct usock *u)
{
    struct usock *p;

    LOCK_SCOPE(&unix_lock);
    list_for_each(p, &u->peers, peer_link) {
        if (atomic_exchange(&p->peer_full, false))
            sock_wake_write(&p->sk);
    }
}

static ssize_t dgram_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct usock *u = unix_sk(sk);
    struct msg *m = NULL;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    lock(&sk->own_lock);
    n = recv_one(t, u, r, &m);
    unlock(&sk->own_lock);
    if (m && !list_empty(&u->peers))
        wake_peer(u);
    msg_free(m);
    return n;
}

/* ---- the rest ---- */

static int dgram_shutdown(struct task *t, struct sock *sk, int how)
{
    (void)t;
    LOCK_SCOPE(&sk->own_lock);
    dgram_shut(sk, how);
    room_wake(unix_sk(sk)->room);
    return 0;
}

/* Whether a send would wait is the peer's matter; a hint, as its lock is not ours to take here. */
static uint32_t dgram_poll(struct sock *sk)
{
    struct usock *u = unix_sk(sk);
    uint32_t ev = dgram_events(sk, &u->msgs);

    if (!atomic_load(&u->peer_full))
        ev |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return ev;
}

static size_t dgram_inq(struct sock *sk)
{
    return dgram_first(&unix_sk(sk)->msgs);
}

static void dgram_release(struct sock *sk)
{
    struct usock *u = unix_sk(sk), *p, *pn;

    lock(&unix_lock);
    unpeer_locked(u);
    list_for_each_safe(p, pn, &u->peers, peer_link) {
        unpeer_locked(p);
        p->peer_died = true;
        atomic_store(&p->peer_full, false);
        sock_wake_write(&p->sk);
    }
    unlock(&unix_lock);
    unix_release(sk);
}

const struct sock_ops unix_dgram_ops = {
    .bind = unix_bind,
    .connect = dgram_connect,
    .getname = unix_getname,
    .send = dgram_send,
    .recv = dgram_recv,
    .shutdown = dgram_shutdown,
    .poll = dgram_poll,
    .inq = dgram_inq,
    .outq = dgram_outq,
    .release = dgram_release,
    .info = unix_info,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix streams and seqpackets: listening, connecting, accepting, shutting down, closing. connect
 * makes the server's socket at once and puts it in the listener's queue (an embryo), so the client
 * can write before accept. A full queue makes connect wait on the listener's room.
 *
 * Two locks at once are taken only by listen's queue (listener) with a fresh socket that nobody
 * else sees, and by the client's own lock when the pair is attached; the client's comes second,
 * through lock_pair.
 */
#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/scm.h"
#include "sentry/net/unix.h"

#define SOMAXCONN_ 4096

static int stream_listen(struct task *t, struct sock *sk, int backlog)
{
    struct usock *u = unix_sk(sk);
    struct lock *l;
    bool named;
    int r = 0;

    lock(&unix_lock);
    named = u->addr;
    unlock(&unix_lock);
    if (!named)
        return -EINVAL;
    l = sock_lock(sk);
    if (sk->state != SOCK_CLOSED && sk->state != SOCK_LISTEN) {
        r = -EINVAL;
    } else {
        sk->backlog = MIN((unsigned)backlog, SOMAXCONN_);
        sk->state = SOCK_LISTEN;
        peer_set(&sk->peer, t);
        room_wake(u->room);
    }
    unlock(l);
    return r;
}

/* The server's end of a new pair, standing in for the listener. */
static struct usock *embryo_new(struct task *t, struct usock *listener)
{
    struct usock *u = unix_new(t, listener->sk.type);
    struct sock *sk;

    if (IS_ERR(u))
        return u;
    sk = &u->sk;
    u->addr_shared = true;
    lock(&unix_lock);
    u->addr = unix_addr_ref(listener->addr);
    unlock(&unix_lock);
    sk->state = SOCK_CONNECTED;
    sk->passcred = listener->sk.passcred;
    sk->passpidfd = listener->sk.passpidfd;
    sk->passsec = listener->sk.passsec;
    sk->passrights = listener->sk.passrights;
    peer_set(&sk->peer, t);
    return u;
}

/* Both locks are held: joins them and queues the embryo. */
static void join(struct sock *client, struct usock *to, struct usock *embryo, struct conn *c)
{
    struct usock *cu = unix_sk(client);

    conn_attach(c, &embryo->sk, 1);
    conn_attach(c, client, 0);
    client->state = SOCK_CONNECTED;
    peer_copy(&client->peer, &to->sk.peer);
    cu->peer_addr = unix_addr_ref(embryo->addr);
    embryo->peer_addr = unix_addr_ref(cu->addr);
    scm_embryo(&embryo->sk, &to->sk);
    list_add_tail(&to->sk.acceptq, &embryo->sk.accept_link);
    to->sk.naccept++;
    sock_wake_read(&to->sk);
    wq_wake_all(&client->poll_wq, POLLOUT);
}

/* 0: room in the queue of to, whose lock is held. */
static int may_connect(struct task *t, struct sock *sk, struct usock *to)
{
    if (to->sk.state != SOCK_LISTEN || (to->sk.shut & SHUT_R))
        return -ECONNREFUSED;
    if (to->sk.naccept <= to->sk.backlog)
        return 0;
    if (file_nonblock(&sk->file))
        return -EAGAIN;
    return room_wait(t, &to->room, sk->sndtimeo);
}

static int connect_to(struct task *t, struct sock *sk, struct usock *to)
{
    struct usock *embryo = NULL;
    struct conn *c = NULL;
    int r;

    if (&to->sk == sk)
        return sk->state == SOCK_LISTEN ? -EINVAL : -ECONNREFUSED;
    embryo = embryo_new(t, to);
    if (IS_ERR(embryo))
        return PTR_ERR(embryo);
    c = conn_new();
    if (!c) {
        sock_put(&embryo->sk);
        return -ENOMEM;
    }
    lock_pair(&sk->own_lock, &to->sk.own_lock);
    r = may_connect(t, sk, to);
    if (r == 0 && sk->state != SOCK_CLOSED)
        r = sk->state == SOCK_CONNECTED ? -EISCONN : -EINVAL;
    if (r == 0) {
        join(sk, to, embryo, c);
        embryo = NULL;
    }
    unlock_pair(&sk->own_lock, &to->sk.own_lock);
    conn_put(c);
    if (embryo)
        sock_put(&embryo->sk);
    return r;
}

static int stream_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct usock *to;
    int r = unix_check_addr(a, n);

    if (r < 0)
        return r;
    if (sk->passcred || sk->passpidfd) {
        r = unix_autobind(unix_sk(sk));
        if (r < 0)
            return r;
    }
    r = unix_find(t, a, n, sk->type, &to);
    if (r < 0)
        return r;
    r = connect_to(t, sk, to);
    sock_put(&to->sk);
    return r;
}

static int stream_accept(struct task *t, struct sock *sk, struct sock **ret)
{
    struct sock *new;

    LOCK_SCOPE(&sk->own_lock);
    if (sk->state != SOCK_LISTEN)
        return -EINVAL;
    if (list_empty(&sk->acceptq)) {
        if (sk->shut & SHUT_R)
            return -EINVAL;
        return file_nonblock(&sk->file) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    }
    new = list_first(&sk->acceptq, struct sock, accept_link);
    list_del(&new->accept_link);
    sk->naccept--;
    scm_accepted(new);
    room_wake(unix_sk(sk)->room);
    if (!list_empty(&sk->acceptq))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    *ret = new; /* the queue's reference */
    return 0;
}

static void stream_unaccept(struct sock *sk, struct sock *new)
{
    bool back;

    lock(&sk->own_lock);
    back = sk->state == SOCK_LISTEN;
    if (back) {
        scm_embryo(new, sk);
        list_add_head(&sk->acceptq, &new->accept_link);
        sk->naccept++;
        sock_wake_read(sk);
    }
    unlock(&sk->own_lock);
    if (!back)
        sock_put(new);
}

int unix_pair(struct task *t, int type, struct sock *ret[2])
{
    struct usock *u[2] = { NULL, NULL };
    struct conn *c = NULL;

    for (int i = 0; i < 2; i++) {
        u[i] = unix_new(t, type == SOCK_RAW ? SOCK_DGRAM : type);
        if (IS_ERR(u[i])) {
            if (i)
                sock_put(&u[0]->sk);
            return PTR_ERR(u[i]);
        }
        peer_set(&u[i]->sk.peer, t);
    }
    if (u[0]->sk.type != SOCK_DGRAM && !(c = conn_new())) {
        sock_put(&u[0]->sk);
        sock_put(&u[1]->sk);
        return -ENOMEM;
    }
    for (int i = 0; i < 2; i++) {
        u[i]->sk.state = SOCK_CONNECTED;
        if (c) {
            conn_attach(c, &u[i]->sk, i);
        } else {
            LOCK_SCOPE(&unix_lock);
            u[i]->peer = u[!i];
            list_add_tail(&u[!i]->peers, &u[i]->peer_link);
        }
        ret[i] = &u[i]->sk;
    }
    conn_put(c);
    return 0;
}

int unix_pair_shutdown(struct task *t, struct sock *sk, int how)
{
    struct lock *l = sock_lock(sk);
    struct sock *to = sock_other(sk);
    unsigned theirs = ((how & SHUT_R) ? SHUT_W : 0) | ((how & SHUT_W) ? SHUT_R : 0);

    (void)t;
    sk->shut |= (unsigned)how;
    sock_wake_all(sk, POLLIN | POLLOUT | POLLRDHUP | (sk->shut == SHUT_BOTH ? POLLHUP : 0));
    if (to) {
        to->shut |= theirs;
        sock_wake_all(to, POLLIN | POLLOUT | POLLRDHUP | (to->shut == SHUT_BOTH ? POLLHUP : 0));
    }
    if (sk->state == SOCK_LISTEN)
        room_wake(unix_sk(sk)->room);
    unlock(l);
    return 0;
}

uint32_t unix_pair_poll(struct sock *sk)
{
    bool joined = atomic_load(&sk->conn) != NULL;
    struct half *out = joined ? sock_out(sk) : NULL;
    uint32_t ev = 0;

    if (sk->err)
        ev |= POLLERR;
    if (sk->shut == SHUT_BOTH)
        ev |= POLLHUP;
    if (sk->shut & SHUT_R)
        ev |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (joined && (ring_used(&sock_in(sk)->ring) || !list_empty(&sock_in(sk)->msgs)))
        ev |= POLLIN | POLLRDNORM;
    if (!list_empty(&sk->acceptq))
        ev |= POLLIN | POLLRDNORM;
    if (sk->state == SOCK_CLOSED)
        ev |= POLLHUP;
    if (sk->state != SOCK_LISTEN &&
        (!out || (ring_used(&out->ring) + out->msg_bytes) * 4 <= (size_t)sk->sndbuf))
        ev |= POLLOUT | POLLWRNORM | POLLWRBAND;
    return ev;
}

size_t unix_pair_inq(struct sock *sk)
{
    size_t n = 0;
    struct msg *m;

    if (!atomic_load(&sk->conn))
        return 0;
    list_for_each(m, &sock_in(sk)->msgs, link)
        n += m->len;
    return n + ring_used(&sock_in(sk)->ring);
}

size_t unix_pair_outq(struct sock *sk)
{
    if (!atomic_load(&sk->conn))
        return 0;
    return ring_used(&sock_out(sk)->ring) + sock_out(sk)->msg_bytes;
}

/* Takes the socket off its pair; the other end sees a hang-up, and a reset when data was lost. */
static void leave_pair(struct sock *sk)
{
    struct conn *c = atomic_load(&sk->conn);
    struct sock *to;

    if (!c)
        return;
    lock(&c->lock);
    to = c->end[!sk->side];
    c->end[sk->side] = NULL;
    if (to) {
        to->shut = SHUT_BOTH;
        if (unix_pair_inq(sk) || !list_empty(&sock_in(sk)->msgs))
            to->err = ECONNRESET;
        sock_wake_all(to, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    }
    unlock(&c->lock);
}

static void stream_release(struct sock *sk)
{
    struct usock *u = unix_sk(sk);
    struct conn *c = atomic_load(&sk->conn);

    if (u->embryo_of)
        scm_accepted(sk);
    leave_pair(sk);
    unix_release(sk);
    atomic_store(&sk->conn, NULL);
    conn_put(c);
}

/* An embryo that nobody will accept: its client is told by a reset. */
static void drop_embryo(struct sock *sk)
{
    struct conn *c = atomic_load(&sk->conn);

    lock(&c->lock);
    if (c->end[0])
        c->end[0]->err = ECONNRESET;
    unlock(&c->lock);
    sock_put(sk);
}

void unix_purge(struct usock *u)
{
    struct list marks, msgs, embryos;
    struct mark *k, *kn;
    struct msg *m, *mn;
    struct sock *e, *en;
    struct lock *l;

    list_init(&marks);
    list_init(&msgs);
    list_init(&embryos);
    l = sock_lock(&u->sk);
    if (atomic_load(&u->sk.conn)) {
        struct half *in = sock_in(&u->sk);

        list_splice_tail(&marks, &in->marks);
        list_splice_tail(&msgs, &in->msgs);
        in->msg_bytes = 0;
        in->ring.rpos = in->ring.wpos;
    }
    list_splice_tail(&msgs, &u->msgs);
    u->nmsgs = 0;
    u->msg_bytes = 0;
    list_splice_tail(&embryos, &u->sk.acceptq);
    u->sk.naccept = 0;
    unlock(l);
    list_for_each_safe(e, en, &embryos, accept_link) {
        list_del(&e->accept_link);
        scm_accepted(e);
        drop_embryo(e);
    }
    list_for_each_safe(k, kn, &marks, link) {
        scm_free(k->scm);
        kfree(k);
    }
    list_for_each_safe(m, mn, &msgs, link)
        msg_free(m);
}

#define STREAM_COMMON                                                                              \
    .bind = unix_bind, .connect = stream_connect, .listen = stream_listen,                         \
    .accept = stream_accept, .unaccept = stream_unaccept, .getname = unix_getname,                 \
    .shutdown = unix_pair_shutdown, .poll = unix_pair_poll, .inq = unix_pair_inq,                  \
    .outq = unix_pair_outq, .release = stream_release, .info = unix_info

const struct sock_ops unix_stream_ops = {
    STREAM_COMMON,
    .send = unix_stream_send,
    .recv = unix_stream_recv,
    .stream = true,
};

const struct sock_ops unix_seq_ops = {
    STREAM_COMMON,
    .send = unix_seq_send,
    .recv = unix_seq_recv,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections on the loopback: listening, connecting, accepting, shutting down, resetting. No
 * segment is made: a connect finds the listener in the port table and joins a fresh socket to the
 * caller's at once, as the three-way handshake over lo does before connect returns.
 *
 *   CLOSED --listen--> LISTEN
 *   CLOSED --connect: room--> CONNECTED
 *   CLOSED --connect: queue full--> CONNECTING (in the listener's synq) --accept makes room-->
 *       CONNECTED, or --listener closes--> CLOSED with ECONNREFUSED
 *   CONNECTED --both FINs, or a reset--> tcp_closed()
 *
 * State changes that have to do with listening and connecting happen under tcp_lock and the socket's
 * own lock; what happens to a pair, under the pair's lock. There is no TIME_WAIT: a port is free
 * when its last socket is closed.
 */
#include <errno.h>
#include <netinet/tcp.h>

#include "sentry/kernel/task.h"
#include "sentry/net/inet.h"

#define SOMAXCONN_ 4096
#define SNDBUF_CONNECTED 3939840 /* what Linux tunes a loopback connection to at once */

bool tcp_closed(struct isock *s)
{
    return s->rst || s->sk.state != SOCK_CONNECTED || (s->fin_sent && sock_in(&s->sk)->fin);
}

int tcp_state(struct isock *s)
{
    bool fin_in;

    if (s->sk.state == SOCK_LISTEN)
        return TCP_LISTEN;
    if (s->sk.state == SOCK_CONNECTING)
        return TCP_SYN_SENT;
    if (tcp_closed(s))
        return TCP_CLOSE;
    fin_in = sock_in(&s->sk)->fin;
    if (s->fin_sent)
        return TCP_FIN_WAIT2;
    return fin_in ? TCP_CLOSE_WAIT : TCP_ESTABLISHED;
}

void tcp_got_reset(struct sock *sk)
{
    struct isock *s = inet_sk(sk);

    if (tcp_closed(s))
        return;
    sk->err = sock_in(sk)->fin && !s->fin_sent ? EPIPE : ECONNRESET;
    s->rst = true;
    sk->shut = SHUT_BOTH;
    sock_wake_all(sk, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

/* ---- listening ---- */

static int tcp_listen(struct task *t, struct sock *sk, int backlog)
{
    struct isock *s = inet_sk(sk);
    int r = 0;

    (void)t;
    LOCK_SCOPE(&tcp_lock);
    struct lock *l = sock_lock(sk);

    if ((sk->state != SOCK_CLOSED && sk->state != SOCK_LISTEN) || s->started) {
        r = -EINVAL;
    } else if (sk->state != SOCK_LISTEN) {
        r = s->bound ? port_may_listen(s) : port_bind(s, 0);
        if (r == 0) {
            sk->state = SOCK_LISTEN;
            sk->shut = 0;
            s->listening = true;
        }
    }
    if (r == 0)
        sk->backlog = MIN((unsigned)backlog, SOMAXCONN_);
    unlock(l);
    return r;
}

/* The options that a new connection has from its listener. */
static void inherit(struct isock *to, const struct isock *from)
{
    struct sock *a = &to->sk;
    const struct sock *b = &from->sk;

    a->family = b->family;
    a->sndbuf = b->sndbuf;
    a->rcvbuf = b->rcvbuf;
    a->sndbuf_set = b->sndbuf_set;
    a->rcvbuf_set = b->rcvbuf_set;
    a->rcvlowat = b->rcvlowat;
    a->rcvtimeo = b->rcvtimeo;
    a->sndtimeo = b->sndtimeo;
    a->linger = b->linger;
    a->linger_time = b->linger_time;
    a->priority = b->priority;
    a->mark = b->mark;
    a->reuseaddr = b->reuseaddr;
    a->reuseport = b->reuseport;
    a->keepalive = b->keepalive;
    a->oobinline = b->oobinline;
    a->uid = b->uid;
    to->v6only = from->v6only;
    to->tcp = from->tcp;
    to->tos = from->tos;
    to->ttl = from->ttl;
    to->tclass = from->tclass;
    to->hops = from->hops;
}

/* tcp_lock and the own locks of client and listener are held. */
static void establish(struct isock *client, struct isock *listener, struct isock *srv,
                      struct conn *c)
{
    inherit(srv, listener);
    srv->local = client->remote;
    srv->remote = client->local;
    srv->addr_bound = true;
    port_share(srv, srv->local.port);
    srv->sk.state = SOCK_CONNECTED;
    conn_attach(c, &srv->sk, 1);
    conn_attach(c, &client->sk, 0);
    client->sk.state = SOCK_CONNECTED;
    if (!client->sk.sndbuf_set)
        client->sk.sndbuf = SNDBUF_CONNECTED;
    if (!srv->sk.sndbuf_set)
        srv->sk.sndbuf = SNDBUF_CONNECTED;
    list_add_tail(&listener->sk.acceptq, &srv->sk.accept_link);
    listener->sk.naccept++;
    sock_wake_read(&listener->sk);
    sock_wake_all(&client->sk, POLLOUT | POLLWRNORM);
}

/* A connect has failed. tcp_lock and the own lock are held. */
static void refuse(struct isock *s)
{
    s->sk.state = SOCK_CLOSED;
    s->sk.err = ECONNREFUSED;
    s->sk.shut = SHUT_BOTH;
    list_del(&s->syn_link);
    if (!s->port_bound)
        port_release(s);
    s->remote = inet_any(s);
    sock_wake_all(&s->sk, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

/* What a socket that waited had ready; freed by the caller without locks. */
static void drop_embryo(struct isock *srv, struct conn *c)
{
    if (srv)
        sock_put(&srv->sk);
    conn_put(c);
}

/* Room in a listener's queue: those that wait come in. No lock held. */
static void promote(struct isock *l)
{
    LOCK_SCOPE(&tcp_lock);
    while (!list_empty(&l->synq)) {
        struct isock *s = list_first(&l->synq, struct isock, syn_link);
        struct conn *c = s->embryo_conn;
        bool room;

        lock_pair(&l->sk.own_lock, &s->sk.own_lock);
        room = l->sk.state == SOCK_LISTEN && l->sk.naccept <= l->sk.backlog;
        if (room) {
            list_del(&s->syn_link);
            establish(s, l, s->embryo, c);
            s->embryo = NULL;
            s->embryo_conn = NULL;
        }
        unlock_pair(&l->sk.own_lock, &s->sk.own_lock);
        if (!room)
            return;
        conn_put(c); /* both ends hold theirs */
    }
}

static int tcp_accept(struct task *t, struct sock *sk, struct sock **ret)
{
    struct sock *new;
    int r;

    lock(&sk->own_lock);
    if (sk->state != SOCK_LISTEN) {
        r = -EINVAL;
    } else if (list_empty(&sk->acceptq)) {
        r = file_nonblock(&sk->file) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    } else {
        new = list_first(&sk->acceptq, struct sock, accept_link);
        list_del(&new->accept_link);
        sk->naccept--;
        if (!list_empty(&sk->acceptq))
            wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
        *ret = new;
        r = 0;
    }
    unlock(&sk->own_lock);
    if (r == 0)
        promote(inet_sk(sk));
    return r;
}

/* Ends listening: what was not accepted is reset, what waits is refused. No lock held. */
static void stop_listening(struct isock *s)
{
    struct list drop;
    struct sock *e, *en;
    struct isock *w, *wn;

    list_init(&drop);
    lock(&tcp_lock);
    list_for_each_safe(w, wn, &s->synq, syn_link) {
        LOCK_SCOPE(&w->sk.own_lock);
        refuse(w);
    }
    lock(&s->sk.own_lock);
    s->sk.state = SOCK_CLOSED;
    s->listening = false;
    list_splice_tail(&drop, &s->sk.acceptq);
    s->sk.naccept = 0;
    if (!s->port_bound)
        port_release(s);
    sock_wake_all(&s->sk, POLLIN | POLLOUT | POLLHUP);
    unlock(&s->sk.own_lock);
    unlock(&tcp_lock);
    list_for_each_safe(e, en, &drop, accept_link) {
        struct lock *l = sock_lock(e);

        list_del(&e->accept_link);
        if (sock_other(e))
            tcp_got_reset(sock_other(e));
        unlock(l);
        sock_put(e);
    }
}

/* ---- connecting ---- */

/* Where it goes and from which port. tcp_lock held. */
static int choose_ends(struct isock *s, struct inet_addr *dst)
{
    struct inet_addr src = s->local;
    int r = inet_route(s, dst, &src);

    if (r < 0)
        return r;
    s->local.ip = src.ip;
    s->remote = *dst;
    r = s->bound ? 0 : port_connect(s);
    if (r < 0 || !s->bound) {
        s->remote = inet_any(s);
        if (!s->addr_bound)
            s->local = inet_any(s);
    }
    return r;
}

/* *srv and *c are used up (set NULL) when they are needed. tcp_lock held. */
static void knock(struct isock *s, struct isock **srv, struct conn **c)
{
    struct isock *l = port_find_listener(&s->remote, &s->local);

    if (!l) {
        LOCK_SCOPE(&s->sk.own_lock);
        refuse(s);
        return;
    }
    lock_pair(&l->sk.own_lock, &s->sk.own_lock);
    s->started = true;
    if (l->sk.naccept <= l->sk.backlog) {
        establish(s, l, *srv, *c);
    } else {
        s->sk.state = SOCK_CONNECTING;
        list_add_tail(&l->synq, &s->syn_link);
        s->embryo = *srv;
        s->embryo_conn = conn_ref(*c);
    }
    *srv = NULL;
    unlock_pair(&l->sk.own_lock, &s->sk.own_lock);
}

static int start(struct task *t, struct isock *s, struct inet_addr *dst)
{
    struct isock *srv = inet_new(t, AF_INET, SOCK_STREAM);
    struct conn *c = conn_new();
    int r;

    if (IS_ERR(srv) || !c) {
        r = IS_ERR(srv) ? PTR_ERR(srv) : -ENOMEM;
        drop_embryo(IS_ERR(srv) ? NULL : srv, c);
        return r;
    }
    lock(&tcp_lock);
    r = s->sk.state == SOCK_CLOSED ? choose_ends(s, dst) : -EISCONN;
    if (r == 0) {
        s->started = true;
        knock(s, &srv, &c);
    }
    unlock(&tcp_lock);
    drop_embryo(srv, c);
    if (r == -ENETUNREACH)
        inet_note_refused(s, dst);
    return r;
}

/* The socket may be used again. own lock held. */
static void after_failure(struct isock *s)
{
    s->started = false;
    s->sk.shut = 0;
    if (!s->addr_bound)
        s->local.ip = inet_any(s).ip;
}

/* Tells how a connect that was started went. */
static int outcome(struct task *t, struct sock *sk, bool first, bool just_started)
{
    struct isock *s = inet_sk(sk);
    struct isock *srv = NULL;
    struct conn *c = NULL;
    struct lock *l = sock_lock(sk);
    int r = 0;

    if (just_started && file_nonblock(&sk->file)) {
        r = -EINPROGRESS;
    } else if (sk->state == SOCK_CONNECTING) {
        if (file_nonblock(&sk->file))
            r = first ? -EALREADY : -EINPROGRESS;
        else
            r = sock_wait(t, &sk->wr_wq, sk->sndtimeo);
        if (r == -EAGAIN)
            r = -EINPROGRESS;
    } else if (sk->state == SOCK_CLOSED) {
        r = sk->err ? sock_take_err(sk) : -ECONNABORTED;
        after_failure(s);
        srv = s->embryo;
        c = s->embryo_conn;
        s->embryo = NULL;
        s->embryo_conn = NULL;
    } else {
        s->started = false;
    }
    unlock(l);
    drop_embryo(srv, c);
    return r;
}

static int disconnect(struct isock *s);

static int tcp_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    bool first = t->call.phase == 0, just_started = false;
    struct inet_addr dst;
    int r;

    if (n < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family == AF_UNSPEC)
        return disconnect(s);
    t->call.phase = 1;
    if (first && !s->started) {
        if (sk->state != SOCK_CLOSED)
            return -EISCONN;
        r = inet_addr_in(s, a, n, &dst);
        if (r == 0)
            r = start(t, s, &dst);
        if (r < 0)
            return r;
        just_started = true;
    }
    return outcome(t, sk, first, just_started);
}

/* ---- ending ---- */

/* The pair is left, by a reset or a FIN; the lock of the pair is held. */
static void leave_pair(struct isock *s, bool reset)
{
    struct conn *c = atomic_load(&s->sk.conn);
    struct sock *to = c->end[!s->sk.side];

    c->end[s->sk.side] = NULL;
    if (!to || tcp_closed(s) || tcp_closed(inet_sk(to)))
        return;
    if (reset) {
        tcp_got_reset(to);
        return;
    }
    if (!s->fin_sent) {
        sock_out(&s->sk)->fin = true;
        to->shut |= SHUT_R;
    }
    s->fin_sent = true;
    sock_wake_all(to, POLLIN | POLLOUT | POLLRDHUP | (to->shut == SHUT_BOTH ? POLLHUP : 0));
}

static int disconnect(struct isock *s)
{
    struct sock *sk = &s->sk;
    struct isock *srv;
    struct conn *c, *srv_conn;
    struct lock *l;

    if (s->listening) {
        stop_listening(s);
        return 0;
    }
    lock(&tcp_lock);
    l = sock_lock(sk);
    c = atomic_load(&sk->conn);
    if (c && s->nold == ARRAY_SIZE(s->old_conns)) {
        unlock(l);
        unlock(&tcp_lock);
        return -ENOBUFS;
    }
    if (c) {
        leave_pair(s, /* reset= */ true);
        s->old_conns[s->nold++] = c;
        atomic_store(&sk->conn, NULL);
    }
    list_del(&s->syn_link);
    srv = s->embryo;
    srv_conn = s->embryo_conn;
    s->embryo = NULL;
    s->embryo_conn = NULL;
    sk->err = sk->state == SOCK_CLOSED ? 0 : ECONNRESET;
    sk->state = SOCK_CLOSED;
    sk->shut = 0;
    s->rst = s->fin_sent = s->started = false;
    s->remote = inet_any(s);
    if (!s->addr_bound)
        s->local.ip = inet_any(s).ip;
    if (s->bound && !s->port_bound)
        port_release(s);
    sock_wake_all(sk, POLLIN | POLLOUT | POLLHUP);
    unlock(l);
    unlock(&tcp_lock);
    drop_embryo(srv, srv_conn);
    return 0;
}

static int tcp_shutdown(struct task *t, struct sock *sk, int how)
{
    struct isock *s = inet_sk(sk);
    struct lock *l;
    struct sock *to;
    int r = 0;

    (void)t;
    if (sk->state == SOCK_LISTEN) {
        if (how & SHUT_R)
            stop_listening(s);
        return 0;
    }
    if (sk->state == SOCK_CONNECTING)
        return disconnect(s);
    l = sock_lock(sk);
    if (tcp_closed(s))
        r = -ENOTCONN;
    sk->shut |= (unsigned)how;
    if (r == 0 && (how & SHUT_W) && !s->fin_sent) {
        s->fin_sent = true;
        sock_out(sk)->fin = true;
        to = sock_other(sk);
        if (to) {
            to->shut |= SHUT_R;
            sock_wake_all(to, POLLIN | POLLOUT | POLLRDHUP |
                                  (to->shut == SHUT_BOTH ? POLLHUP : 0));
        }
    }
    sock_wake_all(sk, POLLIN | POLLOUT | POLLRDHUP | (sk->shut == SHUT_BOTH ? POLLHUP : 0));
    unlock(l);
    return r;
}

static void tcp_release(struct sock *sk)
{
    struct isock *s = inet_sk(sk);
    struct conn *c;
    struct lock *l;

    if (s->listening)
        stop_listening(s);
    lock(&tcp_lock);
    list_del(&s->syn_link);
    if (s->bound)
        port_release(s);
    l = sock_lock(sk);
    c = atomic_load(&sk->conn);
    if (c)
        leave_pair(s, ring_used(&sock_in(sk)->ring) || (sk->linger && !sk->linger_time));
    atomic_store(&sk->conn, NULL);
    unlock(l);
    unlock(&tcp_lock);
    conn_put(c);
    drop_embryo(s->embryo, s->embryo_conn);
    for (unsigned i = 0; i < s->nold; i++)
        conn_put(s->old_conns[i]);
}

const struct sock_ops tcp_ops = {
    .bind = inet_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .getname = inet_getname,
    .send = tcp_send,
    .recv = tcp_recv,
    .shutdown = tcp_shutdown,
    .setsockopt = inet_setsockopt,
    .getsockopt = inet_getsockopt,
    .poll = tcp_poll,
    .ioctl = tcp_ioctl,
    .inq = tcp_inq,
    .outq = tcp_outq,
    .release = tcp_release,
    .info = inet_info,
    .stream = true,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections on the loopback: connecting, shutting down, resetting (tcp_listen.c: listening).
 * No segment is made: a connect finds the listener in the port table and joins a fresh socket to
 * the caller's at once, as the three-way handshake over lo does before connect returns.
 *
 *   CLOSED --listen--> LISTEN
 *   CLOSED --connect: room--> CONNECTED
 *   CLOSED --connect: queue full--> CONNECTING (in the listener's synq) --accept makes room-->
 *       CONNECTED, or --listener closes--> CLOSED with ECONNREFUSED
 *   CONNECTED --both FINs, or a reset--> tcp_closed()
 *
 * State changes that have to do with listening and connecting happen under tcp_lock and the
 * socket's own lock; what happens to a pair, under the pair's lock. There is no TIME_WAIT: a port
 * is free when its last socket is closed.
 */
#include <errno.h>
#include <netinet/tcp.h>

#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/tap.h"

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
    if (s->sk.state == SOCK_HOST)
        return s->sk.shut & SHUT_W ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
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
    tap_tcp_reset(s);
    sk->err = sock_in(sk)->fin && !s->fin_sent ? EPIPE : ECONNRESET;
    s->rst = true;
    sk->shut = SHUT_BOTH;
    sock_wake_all(sk, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
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
        tap_tcp_refused(&s->local, &s->remote);
        LOCK_SCOPE(&s->sk.own_lock);
        tcp_refuse(s);
        return;
    }
    lock_pair(&l->sk.own_lock, &s->sk.own_lock);
    s->started = true;
    if (l->sk.naccept <= l->sk.backlog) {
        tcp_establish(s, l, *srv, *c);
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
        tcp_drop_embryo(IS_ERR(srv) ? NULL : srv, c);
        return r;
    }
    lock(&tcp_lock);
    r = s->sk.state == SOCK_CLOSED ? choose_ends(s, dst) : -EISCONN;
    if (r == 0) {
        s->started = true;
        knock(s, &srv, &c);
    }
    unlock(&tcp_lock);
    tcp_drop_embryo(srv, c);
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
    tcp_drop_embryo(srv, c);
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
            r = broker_wants(s, &dst) ? host_connect(s, &dst) : start(t, s, &dst);
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
        tap_tcp_fin(s);
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
        tcp_stop_listening(s);
        return 0;
    }
    if (host_leave(s) < 0)
        return -ENOBUFS;
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
    tcp_drop_embryo(srv, srv_conn);
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
            tcp_stop_listening(s);
        return 0;
    }
    if (sk->state == SOCK_CONNECTING)
        return disconnect(s);
    if (sk->state == SOCK_HOST)
        return host_shutdown(sk, how);
    l = sock_lock(sk);
    if (tcp_closed(s))
        r = -ENOTCONN;
    sk->shut |= (unsigned)how;
    if (r == 0 && (how & SHUT_W) && !s->fin_sent) {
        s->fin_sent = true;
        sock_out(sk)->fin = true;
        tap_tcp_fin(s);
        to = sock_other(sk);
        if (to) {
            to->shut |= SHUT_R;
            sock_wake_all(to, POLLIN | POLLOUT | POLLRDHUP | (to->shut == SHUT_BOTH ? POLLHUP : 0));
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
        tcp_stop_listening(s);
    lock(&tcp_lock);
    list_del(&s->syn_link);
    l = sock_lock(sk);
    c = atomic_load(&sk->conn);
    if (c)
        leave_pair(s, ring_used(&sock_in(sk)->ring) || (sk->linger && !sk->linger_time));
    atomic_store(&sk->conn, NULL);
    unlock(l);
    if (s->bound)
        port_release(s);
    unlock(&tcp_lock);
    conn_put(c);
    inet_leave_groups(s);
    host_release(s);
    tcp_drop_embryo(s->embryo, s->embryo_conn);
    for (unsigned i = 0; i < s->nold; i++)
        conn_put(s->old_conns[i]);
}

const struct sock_ops tcp_ops = {
    .bind = inet_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .unaccept = tcp_unaccept,
    .getname = inet_getname,
    .send = tcp_send,
    .recv = tcp_recv,
    .shutdown = tcp_shutdown,
    .setsockopt = inet_setsockopt,
    .getsockopt = inet_getsockopt,
    .poll = tcp_poll,
    .lend = host_lend,
    .unlend = host_unlend,
    .ioctl = tcp_ioctl,
    .inq = tcp_inq,
    .outq = tcp_outq,
    .release = tcp_release,
    .info = inet_info,
    .stream = true,
};

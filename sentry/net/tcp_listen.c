/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP listeners: the queue of what is to be accepted, and the sockets that wait for room in it (the
 * synq; a native client would send its SYN again). Both are emptied when listening ends.
 *
 * A connection is made under tcp_lock and the own locks of client and listener; see tcp.c.
 */
#include <errno.h>

#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/tap.h"

#define SOMAXCONN_ 4096
#define SNDBUF_CONNECTED 3939840 /* what Linux tunes a loopback connection to at once */

static int listen_inside(struct sock *sk, int backlog)
{
    struct isock *s = inet_sk(sk);
    int r = 0;

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

int tcp_listen(struct task *t, struct sock *sk, int backlog)
{
    int r = t->call.phase ? 0 : listen_inside(sk, backlog);

    return r == 0 && broker_on() ? host_listen(t, inet_sk(sk)) : r;
}

void tcp_inherit(struct isock *to, const struct isock *from)
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
    a->zerocopy = b->zerocopy;
    a->uid = b->uid;
    to->v6only = from->v6only;
    to->tcp = from->tcp;
    to->tos = from->tos;
    to->ttl = from->ttl;
    to->tclass = from->tclass;
    to->hops = from->hops;
}

/* tcp_lock and the own locks of client and listener are held. */
void tcp_establish(struct isock *client, struct isock *listener, struct isock *srv, struct conn *c)
{
    static _Atomic uint32_t next_isn = 0x2545f491u;

    tcp_inherit(srv, listener);
    srv->local = client->remote;
    srv->remote = client->local;
    srv->addr_bound = true;
    port_share(srv, srv->local.port);
    srv->sk.state = SOCK_CONNECTED;
    c->isn[0] = atomic_fetch_add(&next_isn, 0x9e3779b9u);
    c->isn[1] = ~c->isn[0];
    conn_attach(c, &srv->sk, 1);
    conn_attach(c, &client->sk, 0);
    client->sk.state = SOCK_CONNECTED;
    if (!client->sk.sndbuf_set)
        client->sk.sndbuf = SNDBUF_CONNECTED;
    if (!srv->sk.sndbuf_set)
        srv->sk.sndbuf = SNDBUF_CONNECTED;
    tap_tcp_open(client);
    list_add_tail(&listener->sk.acceptq, &srv->sk.accept_link);
    listener->sk.naccept++;
    sock_wake_read(&listener->sk);
    sock_wake_all(&client->sk, POLLOUT | POLLWRNORM);
}

/* A connect has failed. tcp_lock and the own lock are held. */
void tcp_refuse(struct isock *s)
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
void tcp_drop_embryo(struct isock *srv, struct conn *c)
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
            tcp_establish(s, l, s->embryo, c);
            s->embryo = NULL;
            s->embryo_conn = NULL;
        }
        unlock_pair(&l->sk.own_lock, &s->sk.own_lock);
        if (!room)
            return;
        conn_put(c); /* both ends hold theirs */
    }
}

int tcp_accept(struct task *t, struct sock *sk, struct sock **ret)
{
    struct sock *new = NULL;
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
    if (new &&new->state == SOCK_HOST)
        host_accepted(inet_sk(sk));
    if (r == 0)
        promote(inet_sk(sk));
    return r;
}

void tcp_unaccept(struct sock *sk, struct sock *new)
{
    bool back;

    lock(&sk->own_lock);
    back = sk->state == SOCK_LISTEN;
    if (back) {
        list_add_head(&sk->acceptq, &new->accept_link);
        sk->naccept++;
        sock_wake_read(sk);
    }
    unlock(&sk->own_lock);
    if (!back)
        sock_put(new);
}

/* Ends listening: what was not accepted is reset, what waits is refused. No lock held. */
void tcp_stop_listening(struct isock *s)
{
    struct list drop;
    struct sock *e, *en;
    struct isock *w, *wn;

    host_unlisten(s);
    list_init(&drop);
    lock(&tcp_lock);
    list_for_each_safe(w, wn, &s->synq, syn_link) {
        LOCK_SCOPE(&w->sk.own_lock);
        tcp_refuse(w);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP with the outside, and ICMP echo. For each peer the broker makes a connected socket, when the
 * policy has it, and sends the datagram that it was asked for with: its sender may be gone by then. More
 * of them (few) follow the same way until the socket is here. What comes is put into the socket's own
 * queue, as if it had come over the loopback, and dropped when that is full. The nameserver is the
 * broker itself. On a published port the broker passes datagrams both ways.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/learn.h"
#include "sentry/net/host.h"

#define PEERS_MAX 64       /* a socket; the one that was used longest ago goes */
#define EARLY_MAX 64       /* datagrams for a peer that is not there yet */
#define BURST_NS 100000000 /* what follows them so soon goes their way, not to come before them */

struct hpeer {
    struct list link; /* [s] the last used first */
    struct isock *s;
    struct inet_addr addr;
    struct bcall call;
    uint32_t tag;       /* [s] by which the broker has it, too */
    int fd;             /* [s] */
    int error;          /* [s] the broker's no */
    int before;         /* [s] what it said before it was asked again; 0: it was not */
    unsigned early;     /* [s] datagrams that were sent without it, */
    ktime_t last_early; /* [s] and when */
};

static void put(struct isock *s, const void *data, size_t n, const struct inet_addr *from)
{
    struct iter it;
    struct msg *m;

    if (s->sk.family == AF_INET && !inet_is_v4(from))
        return; /* it has no name for such */
    iter_kernel(&it, (void *)(uintptr_t)data, n);
    m = msg_new(&it, n);
    if (IS_ERR(m))
        return;
    m->stamp = ktime_real();
    m->addrlen = (socklen_t)inet_addr_out(s, from, &m->addr);
    m->ttl = 64;
    LOCK_SCOPE(&udp_lock);
    memcpy(&m->to, &s->local, sizeof s->local);
    if (s->sk.state == SOCK_CONNECTED &&
        (!inet_same(&s->remote, from) || s->remote.port != from->port))
        msg_free(m); /* it is connected elsewhere by now */
    else if (!udp_put(s, m))
        msg_free(m);
}

/* ---- peers ---- */

static void on_datagram(void *arg, uint32_t events)
{
    static uint8_t buf[65536]; /* the event thread's */
    struct hpeer *p = arg;
    bool ping = p->s->sk.protocol != IPPROTO_UDP;

    if (events & EPOLLHUP) { /* the rules have changed, and it was cut */
        event_unwatch(p->fd);
        LOCK_SCOPE(&p->s->sk.own_lock);
        p->error = -EACCES;
        return;
    }
    for (int i = 0; i < 16; i++) {
        ssize_t n = hostio_recv(p->fd, buf, sizeof buf, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n < 0) {
            LOCK_SCOPE(&p->s->sk.own_lock);
            if (p->s->sk.state == SOCK_CONNECTED || p->s->recverr || p->s->recverr6) {
                p->s->sk.err = errno;
                sock_wake_all(&p->s->sk, POLLERR | POLLIN | POLLOUT);
            }
            return;
        }
        if (ping && n >= 8) { /* the number that this socket has inside */
            buf[4] = (uint8_t)(p->s->local.port >> 8);
            buf[5] = (uint8_t)p->s->local.port;
        }
        put(p->s, buf, (size_t)n, &p->addr);
    }
}

/* own_lock held: the host's buffer is taken as it is, and what does not fit is dropped. */
static int push(struct hpeer *p, const struct msg *m)
{
    const struct iovec iov = { (void *)(uintptr_t)m->data, m->len };
    ssize_t n;

    do {
        n = pwritev2(p->fd, &iov, 1, -1, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EPIPE || errno == EDESTADDRREQ)) /* it was cut */
        return p->error = -EACCES;
    return n < 0 && errno != EAGAIN ? -errno : (int)m->len;
}

/* The broker may still have some to send. */
static bool is_burst(const struct hpeer *p)
{
    return p->early > 0 && p->early < EARLY_MAX && ktime_now() - p->last_early < BURST_NS;
}

/* The same, as long as the broker alone has it. */
static int push_early(struct hpeer *p, const struct msg *m)
{
    const struct nb_req req = { .op = NB_SEND, .tag = p->tag, .len = (uint32_t)m->len };

    if (p->early < EARLY_MAX) {
        p->early++;
        p->last_early = ktime_now();
        (void)broker_send(&req, m->data, -1, NULL);
    }
    return (int)m->len;
}

static bool hold(struct bcall *c)
{
    return sock_tryref(&container_of(c, struct hpeer, call)->s->sk);
}

static void answer(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct hpeer *p = container_of(c, struct hpeer, call);
    struct isock *s = p->s;
    int error = r->error;

    if (error == -EACCES)
        broker_note((const char *)data, r->len, &p->addr);
    if (error == 0 &&
        (fd < 0 || !hostfd_may(fd, HOSTFD_FILE) || event_watch(fd, EPOLLIN, on_datagram, p) < 0))
        error = -ENOBUFS;
    lock(&s->sk.own_lock);
    p->error = error;
    if (error == 0) {
        learn_peer((const char *)data, r->len, &p->addr);
        p->fd = fd;
        fd = -1;
    } else if (s->recverr || s->recverr6) {
        s->sk.err = -error;
    }
    sock_wake_all(&s->sk, POLLOUT | POLLWRNORM | (s->sk.err ? POLLERR : 0));
    unlock(&s->sk.own_lock);
    if (fd >= 0)
        close(fd);
    sock_put(&s->sk);
}

static void peer_free(struct hpeer *p)
{
    if (p->fd >= 0) {
        event_unwatch(p->fd);
        close(p->fd);
    }
    broker_closed(p->tag);
    kfree(p);
}

static struct hpeer *find_peer(struct isock *s, const struct inet_addr *a)
{
    struct hpeer *p;

    list_for_each(p, &s->host.peers, link) {
        if (p->addr.port == a->port && inet_same(&p->addr, a))
            return p;
    }
    return NULL;
}

/* One too many: the last that is not waiting. */
static struct hpeer *oldest(struct isock *s)
{
    struct hpeer *p, *last = NULL;

    if (s->host.npeers < PEERS_MAX)
        return NULL;
    list_for_each(p, &s->host.peers, link) {
        if (p->fd >= 0 || p->error)
            last = p;
    }
    if (last) {
        list_del(&last->link);
        s->host.npeers--;
    }
    return last;
}

static struct hpeer *new_peer(struct isock *s, const struct inet_addr *a)
{
    struct hpeer *p = kzalloc(sizeof *p);

    if (!p)
        return NULL;
    p->s = s;
    p->addr = *a;
    p->fd = -1;
    list_init(&p->link);
    bcall_init(&p->call);
    p->call.hold = hold;
    p->call.answer = answer;
    return p;
}

/* first goes along, unless it is NULL. own_lock held: nobody sends before it. */
static int request(struct isock *s, struct hpeer *p, const struct msg *first)
{
    struct nb_opt opts[NB_OPTS_MAX];
    struct nb_req m = { .op = NB_CONNECT,
                        .proto = s->sk.protocol == IPPROTO_UDP ? IPPROTO_UDP : IPPROTO_ICMP,
                        .addr = broker_addr(&p->addr),
                        .arg = (uint32_t)host_options(s, opts) };
    char *both = first ? kzalloc(sizeof opts + first->len) : NULL;
    int r;

    m.len = m.arg;
    if (first && !both)
        return -ENOMEM;
    if (first) {
        memcpy(both, opts, m.arg);
        memcpy(both + m.arg, first->data, first->len);
        m.len += (uint32_t)first->len;
        m.arg |= NB_FIRST;
    }
    (void)broker_expect(&p->call);
    m.tag = p->tag = p->call.tag;
    r = broker_send(&m, both ? (void *)both : opts, -1, NULL);
    kfree(both);
    if (r < 0)
        broker_forget(&p->call);
    return r;
}

/*
 * The peer of that address, asked for where it is new, with first if that is not NULL: then *ret_sent.
 * Called with own_lock, which is let go to free another. NULL: no memory, or every one of them is waiting.
 */
static struct hpeer *get_peer(struct isock *s, const struct inet_addr *a, const struct msg *first,
                              bool *ret_sent)
{
    struct hpeer *p = find_peer(s, a), *old = NULL, *fresh;

    if (p && !p->error) {
        list_del(&p->link);
        list_add_head(&s->host.peers, &p->link);
        return p;
    }
    if (p) { /* the policy said no: names may have been resolved since */
        list_del(&p->link);
        s->host.npeers--;
        old = p;
    } else {
        old = oldest(s);
    }
    if (s->host.npeers >= PEERS_MAX)
        return NULL;
    fresh = new_peer(s, a);
    if (fresh) {
        list_add_head(&s->host.peers, &fresh->link);
        s->host.npeers++;
        fresh->error = request(s, fresh, first);
        if (fresh->error == 0 && first)
            *ret_sent = true;
    }
    if (!old)
        return fresh;
    unlock(&s->sk.own_lock);
    peer_free(old);
    lock(&s->sk.own_lock);
    return fresh ? find_peer(s, a) : NULL;
}

static int send_to_peer(struct isock *s, const struct inet_addr *dst, const struct msg *m)
{
    struct hpeer *p;
    bool sent = false;

    LOCK_SCOPE(&s->sk.own_lock);
    p = find_peer(s, dst);
    if (p && p->error) { /* by now it may be another answer: for the next one */
        int error = p->error;

        p = get_peer(s, dst, NULL, NULL);
        if (p)
            p->before = error;
        return error;
    }
    p = get_peer(s, dst, m, &sent);
    if (!p)
        return -ENOBUFS;
    if (sent)
        return (int)m->len;
    if (p->fd < 0 && p->before)
        return p->before;
    return p->fd >= 0 && !is_burst(p) ? push(p, m) : push_early(p, m);
}

/* ---- the nameserver ---- */

#define QUERIES_MAX 256u

struct query {
    struct bcall call;
    struct isock *s;
    struct inet_addr server;
};

static _Atomic unsigned nqueries;

static bool query_hold(struct bcall *c)
{
    (void)c;
    return true; /* it has the socket's reference since it was made */
}

static void query_answer(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct query *q = container_of(c, struct query, call);

    if (fd >= 0)
        close(fd);
    if (r->error == 0 && r->len)
        put(q->s, data, r->len, &q->server);
    sock_put(&q->s->sk);
    kfree(q);
    atomic_fetch_sub(&nqueries, 1);
}

static int send_query(struct isock *s, const struct inet_addr *dst, const struct msg *m)
{
    struct nb_req req = { .op = NB_DNS, .len = (uint32_t)m->len };
    struct query *q = NULL;

    if (atomic_fetch_add(&nqueries, 1) < QUERIES_MAX)
        q = kzalloc(sizeof *q);
    if (!q) {
        atomic_fetch_sub(&nqueries, 1);
        return (int)m->len; /* lost, as datagrams may be */
    }
    bcall_init(&q->call);
    q->call.hold = query_hold;
    q->call.answer = query_answer;
    q->s = inet_sk(sock_ref(&s->sk));
    q->server = *dst;
    (void)broker_expect(&q->call);
    req.tag = q->call.tag;
    if (broker_send(&req, m->data, -1, NULL) < 0 && broker_forget(&q->call)) {
        sock_put(&s->sk);
        kfree(q);
        atomic_fetch_sub(&nqueries, 1);
    }
    return (int)m->len;
}

/* ---- calls ---- */

static int send_to(struct isock *s, const struct inet_addr *dst, const struct msg *m)
{
    struct nb_req req = {
        .op = NB_SENDTO, .arg = s->local.port, .addr = broker_addr(dst), .len = (uint32_t)m->len
    };
    int r;

    if (broker_is_nameserver(dst))
        return send_query(s, dst, m);
    if (s->sk.protocol != IPPROTO_UDP || !s->port_bound ||
        (!broker_publishes(false, s->local.port) && !s->host.listen.tag))
        return send_to_peer(s, dst, m);
    r = broker_send(&req, m->data, -1, NULL);
    return r < 0 ? r : (int)m->len;
}

static int wait_for_peer(struct task *t, struct isock *s, const struct inet_addr *dst)
{
    struct hpeer *p;

    if (broker_is_nameserver(dst))
        return 0;
    LOCK_SCOPE(&s->sk.own_lock);
    p = t->call.phase ? find_peer(s, dst) : get_peer(s, dst, NULL, NULL);
    t->call.phase = 1;
    if (!p)
        return -ENOBUFS;
    if (p->fd >= 0 || p->error)
        return p->error;
    return task_wait(t, &s->sk.wr_wq, 0);
}

int host_udp_send(struct isock *s, const struct send_req *r, const struct inet_addr *named,
                  const struct msg *m)
{
    const struct inet_addr dst = r->addr ? *named : s->remote;
    int e;

    if (!broker_wants(s, &dst) || (!r->addr && !s->remote.port && s->sk.state != SOCK_CONNECTED))
        return -ENETUNREACH;
    lock(&udp_lock);
    e = udp_autobind(s);
    unlock(&udp_lock);
    return e < 0 ? e : send_to(s, &dst, m);
}

int host_udp_connect(struct task *t, struct isock *s, const struct inet_addr *dst)
{
    struct inet_addr own = { .port = 0 };
    int r = wait_for_peer(t, s, dst);

    if (r < 0)
        return r;
    LOCK_SCOPE(&udp_lock);
    r = udp_autobind(s);
    if (r < 0)
        return r;
    broker_own(&own);
    if (!s->addr_bound && inet_is_v4(dst))
        s->local.ip = own.ip;
    s->remote = *dst;
    s->sk.state = SOCK_CONNECTED;
    return 0;
}

void host_udp_release(struct isock *s)
{
    struct hpeer *p, *n;

    list_for_each_safe(p, n, &s->host.peers, link) {
        broker_forget(&p->call);
        peer_free(p);
    }
}

void host_udp_published(const struct nb_rep *r, const uint8_t *data, const struct inet_addr *peer)
{
    struct inet_addr to = { .port = (uint16_t)r->arg };
    struct isock *s;

    broker_own(&to);
    lock(&udp_lock);
    s = port_find_udp(&to, peer);
    if (s && !sock_tryref(&s->sk))
        s = NULL;
    unlock(&udp_lock);
    if (!s)
        return;
    struct inet_addr shown = *peer;
    if (s->sk.family == AF_INET && !inet_is_v4(peer)) /* it has no name for such */
        broker_gateway(&shown);
    put(s, data, r->len, &shown);
    sock_put(&s->sk);
}

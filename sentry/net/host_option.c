/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of sockets that are the host's. They are checked and kept as those of any other socket;
 * those that do something are sent on: with the request that makes the socket, and by a trip each
 * later. The trip is waited for as a record: its object lies in the heap, and the record and the
 * table hold it.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"

static const struct sent_on {
    int level, name, dflt;
    size_t at;
    bool is_bool;
} table[] = {
#define SK_FLAG(name, m)                                                                           \
    {                                                                                              \
        SOL_SOCKET, name, 0, offsetof(struct isock, sk.m), true                                    \
    }
#define IN_INT(level, name, m, dflt)                                                               \
    {                                                                                              \
        level, name, dflt, offsetof(struct isock, m), false                                        \
    }
    SK_FLAG(SO_KEEPALIVE, keepalive),
    SK_FLAG(SO_OOBINLINE, oobinline),
    SK_FLAG(SO_REUSEADDR, reuseaddr),
    SK_FLAG(SO_REUSEPORT, reuseport),
    IN_INT(IPPROTO_TCP, TCP_NODELAY, tcp.nodelay, 0),
    IN_INT(IPPROTO_TCP, TCP_CORK, tcp.cork, 0),
    IN_INT(IPPROTO_TCP, TCP_QUICKACK, tcp.quickack, 1),
    IN_INT(IPPROTO_TCP, TCP_MAXSEG, tcp.maxseg, 0),
    IN_INT(IPPROTO_TCP, TCP_KEEPIDLE, tcp.keepidle, 7200),
    IN_INT(IPPROTO_TCP, TCP_KEEPINTVL, tcp.keepintvl, 75),
    IN_INT(IPPROTO_TCP, TCP_KEEPCNT, tcp.keepcnt, 9),
    IN_INT(IPPROTO_TCP, TCP_SYNCNT, tcp.syncnt, 6),
    IN_INT(IPPROTO_TCP, TCP_USER_TIMEOUT, tcp.user_timeout, 0),
    IN_INT(IPPROTO_TCP, TCP_LINGER2, tcp.linger2, 60),
    IN_INT(IPPROTO_TCP, TCP_DEFER_ACCEPT, tcp.defer, 0),
    IN_INT(IPPROTO_TCP, TCP_WINDOW_CLAMP, tcp.clamp, 0),
    IN_INT(IPPROTO_IP, IP_TTL, ttl, -1),
    IN_INT(IPPROTO_IP, IP_TOS, tos, 0),
    IN_INT(IPPROTO_IP, IP_MTU_DISCOVER, mtu_discover, 1),
    IN_INT(IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops, -1),
    IN_INT(IPPROTO_IPV6, IPV6_TCLASS, tclass, 0),
};

static void add(struct nb_opt *opts, size_t *n, int level, int name, int value)
{
    if (*n < NB_OPTS_MAX)
        opts[(*n)++] = (struct nb_opt){ level, name, value };
}

size_t host_options(const struct isock *s, struct nb_opt opts[NB_OPTS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct sent_on *o = &table[i];
        const void *at = (const char *)s + o->at;
        int v = o->is_bool ? *(const bool *)at : *(const int *)at;

        if (v != o->dflt && (o->level != IPPROTO_TCP || s->sk.type == SOCK_STREAM) &&
            (o->level != IPPROTO_IPV6 || s->sk.family == AF_INET6))
            add(opts, &n, o->level, o->name, v);
    }
    if (s->sk.linger && s->sk.linger_time == 0) /* else it is ours: host_tcp.c */
        add(opts, &n, SOL_SOCKET, SO_LINGER, 0);
    if (s->sk.sndbuf_set) /* it is doubled by who sets it */
        add(opts, &n, SOL_SOCKET, SO_SNDBUF, s->sk.sndbuf / 2);
    if (s->sk.rcvbuf_set)
        add(opts, &n, SOL_SOCKET, SO_RCVBUF, s->sk.rcvbuf / 2);
    return n * sizeof opts[0];
}

static bool is_sent_on(int level, int name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (table[i].level == level && table[i].name == name)
            return true;
    return level == SOL_SOCKET &&
           (name == SO_LINGER || name == SO_SNDBUF || name == SO_RCVBUF || name == SO_RCVLOWAT);
}

/* ---- a trip ---- */

struct trip {
    struct bcall call;
    _Atomic int refs; /* the record's, and an answer's that is being taken */
    struct lock lock; /* LOCK_OBJECT; guards the rest */
    struct waitqueue wq;
    bool done;
    int error;
    uint32_t len;
    uint8_t value[NB_OPT_MAX];
};

static void trip_put(struct trip *tr)
{
    if (atomic_fetch_sub(&tr->refs, 1) != 1)
        return;
    wq_done(&tr->wq);
    lock_done(&tr->lock);
    kfree(tr);
}

static bool trip_hold(struct bcall *c)
{
    struct trip *tr = container_of(c, struct trip, call);

    atomic_fetch_add(&tr->refs, 1); /* it is in the table: the record has one */
    return true;
}

static void trip_answer(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct trip *tr = container_of(c, struct trip, call);

    if (fd >= 0)
        close(fd);
    lock(&tr->lock);
    tr->done = true;
    tr->error = r->error;
    tr->len = MIN(r->len, (uint32_t)NB_OPT_MAX);
    memcpy(tr->value, data, tr->len);
    wq_wake_all(&tr->wq, 0);
    unlock(&tr->lock);
    trip_put(tr);
}

struct slot {
    struct trip *trip;
};

static void slot_free(void *p)
{
    struct slot *sl = p;

    if (!sl->trip)
        return;
    broker_forget(&sl->trip->call);
    trip_put(sl->trip);
}

static int begin(struct slot *sl, struct nb_req *m, const void *data, struct sock *sk)
{
    struct trip *tr = kzalloc(sizeof *tr);

    if (!tr)
        return -ENOMEM;
    atomic_init(&tr->refs, 1);
    lock_init(&tr->lock, LOCK_OBJECT);
    wq_init(&tr->wq);
    bcall_init(&tr->call);
    tr->call.hold = trip_hold;
    tr->call.answer = trip_answer;
    sl->trip = tr;
    (void)broker_expect(&tr->call);
    m->tag = tr->call.tag;
    return broker_send(m, data, inet_sk(sk)->host.fd, sk);
}

/* The record's slot lies in *sl. 0 or what the broker says, -EWAITING. */
static int go(struct task *t, struct slot *sl, struct nb_req *m, const void *data, struct sock *sk)
{
    int r = sl->trip ? 0 : begin(sl, m, data, sk);

    if (r < 0)
        return r;
    LOCK_SCOPE(&sl->trip->lock);
    return sl->trip->done ? sl->trip->error : task_wait(t, &sl->trip->wq, WAIT_KILL);
}

static struct slot *slot(struct task *t)
{
    struct slot *sl = call_scratch(t, sizeof *sl);

    if (sl)
        t->call.scratch_free = slot_free;
    return sl;
}

/* ---- calls ---- */

bool host_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                     socklen_t n, int *ret)
{
    struct {
        struct nb_opt o;
        uint8_t value[NB_OPT_MAX];
    } data = { .o = { level, opt, 0 } };
    struct nb_req m = { .op = NB_SETOPT, .len = (uint32_t)(sizeof data.o + n) };
    struct slot *sl;

    if (!is_sent_on(level, opt) || n > NB_OPT_MAX)
        return false;
    memcpy(data.value, v, n);
    if (level == SOL_SOCKET && opt == SO_LINGER) {
        const struct linger l = { sk->linger && sk->linger_time == 0, 0 };

        memcpy(data.value, &l, MIN(n, (socklen_t)sizeof l));
    }
    sl = slot(t);
    *ret = sl ? go(t, sl, &m, &data, sk) : -ENOMEM;
    return true;
}

bool host_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n,
                     int *ret)
{
    struct nb_opt o = { level, opt, 0 };
    struct nb_req m = { .op = NB_GETOPT, .len = sizeof o, .arg = *n };
    struct slot *sl;

    if (!(level == SOL_SOCKET && opt == SO_ERROR && !sk->err) &&
        !(level == IPPROTO_TCP && (opt == TCP_INFO || opt == TCP_MAXSEG)))
        return false;
    sl = slot(t);
    *ret = sl ? go(t, sl, &m, &o, sk) : -ENOMEM;
    if (*ret == 0) {
        *n = MIN(*n, (socklen_t)sl->trip->len);
        memcpy(v, sl->trip->value, *n);
    }
    return true;
}

/* The record's scratch is the message's: the trip hangs on the socket, one at a time. */
int host_urgent(struct task *t, struct sock *sk, uint8_t byte)
{
    struct nb_req m = { .op = NB_URGENT, .len = 1 };
    struct isock *s = inet_sk(sk);
    struct slot sl = { NULL };
    int r;

    LOCK_SCOPE(&sk->own_lock);
    if (s->host.urgent && s->host.urgent_task != t)
        return -EAGAIN;
    sl.trip = s->host.urgent;
    s->host.urgent_task = t;
    r = go(t, &sl, &m, &byte, sk);
    s->host.urgent = sl.trip;
    if (r != -EWAITING) {
        slot_free(&sl);
        s->host.urgent = NULL;
    }
    return r;
}

void host_urgent_end(struct isock *s)
{
    struct slot sl = { s->host.urgent };

    slot_free(&sl);
}

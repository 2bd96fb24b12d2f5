/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected pair of sockets: two ways, each a ring of bytes (streams) or a list of records
 * (seqpacket), and one lock for both ends. Each end holds a reference to the pair; the pair points
 * back at the ends without one, and an end that is released takes itself off under the lock.
 */
#pragma once

#include "sentry/kernel/timer.h"
#include "sentry/net/sock.h"

struct ring {
    uint8_t *buf;        /* grown as needed, up to the limit that the writer gives */
    uint32_t size;       /* a power of two, or 0 */
    uint64_t rpos, wpos; /* positions in the stream: all that was ever read / written */
};

static inline size_t ring_used(const struct ring *r)
{
    return r->wpos - r->rpos;
}
/* At most n bytes from it, never more than cap held in all; bytes, -EFAULT, -ENOMEM. */
ssize_t ring_write(struct ring *r, struct iter *it, size_t n, size_t cap) __must_check;
/* n bytes from position at (rpos <= at) to it, without consuming; bytes or -EFAULT. */
ssize_t ring_copy(struct ring *r, struct iter *it, uint64_t at, size_t n) __must_check;
static inline void ring_consume(struct ring *r, size_t n)
{
    r->rpos += n;
}
void ring_free(struct ring *r);

/* Ancillary data of a byte range of a stream. */
struct mark {
    struct list link;
    uint64_t start, end;
    struct scm *scm;
};

/* A datagram or record. */
struct msg {
    struct list link;
    size_t len;
    struct scm *scm;
    ktime_t stamp;     /* CLOCK_REALTIME */
    struct sock *from; /* unix dgram: for flow control only, may be stale: not followed */
    struct sockaddr_storage addr; /* sender */
    socklen_t addrlen;
    struct sockaddr_storage to;
    uint8_t ttl, tos;
    uint8_t data[];
};
/* Copies n bytes of it into a new message. ERR_PTR(-EFAULT, -ENOMEM). */
struct msg *msg_new(struct iter *it, size_t n);
void msg_free(struct msg *m); /* with its scm */
/* Takes a whole message out to r: the length that recv returns. */
ssize_t msg_deliver(struct recv_req *r, struct msg *m);
/*
 * The first of sk's messages is delivered to r and stays on the list: the length, *ret it. An error of
 * sk, -EAGAIN, -EWAITING, or 0 for the end: *ret NULL. sk locked.
 */
ssize_t msg_recv_first(struct task *t, struct sock *sk, struct list *msgs, struct recv_req *r,
                       struct msg **ret);
/* m, which was received, leaves the list and what it counts for; the next reader is woken. */
void msg_taken(struct sock *sk, struct list *msgs, size_t *bytes, struct msg *m);

/*
 * Sockets of messages, received ones in a list. sk locked: what poll says but for writing, the length of
 * the first (FIONREAD), what was not sent yet (never any), shutdown.
 */
uint32_t dgram_events(const struct sock *sk, const struct list *msgs);
size_t dgram_first(const struct list *msgs);
size_t dgram_outq(struct sock *sk);
void dgram_shut(struct sock *sk, int how);

/* What a message counts against a buffer. */
static inline size_t msg_cost(const struct msg *m)
{
    return m->len + 768;
}

struct half { /* the way to one end */
    struct ring ring;
    struct list msgs; /* seqpacket */
    size_t msg_bytes;
    struct list marks;
    bool nospace;  /* TCP: the writer was told so, and waits for a wake */
    bool fin;      /* the writer is done: end of file behind the data */
    bool urg;      /* TCP: an urgent byte stands at urg_pos */
    bool urg_read; /* it was read by MSG_OOB */
    uint64_t urg_pos;
    bool held; /* TCP, MSG_MORE and TCP_CORK: what stands behind shown waits for more, or fin, */
    uint64_t shown; /* or the timer */
};

struct conn {
    _Atomic int refs;
    struct push {
        struct ktimer timer;
        struct conn *conn;
    } push[2];        /* of to[i] */
    struct lock lock; /* LOCK_SOCKET */
    struct sock *end[2];
    struct half to[2]; /* to[i]: what end i reads */
    uint32_t isn[2];   /* [I] TCP: where the numbers of what end i sends begin (tap.c) */
};

/* How far what h carries may be read. */
static inline uint64_t half_end(const struct half *h)
{
    return h->held && !h->fin ? h->shown : h->ring.wpos;
}
static inline size_t half_ready(const struct half *h)
{
    return half_end(h) - h->ring.rpos;
}
/* What was written to c->to[side] from position `from` on is held, all but whole segments. */
void half_hold(struct conn *c, int side, uint64_t from);
/* All of it may be read; true: there was something held. */
bool half_show(struct half *h);

struct conn *conn_new(void); /* one reference; NULL */
struct conn *conn_ref(struct conn *c);
void conn_put(struct conn *c);
/* Makes sk an end of c (takes a reference); under sk->own_lock unless nobody else sees sk yet. */
void conn_attach(struct conn *c, struct sock *sk, int side);

static inline struct half *sock_in(struct sock *sk)
{
    return &atomic_load(&sk->conn)->to[sk->side];
}
static inline struct half *sock_out(struct sock *sk)
{
    return &atomic_load(&sk->conn)->to[!sk->side];
}
static inline struct sock *sock_other(struct sock *sk)
{
    struct conn *c = atomic_load(&sk->conn);

    return c ? c->end[!sk->side] : NULL;
}

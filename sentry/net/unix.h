/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX inside. unix.c: names, making, closing; unix_stream.c: connecting streams and seqpackets;
 * unix_io.c: their data; unix_dgram.c: datagrams; inflight.c: sockets in queues of sockets.
 *
 * [N] unix_lock (LOCK_NET): names and who is a datagram socket's peer.
 * [F] inflight_lock of inflight.c (LOCK_OBJECT).
 */
#pragma once

#include "sentry/net/stream.h"

struct unix_addr { /* shared by a listener and what it accepts */
    _Atomic int refs;
    socklen_t len; /* as getsockname gives; 2: unnamed */
    struct sockaddr_un un;
};

struct usock {
    struct sock sk;
    struct unix_addr *addr;      /* [N] set once; NULL: no name */
    bool addr_shared;            /* [I] of an accepted one: the name is the listener's */
    struct unix_addr *peer_addr; /* [s] of a connected stream */
    struct usock *hash_next;     /* [N] abstract names */
    struct path path;            /* [N] of a pathname socket: a reference */

    struct room *room; /* [s] who waits for room in its queue or backlog */

    /* datagrams */
    struct list msgs;                         /* [s] */
    size_t msg_bytes;                         /* [s] */
    unsigned nmsgs;                           /* [s] */
    struct usock *peer;                       /* [N] */
    struct list peer_link;                    /* [N] in peer->peers */
    struct list peers;                        /* [N] sockets connected to this one */
    _Atomic bool peer_full;                   /* the peer has no room: what poll says */
    void (*hear)(const void *data, size_t n); /* [I] of a datagram socket of the kernel's: who gets
                                                 what is sent, under locks; NULL: who receives */
    bool peer_died;                           /* [N] the next send says ECONNREFUSED */

    /* inflight.c */
    unsigned inflight;                /* [F] references that lie in queues */
    struct list fl_queue;             /* [F] struct inflight: what lies in this one's queue */
    struct list fl_link;              /* [F] among the sockets in flight */
    struct usock *embryo_of;          /* [F] listener in whose accept queue it still stands */
    struct list embryos, embryo_link; /* [F] */
    bool fl_live;                     /* [F] found reachable in this collection */
    struct usock *fl_next;            /* [F] work list of a collection */
};

static inline struct usock *unix_sk(struct sock *sk)
{
    return container_of(sk, struct usock, sk);
}

extern struct lock unix_lock;
extern const struct sock_ops unix_stream_ops, unix_dgram_ops, unix_seq_ops;

struct usock *unix_new(struct task *t, int type); /* ERR_PTR */
struct unix_addr *unix_addr_ref(struct unix_addr *a);
void unix_addr_put(struct unix_addr *a);
int unix_addr_out(const struct unix_addr *a, struct sockaddr_storage *ret);

/*
 * The socket of that name, as a reference. May make gofer trips. -ECONNREFUSED, -EPROTOTYPE, and
 * what a path walk gives.
 */
int unix_find(struct task *t, const struct sockaddr *a, socklen_t n, int type, struct usock **ret);
/* Checks and measures; the length, or -EINVAL. 2: no name (autobind). */
int unix_check_addr(const struct sockaddr *a, socklen_t n);
int unix_autobind(struct usock *u);

int unix_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n);
int unix_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret);
/* u, new and of the kernel's, is found at p (taken over), and what is sent there goes to hear. For ever. */
void unix_hear(struct usock *u, const struct path *p, void (*hear)(const void *data, size_t n));
void unix_release(struct sock *sk);
void unix_info(struct sock *sk, struct net_info *ret);

/* unix_stream.c: what all connected pairs do alike, those of AF_VSOCK too. For poll, inq, outq: sk locked. */
int unix_pair_shutdown(struct task *t, struct sock *sk, int how);
uint32_t unix_pair_poll(struct sock *sk);
size_t unix_pair_inq(struct sock *sk);
size_t unix_pair_outq(struct sock *sk);

/* unix_io.c; these, too. */
ssize_t unix_stream_send(struct task *t, struct sock *sk, struct send_req *r);
ssize_t unix_stream_recv(struct task *t, struct sock *sk, struct recv_req *r);
ssize_t unix_seq_send(struct task *t, struct sock *sk, struct send_req *r);
ssize_t unix_seq_recv(struct task *t, struct sock *sk, struct recv_req *r);
/* Gives the sender's credentials to r->scm's message when either end asks for them. */
int unix_scm_prepare(struct task *t, struct sock *from, struct sock *to, struct send_req *r);
/* Copies (peek) or moves a message's ancillary data to r. */
void unix_scm_take(struct recv_req *r, struct scm **s);

/* Drops everything that lies in its queues; for one that is found unreachable. No lock held. */
void unix_purge(struct usock *u);

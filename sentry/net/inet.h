/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loopback network: IPv4 and IPv6 with TCP and UDP, on 127.0.0.0/8 and ::1, inside the sentry.
 *
 * An address is always 16 bytes: IPv4 ones are v4-mapped, so that a dual-stack IPv6 socket and an
 * IPv4 one meet in one table. port.c holds the ports (locks of class LOCK_NET); inet.c checks and
 * shows addresses; tcp*.c and udp*.c are the protocols.
 */
#pragma once

#include <netinet/in.h>

#include "sentry/net/bcall.h"
#include "sentry/net/stream.h"

struct trip;

struct inet_addr {
    struct in6_addr ip; /* v4-mapped for IPv4 */
    uint16_t port;      /* host order */
};

struct isock {
    struct sock sk;
    /* [P] the lock of its port table */
    struct inet_addr local;  /* [P] */
    struct inet_addr remote; /* [P] of a connected one */
    bool bound;              /* [P] has a port (in the table) */
    bool addr_bound;         /* [P] bind named an address */
    bool port_bound;         /* [P] bind named a port */
    struct list port_link;   /* [P] in its port's bucket */
    bool v6only;

    /* IP and IPv6 options: kept; few of them mean anything here */
    int tos, ttl, mtu_discover, mc_ttl, mc_loop, minttl, freebind, transparent, recverr,
        bind_no_port, mc_all, local_range;
    int tclass, hops, mc_hops, mc6_loop, mtu6_discover, recverr6, flowinfo, flowsend, autoflow,
        mc6_all, dontfrag, addr_pref, minhops;
    bool pktinfo, recvttl, recvtos, recvopts, retopts, origdst, checksum, recvfragsize, passsec4;
    bool pktinfo6, hoplimit6, tclass6, origdst6, hopopts6, rthdr6, dstopts6, pathmtu6, fragsize6;
    int mc_if;        /* where multicast goes: 0, or lo */
    uint32_t mc_addr; /* as IP_MULTICAST_IF named it */
    struct {
        uint32_t next, from; /* [s] numbers of what was sent, of the first that is not told yet */
        bool pending;        /* [s] */
    } zc;
    struct list groups; /* [udp_lock] what it has joined; group.c */
    unsigned ngroups;
    int rfc4884, rfc4884_6, alert6, unicast_if, unicast6_if, mc6_if;

    struct tcp_opts {
        int nodelay, cork, maxseg, keepidle, keepintvl, keepcnt, syncnt, linger2, defer, clamp,
            quickack, user_timeout, fastopen, fastopen_connect, thin, notsent_lowat, save_syn, inq,
            fastopen_nokey;
        char cc[16];
    } tcp;
    /* TCP */
    bool listening;               /* [P] */
    bool started;                 /* [s] a connect is under way or its result not yet told */
    bool refused;                 /* [P] the connect that waited has failed */
    struct list synq;             /* [P] of a listener: sockets that wait for room in its queue */
    struct list syn_link;         /* [P] */
    struct isock *embryo;         /* [P] while it waits: the server's socket, ready made */
    struct conn *embryo_conn;     /* [P] and the pair */
    bool fin_sent;                /* [s] */
    bool rst;                     /* [s] the connection was reset */
    uint64_t bytes_in, bytes_out; /* [s] */
    struct conn *old_conns[4];    /* [s] pairs it has left; freed with it */
    unsigned nold;

    /* with the outside (host.h); fd -1: none */
    struct {
        struct bcall call;       /* a connect that is under way */
        uint32_t tag;            /* [s] of that, as long as it is wanted */
        struct bcall listen;     /* for as long as the broker listens */
        int fd;                  /* set under [s], before SOCK_HOST */
        uint32_t kept;           /* [s] the broker has it, too, by that tag; 0 */
        bool watched;            /* [s] */
        struct {                 /* host_lend.c has the lock */
            struct files *files; /* the table of whose descriptor gfd ... NULL: not lent */
            struct aspace *as;   /* is lent to this one's process, */
            int gfd, n;          /* as number n there; */
            bool on;             /* and may be used */
        } lent;
        int old_fds[4]; /* [s] that were left; closed with it */
        unsigned nold, old_watched;
        bool listen_answered; /* [s] */
        int listen_error;     /* [s] */
        struct trip *urgent;  /* [s] urgent data under way, and whose it is */
        struct task *urgent_task;
        struct list peers; /* [s] UDP */
        unsigned npeers;
    } host;

    /* UDP */
    struct list msgs;   /* [s] */
    size_t msg_bytes;   /* [s] */
    uint64_t drops;     /* [s] */
    struct msg *corked; /* [s] a datagram that waits for more (MSG_MORE, UDP_CORK); NULL: none */
    struct inet_addr corked_to; /* [s] where its first part was sent to */
    bool corked_named;          /* [s] which was named, not connected to */
    struct udp_opts {
        int cork, encap, no_check6_tx, no_check6_rx, segment, gro;
    } udp;
    struct raw_opts { /* SOCK_RAW; [R] of raw.h */
        bool hdrincl;
        int checksum; /* where IPv6's stands in what is sent; -1: nowhere */
        uint32_t icmp_not;
        uint32_t icmp6_not[8]; /* bits of the types that are not wanted, as in ICMP_FILTER */
    } raw;
};

static inline struct isock *inet_sk(struct sock *sk)
{
    return container_of(sk, struct isock, sk);
}

extern const struct sock_ops tcp_ops, udp_ops;

/* ---- inet.c ---- */

/* A sockaddr of sk's family as an inet_addr. -EINVAL, -EAFNOSUPPORT. */
int inet_addr_in(struct isock *s, const struct sockaddr *a, socklen_t n, struct inet_addr *ret);
/* The way back; the length. v4-mapped on an IPv6 socket stays so. */
int inet_addr_out(const struct isock *s, const struct inet_addr *a, struct sockaddr_storage *ret);
bool inet_is_any(const struct inet_addr *a);
bool inet_is_local(const struct inet_addr *a); /* an address of lo */
bool inet_is_v4(const struct inet_addr *a);
bool inet_is_multicast(const struct inet_addr *a);
struct inet_addr inet_loopback(bool v4, uint16_t port);
struct inet_addr inet_any(const struct isock *s);
struct inet_addr inet_from_v4(uint32_t addr); /* host order; port 0 */
bool inet_same(const struct inet_addr *a, const struct inet_addr *b);
/*
 * Where a connect or send to *dst goes: the any address means loopback, what is not local is
 * refused with ENETUNREACH. *src is filled in where it is any.
 */
int inet_route(struct isock *s, struct inet_addr *dst, struct inet_addr *src);
/* The user is told of a refused destination. No lock held. */
void inet_note_refused(const struct isock *s, const struct inet_addr *dst);
int inet_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n);
int inet_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret);
void inet_info(struct sock *sk, struct net_info *ret);

/* A control message of sendmsg. */
int inet_cmsg(struct sock *sk, const struct cmsghdr *m, struct send_req *r);

/* ---- port.c ---- */

extern struct lock tcp_lock, udp_lock; /* LOCK_NET: [P] */
static inline struct lock *port_lock(const struct isock *s)
{
    return s->sk.type == SOCK_STREAM ? &tcp_lock : &udp_lock;
}
void port_init(void);
/* Takes port (0: a free one) for s on s->local.ip. -EADDRINUSE. The lock is held for all these. */
int port_bind(struct isock *s, uint16_t port);
/* A free port for a connect from s->local to s->remote. -EADDRNOTAVAIL. */
int port_connect(struct isock *s);
/* A connection of its own on its listener's port. */
void port_share(struct isock *s, uint16_t port);
void port_release(struct isock *s);
/* Whether listen may start: -EADDRINUSE. */
int port_may_listen(struct isock *s);
/* The listener for a connection to dst / the socket for a datagram; NULL. */
struct isock *port_find_listener(const struct inet_addr *dst, const struct inet_addr *src);
struct isock *port_find_udp(const struct inet_addr *dst, const struct inet_addr *src);

/* Where the UDP sockets of a port are, with others. */
struct list *port_udp_bucket(uint16_t port);

/* ---- udp.c, udp_parts.c ---- */
/* Where it goes, outside or inside; m is used up. 0 or -errno. */
int udp_deliver(struct isock *s, struct send_req *r, const struct inet_addr *named, struct msg *m);
/* The same, as many datagrams where UDP_SEGMENT says so. */
int udp_deliver_segments(struct isock *s, struct send_req *r, struct inet_addr *named,
                         struct msg *m);
/*
 * m is the next part, or all there is. *ret: what is to be sent now, to *named when r->addr says so;
 * NULL: it waits for more. 0, -EMSGSIZE, -ENOMEM: then m is the caller's.
 */
int udp_gather(struct isock *s, struct send_req *r, struct inet_addr *named, struct msg *m,
               struct msg **ret);
/* What UDP_CORK and MSG_MORE have gathered goes. 0, or what sending it gave. */
int udp_push(struct isock *s);

/* ---- group.c ---- */
/* IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP, MCAST_JOIN_GROUP and their opposites; IP_MULTICAST_IF. */
int inet_group4(struct isock *s, bool add, const void *v, socklen_t n);
int inet_group6(struct isock *s, bool add, const void *v, socklen_t n);
int inet_group_any(struct isock *s, bool add, const void *v, socklen_t n);
int inet_group_device(struct isock *s, const void *v, socklen_t n);
void inet_leave_groups(struct isock *s); /* all, at its end */
/* Is dst a group, and has s said that it sends to groups on lo? */
bool inet_group_to_lo(const struct isock *s, const struct inet_addr *dst);
/* A copy of m, which is the caller's, to each that wants it. udp_lock held. */
void inet_group_send(const struct msg *m, const struct inet_addr *src, const struct inet_addr *dst);

/* ---- zerocopy.c ---- */
/* A call has sent something with those flags. [s] */
void inet_zerocopy_sent(struct isock *s, int flags);
/* MSG_ERRQUEUE: 0, with what is told, or -EAGAIN. No lock held. */
ssize_t inet_recv_errors(struct isock *s, struct recv_req *r);

/* ---- tcp.c ---- */
struct isock *inet_new(struct task *t, int family, int type); /* ERR_PTR */
struct isock *inet_new_of(struct task *t, int family, int type, const struct sock_ops *ops,
                          int protocol);
/* Both ways are ended, or it was reset. [s] */
bool tcp_closed(struct isock *s);
int tcp_state(struct isock *s); /* TCP_ESTABLISHED ...; [s] */
/* What a writer may have on the way to to. [s] */
size_t tcp_cap(struct sock *sk, struct sock *to);
/* The connection is reset from the other end. [s] of the pair */
void tcp_got_reset(struct sock *sk);

/* ---- tcp_listen.c ---- */
/* The options that a new connection has from its listener. */
void tcp_inherit(struct isock *to, const struct isock *from);
int tcp_listen(struct task *t, struct sock *sk, int backlog);
int tcp_accept(struct task *t, struct sock *sk, struct sock **ret);
void tcp_unaccept(struct sock *sk, struct sock *new);
/* Joins client and srv, and queues srv. tcp_lock and the own locks of client and listener held. */
void tcp_establish(struct isock *client, struct isock *listener, struct isock *srv, struct conn *c);
/* A connect has failed. tcp_lock and the own lock are held. */
void tcp_refuse(struct isock *s);
/* What a socket that waited had ready; NULL is fine. No lock held. */
void tcp_drop_embryo(struct isock *srv, struct conn *c);
/* Ends listening: what was not accepted is reset, what waits is refused. No lock held. */
void tcp_stop_listening(struct isock *s);

/* ---- inetopt.c, tcpopt.c ---- */
int inet_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                    socklen_t n);
int inet_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n);
int tcp_setsockopt(struct task *t, struct isock *s, int opt, const void *v, socklen_t n);
int tcp_getsockopt(struct isock *s, int opt, void *v, socklen_t *n);

/* ---- tcp_io.c ---- */
ssize_t tcp_send(struct task *t, struct sock *sk, struct send_req *r);
ssize_t tcp_recv(struct task *t, struct sock *sk, struct recv_req *r);
uint32_t tcp_poll(struct sock *sk);
/* What was held for more to come (MSG_MORE, TCP_CORK) may be read. The pair's lock is held. */
void tcp_push(struct sock *sk);
size_t tcp_inq(struct sock *sk);
/* Of a message that was received, what the options ask for. */
void udp_put_cmsgs(struct isock *s, struct recv_req *r, struct msg *m);
size_t tcp_outq(struct sock *sk);
long tcp_ioctl(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg);

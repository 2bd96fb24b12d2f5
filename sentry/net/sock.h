/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket layer's inside: struct sock embeds struct file and lives exactly as long as it. A
 * family and type is a struct sock_ops.
 *
 * Locks: sock_lock(sk) takes the lock that guards a socket now: its own, or that of the connected
 * pair it belongs to (stream.h). Names and ports lie under the LOCK_NET locks of unix.c and port.c,
 * which come before. Letters: [I] immutable [s] sock_lock [N] the family's LOCK_NET lock.
 *
 * Handlers may be run again (wait.h): what a call has done so far stands in its request, which lies
 * in the record.
 */
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"
#include "sentry/net/net.h"
#include "sentry/vfs/file.h"

struct cbpf;
struct conn;
struct cred;
struct scm;
struct tgroup;
struct sock;

enum sock_state {
    SOCK_CLOSED,
    SOCK_LISTEN,
    SOCK_CONNECTING,
    SOCK_CONNECTED,
    SOCK_HOST /* TCP: the host's socket, to the outside (net/host.h) */
};
enum { SHUT_R = 1, SHUT_W = 2, SHUT_BOTH = 3 };

/* Who stands at the other end, for SO_PEERCRED and its kin. */
struct peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    struct cred *cred;    /* reference; groups */
    struct tgroup *group; /* reference; pidfd */
};

#define CTL_MAX 512

struct send_req {
    struct iter *it;
    uint64_t *done;   /* bytes sent so far, over all runs */
    int flags;        /* MSG_* */
    const void *addr; /* kernel copy; NULL: none */
    socklen_t addrlen;
    struct scm **scm;     /* ancillary data; *scm is set NULL when it is taken over */
    struct sock_pktinfo { /* from IP_PKTINFO, IPV6_PKTINFO */
        bool have;
        uint8_t addr[16];
        int ifindex;
    } pktinfo;
    int ttl, tos; /* -1: not given */
    int segment;  /* UDP_SEGMENT; -1: not given */
};

struct recv_req {
    struct iter *it;
    uint64_t *done;
    int flags;
    struct sockaddr_storage addr; /* sender */
    socklen_t addrlen;            /* 0: none */
    int msg_flags;                /* MSG_TRUNC, MSG_EOR, ... out */
    bool want_ctl;                /* recvmsg: ancillary data is wanted */
    struct scm *scm;              /* what came along; the caller's */
    uint8_t ctl[CTL_MAX];         /* ready control messages */
    unsigned ctl_len;
};

/*
 * Addresses and values lie in kernel memory. Operations take the locks they need. listen, accept and
 * shutdown: NULL for -EOPNOTSUPP.
 */
struct sock_ops {
    int (*bind)(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n);
    int (*connect)(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n);
    int (*listen)(struct task *t, struct sock *sk, int backlog);
    int (*accept)(struct task *t, struct sock *sk, struct sock **ret); /* ret: a reference */
    /* Gives it back, to be accepted again: there was no descriptor. Takes the reference. */
    void (*unaccept)(struct sock *sk, struct sock *new);
    int (*getname)(struct sock *sk, bool peer, struct sockaddr_storage *ret); /* its length */
    ssize_t (*send)(struct task *t, struct sock *sk, struct send_req *r);
    ssize_t (*recv)(struct task *t, struct sock *sk, struct recv_req *r);
    int (*shutdown)(struct task *t, struct sock *sk, int how); /* SHUT_R | SHUT_W */
    /* -ENOPROTOOPT for what is not known; NULL likewise. *n: room, then length. */
    int (*setsockopt)(struct task *t, struct sock *sk, int level, int opt, const void *v,
                      socklen_t n);
    int (*getsockopt)(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n);
    uint32_t (*poll)(struct sock *sk);                     /* with sock_lock held */
    void (*lend)(struct task *t, struct sock *sk, int fd); /* as file_ops; NULL: never */
    void (*unlend)(struct sock *sk, bool gone);
    long (*ioctl)(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg); /* NULL: none */
    size_t (*inq)(struct sock *sk);  /* FIONREAD; sock_lock held; NULL: EINVAL */
    size_t (*outq)(struct sock *sk); /* TIOCOUTQ; sock_lock held */
    int (*mmap)(struct task *t, struct sock *sk, struct mmap_request *req); /* NULL: ENODEV */
    void (*release)(struct sock *sk);
    void (*info)(struct sock *sk, struct net_info *ret);
    bool stream; /* sends raise SIGPIPE, MSG_EOR is refused... */
};

struct sock {
    struct file file;            /* first */
    const struct sock_ops *ops;  /* [I] */
    int family, type, protocol;  /* [I] */
    struct lock own_lock;        /* LOCK_SOCKET */
    _Atomic(struct conn *) conn; /* set under own_lock; NULL: not of a pair */
    int side;                    /* which end of conn */
    enum sock_state state;       /* [s] */
    int err;                     /* [s] pending error, positive; SO_ERROR */
    unsigned shut;               /* [s] SHUT_R | SHUT_W */
    struct waitqueue rd_wq, wr_wq, poll_wq;

    struct list acceptq; /* [s] of a listener: sock.accept_link, each with a reference */
    struct list accept_link;
    unsigned naccept, backlog; /* [s] */

    /* options; [s], read without it where one word is enough */
    int sndbuf, rcvbuf, rcvlowat, priority, mark, busy_poll, busy_budget, incoming_cpu, peek_off,
        bound_if;
    bool sndbuf_set, rcvbuf_set;
    ktime_t rcvtimeo, sndtimeo; /* KTIME_NEVER: none */
    bool linger;
    int linger_time;
    bool reuseaddr, reuseport, keepalive, broadcast, oobinline, passcred, passpidfd, passsec, debug,
        dontroute, nofcs, no_check, rxq_ovfl, wifi_status, select_err_queue, lock_filter,
        passrights, prefer_busy, no_rehash, zerocopy;
    int stamp; /* 0, SO_TIMESTAMP, SO_TIMESTAMPNS as set (old or new number) */
    int stamping;
    _Atomic(struct cbpf *) filter; /* cbpf.c */
    struct peer peer;              /* [s] */
    uid_t uid;                     /* [I] who made it */
    struct list all_link;          /* the list of all sockets, sock_list_lock */
};

static inline struct sock *file_sock(struct file *f)
{
    return container_of(f, struct sock, file);
}

/*
 * A socket of size n whose first member is struct sock, closed, options by default. ERR_PTR.
 * task: whose it is.
 */
struct sock *sock_new(struct task *t, size_t n, const struct sock_ops *ops, int family, int type,
                      int protocol);
static inline struct sock *sock_ref(struct sock *sk)
{
    file_ref(&sk->file);
    return sk;
}
static inline void sock_put(struct sock *sk)
{
    if (sk)
        file_put(&sk->file);
}
/* A reference unless the last one went already; under a table lock that release takes too. */
bool sock_tryref(struct sock *sk);

/* Takes the lock that guards sk now; returns it for unlock. */
struct lock *sock_lock(struct sock *sk);

/* Family constructors. type without SOCK_ flags. */
int unix_create(struct task *t, int type, int protocol, struct sock **ret);
int inet_create(struct task *t, int family, int type, int protocol, struct sock **ret);
int netlink_create(struct task *t, int type, int protocol, struct sock **ret);
int packet_create(struct task *t, int type, int protocol, struct sock **ret);
int unix_pair(struct task *t, int type, struct sock *ret[2]);

/* The call's socket: slot 0 of the record. ERR_PTR(-EBADF, -ENOTSOCK). */
struct sock *call_sock(struct task *t, int fd);

/* Wakes readers, writers, or all with a state change (events as poll). [s] */
void sock_wake_read(struct sock *sk);
void sock_wake_write(struct sock *sk);
void sock_wake_all(struct sock *sk, uint32_t events);

/* task_wait with the socket's time limit; timeo KTIME_NEVER: none. What recv and send return. */
int sock_wait(struct task *t, struct waitqueue *q, ktime_t timeo) __must_check;
/* Takes the pending error: 0 or negative. [s] */
int sock_take_err(struct sock *sk);
static inline bool req_nonblock(const struct sock *sk, int flags)
{
    return (flags & MSG_DONTWAIT) || file_nonblock(&sk->file);
}

/*
 * A queue that is waited on by tasks which hold no reference to the socket (a full backlog): it
 * outlives the socket, and ends with the last record that keeps it.
 */
struct room {
    struct file file;
    struct waitqueue wq;
};
/* Waits on *room, made when needed, under the lock that guards it. As sock_wait. */
int room_wait(struct task *t, struct room **room, ktime_t timeo) __must_check;
void room_wake(struct room *room);   /* NULL is fine */
void room_close(struct room **room); /* all are woken; the socket's reference goes */

/* -EPIPE, with the signal unless flags say no. */
int sock_sigpipe(struct task *t, int flags);

void peer_set(struct peer *p, struct task *t);
void peer_copy(struct peer *p, const struct peer *from);
void peer_clear(struct peer *p);

/* sockopt.c: SOL_SOCKET */
int sock_setsockopt(struct task *t, struct sock *sk, int opt, const void *v, socklen_t n);
int sock_getsockopt(struct task *t, struct sock *sk, int opt, void *v, socklen_t *n);
/* sockopt_rare.c: those numbers of it that it does not keep itself. [s]; -ENOPROTOOPT: not known. */
int sock_set_rare(struct task *t, struct sock *sk, int opt, int val);
int sock_get_rare(const struct sock *sk, int opt, int *ret);
/* SO_BINDTODEVICE, by name; n 0: to none. Takes the lock. */
int sock_bind_device(struct task *t, struct sock *sk, const char *name, socklen_t n);
/* Adds the time stamp that the options ask for. */
void sock_put_stamp(struct sock *sk, struct recv_req *r, ktime_t real);

/* Appends a control message to r->ctl; silently cut when it does not fit. */
void ctl_add(struct recv_req *r, int level, int type, const void *data, size_t n);

/* netioctl.c: SIOCGIF* and friends. */
long net_ioctl(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg);

extern const struct file_ops sock_file_ops;
extern _Atomic uint64_t net_lo_bytes, net_lo_packets;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_VSOCK with its loopback (VMADDR_CID_LOCAL): streams and seqpackets. There is no hypervisor to talk to,
 * so any other address is ENODEV, as on a Linux that has vsock_loopback alone; datagrams are, too.
 *
 * Bytes and records go as those of connected Unix sockets do (unix_io.c); here are names, connecting and
 * what differs at the ends. A connection is there at once, also for who does not wait (EINPROGRESS first).
 * What a sender may have on the way is the receiver's buffer size. MSG_EOR is not kept.
 *
 * vsock_lock (LOCK_NET) guards names: [N].
 */
#include "sentry/net/vsock.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/vm_sockets.h>
#include <netinet/tcp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/net/unix.h"
#include "sentry/vfs/vfs.h"

#define RESERVED_PORTS 1024
#define BACKLOG_MAX 4096
#define SOL_VSOCK_ 287
#define BUF_DEFAULT (256u << 10)
#define BUF_MIN 128u
#define BUF_LIMIT (4u << 20) /* of what really is on the way */
#define TIMEOUT_DEFAULT 2000000000ll
#define VM_SOCKETS_TIMEOUT_NEW 8

struct vsock {
    struct sock sk;
    struct list link;                 /* [N] those that have a port of their own */
    struct sockaddr_vm local, remote; /* [N]; port VMADDR_PORT_ANY: none */
    uint64_t buf, buf_min, buf_max;   /* [s] */
    ktime_t timeout;                  /* [s] of a connect; none takes any time */
};

static struct lock vsock_lock = { .class = LOCK_NET };
static struct list bound = { &bound, &bound }; /* [N] */

static struct vsock *vsock_sk(struct sock *sk)
{
    return container_of(sk, struct vsock, sk);
}

static struct sockaddr_vm address(uint32_t cid, uint32_t port)
{
    return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_port = port, .svm_cid = cid };
}

/* ---- names ---- */

static bool taken(uint32_t port)
{
    struct vsock *v;

    assert_locked(&vsock_lock);
    list_for_each(v, &bound, link)
        if (v->local.svm_port == port)
            return true;
    return false;
}

/* port VMADDR_PORT_ANY: a free one. */
static int bind_locked(struct vsock *v, uint32_t cid, uint32_t port)
{
    static uint32_t next = RESERVED_PORTS + 1; /* [N] */

    if (port == VMADDR_PORT_ANY) {
        do {
            port = next++;
            if (next == VMADDR_PORT_ANY)
                next = RESERVED_PORTS + 1;
        } while (taken(port)); /* fewer sockets than ports */
    } else if (taken(port)) {
        return -EADDRINUSE;
    }
    v->local = address(cid, port);
    list_add_tail(&bound, &v->link);
    return 0;
}

static int address_in(const struct sockaddr *a, socklen_t n, struct sockaddr_vm *ret)
{
    if (n < sizeof *ret)
        return -EINVAL;
    memcpy(ret, a, sizeof *ret);
    if (ret->svm_family != AF_VSOCK || ret->svm_flags & ~VMADDR_FLAG_TO_HOST)
        return -EINVAL;
    return 0;
}

static int vsock_bind(struct task *t, struct sock *sk, const struct sockaddr *addr, socklen_t n)
{
    struct vsock *v = vsock_sk(sk);
    struct sockaddr_vm a;
    int r = address_in(addr, n, &a);

    if (r < 0)
        return r;
    LOCK_SCOPE(&vsock_lock);
    if (v->local.svm_port != VMADDR_PORT_ANY)
        return -EINVAL;
    if (a.svm_cid != VMADDR_CID_ANY && a.svm_cid != VMADDR_CID_LOCAL)
        return -EADDRNOTAVAIL;
    if (a.svm_port < RESERVED_PORTS && !task_capable(t, CAP_NET_BIND_SERVICE))
        return -EACCES;
    return bind_locked(v, a.svm_cid, a.svm_port);
}

static int vsock_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct vsock *v = vsock_sk(sk);

    LOCK_SCOPE(&vsock_lock);
    if (peer && sk->state != SOCK_CONNECTED)
        return -ENOTCONN;
    memcpy(ret, peer ? &v->remote : &v->local, sizeof v->local);
    return sizeof v->local;
}

/* What a sender may have on the way to v. */
static int room(const struct vsock *v)
{
    return (int)MIN(v->buf, (uint64_t)BUF_LIMIT);
}

/* ---- connecting ---- */

static const struct sock_ops vsock_stream_ops, vsock_seq_ops;

static struct sock *vsock_new(struct task *t, int type)
{
    const struct sock_ops *ops = type == SOCK_STREAM ? &vsock_stream_ops : &vsock_seq_ops;
    struct sock *sk = sock_new(t, sizeof(struct vsock), ops, AF_VSOCK, type, 0);
    struct vsock *v = vsock_sk(sk);

    if (IS_ERR(sk))
        return sk;
    list_init(&v->link);
    v->local = v->remote = address(VMADDR_CID_ANY, VMADDR_PORT_ANY);
    v->buf = v->buf_max = BUF_DEFAULT;
    v->buf_min = BUF_MIN;
    v->timeout = TIMEOUT_DEFAULT;
    return sk;
}

static int vsock_listen(struct task *t, struct sock *sk, int backlog)
{
    struct vsock *v = vsock_sk(sk);

    (void)t;
    LOCK_SCOPE(&vsock_lock);
    if (v->local.svm_port == VMADDR_PORT_ANY)
        return -EINVAL;
    LOCK_SCOPE(&sk->own_lock);
    if (sk->state != SOCK_CLOSED && sk->state != SOCK_LISTEN)
        return -EINVAL;
    sk->backlog = MIN((unsigned)backlog, BACKLOG_MAX);
    sk->state = SOCK_LISTEN;
    return 0;
}

static struct vsock *listener_of(const struct sockaddr_vm *a, int type)
{
    struct vsock *v;

    assert_locked(&vsock_lock);
    list_for_each(v, &bound, link)
        if (v->local.svm_port == a->svm_port && v->sk.type == type)
            return v;
    return NULL;
}

/* Joins v to srv, which nobody else sees yet, if somebody listens at v->remote. vsock_lock is held. */
static int join(struct vsock *v, struct vsock *srv, struct conn *c)
{
    struct vsock *l = listener_of(&v->remote, v->sk.type);
    int r = 0;

    if (!l || l == v)
        return -ECONNRESET;
    lock_pair(&v->sk.own_lock, &l->sk.own_lock);
    if (l->sk.state != SOCK_LISTEN || l->sk.shut & SHUT_R || l->sk.naccept > l->sk.backlog) {
        r = -ECONNRESET;
    } else {
        srv->local = v->remote;
        srv->remote = address(VMADDR_CID_LOCAL, v->local.svm_port);
        srv->buf = l->buf;
        srv->buf_min = l->buf_min;
        srv->buf_max = l->buf_max;
        srv->sk.sndbuf = room(v);
        v->sk.sndbuf = room(srv);
        srv->sk.state = v->sk.state = SOCK_CONNECTED;
        conn_attach(c, &srv->sk, 1);
        conn_attach(c, &v->sk, 0);
        list_add_tail(&l->sk.acceptq, &srv->sk.accept_link);
        l->sk.naccept++;
        sock_wake_read(&l->sk);
        sock_wake_all(&v->sk, POLLOUT | POLLWRNORM);
    }
    unlock_pair(&v->sk.own_lock, &l->sk.own_lock);
    return r;
}

static int start(struct vsock *v, const struct sockaddr_vm *to, struct vsock *srv, struct conn *c)
{
    int r = 0;

    LOCK_SCOPE(&vsock_lock);
    if (v->sk.state != SOCK_CLOSED)
        return v->sk.state == SOCK_CONNECTED ? -EISCONN : -EINVAL;
    if (to->svm_cid != VMADDR_CID_LOCAL)
        return -ENODEV;
    if (v->local.svm_port == VMADDR_PORT_ANY)
        r = bind_locked(v, VMADDR_CID_ANY, VMADDR_PORT_ANY);
    v->remote = *to;
    return r < 0 ? r : join(v, srv, c);
}

static int vsock_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct sockaddr_vm to;
    struct conn *c;
    struct sock *srv;
    int r = address_in(a, n, &to);

    if (r < 0)
        return r;
    srv = vsock_new(t, sk->type);
    if (IS_ERR(srv))
        return (int)PTR_ERR(srv);
    c = conn_new();
    r = c ? start(vsock_sk(sk), &to, vsock_sk(srv), c) : -ENOMEM;
    conn_put(c);
    if (r < 0)
        sock_put(srv);
    if (!file_nonblock(&sk->file) || (r < 0 && r != -ECONNRESET))
        return r;
    if (r == -ECONNRESET) {
        LOCK_SCOPE(&sk->own_lock);
        sk->err = ECONNRESET;
        sock_wake_all(sk, POLLERR | POLLIN | POLLOUT);
    }
    return -EINPROGRESS;
}

static int vsock_accept(struct task *t, struct sock *sk, struct sock **ret)
{
    struct sock *new;

    LOCK_SCOPE(&sk->own_lock);
    if (sk->state != SOCK_LISTEN)
        return -EINVAL;
    if (list_empty(&sk->acceptq))
        return file_nonblock(&sk->file) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    new = list_first(&sk->acceptq, struct sock, accept_link);
    list_del(&new->accept_link);
    sk->naccept--;
    if (!list_empty(&sk->acceptq))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    *ret = new; /* the queue's reference */
    return 0;
}

static void vsock_unaccept(struct sock *sk, struct sock *new)
{
    LOCK_SCOPE(&sk->own_lock); /* its descriptor is open: it listens still */
    list_add_head(&sk->acceptq, &new->accept_link);
    sk->naccept++;
    sock_wake_read(sk);
}

/* ---- data ---- */

/* Why nothing can be sent; 0: it can. The shared part has the rest. */
static int send_refused(struct sock *sk, const struct send_req *r)
{
    struct lock *l = sock_lock(sk);
    int e = 0;

    if (r->addr)
        e = sk->state == SOCK_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    else if (sk->shut & SHUT_W)
        e = -EPIPE;
    else if (sk->state != SOCK_CONNECTED)
        e = -ENOTCONN;
    unlock(l);
    return e;
}

static ssize_t vsock_send(struct task *t, struct sock *sk, struct send_req *r)
{
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    n = *r->done ? 0 : send_refused(sk, r);
    if (n == 0) {
        if (sk->type == SOCK_STREAM)
            return unix_stream_send(t, sk, r);
        n = unix_seq_send(t, sk, r);
    }
    return n == -EPIPE ? sock_sigpipe(t, r->flags) : n;
}

static ssize_t vsock_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = sk->state == SOCK_CONNECTED ? 1 : -ENOTCONN;
    unlock(l);
    if (n < 0)
        return n;
    return sk->type == SOCK_STREAM ? unix_stream_recv(t, sk, r) : unix_seq_recv(t, sk, r);
}

static int vsock_shutdown(struct task *t, struct sock *sk, int how)
{
    struct lock *l = sock_lock(sk);
    bool connected = sk->state == SOCK_CONNECTED;

    unlock(l);
    return connected ? unix_pair_shutdown(t, sk, how) : -ENOTCONN;
}

/* ---- options ---- */

static uint64_t *size_of(struct vsock *v, int opt)
{
    switch (opt) {
    case SO_VM_SOCKETS_BUFFER_SIZE:
        return &v->buf;
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE:
        return &v->buf_min;
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE:
        return &v->buf_max;
    }
    return NULL;
}

/* What others may have on the way to us. */
static void set_size(struct vsock *v, uint64_t *which, uint64_t val)
{
    struct sock *to = sock_other(&v->sk);
    uint64_t want = which == &v->buf ? val : v->buf;

    if (which != &v->buf)
        *which = val;
    v->buf = MAX(MIN(want, v->buf_max), v->buf_min);
    if (to)
        to->sndbuf = room(v);
}

static int set_timeout(struct vsock *v, const void *val)
{
    struct timeval tv;

    memcpy(&tv, val, sizeof tv);
    if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000 ||
        tv.tv_sec >= INT64_MAX / 1000000000 - 1)
        return -ERANGE;
    v->timeout = tv.tv_sec * 1000000000ll + tv.tv_usec * 1000ll;
    if (!v->timeout)
        v->timeout = TIMEOUT_DEFAULT;
    return 0;
}

static int vsock_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                            socklen_t n)
{
    struct vsock *s = vsock_sk(sk);
    uint64_t *size = size_of(s, opt), val;
    struct lock *l;
    int r = 0;

    (void)t;
    if (level != AF_VSOCK && level != SOL_VSOCK_)
        return -ENOPROTOOPT;
    if (!size && opt != SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD && opt != VM_SOCKETS_TIMEOUT_NEW)
        return -ENOPROTOOPT;
    if (n < (size ? sizeof val : sizeof(struct timeval)))
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    l = sock_lock(sk);
    if (size)
        set_size(s, size, val);
    else
        r = set_timeout(s, v);
    unlock(l);
    return r;
}

static int vsock_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v,
                            socklen_t *n)
{
    struct vsock *s = vsock_sk(sk);
    const uint64_t *size = size_of(s, opt);
    struct timeval tv = { s->timeout / 1000000000, s->timeout % 1000000000 / 1000 };
    socklen_t len = size ? sizeof *size : sizeof tv;

    (void)t;
    if (level != AF_VSOCK && level != SOL_VSOCK_)
        return -ENOPROTOOPT;
    if (!size && opt != SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD && opt != VM_SOCKETS_TIMEOUT_NEW)
        return -ENOPROTOOPT;
    if (*n < len)
        return -EINVAL;
    *n = len;
    memcpy(v, size ? (const void *)size : &tv, len);
    return 0;
}

/* ---- its end ---- */

static void drop_unaccepted(struct sock *sk)
{
    struct list drop;
    struct sock *e, *en;

    list_init(&drop);
    lock(&sk->own_lock);
    list_splice_tail(&drop, &sk->acceptq);
    sk->naccept = 0;
    unlock(&sk->own_lock);
    list_for_each_safe(e, en, &drop, accept_link) {
        list_del(&e->accept_link);
        sock_put(e);
    }
}

static void vsock_release(struct sock *sk)
{
    struct conn *c = atomic_load(&sk->conn);

    lock(&vsock_lock);
    list_del(&vsock_sk(sk)->link);
    unlock(&vsock_lock);
    if (sk->state == SOCK_LISTEN)
        drop_unaccepted(sk);
    if (c) {
        struct sock *to;

        lock(&c->lock);
        to = c->end[!sk->side];
        c->end[sk->side] = NULL;
        if (to) {
            to->shut = SHUT_BOTH;
            sock_wake_all(to, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
        }
        unlock(&c->lock);
    }
    atomic_store(&sk->conn, NULL);
    conn_put(c);
}

#define VSOCK_OPS                                                                                  \
    .bind = vsock_bind, .connect = vsock_connect, .listen = vsock_listen, .accept = vsock_accept,  \
    .unaccept = vsock_unaccept, .getname = vsock_getname, .send = vsock_send, .recv = vsock_recv,  \
    .shutdown = vsock_shutdown, .setsockopt = vsock_setsockopt, .getsockopt = vsock_getsockopt,    \
    .poll = unix_pair_poll, .inq = unix_pair_inq, .outq = unix_pair_outq, .release = vsock_release

static const struct sock_ops vsock_stream_ops = { VSOCK_OPS, .stream = true };
static const struct sock_ops vsock_seq_ops = { VSOCK_OPS };

int vsock_create(struct task *t, int type, int protocol, struct sock **ret)
{
    struct sock *sk;

    if (protocol && protocol != AF_VSOCK)
        return -EPROTONOSUPPORT;
    if (type == SOCK_DGRAM)
        return -ENODEV;
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    sk = vsock_new(t, type);
    if (IS_ERR(sk))
        return (int)PTR_ERR(sk);
    *ret = sk;
    return 0;
}

/* ---- /dev/vsock ---- */

static long dev_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    uint32_t cid = VMADDR_CID_ANY; /* neither a guest's nor a host's */

    (void)f;
    return cmd == IOCTL_VM_SOCKETS_GET_LOCAL_CID ? put_guest(t, arg, &cid) : -ENOIOCTLCMD;
}

const struct file_ops vsock_dev_ops = { .name = "vsock", .ioctl = dev_ioctl };

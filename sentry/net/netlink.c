/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK: NETLINK_ROUTE alone, and of it what programs ask to learn about the network: links,
 * addresses, routes. A request is answered while it is sent; the answer waits in the socket's own
 * queue. Nothing here ever changes, so groups may be joined and stay silent. What would change the
 * network is EPERM.
 */
#include "sentry/net/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/stream.h"

#define REQUEST_MAX 65536
#define QUEUE_MAX 1048576

struct nlsock {
    struct sock sk;
    uint32_t portid, groups; /* [s] */
    bool bound;
    struct list msgs; /* [s] */
    size_t msg_bytes;
    uint32_t opts; /* [s] NETLINK_EXT_ACK and the like: kept */
};

static _Atomic uint32_t next_portid = 0xfffff000u;

static struct nlsock *nl_sk(struct sock *sk)
{
    return container_of(sk, struct nlsock, sk);
}

/* The first socket of a process is named by its pid; the others by what cannot be one. */
static void autobind(struct task *t, struct nlsock *n)
{
    static _Atomic uint32_t last_pid;

    if (n->bound)
        return;
    n->portid = (uint32_t)t->group->pid;
    if (atomic_exchange(&last_pid, n->portid) == n->portid)
        n->portid = atomic_fetch_sub(&next_portid, 1);
    n->bound = true;
}

static int nl_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t len)
{
    const struct sockaddr_nl *nl = (const void *)a;
    struct nlsock *n = nl_sk(sk);

    if (len < sizeof *nl || nl->nl_family != AF_NETLINK)
        return -EINVAL;
    LOCK_SCOPE(&sk->own_lock);
    if (n->bound && nl->nl_pid != n->portid && nl->nl_pid)
        return -EINVAL;
    if (!n->bound && nl->nl_pid) {
        n->portid = nl->nl_pid;
        n->bound = true;
    }
    autobind(t, n);
    n->groups = nl->nl_groups;
    return 0;
}

static int nl_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t len)
{
    const struct sockaddr_nl *nl = (const void *)a;

    if (len < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family == AF_UNSPEC)
        return 0;
    if (a->sa_family != AF_NETLINK || len < sizeof *nl)
        return -EINVAL;
    if (nl->nl_pid)
        return -ECONNREFUSED;
    LOCK_SCOPE(&sk->own_lock);
    autobind(t, nl_sk(sk));
    return 0;
}

static int nl_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct sockaddr_nl nl = { .nl_family = AF_NETLINK };

    LOCK_SCOPE(&sk->own_lock);
    if (!peer) {
        nl.nl_pid = nl_sk(sk)->portid;
        nl.nl_groups = nl_sk(sk)->groups;
    }
    memcpy(ret, &nl, sizeof nl);
    return sizeof nl;
}

/* ---- answers ---- */

void *nl_room(struct nl_out *o, size_t n)
{
    void *p;

    n = NLMSG_ALIGN(n);
    if (o->len + n > o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 4096;
        uint8_t *more;

        while (cap < o->len + n)
            cap *= 2;
        more = krealloc(o->buf, cap);
        if (!more) {
            o->failed = true;
            return NULL;
        }
        o->buf = more;
        o->cap = cap;
    }
    p = o->buf + o->len;
    memset(p, 0, n);
    o->len += n;
    return p;
}

void *nl_begin(struct nl_out *o, int type, int flags, size_t payload)
{
    struct nlmsghdr *h;

    o->start = o->len;
    h = nl_room(o, NLMSG_HDRLEN + payload);
    if (!h)
        return NULL;
    h->nlmsg_len = (uint32_t)(NLMSG_HDRLEN + payload);
    h->nlmsg_type = (uint16_t)type;
    h->nlmsg_flags = (uint16_t)flags;
    h->nlmsg_seq = o->seq;
    h->nlmsg_pid = o->portid;
    return NLMSG_DATA(h);
}

void nl_attr(struct nl_out *o, int type, const void *data, size_t n)
{
    struct nlattr *a = nl_room(o, NLA_HDRLEN + n);

    if (!a)
        return;
    a->nla_len = (uint16_t)(NLA_HDRLEN + n);
    a->nla_type = (uint16_t)type;
    memcpy((char *)a + NLA_HDRLEN, data, n);
}

void nl_end(struct nl_out *o)
{
    if (!o->failed)
        ((struct nlmsghdr *)(void *)(o->buf + o->start))->nlmsg_len = (uint32_t)(o->len - o->start);
}

static void put_error(struct nl_out *o, const struct nlmsghdr *req, int error)
{
    size_t body = error ? req->nlmsg_len - NLMSG_HDRLEN : 0;
    struct nlmsgerr *e = nl_begin(o, NLMSG_ERROR, error ? 0 : NLM_F_CAPPED, sizeof *e + body);

    if (!e)
        return;
    e->error = error;
    memcpy(&e->msg, req, sizeof *req + body);
}

static void put_done(struct nl_out *o)
{
    int *error = nl_begin(o, NLMSG_DONE, NLM_F_MULTI, sizeof *error);

    if (error)
        *error = 0;
}

static int queue(struct nlsock *n, struct nl_out *o)
{
    struct iter it;
    struct msg *m;

    if (o->failed)
        return -ENOBUFS;
    if (!o->len)
        return 0;
    iter_kernel(&it, o->buf, o->len);
    m = msg_new(&it, o->len);
    if (IS_ERR(m))
        return -ENOBUFS;
    m->addrlen = sizeof(struct sockaddr_nl);
    m->addr.ss_family = AF_NETLINK;
    LOCK_SCOPE(&n->sk.own_lock);
    if (n->msg_bytes + o->len > QUEUE_MAX) {
        msg_free(m);
        n->sk.err = ENOBUFS;
        return 0;
    }
    list_add_tail(&n->msgs, &m->link);
    n->msg_bytes += m->len;
    sock_wake_read(&n->sk);
    return 0;
}

/* One request; the answer goes to the queue. */
static int answer(struct nlsock *n, const struct nlmsghdr *h)
{
    struct nl_out o = { .seq = h->nlmsg_seq, .portid = n->portid };
    bool dump = (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    int r = 0;

    if (!(h->nlmsg_flags & NLM_F_REQUEST))
        return 0;
    if (h->nlmsg_type >= NLMSG_MIN_TYPE) {
        r = route_answer(&o, h, dump);
        if (r == 0 && dump)
            put_done(&o);
    }
    if (r < 0 || (!dump && (h->nlmsg_flags & NLM_F_ACK)))
        put_error(&o, h, r);
    r = queue(n, &o);
    kfree(o.buf);
    return r;
}

static ssize_t nl_send(struct task *t, struct sock *sk, struct send_req *r)
{
    const struct sockaddr_nl *to = r->addr;
    _cleanup_kfree_ uint8_t *buf = NULL;
    size_t n = r->it->left, at = 0;
    int e = 0;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (to && (r->addrlen < sizeof *to || to->nl_family != AF_NETLINK))
        return -EINVAL;
    if (to && (to->nl_pid || to->nl_groups))
        return to->nl_groups ? -EPERM : -ECONNREFUSED;
    if (n > REQUEST_MAX)
        return -EMSGSIZE;
    lock(&sk->own_lock);
    autobind(t, nl_sk(sk));
    unlock(&sk->own_lock);
    buf = kzalloc(n + sizeof(struct nlmsghdr));
    if (!buf)
        return -ENOBUFS;
    if (n && iter_get(r->it, buf, n) != (ssize_t)n)
        return -EFAULT;
    while (e == 0 && n - at >= sizeof(struct nlmsghdr)) {
        const struct nlmsghdr *h = (const void *)(buf + at);

        if (h->nlmsg_len < sizeof *h || h->nlmsg_len > n - at)
            break;
        e = answer(nl_sk(sk), h);
        at += MIN((size_t)NLMSG_ALIGN(h->nlmsg_len), n - at);
    }
    return e < 0 ? e : (ssize_t)n;
}

static ssize_t nl_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct nlsock *n = nl_sk(sk);
    struct msg *m;
    ssize_t got;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    LOCK_SCOPE(&sk->own_lock);
    if (sk->err)
        return sock_take_err(sk);
    if (list_empty(&n->msgs)) {
        if (req_nonblock(sk, r->flags))
            return -EAGAIN;
        return sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    }
    m = list_first(&n->msgs, struct msg, link);
    got = msg_deliver(r, m);
    if (!(r->flags & MSG_PEEK)) {
        list_del(&m->link);
        n->msg_bytes -= m->len;
        msg_free(m); /* no files in it */
    }
    return got;
}

/* ---- the rest ---- */

static uint32_t nl_poll(struct sock *sk)
{
    uint32_t ev = POLLOUT | POLLWRNORM | POLLWRBAND;

    if (!list_empty(&nl_sk(sk)->msgs))
        ev |= POLLIN | POLLRDNORM;
    return sk->err ? ev | POLLERR : ev;
}

static int opt_ok(int opt)
{
    switch (opt) {
    case NETLINK_PKTINFO:
    case NETLINK_BROADCAST_ERROR:
    case NETLINK_NO_ENOBUFS:
    case NETLINK_CAP_ACK:
    case NETLINK_EXT_ACK:
    case NETLINK_GET_STRICT_CHK:
        return true;
    }
    return false;
}

static int nl_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                         socklen_t n)
{
    struct nlsock *s = nl_sk(sk);
    uint32_t val;

    (void)t;
    if (level != SOL_NETLINK)
        return -ENOPROTOOPT;
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    LOCK_SCOPE(&sk->own_lock);
    if (opt == NETLINK_ADD_MEMBERSHIP || opt == NETLINK_DROP_MEMBERSHIP) {
        if (!val || val > 64)
            return -EINVAL;
        if (val <= 32 && opt == NETLINK_ADD_MEMBERSHIP)
            s->groups |= 1u << (val - 1);
        else if (val <= 32)
            s->groups &= ~(1u << (val - 1));
        return 0;
    }
    if (!opt_ok(opt))
        return -ENOPROTOOPT;
    s->opts = val ? s->opts | 1u << opt : s->opts & ~(1u << opt);
    return 0;
}

static int nl_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n)
{
    uint32_t val;

    (void)t;
    if (level != SOL_NETLINK || !opt_ok(opt))
        return -ENOPROTOOPT;
    if (*n < sizeof val)
        return -EINVAL;
    LOCK_SCOPE(&sk->own_lock);
    val = nl_sk(sk)->opts >> opt & 1;
    memcpy(v, &val, sizeof val);
    *n = sizeof val;
    return 0;
}

static void nl_release(struct sock *sk)
{
    struct msg *m, *mn;

    list_for_each_safe(m, mn, &nl_sk(sk)->msgs, link)
        msg_free(m);
}

static void nl_info(struct sock *sk, struct net_info *ret)
{
    ret->state = (int)nl_sk(sk)->portid;
    ret->flags = nl_sk(sk)->groups;
}

static const struct sock_ops nl_ops = {
    .bind = nl_bind,
    .connect = nl_connect,
    .getname = nl_getname,
    .send = nl_send,
    .recv = nl_recv,
    .setsockopt = nl_setsockopt,
    .getsockopt = nl_getsockopt,
    .poll = nl_poll,
    .release = nl_release,
    .info = nl_info,
};

int netlink_create(struct task *t, int type, int protocol, struct sock **ret)
{
    struct sock *sk;

    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != NETLINK_ROUTE)
        return -EPROTONOSUPPORT;
    sk = sock_new(t, sizeof(struct nlsock), &nl_ops, AF_NETLINK, type, protocol);
    if (IS_ERR(sk))
        return PTR_ERR(sk);
    list_init(&nl_sk(sk)->msgs);
    *ret = sk;
    return 0;
}

int netlink_check(const struct file *f)
{
    if (!file_is_sock(f))
        return -ENOTSOCK;
    return file_sock((struct file *)(uintptr_t)f)->ops == &nl_ops ? 0 : -EINVAL;
}

void netlink_deliver(struct file *f, const void *bytes, size_t n)
{
    struct nl_out o = { .buf = (uint8_t *)(uintptr_t)bytes, .len = n };

    (void)queue(nl_sk(file_sock(f)), &o);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Raw sockets of IPv4 and IPv6. See raw.h. */
#include "sentry/net/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/packet.h"
#include "sentry/net/tap.h"

struct lock raw_lock = { .class = LOCK_OBJECT };
static struct list all = { &all, &all }; /* [raw_lock] isock.port_link, which has no port */

/* ---- receiving ---- */

static bool filtered_out(const struct isock *s, const struct ip_packet *p)
{
    if (!p->n)
        return false;
    if (s->sk.protocol == IPPROTO_ICMP && s->sk.family == AF_INET)
        return p->l4[0] < 32 && (s->raw.icmp_not & 1u << p->l4[0]);
    if (s->sk.protocol == IPPROTO_ICMPV6 && s->sk.family == AF_INET6)
        return s->raw.icmp6_not[p->l4[0] / 32] & 1u << p->l4[0] % 32;
    return false;
}

static bool wants(const struct isock *s, const struct ip_packet *p)
{
    if ((s->sk.family == AF_INET) != inet_is_v4(&p->dst) || s->sk.protocol != p->proto)
        return false;
    if (!inet_is_any(&s->local) && !inet_same(&s->local, &p->dst))
        return false;
    return s->sk.state != SOCK_CONNECTED || inet_same(&s->remote, &p->src);
}

/* IPv4 with its header, IPv6 without. */
static void receive(struct isock *s, const struct ip_packet *p)
{
    bool v4 = s->sk.family == AF_INET;
    const uint8_t *data = v4 ? p->data : p->l4;
    size_t n = v4 ? p->len : p->n;
    struct cbpf_data d = { .body = data,
                           .body_len = n,
                           .protocol = v4 ? ETH_P_IP : ETH_P_IPV6,
                           .ifindex = LO_INDEX,
                           .hatype = ARPHRD_LOOPBACK };
    struct inet_addr src = { .ip = p->src.ip };
    uint32_t want = sock_filter_run(&s->sk, &d);
    struct iter it;
    struct msg *m;

    if (!want)
        return;
    if (!v4 && s->raw.checksum >= 0 &&
        ((size_t)s->raw.checksum + 2 > n || !tap_l4_good(&p->src, &p->dst, p->proto, p->l4, n))) {
        s->drops++;
        return;
    }
    n = MIN(n, (size_t)want);
    iter_kernel(&it, (void *)(uintptr_t)data, n);
    m = s->msg_bytes + n + sizeof *m > (size_t)s->sk.rcvbuf ? NULL : msg_new(&it, n);
    if (!m || IS_ERR(m)) {
        s->drops++;
        return;
    }
    m->stamp = ktime_real();
    m->addrlen = (socklen_t)inet_addr_out(s, &src, &m->addr);
    memcpy(&m->to, &p->dst, sizeof p->dst);
    m->ttl = p->ttl;
    m->tos = p->tos;
    list_add_tail(&s->msgs, &m->link);
    s->msg_bytes += msg_cost(m);
    sock_wake_read(&s->sk);
}

void raw_pass(const uint8_t *data, size_t len)
{
    struct ip_packet p;
    struct isock *s;

    if (!ip_packet_read(data, len, &p))
        return;
    LOCK_SCOPE(&raw_lock);
    list_for_each(s, &all, port_link)
        if (wants(s, &p) && !filtered_out(s, &p))
            receive(s, &p);
}

bool raw_listens(const struct ip_packet *p)
{
    struct isock *s;

    LOCK_SCOPE(&raw_lock);
    list_for_each(s, &all, port_link)
        if (wants(s, p))
            return true;
    return false;
}

static ssize_t raw_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct isock *s = inet_sk(sk);
    struct msg *m;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (r->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    lock(&raw_lock);
    n = msg_recv_first(t, sk, &s->msgs, r, &m);
    if (m && n >= 0)
        udp_put_cmsgs(s, r, m);
    if (m && (r->flags & MSG_PEEK))
        m = NULL;
    if (m)
        msg_taken(sk, &s->msgs, &s->msg_bytes, m);
    unlock(&raw_lock);
    msg_free(m);
    return n;
}

/* ---- sending ---- */

struct outgoing {
    struct inet_addr src, dst;
    bool hdrincl;
    int checksum; /* where in the payload; -1: nowhere */
    int ttl, tos;
};

static int route(struct isock *s, const struct send_req *r, const struct inet_addr *named,
                 struct outgoing *o)
{
    bool v4 = s->sk.family == AF_INET;
    int ttl = v4 ? s->ttl : s->hops, tos = v4 ? s->tos : s->tclass;

    LOCK_SCOPE(&raw_lock);
    if (!r->addr && s->sk.state != SOCK_CONNECTED)
        return -EDESTADDRREQ;
    o->dst = r->addr ? *named : s->remote;
    o->src = s->local;
    o->hdrincl = s->raw.hdrincl;
    o->checksum = v4 ? -1 : s->sk.protocol == IPPROTO_ICMPV6 ? 2 : s->raw.checksum;
    o->ttl = r->ttl >= 0 ? r->ttl : ttl >= 0 ? ttl : 64;
    o->tos = r->tos >= 0 ? r->tos : MAX(tos, 0);
    o->dst.port = o->src.port = 0;
    if (r->pktinfo.have) {
        struct inet_addr a = { 0 };

        memcpy(&a.ip, r->pktinfo.addr, 16);
        if (r->pktinfo.ifindex > LO_INDEX)
            return -ENODEV;
        if (!inet_is_any(&a) && !IN6_IS_ADDR_UNSPECIFIED(&a.ip)) {
            if (!inet_is_local(&a))
                return -EINVAL;
            o->src = a;
        }
    }
    return inet_route(s, &o->dst, &o->src);
}

/* What Linux fills in of a header that the guest has made. */
static int complete_header(uint8_t *p, size_t n, const struct outgoing *o)
{
    struct iphdr ip;

    if (n < sizeof ip)
        return -EINVAL;
    memcpy(&ip, p, sizeof ip);
    if (ip.ihl * 4u < sizeof ip || ip.ihl * 4u > n)
        return -EINVAL;
    if (!ip.saddr)
        memcpy(&ip.saddr, o->src.ip.s6_addr + 12, 4);
    if (!ip.id)
        ip.id = tap_ip_id();
    ip.tot_len = htons((uint16_t)n);
    ip.check = 0;
    memcpy(p, &ip, sizeof ip);
    ip.check = tap_checksum(p, ip.ihl * 4u);
    memcpy(p, &ip, sizeof ip);
    return 0;
}

/* The packet, behind room for an Ethernet header. ERR_PTR. *len: all of it. */
static uint8_t *packet_of(struct isock *s, struct send_req *r, const struct outgoing *o,
                          size_t *len)
{
    bool v4 = s->sk.family == AF_INET;
    size_t n = r->it->left, ip = v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
    size_t head = TAP_ETH + (o->hdrincl ? 0 : ip);
    uint8_t *p;
    int e = 0;

    if (head - TAP_ETH + n > UINT16_MAX)
        return ERR_PTR(-EMSGSIZE);
    if (o->checksum >= 0 && !o->hdrincl && (size_t)o->checksum + 2 > n)
        return ERR_PTR(-EINVAL);
    p = kzalloc(head + n);
    if (!p)
        return ERR_PTR(-ENOBUFS);
    if (n && iter_get(r->it, p + head, n) != (ssize_t)n)
        e = -EFAULT;
    else if (!o->hdrincl)
        tap_fill(p, head + n, s->sk.protocol, &o->src, &o->dst, o->ttl, o->tos, o->checksum);
    else if (v4)
        e = complete_header(p + TAP_ETH, n, o);
    else if (n < ip)
        e = -EINVAL;
    if (e < 0) {
        kfree(p);
        return ERR_PTR(e);
    }
    p[12] = (uint8_t)((v4 ? ETH_P_IP : ETH_P_IPV6) >> 8);
    p[13] = (uint8_t)(v4 ? ETH_P_IP : ETH_P_IPV6);
    *len = head + n;
    return p;
}

static int address_of(struct isock *s, const struct sockaddr *a, socklen_t n, struct inet_addr *ret)
{
    struct sockaddr_in in;

    if (s->sk.family == AF_INET && n >= sizeof in && a->sa_family == AF_UNSPEC) {
        memcpy(&in, a, sizeof in); /* taken for AF_INET */
        in.sin_family = AF_INET;
        return inet_addr_in(s, (struct sockaddr *)&in, sizeof in, ret);
    }
    return inet_addr_in(s, a, n, ret);
}

static ssize_t raw_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr named = { 0 };
    struct outgoing o;
    size_t n = r->it->left, len;
    uint8_t *p;
    int e = 0;

    if (n > UINT16_MAX)
        return -EMSGSIZE;
    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (r->addr)
        e = address_of(s, r->addr, r->addrlen, &named);
    if (e == 0 && r->addr && inet_is_v4(&named) != (sk->family == AF_INET))
        e = -ENETUNREACH;
    if (e == 0)
        e = route(s, r, &named, &o);
    if (e == -ENETUNREACH)
        inet_note_refused(s, &named);
    if (e < 0)
        return e;
    lock(&sk->own_lock);
    e = sk->err ? sock_take_err(sk) : (sk->shut & SHUT_W) ? -EPIPE : 0;
    unlock(&sk->own_lock);
    if (e == -EPIPE)
        return sock_sigpipe(t, r->flags | MSG_NOSIGNAL);
    if (e < 0)
        return e;
    p = packet_of(s, r, &o, &len);
    if (IS_ERR(p))
        return PTR_ERR(p);
    atomic_fetch_add(&net_lo_bytes, len - TAP_ETH);
    atomic_fetch_add(&net_lo_packets, 1);
    packet_pass(p, len, NULL);
    packet_in_routed(p + TAP_ETH, len - TAP_ETH);
    kfree(p);
    return (ssize_t)n;
}

/* ---- names ---- */

static int raw_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr addr;
    int r;

    (void)t;
    r = address_of(s, a, n, &addr);
    if (r < 0)
        return r;
    if (sk->family == AF_INET6 && inet_is_v4(&addr))
        return -EADDRNOTAVAIL;
    if (!inet_is_any(&addr) && !inet_is_local(&addr) && !s->freebind && !s->transparent)
        return -EADDRNOTAVAIL;
    LOCK_SCOPE(&raw_lock);
    if (sk->state == SOCK_CONNECTED)
        return -EINVAL;
    s->local.ip = addr.ip;
    s->addr_bound = !inet_is_any(&addr);
    return 0;
}

static int raw_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr dst, src;
    int r;

    (void)t;
    if (n < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family == AF_UNSPEC) {
        LOCK_SCOPE(&raw_lock);
        s->remote = inet_any(s);
        if (!s->addr_bound)
            s->local.ip = inet_any(s).ip;
        sk->state = SOCK_CLOSED;
        return 0;
    }
    r = inet_addr_in(s, a, n, &dst);
    if (r == 0 && inet_is_v4(&dst) != (sk->family == AF_INET))
        r = -ENETUNREACH;
    if (r < 0)
        return r;
    LOCK_SCOPE(&raw_lock);
    src = s->addr_bound ? s->local : inet_any(s);
    r = inet_route(s, &dst, &src);
    if (r < 0)
        return r;
    s->local.ip = src.ip;
    s->remote = dst;
    sk->state = SOCK_CONNECTED;
    return 0;
}

/* Its port is the protocol, as Linux says. */
static struct inet_addr local_of(const struct isock *s)
{
    return (struct inet_addr){ .ip = s->local.ip, .port = (uint16_t)s->sk.protocol };
}

static int raw_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr a;

    LOCK_SCOPE(&raw_lock);
    if (peer && (sk->state != SOCK_CONNECTED || !s->remote.port))
        return -ENOTCONN;
    a = peer ? s->remote : local_of(s);
    return inet_addr_out(s, &a, ret);
}

/* ---- the rest ---- */

static int raw_shutdown(struct task *t, struct sock *sk, int how)
{
    (void)t;
    LOCK_SCOPE(&sk->own_lock);
    LOCK_SCOPE(&raw_lock);
    dgram_shut(sk, how);
    return sk->state == SOCK_CONNECTED ? 0 : -ENOTCONN;
}

static uint32_t raw_poll(struct sock *sk)
{
    LOCK_SCOPE(&raw_lock);
    return POLLOUT | POLLWRNORM | POLLWRBAND | dgram_events(sk, &inet_sk(sk)->msgs);
}

static size_t raw_inq(struct sock *sk)
{
    LOCK_SCOPE(&raw_lock);
    return dgram_first(&inet_sk(sk)->msgs);
}

static void raw_release(struct sock *sk)
{
    struct isock *s = inet_sk(sk);
    struct msg *m, *mn;

    lock(&raw_lock);
    list_del(&s->port_link);
    unlock(&raw_lock);
    atomic_fetch_sub(&tap_count, 1);
    list_for_each_safe(m, mn, &s->msgs, link)
        msg_free(m);
}

static void raw_info(struct sock *sk, struct net_info *ret)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr local;

    LOCK_SCOPE(&raw_lock);
    local = local_of(s);
    ret->local_len = (uint32_t)inet_addr_out(s, &local, &ret->local);
    ret->remote_len = (uint32_t)inet_addr_out(s, &s->remote, &ret->remote);
    ret->drops = s->drops;
    ret->rx = (uint32_t)s->msg_bytes;
    ret->state = sk->state == SOCK_CONNECTED ? 1 : 7;
}

static const struct sock_ops raw_ops = {
    .bind = raw_bind,
    .connect = raw_connect,
    .getname = raw_getname,
    .send = raw_send,
    .recv = raw_recv,
    .shutdown = raw_shutdown,
    .setsockopt = raw_setsockopt,
    .getsockopt = raw_getsockopt,
    .poll = raw_poll,
    .inq = raw_inq,
    .outq = dgram_outq,
    .release = raw_release,
    .info = raw_info,
};

int raw_create(struct task *t, int family, int protocol, struct sock **ret)
{
    struct isock *s;

    if (!protocol)
        return -EPROTONOSUPPORT;
    if (!task_capable(t, CAP_NET_RAW))
        return -EPERM;
    s = inet_new_of(t, family, SOCK_RAW, &raw_ops, protocol);
    if (IS_ERR(s))
        return (int)PTR_ERR(s);
    s->raw.hdrincl = protocol == IPPROTO_RAW;
    s->raw.checksum = -1;
    lock(&raw_lock);
    list_add_tail(&all, &s->port_link);
    unlock(&raw_lock);
    atomic_fetch_add(&tap_count, 1);
    *ret = &s->sk;
    return 0;
}

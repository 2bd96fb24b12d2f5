/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the loopback network, binding, and the making of inet sockets. What is not on lo is
 * not reachable: ENETUNREACH, and a note for the user.
 */
#include "sentry/net/inet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/net/host.h"
#include "sentry/net/ping.h"
#include "sentry/net/raw.h"

#define SIN6_LEN_MIN 24
#define NOTES_MAX 8

bool inet_is_v4(const struct inet_addr *a)
{
    return IN6_IS_ADDR_V4MAPPED(&a->ip);
}

static uint32_t v4_of(const struct inet_addr *a)
{
    uint32_t be;

    memcpy(&be, a->ip.s6_addr + 12, sizeof be);
    return ntohl(be);
}

static struct inet_addr from_v4(uint32_t addr, uint16_t port)
{
    struct inet_addr a = { .port = port };
    uint32_t be = htonl(addr);

    a.ip.s6_addr[10] = a.ip.s6_addr[11] = 0xff;
    memcpy(a.ip.s6_addr + 12, &be, sizeof be);
    return a;
}

struct inet_addr inet_from_v4(uint32_t addr)
{
    return from_v4(addr, 0);
}

bool inet_is_any(const struct inet_addr *a)
{
    return inet_is_v4(a) ? v4_of(a) == INADDR_ANY : IN6_IS_ADDR_UNSPECIFIED(&a->ip);
}

bool inet_is_local(const struct inet_addr *a)
{
    return inet_is_v4(a) ? v4_of(a) >> 24 == 127 || broker_own_address(a)
                         : IN6_IS_ADDR_LOOPBACK(&a->ip) || broker_own_address(a);
}

bool inet_is_multicast(const struct inet_addr *a)
{
    return inet_is_v4(a) ? IN_MULTICAST(v4_of(a)) : IN6_IS_ADDR_MULTICAST(&a->ip);
}

static bool is_broadcast(const struct inet_addr *a)
{
    return inet_is_v4(a) && (v4_of(a) == INADDR_BROADCAST || v4_of(a) == 0x7fffffff);
}

bool inet_same(const struct inet_addr *a, const struct inet_addr *b)
{
    return !memcmp(&a->ip, &b->ip, sizeof a->ip);
}

struct inet_addr inet_loopback(bool v4, uint16_t port)
{
    struct inet_addr a = { .ip = IN6ADDR_LOOPBACK_INIT, .port = port };

    return v4 ? from_v4(INADDR_LOOPBACK, port) : a;
}

struct inet_addr inet_any(const struct isock *s)
{
    return s->sk.family == AF_INET ? from_v4(INADDR_ANY, 0) : (struct inet_addr){ 0 };
}

int inet_addr_in(struct isock *s, const struct sockaddr *a, socklen_t n, struct inet_addr *ret)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;

    if (s->sk.family == AF_INET) {
        if (n < sizeof *in)
            return -EINVAL;
        if (in->sin_family != AF_INET)
            return -EAFNOSUPPORT;
        *ret = from_v4(ntohl(in->sin_addr.s_addr), ntohs(in->sin_port));
        return 0;
    }
    if (s->sk.type == SOCK_DGRAM && n >= sizeof *in && in->sin_family == AF_INET && !s->v6only) {
        *ret = from_v4(ntohl(in->sin_addr.s_addr), ntohs(in->sin_port));
        return 0;
    }
    if (n < SIN6_LEN_MIN)
        return -EINVAL;
    if (in6->sin6_family != AF_INET6)
        return -EAFNOSUPPORT;
    ret->ip = in6->sin6_addr;
    ret->port = ntohs(in6->sin6_port);
    return 0;
}

int inet_addr_out(const struct isock *s, const struct inet_addr *a, struct sockaddr_storage *ret)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

    if (s->sk.family == AF_INET) {
        in.sin_addr.s_addr = htonl(v4_of(a));
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    in6.sin6_addr = a->ip;
    memcpy(ret, &in6, sizeof in6);
    return sizeof in6;
}

/* Each destination once, and only the first few: the user is told, the guest must not flood. */
static bool noted_before(const struct inet_addr *dst)
{
    static struct lock lock_ = { .class = LOCK_LEAF };
    static struct inet_addr seen[NOTES_MAX];
    static unsigned n;

    LOCK_SCOPE(&lock_);
    for (unsigned i = 0; i < n; i++)
        if (inet_same(&seen[i], dst) && seen[i].port == dst->port)
            return true;
    if (n == NOTES_MAX)
        return true;
    seen[n++] = *dst;
    return false;
}

void inet_note_refused(const struct isock *s, const struct inet_addr *dst)
{
    char ip[INET6_ADDRSTRLEN] = "?", what[96];

    if (broker_on() || inet_is_any(dst) || inet_is_local(dst) || noted_before(dst))
        return;
    if (inet_is_v4(dst))
        inet_ntop(AF_INET, dst->ip.s6_addr + 12, ip, sizeof ip);
    else
        inet_ntop(AF_INET6, &dst->ip, ip, sizeof ip);
    snprintf(what, sizeof what, "%s to %s port %u",
             s->sk.type == SOCK_STREAM ? "a connection" : "a datagram", ip, dst->port);
    net_refused_note(what);
}

int inet_route(struct isock *s, struct inet_addr *dst, struct inet_addr *src)
{
    bool v4 = inet_is_v4(dst);

    if (v4 && s->sk.family == AF_INET6 && s->v6only)
        return -ENETUNREACH;
    /* To any means to this host; a dual-stack socket bound to IPv4 goes there by IPv4. */
    if (inet_is_any(dst))
        *dst = inet_loopback(v4 || (inet_is_v4(src) && s->sk.family == AF_INET6), dst->port);
    v4 = inet_is_v4(dst);
    if (v4 && is_broadcast(dst) && s->sk.type == SOCK_DGRAM && !s->sk.broadcast)
        return -EACCES;
    if ((!inet_is_local(dst) || is_broadcast(dst)) && !inet_group_to_lo(s, dst))
        return -ENETUNREACH;
    if (inet_is_any(src) || IN6_IS_ADDR_UNSPECIFIED(&src->ip)) {
        uint16_t port = src->port;

        *src = inet_loopback(v4, port);
    } else if (inet_is_v4(src) != v4) {
        return v4 ? -EINVAL : -ENETUNREACH;
    }
    return 0;
}

/* ---- binding ---- */

static int bind_check(struct task *t, struct isock *s, const struct inet_addr *a)
{
    bool v4 = inet_is_v4(a), ours = inet_is_any(a) || inet_is_local(a);

    if (s->sk.family == AF_INET6 && inet_is_multicast(a))
        return -EINVAL;
    if (s->sk.family == AF_INET6 && v4 && s->v6only)
        return -EINVAL;
    if (v4 && (inet_is_multicast(a) || is_broadcast(a)))
        ours = true;
    if (IN6_IS_ADDR_LINKLOCAL(&a->ip))
        return -EINVAL; /* without an interface of its own */
    if (!ours && !s->freebind && !s->transparent)
        return -EADDRNOTAVAIL;
    if (a->port && a->port < sysctl_of(SYSCTL_PORT_START) && !task_capable(t, CAP_NET_BIND_SERVICE))
        return -EACCES;
    return 0;
}

/* A container's socket of UDP is to be reached outside, too: it has its own addresses there. */
static bool binds_outside(const struct isock *s)
{
    return s->sk.type == SOCK_DGRAM && s->sk.protocol == IPPROTO_UDP && s->port_bound &&
           kernel.first == 1 && broker_is_host() &&
           (inet_is_any(&s->local) || broker_own_address(&s->local));
}

static int bind_inside(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n);

int inet_bind(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    int r = t->call.phase == 0 ? bind_inside(t, sk, a, n) : 0;

    return r == 0 && binds_outside(inet_sk(sk)) ? host_bind(t, inet_sk(sk)) : r;
}

static int bind_inside(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    const struct sockaddr_in *in = (const void *)a;
    struct isock *s = inet_sk(sk);
    struct sockaddr_in fixed;
    struct inet_addr addr;
    int r;

    /* Old programs bind the any address without a family. */
    if (sk->family == AF_INET && n >= sizeof *in && in->sin_family == AF_UNSPEC &&
        in->sin_addr.s_addr == INADDR_ANY) {
        fixed = *in;
        fixed.sin_family = AF_INET;
        a = (struct sockaddr *)&fixed;
    }
    if (sk->family == AF_INET6 && n >= SIN6_LEN_MIN && a->sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    r = inet_addr_in(s, a, n, &addr);
    if (r == 0)
        r = bind_check(t, s, &addr);
    if (r < 0)
        return r;
    LOCK_SCOPE(port_lock(s));
    if (s->bound || (sk->type == SOCK_STREAM && sk->state != SOCK_CLOSED))
        return -EINVAL;
    s->local = addr;
    r = port_bind(s, addr.port);
    if (r < 0) {
        s->local = inet_any(s);
        return r;
    }
    s->port_bound = addr.port != 0;
    s->addr_bound = !inet_is_any(&addr);
    if (sk->type == SOCK_DGRAM && s->port_bound && kernel.first != 1 &&
        (inet_is_any(&addr) || broker_own_address(&addr)))
        broker_note_bound(addr.port);
    return 0;
}

int inet_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct isock *s = inet_sk(sk);
    bool gone = false;

    if (peer && sk->type == SOCK_STREAM) {
        struct lock *l = sock_lock(sk);

        gone = sk->state != SOCK_HOST && (sk->state != SOCK_CONNECTED || tcp_closed(s));
        unlock(l);
    }
    LOCK_SCOPE(port_lock(s));
    if (!peer)
        return inet_addr_out(s, &s->local, ret);
    return s->remote.port && !gone ? inet_addr_out(s, &s->remote, ret) : -ENOTCONN;
}

/* The addresses do not change while it is connected or listens; else a glimpse is good enough. */
void inet_info(struct sock *sk, struct net_info *ret)
{
    struct isock *s = inet_sk(sk);

    ret->local_len = (uint32_t)inet_addr_out(s, &s->local, &ret->local);
    ret->remote_len = (uint32_t)inet_addr_out(s, &s->remote, &ret->remote);
    ret->drops = s->drops;
    ret->rx = (uint32_t)(sk->state == SOCK_LISTEN ? sk->naccept
                         : sk->type == SOCK_DGRAM ? s->msg_bytes
                                                  : sk->ops->inq(sk));
    ret->tx = sk->state == SOCK_LISTEN ? sk->backlog : (uint32_t)sk->ops->outq(sk);
    if (sk->type == SOCK_DGRAM)
        ret->state = sk->state == SOCK_CONNECTED ? 1 : 7;
    else
        ret->state = tcp_state(s);
    ret->hidden = !s->bound && sk->state != SOCK_HOST;
}

/* ---- making ---- */

static void defaults(struct isock *s)
{
    s->local = s->remote = inet_any(s);
    s->ttl = s->hops = -1;
    s->mc_all = s->sk.family == AF_INET;
    s->mc_ttl = s->mc_loop = s->mc_hops = s->mc6_loop = s->mc6_all = 1;
    s->mtu_discover = s->mtu6_discover = 1;
    s->autoflow = 1;
    s->tcp.maxseg = 0;
    s->tcp.keepidle = 7200;
    s->tcp.keepintvl = 75;
    s->tcp.keepcnt = 9;
    s->tcp.syncnt = 6;
    s->tcp.linger2 = 60;
    s->tcp.quickack = 1;
    strcpy(s->tcp.cc, "cubic");
}

struct isock *inet_new_of(struct task *t, int family, int type, const struct sock_ops *ops,
                          int protocol)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct isock *s;
    struct sock *sk;

    pthread_once(&once, port_init);
    sk = sock_new(t, sizeof *s, ops, family, type, protocol);
    if (IS_ERR(sk))
        return (struct isock *)sk;
    s = inet_sk(sk);
    list_init(&s->port_link);
    list_init(&s->synq);
    list_init(&s->syn_link);
    list_init(&s->msgs);
    list_init(&s->groups);
    list_init(&s->host.peers);
    bcall_init(&s->host.call);
    bcall_init(&s->host.listen);
    s->host.fd = -1;
    defaults(s);
    if (type == SOCK_STREAM) {
        sk->sndbuf = 16384;
        sk->rcvbuf = 131072;
    }
    return s;
}

struct isock *inet_new(struct task *t, int family, int type)
{
    bool tcp = type == SOCK_STREAM;

    return inet_new_of(t, family, type, tcp ? &tcp_ops : &udp_ops, tcp ? IPPROTO_TCP : IPPROTO_UDP);
}

int inet_create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
    int ping = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    struct isock *s;

    if (protocol < 0 || protocol > IPPROTO_MPTCP)
        return -EINVAL;
    switch (type) {
    case SOCK_STREAM:
        if (protocol && protocol != IPPROTO_TCP)
            return -EPROTONOSUPPORT;
        break;
    case SOCK_DGRAM:
        if (protocol == ping)
            break;
        if (protocol && protocol != IPPROTO_UDP)
            return -EPROTONOSUPPORT;
        break;
    case SOCK_RAW:
        return raw_create(t, family, protocol, ret);
    default:
        return -ESOCKTNOSUPPORT;
    }
    if (type == SOCK_DGRAM && protocol == ping && !ping_allowed(t))
        return -EACCES;
    s = inet_new(t, family, type);
    if (IS_ERR(s))
        return PTR_ERR(s);
    if (protocol == ping) {
        s->sk.protocol = ping;
        s->sk.reuseaddr = true; /* so these begin */
    }
    *ret = &s->sk;
    return 0;
}

int inet_cmsg(struct sock *sk, const struct cmsghdr *m, struct send_req *r)
{
    size_t n = m->cmsg_len - CMSG_LEN(0);
    struct in6_pktinfo p6;
    struct in_pktinfo p4;
    int v;

    if (m->cmsg_level == SOL_SOCKET)
        return m->cmsg_type == SCM_RIGHTS || m->cmsg_type == SCM_CREDENTIALS ? 0 : -EINVAL;
    if (m->cmsg_level == SOL_UDP && sk->type == SOCK_DGRAM) {
        uint16_t size;

        if (m->cmsg_type != UDP_SEGMENT || n != sizeof size)
            return -EINVAL;
        memcpy(&size, CMSG_DATA(m), sizeof size);
        r->segment = size;
        return 0;
    }
    if (sk->type == SOCK_STREAM || (m->cmsg_level != SOL_IP && m->cmsg_level != SOL_IPV6))
        return 0;
    if (m->cmsg_level == SOL_IPV6 && sk->family != AF_INET6)
        return 0;
    if (m->cmsg_level == SOL_IP && m->cmsg_type == IP_PKTINFO && n == sizeof p4) {
        memcpy(&p4, CMSG_DATA(m), sizeof p4);
        struct inet_addr a = from_v4(ntohl(p4.ipi_spec_dst.s_addr), 0);

        r->pktinfo.have = true;
        r->pktinfo.ifindex = p4.ipi_ifindex;
        memcpy(r->pktinfo.addr, &a.ip, 16);
        return 0;
    }
    if (m->cmsg_level == SOL_IPV6 && m->cmsg_type == IPV6_PKTINFO) {
        if (n < sizeof p6)
            return -EINVAL;
        memcpy(&p6, CMSG_DATA(m), sizeof p6);
        r->pktinfo.have = true;
        r->pktinfo.ifindex = (int)p6.ipi6_ifindex;
        memcpy(r->pktinfo.addr, &p6.ipi6_addr, 16);
        return 0;
    }
    bool v4 = m->cmsg_level == SOL_IP;
    if (v4 && m->cmsg_type == IP_TOS && n == 1)
        v = *CMSG_DATA(m);
    else if (n == sizeof v)
        memcpy(&v, CMSG_DATA(m), sizeof v);
    else
        return -EINVAL;
    if (m->cmsg_type == (v4 ? IP_TTL : IPV6_HOPLIMIT)) {
        if (v < (v4 ? 1 : -1) || v > 255) /* -1: as if it were not given */
            return -EINVAL;
        r->ttl = v;
        return 0;
    }
    if (m->cmsg_type == (v4 ? IP_TOS : IPV6_TCLASS)) {
        if (v < (v4 ? 0 : -1) || v > 255)
            return -EINVAL;
        r->tos = v;
        return 0;
    }
    return -EINVAL;
}

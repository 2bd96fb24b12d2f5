/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP on the loopback. A datagram is copied once and put into the receiver's queue under udp_lock,
 * which also keeps the receiver; where its buffer is full it is dropped, as on Linux. Nobody there
 * means ECONNREFUSED for the sender's next call, if it is connected (or asked for errors).
 */
#include <errno.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/ping.h"
#include "sentry/net/tap.h"

#define UDP4_MAX 65507
#define UDP6_MAX 65527

/* Under udp_lock and, where it tells waiters, the own lock. */
int udp_autobind(struct isock *s)
{
    return s->bound ? 0 : port_bind(s, 0);
}

static void disconnect_locked(struct isock *s)
{
    assert_locked(&udp_lock);
    s->remote = inet_any(s);
    if (!s->addr_bound)
        s->local.ip = inet_any(s).ip;
    if (s->bound && !s->port_bound)
        port_release(s);
    s->sk.state = SOCK_CLOSED;
}

static int connect_to(struct isock *s, struct inet_addr *dst)
{
    struct inet_addr src;
    int r;

    LOCK_SCOPE(&udp_lock);
    r = udp_autobind(s);
    if (r < 0)
        return r;
    src = s->addr_bound ? s->local : inet_any(s);
    r = inet_route(s, dst, &src);
    if (r < 0)
        return r;
    s->local.ip = src.ip;
    s->remote = *dst;
    s->sk.state = SOCK_CONNECTED;
    return 0;
}

static int udp_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr dst;
    int r;

    if (n < sizeof a->sa_family)
        return -EINVAL;
    if (a->sa_family == AF_UNSPEC) {
        LOCK_SCOPE(&udp_lock);
        disconnect_locked(s);
        return 0;
    }
    r = inet_addr_in(s, a, n, &dst);
    if (r == 0 && (t->call.phase || broker_wants(s, &dst)))
        return host_udp_connect(t, s, &dst);
    if (r == 0)
        r = connect_to(s, &dst);
    if (r == -ENETUNREACH)
        inet_note_refused(s, &dst);
    return r;
}

/* ---- sending ---- */

/* Where it goes. udp_lock held. */
static int destination(struct isock *s, const struct send_req *r, const struct inet_addr *named,
                       struct inet_addr *dst, struct inet_addr *src)
{
    int e = udp_autobind(s);

    if (e < 0)
        return e;
    if (!r->addr &&
        (s->sk.protocol == IPPROTO_UDP ? !s->remote.port : s->sk.state != SOCK_CONNECTED))
        return -EDESTADDRREQ;
    *dst = r->addr ? *named : s->remote;
    *src = s->local;
    if (r->pktinfo.have) {
        struct inet_addr a = { .port = s->local.port };

        memcpy(&a.ip, r->pktinfo.addr, 16);
        if (r->pktinfo.ifindex > 1)
            return -ENODEV;
        if (!inet_is_any(&a) && !IN6_IS_ADDR_UNSPECIFIED(&a.ip)) {
            if (!inet_is_local(&a))
                return -EINVAL;
            *src = a;
        }
    }
    return inet_route(s, dst, src);
}

static void nobody_there(struct isock *s)
{
    if (s->sk.state != SOCK_CONNECTED && !s->recverr && !s->recverr6)
        return;
    LOCK_SCOPE(&s->sk.own_lock);
    s->sk.err = ECONNREFUSED;
    sock_wake_all(&s->sk, POLLERR | POLLIN | POLLOUT);
}

/* What its filter says, which sees the UDP header too, and may shorten it. false: m is not wanted. */
static bool filtered(struct isock *to, struct msg *m)
{
    struct cbpf_data d = { .body = m->data, .body_len = m->len, .head_len = sizeof(struct udphdr) };
    struct inet_addr at;
    struct udphdr udp = { 0 };
    uint32_t want;

    if (!atomic_load(&to->sk.filter))
        return true;
    memcpy(&at, &m->to, sizeof at);
    if (m->addr.ss_family == AF_INET)
        udp.source = ((const struct sockaddr_in *)(const void *)&m->addr)->sin_port;
    else
        udp.source = ((const struct sockaddr_in6 *)(const void *)&m->addr)->sin6_port;
    udp.dest = htons(at.port);
    udp.len = htons((uint16_t)(sizeof udp + m->len));
    d.head = (const uint8_t *)&udp;
    d.protocol = inet_is_v4(&at) ? ETH_P_IP : ETH_P_IPV6;
    d.ifindex = 1;
    d.hatype = ARPHRD_LOOPBACK;
    want = sock_filter_run(&to->sk, &d);
    if (want)
        m->len = MIN(m->len, MAX((size_t)want, sizeof udp) - sizeof udp);
    return want;
}

/* True when it was queued. */
bool udp_put(struct isock *to, struct msg *m)
{
    LOCK_SCOPE(&to->sk.own_lock);
    if (!filtered(to, m)) {
        to->drops++;
        return false;
    }
    if (to->msg_bytes + msg_cost(m) > (size_t)to->sk.rcvbuf) {
        to->drops++;
        return false;
    }
    list_add_tail(&to->msgs, &m->link);
    to->msg_bytes += msg_cost(m);
    sock_wake_read(&to->sk);
    return true;
}

static void fill(struct isock *s, struct isock *to, struct msg *m, const struct send_req *r,
                 const struct inet_addr *src, const struct inet_addr *dst)
{
    bool v4 = inet_is_v4(dst);
    int ttl = v4 ? s->ttl : s->hops, tos = v4 ? s->tos : s->tclass;

    m->stamp = ktime_real();
    m->addrlen = (socklen_t)inet_addr_out(to, src, &m->addr);
    memcpy(&m->to, dst, sizeof *dst);
    if (inet_is_multicast(dst))
        ttl = v4 ? s->mc_ttl : s->mc_hops;
    m->ttl = (uint8_t)(r->ttl >= 0 ? r->ttl : ttl >= 0 ? ttl : 64);
    m->tos = (uint8_t)(r->tos >= 0 ? r->tos : tos);
}

/* m was used up: 1. */
static int transmit(struct isock *s, struct send_req *r, const struct inet_addr *named,
                    struct msg *m)
{
    struct inet_addr dst, src;
    struct isock *to;
    int e;

    LOCK_SCOPE(&udp_lock);
    e = destination(s, r, named, &dst, &src);
    if (e < 0)
        return e;
    atomic_fetch_add(&net_lo_bytes, m->len + 28);
    atomic_fetch_add(&net_lo_packets, 1);
    if (s->sk.protocol != IPPROTO_UDP)
        return ping_transmit(s, m, &src, &dst);
    if (inet_is_multicast(&dst)) {
        fill(s, s, m, r, &src, &dst);
        inet_group_send(m, &src, &dst);
        return 0;
    }
    to = port_find_udp(&dst, &src);
    fill(s, to ? to : s, m, r, &src, &dst);
    tap_udp(&src, &dst, m);
    if (!to) {
        tap_unreachable(&src, &dst, m);
        nobody_there(s);
        return 0;
    }
    return udp_put(to, m);
}

static int send_checks(struct isock *s, struct send_req *r, struct inet_addr *named)
{
    struct sock *sk = &s->sk;
    const struct sockaddr *a = r->addr;
    int e = 0;

    if (r->it->left > 0xffff)
        return -EMSGSIZE;
    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (a && r->addrlen >= 2 && a->sa_family == AF_UNSPEC) {
        if (sk->family == AF_INET6)
            r->addr = NULL;
        else if (r->addrlen < sizeof(struct sockaddr_in))
            return -EINVAL;
        else { /* taken for AF_INET */
            struct sockaddr_in in = *(const struct sockaddr_in *)r->addr;

            in.sin_family = AF_INET;
            e = inet_addr_in(s, (struct sockaddr *)&in, sizeof in, named);
        }
    } else if (a) {
        e = inet_addr_in(s, a, r->addrlen, named);
    }
    if (e < 0)
        return e;
    if (r->addr && !named->port && sk->protocol == IPPROTO_UDP)
        return -EINVAL;
    if (r->it->left > (sk->family == AF_INET ? UDP4_MAX : UDP6_MAX))
        return -EMSGSIZE;
    LOCK_SCOPE(&sk->own_lock);
    if (sk->err)
        return sock_take_err(sk);
    return (sk->shut & SHUT_W) ? -EPIPE : 0;
}

int udp_deliver(struct isock *s, struct send_req *r, const struct inet_addr *named, struct msg *m)
{
    bool inside = !broker_on() || inet_group_to_lo(s, r->addr ? named : &s->remote);
    int e = inside ? -ENETUNREACH : host_udp_send(s, r, named, m);

    if (e == -ENETUNREACH) {
        e = transmit(s, r, named, m);
        if (e == 1) /* it is in a queue */
            return 0;
    }
    msg_free(m);
    return e;
}

static ssize_t udp_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct isock *s = inet_sk(sk);
    struct inet_addr named = { 0 };
    size_t n = r->it->left;
    struct msg *m;
    int e = send_checks(s, r, &named);

    if (e == -EPIPE)
        return sock_sigpipe(t, r->flags | MSG_NOSIGNAL);
    if (e < 0)
        return e;
    m = msg_new(r->it, n);
    if (IS_ERR(m))
        return PTR_ERR(m);
    if (r->flags & MSG_MORE || s->udp.cork || s->corked) {
        struct msg *all;

        e = udp_gather(s, r, &named, m, &all);
        if (e < 0)
            msg_free(m);
        if (e < 0 || !all)
            return e < 0 ? e : (ssize_t)n;
        m = all;
    }
    e = udp_deliver_segments(s, r, &named, m);
    if (e == -ENETUNREACH)
        inet_note_refused(s, &named);
    if (e >= 0 && n && r->flags & MSG_ZEROCOPY) {
        LOCK_SCOPE(&sk->own_lock);
        inet_zerocopy_sent(s, r->flags);
    }
    return e < 0 ? e : (ssize_t)n;
}

/* ---- receiving ---- */

void udp_put_cmsgs(struct isock *s, struct recv_req *r, struct msg *m)
{
    struct in_pktinfo p4 = { .ipi_ifindex = 1 };
    struct in6_pktinfo p6 = { .ipi6_ifindex = 1 };
    struct inet_addr to;
    int v = m->ttl, tc = m->tos;

    memcpy(&to, &m->to, sizeof to);
    sock_put_stamp(&s->sk, r, m->stamp);
    if (inet_is_v4(&to)) {
        memcpy(&p4.ipi_spec_dst, to.ip.s6_addr + 12, 4);
        p4.ipi_addr = p4.ipi_spec_dst;
        if (s->pktinfo)
            ctl_add(r, SOL_IP, IP_PKTINFO, &p4, sizeof p4);
        if (s->recvttl)
            ctl_add(r, SOL_IP, IP_TTL, &v, sizeof v);
        if (s->recvtos)
            ctl_add(r, SOL_IP, IP_TOS, &m->tos, 1);
        if (s->origdst) {
            struct sockaddr_in in = { .sin_family = AF_INET,
                                      .sin_port = htons(to.port),
                                      .sin_addr = p4.ipi_addr };

            ctl_add(r, SOL_IP, IP_RECVORIGDSTADDR, &in, sizeof in);
        }
    }
    if (s->sk.family != AF_INET6)
        return;
    if (s->pktinfo6) {
        p6.ipi6_addr = to.ip;
        ctl_add(r, SOL_IPV6, IPV6_PKTINFO, &p6, sizeof p6);
    }
    if (s->hoplimit6 && !inet_is_v4(&to))
        ctl_add(r, SOL_IPV6, IPV6_HOPLIMIT, &v, sizeof v);
    if (s->tclass6 && !inet_is_v4(&to))
        ctl_add(r, SOL_IPV6, IPV6_TCLASS, &tc, sizeof tc);
}

static ssize_t recv_one(struct task *t, struct isock *s, struct recv_req *r, struct msg **ret_free)
{
    struct msg *m;
    ssize_t n = msg_recv_first(t, &s->sk, &s->msgs, r, &m);

    if (m && n >= 0)
        udp_put_cmsgs(s, r, m);
    if (m && !(r->flags & MSG_PEEK)) {
        msg_taken(&s->sk, &s->msgs, &s->msg_bytes, m);
        *ret_free = m;
    }
    return n;
}

static ssize_t udp_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct msg *m = NULL;
    ssize_t n;

    if (r->flags & MSG_ERRQUEUE)
        return inet_recv_errors(inet_sk(sk), r);
    lock(&sk->own_lock);
    n = recv_one(t, inet_sk(sk), r, &m);
    unlock(&sk->own_lock);
    msg_free(m);
    return n;
}

/* ---- the rest ---- */

static int udp_shutdown(struct task *t, struct sock *sk, int how)
{
    (void)t;
    LOCK_SCOPE(&sk->own_lock);
    dgram_shut(sk, how);
    return sk->state == SOCK_CONNECTED ? 0 : -ENOTCONN;
}

static uint32_t udp_poll(struct sock *sk)
{
    return POLLOUT | POLLWRNORM | POLLWRBAND | dgram_events(sk, &inet_sk(sk)->msgs) |
           (inet_sk(sk)->zc.pending ? POLLERR : 0);
}

static size_t udp_inq(struct sock *sk)
{
    return dgram_first(&inet_sk(sk)->msgs);
}

static void udp_release(struct sock *sk)
{
    struct isock *s = inet_sk(sk);
    struct msg *m, *mn;

    lock(&udp_lock);
    if (s->bound)
        port_release(s);
    unlock(&udp_lock);
    inet_leave_groups(s);
    host_unlisten(s);
    host_udp_release(s);
    list_for_each_safe(m, mn, &s->msgs, link)
        msg_free(m);
    msg_free(s->corked);
}

const struct sock_ops udp_ops = {
    .bind = inet_bind,
    .connect = udp_connect,
    .getname = inet_getname,
    .send = udp_send,
    .recv = udp_recv,
    .shutdown = udp_shutdown,
    .setsockopt = inet_setsockopt,
    .getsockopt = inet_getsockopt,
    .poll = udp_poll,
    .inq = udp_inq,
    .outq = dgram_outq,
    .release = udp_release,
    .info = inet_info,
};

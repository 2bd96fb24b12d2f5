/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IP and IPv6, and those of UDP. One table a level says where a number is kept and which
 * values it takes; the few that are more than a number are handled by themselves. Membership of a
 * multicast group needs a device that can: lo cannot (ENODEV).
 */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/net/inet.h"

#define SOL_TCP_ 6
#define IPV6_FLOWINFO_ 11
#define IPV6_FLOWINFO_SEND_ 33
#define IP_LOCAL_PORT_RANGE_ 51
#define IP_RECVFRAGSIZE_ 25
#define IPV6_MULTICAST_ALL_ 29
#define IPV6_RECVERR_RFC4884_ 31
#define IPV6_FREEBIND_ 78
#define IPV6_ROUTER_ALERT_ISOLATE_ 30
#define IPV6_RECVFRAGSIZE_ 77
#define IP_RECVERR_RFC4884_ 26
#define IP_PROTOCOL_ 52
#define ECN_BITS 3 /* of TOS and traffic class: TCP keeps them for itself */

enum { T_INT, T_BOOL, T_FLAG }; /* kept as int; int of 0 or 1; bool */

struct opt {
    short num, kind;
    size_t at;
    int min, max;
    int dflt; /* what -1 means, where min is -1 */
    int cap;  /* 0: anybody; else the capability that is needed to set it to anything but 0 */
};

#define AT(m) offsetof(struct isock, m)

static const struct opt ip_opts[] = {
    { IP_TOS, T_INT, AT(tos), 0, 255, 0, 0 },
    { IP_TTL, T_INT, AT(ttl), -1, 255, 64, 0 },
    { IP_MTU_DISCOVER, T_INT, AT(mtu_discover), 0, 5, 0, 0 },
    { IP_RECVERR, T_BOOL, AT(recverr), 0, 0, 0, 0 },
    { IP_MULTICAST_TTL, T_INT, AT(mc_ttl), -1, 255, 1, 0 },
    { IP_MULTICAST_LOOP, T_BOOL, AT(mc_loop), 0, 0, 0, 0 },
    { IP_MULTICAST_ALL, T_BOOL, AT(mc_all), 0, 1, 0, 0 },
    { IP_MINTTL, T_INT, AT(minttl), 0, 255, 0, 0 },
    { IP_FREEBIND, T_BOOL, AT(freebind), 0, 0, 0, 0 },
    { IP_TRANSPARENT, T_BOOL, AT(transparent), 0, 0, 0, CAP_NET_ADMIN },
    { IP_BIND_ADDRESS_NO_PORT, T_BOOL, AT(bind_no_port), 0, 0, 0, 0 },
    { IP_LOCAL_PORT_RANGE_, T_INT, AT(local_range), INT32_MIN, INT32_MAX, 0, 0 },
    { IP_PKTINFO, T_FLAG, AT(pktinfo), 0, 0, 0, 0 },
    { IP_RECVTTL, T_FLAG, AT(recvttl), 0, 0, 0, 0 },
    { IP_RECVTOS, T_FLAG, AT(recvtos), 0, 0, 0, 0 },
    { IP_RECVOPTS, T_FLAG, AT(recvopts), 0, 0, 0, 0 },
    { IP_RETOPTS, T_FLAG, AT(retopts), 0, 0, 0, 0 },
    { IP_RECVORIGDSTADDR, T_FLAG, AT(origdst), 0, 0, 0, 0 },
    { IP_CHECKSUM, T_FLAG, AT(checksum), 0, 0, 0, 0 },
    { IP_PASSSEC, T_FLAG, AT(passsec4), 0, 0, 0, 0 },
    { IP_RECVERR_RFC4884_, T_BOOL, AT(rfc4884), 0, 1, 0, 0 },
    { IP_RECVFRAGSIZE_, T_FLAG, AT(recvfragsize), 0, 0, 0, 0 },
};

static const struct opt ip6_opts[] = {
    { IPV6_UNICAST_HOPS, T_INT, AT(hops), -1, 255, 64, 0 },
    { IPV6_MULTICAST_HOPS, T_INT, AT(mc_hops), -1, 255, 1, 0 },
    { IPV6_MULTICAST_LOOP, T_BOOL, AT(mc6_loop), 0, 1, 0, 0 },
    { IPV6_MULTICAST_ALL_, T_BOOL, AT(mc6_all), 0, 0, 0, 0 },
    { IPV6_MTU_DISCOVER, T_INT, AT(mtu6_discover), 0, 5, 0, 0 },
    { IPV6_RECVERR, T_BOOL, AT(recverr6), 0, 0, 0, 0 },
    { IPV6_TCLASS, T_INT, AT(tclass), -1, 255, 0, 0 },
    { IPV6_FLOWINFO_SEND_, T_BOOL, AT(flowsend), 0, 0, 0, 0 },
    { IPV6_FLOWINFO_, T_BOOL, AT(flowinfo), 0, 0, 0, 0 },
    { IPV6_AUTOFLOWLABEL, T_BOOL, AT(autoflow), 0, 0, 0, 0 },
    { IPV6_DONTFRAG, T_BOOL, AT(dontfrag), 0, 0, 0, 0 },
    { IPV6_MINHOPCOUNT, T_INT, AT(minhops), 0, 255, 0, 0 },
    { IPV6_FREEBIND_, T_BOOL, AT(freebind), 0, 0, 0, 0 },
    { IPV6_TRANSPARENT, T_BOOL, AT(transparent), 0, 0, 0, CAP_NET_ADMIN },
    { IPV6_RECVPKTINFO, T_FLAG, AT(pktinfo6), 0, 0, 0, 0 },
    { IPV6_RECVHOPLIMIT, T_FLAG, AT(hoplimit6), 0, 0, 0, 0 },
    { IPV6_RECVTCLASS, T_FLAG, AT(tclass6), 0, 0, 0, 0 },
    { IPV6_RECVERR_RFC4884_, T_BOOL, AT(rfc4884_6), 0, 1, 0, 0 },
    { IPV6_ROUTER_ALERT_ISOLATE_, T_BOOL, AT(alert6), 0, 0, 0, 0 },
    { IPV6_RECVHOPOPTS, T_FLAG, AT(hopopts6), 0, 0, 0, 0 },
    { IPV6_RECVRTHDR, T_FLAG, AT(rthdr6), 0, 0, 0, 0 },
    { IPV6_RECVDSTOPTS, T_FLAG, AT(dstopts6), 0, 0, 0, 0 },
    { IPV6_RECVPATHMTU, T_FLAG, AT(pathmtu6), 0, 0, 0, 0 },
    { IPV6_RECVFRAGSIZE_, T_FLAG, AT(fragsize6), 0, 0, 0, 0 },
    { IPV6_RECVORIGDSTADDR, T_FLAG, AT(origdst6), 0, 0, 0, 0 },
};

static const struct opt udp_opts[] = {
    { UDP_SEGMENT, T_INT, AT(udp.segment), 0, UINT16_MAX, 0, 0 },
    { UDP_CORK, T_BOOL, AT(udp.cork), 0, 0, 0, 0 },
    { UDP_NO_CHECK6_TX, T_BOOL, AT(udp.no_check6_tx), 0, 0, 0, 0 },
    { UDP_NO_CHECK6_RX, T_BOOL, AT(udp.no_check6_rx), 0, 0, 0, 0 },
    { UDP_GRO, T_BOOL, AT(udp.gro), 0, 0, 0, 0 }, /* may join datagrams, and need not */
};

static const struct opt *find(const struct opt *tab, size_t n, int num)
{
    for (size_t i = 0; i < n; i++)
        if (tab[i].num == num)
            return &tab[i];
    return NULL;
}

static const struct opt *find_level(int level, int num)
{
    switch (level) {
    case SOL_IP:
        return find(ip_opts, ARRAY_SIZE(ip_opts), num);
    case SOL_IPV6:
        return find(ip6_opts, ARRAY_SIZE(ip6_opts), num);
    case SOL_UDP:
        return find(udp_opts, ARRAY_SIZE(udp_opts), num);
    }
    return NULL;
}

/* A number of four bytes, or of one, as IP takes both. */
static int number(const void *v, socklen_t n, int *ret)
{
    uint8_t byte;

    if (n >= sizeof *ret) {
        memcpy(ret, v, sizeof *ret);
        return 0;
    }
    if (n < 1)
        return -EINVAL;
    memcpy(&byte, v, 1);
    *ret = byte;
    return 0;
}

static int store(struct task *t, struct isock *s, const struct opt *o, int val)
{
    void *at = (char *)s + o->at;

    if (o->cap && val && !task_capable(t, o->cap))
        return -EPERM;
    if (o->kind == T_FLAG) {
        *(bool *)at = val != 0;
        return 0;
    }
    if (o->kind == T_BOOL) {
        if (o->max == 1 && (val < 0 || val > 1))
            return -EINVAL;
        *(int *)at = val != 0;
        return 0;
    }
    if (val < o->min || val > o->max || (o->num == IP_TTL && val == 0))
        return -EINVAL;
    *(int *)at = val;
    return 0;
}

static int load(struct isock *s, const struct opt *o)
{
    void *at = (char *)s + o->at;
    int val;

    if (o->kind == T_FLAG)
        return *(bool *)at;
    val = *(int *)at;
    return val == -1 && o->min == -1 ? o->dflt : val;
}

/* ---- set ---- */

/* The index of a device, of which lo is the only one; in network order for UNICAST_IF. */
static int set_device(int *at, const void *v, socklen_t n, bool net_order)
{
    int val = 0;

    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    if (net_order)
        val = (int)ntohl((uint32_t)val);
    if (val != 0 && val != 1)
        return net_order ? -EADDRNOTAVAIL : -ENODEV;
    *at = val;
    return 0;
}

/* What a connection refuses, which has no groups and no fragments. */
static bool not_of_streams(const struct isock *s, int opt)
{
    return s->sk.type == SOCK_STREAM && (opt == IP_MULTICAST_TTL || opt == IP_RECVFRAGSIZE_);
}

/* The lower end, and the upper one above it; 0: the system's. */
static bool range_ok(uint32_t range)
{
    uint32_t low = range & 0xffff, high = range >> 16;

    return !low || !high || low <= high;
}

static int set_ip(struct task *t, struct isock *s, int opt, const void *v, socklen_t n)
{
    const struct opt *o = find(ip_opts, ARRAY_SIZE(ip_opts), opt);
    int val = 0, r;

    switch (opt) {
    case IP_ADD_MEMBERSHIP:
    case IP_DROP_MEMBERSHIP:
        return inet_group4(s, opt == IP_ADD_MEMBERSHIP, v, n);
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP:
        return inet_group_any(s, opt == MCAST_JOIN_GROUP, v, n);
    case IP_ADD_SOURCE_MEMBERSHIP:
        return n < sizeof(struct ip_mreq_source) ? -EINVAL : -ENODEV;
    case IP_DROP_SOURCE_MEMBERSHIP:
        return n < sizeof(struct ip_mreq_source) ? -EINVAL : -EADDRNOTAVAIL;
    case IP_UNICAST_IF:
        return set_device(&s->unicast_if, v, n, /* net_order= */ true);
    case IP_MULTICAST_IF:
        return inet_group_device(s, v, n);
    case IP_OPTIONS: /* there are no headers to put any into */
        return n ? -EINVAL : 0;
    case IP_ROUTER_ALERT:
        return -EINVAL;
    }
    if (!o)
        return -ENOPROTOOPT;
    if (not_of_streams(s, opt))
        return -EINVAL;
    r = number(v, n, &val);
    if (r == 0 && opt == IP_TOS)
        val = s->sk.type == SOCK_STREAM ? (val & 0xff & ~ECN_BITS) | (s->tos & ECN_BITS)
                                        : val & 0xff;
    if (r == 0 && opt == IP_LOCAL_PORT_RANGE_ && !range_ok((uint32_t)val))
        return -EINVAL;
    if (r == 0 && opt == IP_MULTICAST_TTL && val == -1)
        val = 1;
    return r < 0 ? r : store(t, s, o, val);
}

static int set_ip6(struct task *t, struct isock *s, int opt, const void *v, socklen_t n)
{
    const struct opt *o = find(ip6_opts, ARRAY_SIZE(ip6_opts), opt);
    int val = 0;

    if (s->sk.family != AF_INET6)
        return -ENOPROTOOPT;
    if (n >= sizeof val)
        memcpy(&val, v, sizeof val);
    switch (opt) {
    case IPV6_ADD_MEMBERSHIP:
    case IPV6_DROP_MEMBERSHIP:
        return inet_group6(s, opt == IPV6_ADD_MEMBERSHIP, v, n);
    case MCAST_JOIN_GROUP:
    case MCAST_LEAVE_GROUP:
        return inet_group_any(s, opt == MCAST_JOIN_GROUP, v, n);
    case IPV6_JOIN_ANYCAST:
        return n < 20 ? -EINVAL : -ENODEV;
    case IPV6_LEAVE_ANYCAST:
        return n < 20 ? -EINVAL : -EADDRNOTAVAIL;
    case IPV6_V6ONLY:
        if (n < sizeof val || s->bound)
            return -EINVAL;
        s->v6only = val != 0;
        return 0;
    case IPV6_MULTICAST_IF:
        if (s->sk.type == SOCK_STREAM)
            return -ENOPROTOOPT;
        return set_device(&s->mc6_if, v, n, /* net_order= */ false);
    case IPV6_UNICAST_IF:
        return set_device(&s->unicast6_if, v, n, /* net_order= */ true);
    case IPV6_ADDR_PREFERENCES:
        return n < sizeof val ? -EINVAL : 0;
    case IPV6_MTU:
        return n < sizeof val || (val && val < 1280) ? -EINVAL : 0;
    }
    if (!o || (opt == IPV6_MULTICAST_HOPS && s->sk.type == SOCK_STREAM))
        return -ENOPROTOOPT;
    if (opt == IPV6_TCLASS && val >= 0 && val <= 255 && s->sk.type == SOCK_STREAM)
        return n < sizeof val ? -EINVAL
                              : store(t, s, o, (val & ~ECN_BITS) | (s->tclass & ECN_BITS));
    return n < sizeof val ? -EINVAL : store(t, s, o, val);
}

/* IPV6_ADDRFORM: a socket that is connected by IPv4 is an IPv4 socket from now on. */
static int become_v4(struct isock *s, const void *v, socklen_t n)
{
    struct lock *l;
    int val, r = 0;

    if (s->sk.family != AF_INET6)
        return -ENOPROTOOPT;
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    if (val != AF_INET)
        return -EINVAL;
    l = sock_lock(&s->sk);
    if (s->sk.state != SOCK_CONNECTED)
        r = -ENOTCONN;
    else if (s->v6only || !inet_is_v4(&s->remote))
        r = -EADDRNOTAVAIL;
    else
        s->sk.family = AF_INET;
    unlock(l);
    return r;
}

int inet_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v, socklen_t n)
{
    struct isock *s = inet_sk(sk);
    const struct opt *o;
    int val, r;

    if (level == SOL_TCP_ && sk->type == SOCK_STREAM)
        return tcp_setsockopt(t, s, opt, v, n);
    if (level == SOL_IP)
        return set_ip(t, s, opt, v, n);
    if (level == SOL_IPV6 && opt == IPV6_ADDRFORM)
        return become_v4(s, v, n);
    if (level == SOL_IPV6)
        return set_ip6(t, s, opt, v, n);
    if (level != SOL_UDP || sk->type != SOCK_DGRAM)
        return -ENOPROTOOPT;
    o = find_level(level, opt);
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    r = o ? store(t, s, o, val) : -ENOPROTOOPT;
    return r == 0 && opt == UDP_CORK && !val ? udp_push(s) : r;
}

/* ---- get ---- */

static int put_int(void *v, socklen_t *n, int val, bool may_be_byte)
{
    uint8_t byte = (uint8_t)val;

    if (may_be_byte && *n > 0 && *n < sizeof val && val >= 0 && val <= 255) {
        *n = 1;
        memcpy(v, &byte, 1);
        return 0;
    }
    *n = (socklen_t)MIN((size_t)*n, sizeof val);
    memcpy(v, &val, *n);
    return 0;
}

static int special(struct isock *s, int level, int opt, int *ret)
{
    bool connected = s->sk.state == SOCK_CONNECTED;

    *ret = 0;
    if (level == SOL_IP) {
        switch (opt) {
        case IP_MTU:
            *ret = 65536;
            return connected ? 0 : -ENOTCONN;
        case IP_UNICAST_IF:
            *ret = (int)htonl((uint32_t)s->unicast_if);
            return 0;
        case IP_PROTOCOL_: /* that is where Linux has the port of all but raw sockets */
            *ret = s->local.port;
            return 0;
        case IP_MULTICAST_IF:
            *ret = (int)s->mc_addr;
            return 0;
        case IP_HDRINCL:
        case IP_NODEFRAG:
        case IP_ROUTER_ALERT:
            return 0;
        }
        return -ENOPROTOOPT;
    }
    if (s->sk.family != AF_INET6)
        return -ENOPROTOOPT;
    switch (opt) {
    case IPV6_V6ONLY:
        *ret = s->v6only;
        return 0;
    case IPV6_MTU:
        *ret = 65536;
        return connected ? 0 : -ENOTCONN;
    case IPV6_ADDRFORM:
        *ret = s->sk.family;
        return connected ? 0 : -ENOTCONN;
    case IPV6_MULTICAST_IF:
        *ret = s->mc6_if;
        return 0;
    case IPV6_UNICAST_IF:
        *ret = (int)htonl((uint32_t)s->unicast6_if);
        return 0;
    case IPV6_ADDR_PREFERENCES:
    case IPV6_ROUTER_ALERT:
        return 0;
    }
    return -ENOPROTOOPT;
}

int inet_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n)
{
    struct isock *s = inet_sk(sk);
    const struct opt *o;
    int val = 0, r;

    (void)t;
    if (level == SOL_TCP_ && sk->type == SOCK_STREAM)
        return tcp_getsockopt(s, opt, v, n);
    if (level == SOL_IP && opt == IP_OPTIONS) {
        *n = 0;
        return 0;
    }
    if (level == SOL_IPV6 && sk->family != AF_INET6)
        return -EOPNOTSUPP;
    o = find_level(level, opt);
    if (level != SOL_IP && level != SOL_IPV6 && (level != SOL_UDP || sk->type != SOCK_DGRAM))
        return sk->family == AF_INET ? -EOPNOTSUPP : -ENOPROTOOPT;
    if (o)
        return put_int(v, n, load(s, o), level == SOL_IP);
    if (level == SOL_UDP)
        return -ENOPROTOOPT;
    r = special(s, level, opt, &val);
    return r < 0 ? r : put_int(v, n, val, level == SOL_IP);
}

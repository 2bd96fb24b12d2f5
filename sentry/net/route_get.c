/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_GETROUTE of one address (`ip route get`): the route that Linux would take, of those that are shown. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>

#include "sentry/net/broker.h"
#include "sentry/net/netdev.h"
#include "sentry/net/netlink.h"

#define LO 1
#define ETH 2

struct answer {
    int family, type, oif;
    uint8_t gateway[16], source[16];
    bool by_gateway, has_source;
};

static size_t size_of(int family)
{
    return family == AF_INET ? 4 : 16;
}

static bool covers(const uint8_t *net, const uint8_t *ip, unsigned bits)
{
    const unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(net, ip, whole) == 0 &&
           (!rest || ((net[whole] ^ ip[whole]) & (0xffu << (8 - rest)) & 0xff) == 0);
}

static uint32_t number(const struct nlmsghdr *h, int type)
{
    const uint32_t *v = netdevs_attr(h, type, sizeof *v);

    return v ? *v : 0;
}

/* Of those that lead there the most exact one, then the cheapest. */
static const struct nlmsghdr *find_seen(const struct netdevs *d, int family, const uint8_t *ip)
{
    static const uint8_t any[16];
    const struct nlmsghdr *h = NULL, *best = NULL;
    unsigned bits = 0;

    while ((h = netdevs_next(d, h, RTM_NEWROUTE))) {
        const struct rtmsg *m = NLMSG_DATA(h);
        const uint8_t *dst = netdevs_attr(h, RTA_DST, size_of(family));

        if (m->rtm_family != family || m->rtm_dst_len > 8 * size_of(family) ||
            !covers(dst ? dst : any, ip, m->rtm_dst_len))
            continue;
        if (!best || m->rtm_dst_len > bits ||
            (m->rtm_dst_len == bits && number(h, RTA_PRIORITY) < number(best, RTA_PRIORITY))) {
            best = h;
            bits = m->rtm_dst_len;
        }
    }
    return best;
}

/* What a packet that leaves by that interface says it comes from. */
static void find_source(const struct netdevs *d, struct answer *a)
{
    const struct nlmsghdr *h = NULL;

    while (!a->has_source && (h = netdevs_next(d, h, RTM_NEWADDR))) {
        const struct ifaddrmsg *i = NLMSG_DATA(h);
        const void *ip = netdevs_attr(h, a->family == AF_INET ? IFA_LOCAL : IFA_ADDRESS,
                                      size_of(a->family));

        if (!ip || i->ifa_family != a->family || (int)i->ifa_index != a->oif ||
            (a->family == AF_INET6 && i->ifa_scope != RT_SCOPE_UNIVERSE))
            continue;
        memcpy(a->source, ip, size_of(a->family));
        a->has_source = true;
    }
}

static int by_seen(const struct netdevs *d, const uint8_t *ip, struct answer *a)
{
    const struct nlmsghdr *h = find_seen(d, a->family, ip);
    const struct rtmsg *m = h ? NLMSG_DATA(h) : NULL;
    const void *v;

    if (!h)
        return -ENETUNREACH;
    switch (m->rtm_type) {
    case RTN_UNREACHABLE:
        return -EHOSTUNREACH;
    case RTN_PROHIBIT:
        return -EACCES;
    case RTN_BLACKHOLE:
        return -EINVAL;
    default:
        break;
    }
    a->type = m->rtm_type;
    a->oif = (int)number(h, RTA_OIF);
    v = netdevs_attr(h, RTA_GATEWAY, size_of(a->family));
    if (v)
        memcpy(a->gateway, v, size_of(a->family));
    a->by_gateway = v;
    v = netdevs_attr(h, RTA_PREFSRC, size_of(a->family));
    if (v)
        memcpy(a->source, v, size_of(a->family));
    a->has_source = v;
    find_source(d, a);
    if (a->type == RTN_LOCAL) /* what is sent to oneself goes by lo */
        a->oif = LO;
    return 0;
}

/* `sbx run`: eth0 and its gateway (route.c). */
static int by_own(const uint8_t *ip, struct answer *a)
{
    const uint32_t own = htonl(NB_OWN_IP), gw = htonl(NB_GATEWAY_IP);

    if (!broker_on() || a->family != AF_INET)
        return -ENETUNREACH;
    a->oif = ETH;
    a->by_gateway = memcmp(ip, &own, 3) != 0;
    memcpy(a->gateway, &gw, sizeof gw);
    memcpy(a->source, &own, sizeof own);
    a->has_source = true;
    if (memcmp(ip, &own, 4) == 0) {
        a->type = RTN_LOCAL;
        a->oif = LO;
    }
    return 0;
}

static bool is_loopback(int family, const uint8_t *ip)
{
    return family == AF_INET ? ip[0] == 127 : memcmp(ip, &in6addr_loopback, 16) == 0;
}

static void by_lo(const uint8_t *ip, struct answer *a)
{
    a->type = RTN_LOCAL;
    a->oif = LO;
    memcpy(a->source, ip, size_of(a->family));
    a->has_source = true;
}

static void put(struct nl_out *o, const struct answer *a, const uint8_t *ip)
{
    const size_t n = size_of(a->family);
    const struct rta_cacheinfo cache = { 0 };
    const uint32_t uid = 0, oif = (uint32_t)a->oif, table = RT_TABLE_MAIN; /* whichever it was */
    struct rtmsg *m = nl_begin(o, RTM_NEWROUTE, 0, sizeof *m);

    if (!m)
        return;
    m->rtm_family = (uint8_t)a->family;
    m->rtm_dst_len = (uint8_t)(8 * n);
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_scope = RT_SCOPE_UNIVERSE;
    m->rtm_type = (uint8_t)a->type;
    m->rtm_flags = RTM_F_CLONED;
    if (a->family == AF_INET && a->type == RTN_LOCAL)
        m->rtm_flags |= 0x80000000u; /* RTCF_LOCAL */
    nl_attr(o, RTA_TABLE, &table, sizeof table);
    nl_attr(o, RTA_DST, ip, n);
    nl_attr(o, RTA_OIF, &oif, sizeof oif);
    if (a->by_gateway)
        nl_attr(o, RTA_GATEWAY, a->gateway, n);
    if (a->has_source)
        nl_attr(o, RTA_PREFSRC, a->source, n);
    if (a->family == AF_INET)
        nl_attr(o, RTA_UID, &uid, sizeof uid);
    nl_attr(o, RTA_CACHEINFO, &cache, sizeof cache);
    nl_end(o);
}

int route_get(struct nl_out *o, const struct nlmsghdr *h, const struct netdevs *d)
{
    const struct rtmsg *m = NLMSG_DATA(h);
    struct answer a = { .type = RTN_UNICAST };
    uint8_t ip[16] = { 0 };
    size_t at = NLMSG_LENGTH(sizeof *m);
    int r = 0;

    if (h->nlmsg_len < at)
        return -EINVAL;
    a.family = m->rtm_family;
    if (a.family != AF_INET && a.family != AF_INET6)
        return -EOPNOTSUPP;
    while (at + NLA_HDRLEN <= h->nlmsg_len) {
        const struct nlattr *x = (const void *)((const uint8_t *)h + at);

        if (x->nla_len < NLA_HDRLEN || x->nla_len > h->nlmsg_len - at)
            return -EINVAL;
        if ((x->nla_type & NLA_TYPE_MASK) == RTA_DST) {
            if (x->nla_len < NLA_HDRLEN + size_of(a.family))
                return -EINVAL;
            memcpy(ip, (const uint8_t *)x + NLA_HDRLEN, size_of(a.family));
        }
        at += NLA_ALIGN(x->nla_len);
    }
    if (is_loopback(a.family, ip))
        by_lo(ip, &a);
    else
        r = d ? by_seen(d, ip, &a) : by_own(ip, &a);
    if (r == 0)
        put(o, &a, ip);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What there is to be known about the network, in the form of NETLINK_ROUTE: the link lo with its
 * two addresses, and the routes to them; where there is a network, eth0 as well, which stands for what
 * the broker reaches. These are constants; the counters are net_lo_stats(). A container has those of its
 * network namespace (netdev.h).
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

#include "sentry/net/broker.h"
#include "sentry/net/netdev.h"
#include "sentry/net/netlink.h"

#define LO 1
#define ETH 2
#define IFF_LOWER_UP_ 0x10000

static void u32(struct nl_out *o, int type, uint32_t v)
{
    nl_attr(o, type, &v, sizeof v);
}

static void u8(struct nl_out *o, int type, uint8_t v)
{
    nl_attr(o, type, &v, sizeof v);
}

static void stats(struct nl_out *o)
{
    struct rtnl_link_stats64 s64 = { 0 };
    struct rtnl_link_stats s = { 0 };
    uint64_t bytes, packets;

    net_lo_stats(&bytes, &packets);
    s64.rx_bytes = s64.tx_bytes = bytes;
    s64.rx_packets = s64.tx_packets = packets;
    s.rx_bytes = s.tx_bytes = (uint32_t)bytes;
    s.rx_packets = s.tx_packets = (uint32_t)packets;
    nl_attr(o, IFLA_STATS64, &s64, sizeof s64);
    nl_attr(o, IFLA_STATS, &s, sizeof s);
}

static void put_link(struct nl_out *o, int flags, int index)
{
    static const uint8_t macs[2][6] = { { 0 }, NET_ETH_MAC };
    const uint8_t *mac = macs[index == ETH];
    const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    struct ifinfomsg *i = nl_begin(o, RTM_NEWLINK, flags, sizeof *i);

    if (!i)
        return;
    i->ifi_type = index == LO ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
    i->ifi_index = index;
    i->ifi_flags = IFF_UP | IFF_RUNNING | IFF_LOWER_UP_ |
                   (index == LO ? IFF_LOOPBACK : IFF_BROADCAST);
    nl_attr(o, IFLA_IFNAME, index == LO ? "lo" : "eth0", index == LO ? 3 : 5);
    u32(o, IFLA_TXQLEN, 1000);
    u8(o, IFLA_OPERSTATE, index == LO ? 0 : 6 /* up */);
    u8(o, IFLA_LINKMODE, 0);
    u32(o, IFLA_MTU, index == LO ? 65536 : NET_ETH_MTU);
    u32(o, IFLA_GROUP, 0);
    u32(o, IFLA_PROMISCUITY, 0);
    u32(o, IFLA_NUM_TX_QUEUES, 1);
    u32(o, IFLA_NUM_RX_QUEUES, 1);
    u8(o, IFLA_CARRIER, 1);
    nl_attr(o, IFLA_QDISC, "noqueue", 8);
    u32(o, IFLA_CARRIER_CHANGES, 0);
    nl_attr(o, IFLA_ADDRESS, mac, 6);
    nl_attr(o, IFLA_BROADCAST, index == LO ? mac : broadcast, 6);
    if (index == LO)
        stats(o);
    nl_end(o);
}

static void put_addr(struct nl_out *o, int family)
{
    struct ifa_cacheinfo cache = { UINT32_MAX, UINT32_MAX, 0, 0 };
    struct ifaddrmsg *a = nl_begin(o, RTM_NEWADDR, NLM_F_MULTI, sizeof *a);
    uint32_t v4 = htonl(INADDR_LOOPBACK);

    if (!a)
        return;
    a->ifa_family = (uint8_t)family;
    a->ifa_prefixlen = family == AF_INET ? 8 : 128;
    a->ifa_flags = IFA_F_PERMANENT;
    a->ifa_scope = RT_SCOPE_HOST;
    a->ifa_index = LO;
    if (family == AF_INET) {
        nl_attr(o, IFA_ADDRESS, &v4, sizeof v4);
        nl_attr(o, IFA_LOCAL, &v4, sizeof v4);
        nl_attr(o, IFA_LABEL, "lo", 3);
        u32(o, IFA_FLAGS, IFA_F_PERMANENT);
    } else {
        nl_attr(o, IFA_ADDRESS, &in6addr_loopback, sizeof in6addr_loopback);
    }
    nl_attr(o, IFA_CACHEINFO, &cache, sizeof cache);
    if (family == AF_INET6)
        u32(o, IFA_FLAGS, IFA_F_PERMANENT);
    nl_end(o);
}

static void put_own_addr(struct nl_out *o)
{
    struct ifa_cacheinfo cache = { UINT32_MAX, UINT32_MAX, 0, 0 };
    struct ifaddrmsg *a = nl_begin(o, RTM_NEWADDR, NLM_F_MULTI, sizeof *a);
    uint32_t v4 = htonl(NB_OWN_IP), all = htonl(NB_OWN_IP | 0xff);

    if (!a)
        return;
    a->ifa_family = AF_INET;
    a->ifa_prefixlen = 24;
    a->ifa_flags = IFA_F_PERMANENT;
    a->ifa_scope = RT_SCOPE_UNIVERSE;
    a->ifa_index = ETH;
    nl_attr(o, IFA_ADDRESS, &v4, sizeof v4);
    nl_attr(o, IFA_LOCAL, &v4, sizeof v4);
    nl_attr(o, IFA_BROADCAST, &all, sizeof all);
    nl_attr(o, IFA_LABEL, "eth0", 5);
    u32(o, IFA_FLAGS, IFA_F_PERMANENT);
    nl_attr(o, IFA_CACHEINFO, &cache, sizeof cache);
    nl_end(o);
}

/* By the gateway, and to the others of its net. */
static void put_own_route(struct nl_out *o, bool by_default)
{
    struct rtmsg *m = nl_begin(o, RTM_NEWROUTE, NLM_F_MULTI, sizeof *m);
    uint32_t net = htonl(NB_OWN_IP & ~0xffu), own = htonl(NB_OWN_IP), gw = htonl(NB_GATEWAY_IP);

    if (!m)
        return;
    m->rtm_family = AF_INET;
    m->rtm_dst_len = by_default ? 0 : 24;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = by_default ? RTPROT_BOOT : RTPROT_KERNEL;
    m->rtm_scope = by_default ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    m->rtm_type = RTN_UNICAST;
    u32(o, RTA_TABLE, RT_TABLE_MAIN);
    if (by_default)
        nl_attr(o, RTA_GATEWAY, &gw, sizeof gw);
    else
        nl_attr(o, RTA_DST, &net, sizeof net);
    nl_attr(o, RTA_PREFSRC, &own, sizeof own);
    u32(o, RTA_OIF, ETH);
    nl_end(o);
}

struct route {
    int family, bits, type, scope;
    uint32_t v4;
};

static const struct route routes[] = {
    { AF_INET, 8, RTN_LOCAL, RT_SCOPE_HOST, 0x7f000000 },
    { AF_INET, 32, RTN_LOCAL, RT_SCOPE_HOST, INADDR_LOOPBACK },
    { AF_INET, 32, RTN_BROADCAST, RT_SCOPE_LINK, 0x7fffffff },
    { AF_INET6, 128, RTN_LOCAL, RT_SCOPE_UNIVERSE, 0 },
};

static void put_route(struct nl_out *o, const struct route *r, int flags)
{
    struct rtmsg *m = nl_begin(o, RTM_NEWROUTE, flags, sizeof *m);
    uint32_t dst = htonl(r->v4), src = htonl(INADDR_LOOPBACK);

    if (!m)
        return;
    m->rtm_family = (uint8_t)r->family;
    m->rtm_dst_len = (uint8_t)r->bits;
    m->rtm_table = RT_TABLE_LOCAL;
    m->rtm_protocol = RTPROT_KERNEL;
    m->rtm_scope = (uint8_t)r->scope;
    m->rtm_type = (uint8_t)r->type;
    u32(o, RTA_TABLE, RT_TABLE_LOCAL);
    if (r->family == AF_INET)
        nl_attr(o, RTA_DST, &dst, sizeof dst);
    else
        nl_attr(o, RTA_DST, &in6addr_loopback, sizeof in6addr_loopback);
    if (r->family == AF_INET)
        nl_attr(o, RTA_PREFSRC, &src, sizeof src);
    else
        u32(o, RTA_PRIORITY, 0);
    u32(o, RTA_OIF, LO);
    nl_end(o);
}

/* ---- a container's ---- */

static void put_seen(struct nl_out *o, const struct nlmsghdr *h, int flags)
{
    size_t n = h->nlmsg_len - NLMSG_HDRLEN;
    void *p = nl_begin(o, h->nlmsg_type, flags, n);

    if (!p)
        return;
    memcpy(p, NLMSG_DATA(h), n);
    nl_end(o);
}

static void dump_seen(struct nl_out *o, const struct netdevs *d, int type, int family)
{
    const struct nlmsghdr *h = NULL;

    while ((h = netdevs_next(d, h, type))) {
        int of = *(const uint8_t *)NLMSG_DATA(h);

        if (type == RTM_NEWLINK || family == AF_UNSPEC || family == of)
            put_seen(o, h, NLM_F_MULTI);
    }
}

/* ---- requests ---- */

static int family_of(const struct nlmsghdr *h)
{
    return h->nlmsg_len > NLMSG_HDRLEN ? *(const uint8_t *)NLMSG_DATA(h) : AF_UNSPEC;
}

/* The name that is asked for, with a NUL; "": none. */
static void name_asked(const struct nlmsghdr *h, char name[IFNAMSIZ])
{
    size_t at = NLMSG_ALIGN(sizeof(struct ifinfomsg)) + NLMSG_HDRLEN;

    name[0] = 0;
    while (at + NLA_HDRLEN <= h->nlmsg_len) {
        const struct nlattr *a = (const void *)((const char *)h + at);

        if (a->nla_len < NLA_HDRLEN || a->nla_len > h->nlmsg_len - at)
            return;
        if ((a->nla_type & NLA_TYPE_MASK) == IFLA_IFNAME) {
            size_t n = MIN(a->nla_len - (size_t)NLA_HDRLEN, (size_t)IFNAMSIZ - 1);

            memcpy(name, (const char *)a + NLA_HDRLEN, n);
            name[n] = 0;
            return;
        }
        at += NLA_ALIGN(a->nla_len);
    }
}

/* The link that is asked for: lo, eth0 or *ret_seen; 0: none there is. */
static int which_link(const struct nlmsghdr *h, const struct netdevs *d,
                      const struct nlmsghdr **ret_seen)
{
    const struct ifinfomsg *i = NLMSG_DATA(h);
    char name[IFNAMSIZ];

    *ret_seen = NULL;
    name_asked(h, name);
    if (i->ifi_index == LO || (!i->ifi_index && strcmp(name, "lo") == 0))
        return LO;
    if (i->ifi_index < 0 || (!i->ifi_index && !*name))
        return 0;
    if (d) {
        *ret_seen = netdevs_link(d, i->ifi_index, name);
        return *ret_seen ? ((const struct ifinfomsg *)NLMSG_DATA(*ret_seen))->ifi_index : 0;
    }
    return broker_on() && (i->ifi_index ? i->ifi_index == ETH : strcmp(name, "eth0") == 0) ? ETH
                                                                                           : 0;
}

static int get_link(struct nl_out *o, const struct nlmsghdr *h, bool dump)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *seen;
    int link;

    if (dump) {
        put_link(o, NLM_F_MULTI, LO);
        if (d)
            dump_seen(o, d, RTM_NEWLINK, AF_UNSPEC);
        else if (broker_on())
            put_link(o, NLM_F_MULTI, ETH);
        return 0;
    }
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
        return -EINVAL;
    link = which_link(h, d, &seen);
    if (!link)
        return -ENODEV;
    if (seen)
        put_seen(o, seen, 0);
    else
        put_link(o, 0, link);
    return 0;
}

static int get_addr(struct nl_out *o, const struct nlmsghdr *h, bool dump)
{
    NETDEVS_SCOPE(d);
    int family = family_of(h);
    bool v4 = family == AF_UNSPEC || family == AF_INET;

    if (!dump)
        return -EOPNOTSUPP;
    if (v4)
        put_addr(o, AF_INET);
    if (!d && v4 && broker_on())
        put_own_addr(o);
    if (family == AF_UNSPEC || family == AF_INET6)
        put_addr(o, AF_INET6);
    if (d)
        dump_seen(o, d, RTM_NEWADDR, family);
    return 0;
}

static int get_route(struct nl_out *o, const struct nlmsghdr *h, bool dump)
{
    NETDEVS_SCOPE(d);
    int family = family_of(h);

    if (!dump)
        return route_get(o, h, d);
    if (d) {
        dump_seen(o, d, RTM_NEWROUTE, family);
        return 0;
    }
    if (broker_on() && (family == AF_UNSPEC || family == AF_INET)) {
        put_own_route(o, true);
        put_own_route(o, false);
    }
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        if (family == AF_UNSPEC || family == routes[i].family)
            put_route(o, &routes[i], NLM_F_MULTI);
    return 0;
}

static int get_neigh(struct nl_out *o, const struct nlmsghdr *h, bool dump)
{
    NETDEVS_SCOPE(d);

    if (dump && d)
        dump_seen(o, d, RTM_NEWNEIGH, family_of(h));
    return dump ? 0 : -EOPNOTSUPP;
}

/* `ip link set lo up`: it is up. Anything else would be a change. */
static int set_link(const struct nlmsghdr *h)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *seen;
    const struct ifinfomsg *i = NLMSG_DATA(h);
    unsigned change;

    if (h->nlmsg_len < NLMSG_LENGTH(sizeof *i))
        return -EINVAL;
    if (!which_link(h, d, &seen))
        return -ENODEV;
    change = i->ifi_change ? i->ifi_change : ~0u;
    if (change & ~(unsigned)IFF_UP || !(i->ifi_flags & IFF_UP) ||
        h->nlmsg_len > NLMSG_LENGTH(sizeof *i))
        return -EPERM;
    return 0;
}

int route_answer(struct nl_out *o, const struct nlmsghdr *h, bool dump)
{
    switch (h->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_SETLINK:
        return set_link(h);
    case RTM_GETLINK:
        return get_link(o, h, dump);
    case RTM_GETADDR:
        return get_addr(o, h, dump);
    case RTM_GETROUTE:
        return get_route(o, h, dump);
    case RTM_GETNEIGH:
        return get_neigh(o, h, dump);
    }
    /* Numbers come in fours: new, del, get, set. */
    if (h->nlmsg_type <= RTM_MAX && (h->nlmsg_type & 3) != 2)
        return -EPERM;
    return -EOPNOTSUPP;
}

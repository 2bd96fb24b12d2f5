/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net: tables of sockets and interfaces. The rows come from the owners of the sockets
 * (proc_net_rows, when there is one); the heads and what is about the loopback are here.
 */
#include "sentry/fs/proc/net.h"

#include <inttypes.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/protocol.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/net/net.h"
#include "sentry/net/netdev.h"

static const char *const heads[] = {
    [PROC_NET_TCP] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
                     "   uid  timeout inode                                                     \n",
    [PROC_NET_TCP6] = "  sl  local_address                         remote_address                  "
                      "      st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n",
    [PROC_NET_UDP] = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
                     "   uid  timeout inode ref pointer drops             \n",
    [PROC_NET_UDP6] = "  sl  local_address                         remote_address                  "
                      "      st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
                      "pointer drops\n",
    [PROC_NET_RAW] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
                     "   uid  timeout inode ref pointer drops\n",
    [PROC_NET_RAW6] = "  sl  local_address                         remote_address                  "
                      "      st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
                      "pointer drops\n",
    [PROC_NET_UNIX] = "Num       RefCount Protocol Flags    Type St Inode Path\n",
    [PROC_NET_NETLINK] =
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
        "Drops    Inode\n",
    [PROC_NET_PACKET] = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n",
};

void (*proc_net_rows)(enum proc_net_table table, struct ptext *out) = net_proc_rows;

static PROC_SHOW(show_table)
{
    (void)t, (void)o;
    pt_puts(out, heads[n->arg]);
    if (proc_net_rows)
        proc_net_rows((enum proc_net_table)n->arg, out);
    return 0;
}

static const char dev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n";
static void put_seen_devs(const struct netdevs *d, struct ptext *out)
{
    const struct nlmsghdr *h = NULL;

    while ((h = netdevs_next(d, h, RTM_NEWLINK))) {
        const struct ifinfomsg *i = NLMSG_DATA(h);
        const void *at = netdevs_attr(h, IFLA_STATS64,
                                      offsetof(struct rtnl_link_stats64, rx_crc_errors));
        struct rtnl_link_stats64 s = { 0 };

        if (at)
            memcpy(&s, at, offsetof(struct rtnl_link_stats64, rx_crc_errors));
        pt_printf(out,
                  "%6s: %7" PRIu64 " %7" PRIu64 " %4" PRIu64 " %4" PRIu64
                  "    0     0          0 %9" PRIu64 " %8" PRIu64 " %7" PRIu64 " %4" PRIu64
                  " %4" PRIu64 "    0 %5" PRIu64 "       0          0\n",
                  netdevs_name(d, i->ifi_index), (uint64_t)s.rx_bytes, (uint64_t)s.rx_packets,
                  (uint64_t)s.rx_errors, (uint64_t)s.rx_dropped, (uint64_t)s.multicast,
                  (uint64_t)s.tx_bytes, (uint64_t)s.tx_packets, (uint64_t)s.tx_errors,
                  (uint64_t)s.tx_dropped, (uint64_t)s.collisions);
    }
}

static PROC_SHOW(show_dev)
{
    uint64_t b, p;

    (void)t, (void)n, (void)o;
    net_lo_stats(&b, &p);
    pt_puts(out, dev);
    pt_printf(out,
              "    lo: %7" PRIu64 " %7" PRIu64
              "    0    0    0     0          0         0 %8" PRIu64 " %7" PRIu64
              "    0    0    0     0       0          0\n",
              b, p, b, p);
    NETDEVS_SCOPE(d);

    if (d)
        put_seen_devs(d, out);
    else if (broker_on())
        pt_puts(
            out,
            "  eth0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n");
    return 0;
}

static const char route_head[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
    "                                                       \n";
static const char if_inet6[] = "00000000000000000000000000000001 01 80 10 80       lo\n";

static uint32_t number(const struct nlmsghdr *h, int type)
{
    const uint32_t *v = netdevs_attr(h, type, sizeof *v);

    return v ? *v : 0;
}

/* Linux pads each to 127. */
static void put_route(struct ptext *out, const char *name, uint32_t dst, uint32_t gateway,
                      unsigned metric, unsigned bits)
{
    uint32_t mask = htonl(bits ? ~0u << (32 - bits) : 0);
    unsigned flags = 1u | (gateway ? 2u : 0) | (bits == 32 ? 4u : 0);
    char line[128];

    snprintf(line, sizeof line, "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0", name, dst, gateway,
             flags, metric, mask);
    pt_printf(out, "%-127s\n", line);
}

static void put_seen_routes(const struct netdevs *d, struct ptext *out)
{
    const struct nlmsghdr *h = NULL;

    while ((h = netdevs_next(d, h, RTM_NEWROUTE))) {
        const struct rtmsg *m = NLMSG_DATA(h);

        if (m->rtm_family == AF_INET && m->rtm_table == RT_TABLE_MAIN)
            put_route(out, netdevs_name(d, (int)number(h, RTA_OIF)), number(h, RTA_DST),
                      number(h, RTA_GATEWAY), number(h, RTA_PRIORITY), MIN(m->rtm_dst_len, 32));
    }
}

static PROC_SHOW(show_if_inet6)
{
    const struct nlmsghdr *h = NULL;
    NETDEVS_SCOPE(d);

    (void)t, (void)n, (void)o;
    pt_puts(out, if_inet6);
    while (d && (h = netdevs_next(d, h, RTM_NEWADDR))) {
        const struct ifaddrmsg *a = NLMSG_DATA(h);
        const uint8_t *ip = netdevs_attr(h, IFA_ADDRESS, 16);

        if (a->ifa_family != AF_INET6 || !ip)
            continue;
        for (int i = 0; i < 16; i++)
            pt_printf(out, "%02x", ip[i]);
        pt_printf(out, " %02x %02x %02x %02x %8s\n", a->ifa_index, a->ifa_prefixlen,
                  a->ifa_scope == RT_SCOPE_LINK ? 0x20u : 0u, a->ifa_flags,
                  netdevs_name(d, (int)a->ifa_index));
    }
    return 0;
}

static PROC_SHOW(show_route)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, route_head);
    NETDEVS_SCOPE(d);

    if (d) {
        put_seen_routes(d, out);
    } else if (broker_on()) { /* 10.0.2.0/24 and the gateway 10.0.2.2 */
        put_route(out, "eth0", 0, htonl(NB_GATEWAY_IP), 0, 0);
        put_route(out, "eth0", htonl(NB_OWN_IP & ~0xffu), 0, 0, 24);
    }
    return 0;
}

static const char ipv6_route[] =
    "00000000000000000000000000000001 80 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n";
static void put_ip6(struct ptext *out, const uint8_t *ip)
{
    for (int i = 0; i < 16; i++)
        pt_printf(out, "%02x", ip ? ip[i] : 0);
}

/* RTF_*: up, by a gateway, to one host; those of addresses and of routes that refuse */
static unsigned flags6(const struct rtmsg *m, bool gateway)
{
    unsigned flags = 1u | (gateway ? 2u : 0) | (m->rtm_dst_len == 128 ? 4u : 0);

    if (m->rtm_type == RTN_UNREACHABLE)
        return flags | 0x200u;
    return m->rtm_type == RTN_LOCAL ? flags | 0x80200000u : flags;
}

static PROC_SHOW(show_ipv6_route)
{
    const struct nlmsghdr *h = NULL;
    NETDEVS_SCOPE(d);

    (void)t, (void)n, (void)o;
    while (d && (h = netdevs_next(d, h, RTM_NEWROUTE))) {
        const struct rtmsg *m = NLMSG_DATA(h);
        const uint8_t *gateway = netdevs_attr(h, RTA_GATEWAY, 16);

        if (m->rtm_family != AF_INET6)
            continue;
        put_ip6(out, netdevs_attr(h, RTA_DST, 16));
        pt_printf(out, " %02x ", m->rtm_dst_len);
        put_ip6(out, NULL);
        pt_puts(out, " 00 ");
        put_ip6(out, gateway);
        pt_printf(out, " %08x %08x %08x %08x %8s\n", number(h, RTA_PRIORITY), 1, 0,
                  flags6(m, gateway), netdevs_name(d, (int)number(h, RTA_OIF)));
    }
    pt_puts(out, ipv6_route);
    return 0;
}

static const char snmp[] =
    "Ip: Forwarding DefaultTTL\nIp: 2 64\nTcp: RtoAlgorithm RtoMin RtoMax MaxConn\n"
    "Tcp: 1 200 120000 -1\nUdp: InDatagrams NoPorts InErrors OutDatagrams\nUdp: 0 0 0 0\n";
static const char sockstat[] = "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\n"
                               "UDP: inuse 0 mem 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";

static const struct pnode net_nodes[] = {
    PTEXT("arp", 0444,
          "IP address       HW type     Flags       HW address            Mask     "
          "Device\n"),
    PFILE("dev", 0444, show_dev),
    PTEXT("dev_mcast", 0444, ""),
    PFILE("if_inet6", 0444, show_if_inet6),
    PTEXT("igmp", 0444, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"),
    PFILE("ipv6_route", 0444, show_ipv6_route),
    PTEXT("netstat", 0444,
          "TcpExt: SyncookiesSent\nTcpExt: 0\nIpExt: InOctets OutOctets\nIpExt: 0 0\n"),
    PFILE_ARG("netlink", 0444, show_table, PROC_NET_NETLINK),
    PFILE_ARG("packet", 0444, show_table, PROC_NET_PACKET),
    PTEXT("protocols", 0444, ""),
    PFILE_ARG("raw", 0444, show_table, PROC_NET_RAW),
    PFILE_ARG("raw6", 0444, show_table, PROC_NET_RAW6),
    PFILE("route", 0444, show_route),
    PTEXT("snmp", 0444, snmp),
    PTEXT("sockstat", 0444, sockstat),
    PFILE_ARG("tcp", 0444, show_table, PROC_NET_TCP),
    PFILE_ARG("tcp6", 0444, show_table, PROC_NET_TCP6),
    PFILE_ARG("udp", 0444, show_table, PROC_NET_UDP),
    PFILE_ARG("udp6", 0444, show_table, PROC_NET_UDP6),
    PFILE_ARG("unix", 0444, show_table, PROC_NET_UNIX),
    PTEXT("wireless", 0444, ""),
};
const struct pdir proc_net_dir = { PNODES(net_nodes) };

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/net: tables of sockets and interfaces. The rows come from the owners of the sockets
 * (proc_net_rows, when there is one); the heads and what is about the loopback are here.
 */
#include "sentry/fs/proc/net.h"

#include <inttypes.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/net/net.h"

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
    [PROC_NET_UNIX] = "Num       RefCount Protocol Flags    Type St Inode Path\n",
    [PROC_NET_NETLINK] =
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
        "Drops    Inode\n",
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
    if (broker_on())
        pt_puts(
            out,
            "  eth0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n");
    return 0;
}

static const char route_head[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
    "                                                       \n";
static PROC_SHOW(show_route)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, route_head);
    if (broker_on()) { /* 10.0.2.0/24 and the gateway 10.0.2.2 */
        pt_printf(out, "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0%*s\n", 75, "");
        pt_printf(out, "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0%*s\n", 75, "");
    }
    return 0;
}

static const char if_inet6[] = "00000000000000000000000000000001 01 80 10 80       lo\n";
static const char ipv6_route[] =
    "00000000000000000000000000000001 80 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000000 00000002 00000000 80200001       lo\n";
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
    PTEXT("if_inet6", 0444, if_inet6),
    PTEXT("igmp", 0444, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"),
    PTEXT("ipv6_route", 0444, ipv6_route),
    PTEXT("netstat", 0444,
          "TcpExt: SyncookiesSent\nTcpExt: 0\nIpExt: InOctets OutOctets\nIpExt: 0 0\n"),
    PFILE_ARG("netlink", 0444, show_table, PROC_NET_NETLINK),
    PTEXT("packet", 0444, "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
    PTEXT("protocols", 0444, ""),
    PTEXT("raw", 0444,
          "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
          "   uid  timeout inode ref pointer drops\n"),
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioctls about network devices, on any socket: there is lo, index 1, and eth0 where there is a
 * network; a container has those of its network namespace (netdev.h). They are up and stay as they are: what
 * would change that is refused as to somebody without CAP_NET_ADMIN.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "broker/protocol.h"
#include "sentry/net/netdev.h"
#include "sentry/net/sock.h"

#define LO_MTU 65536
#define LO_TXQ 1000

static void put_in(struct sockaddr *to, uint32_t addr)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };

    memcpy(to, &in, sizeof in);
}

#define CONF_MAX 64

static int conf_seen(const struct netdevs *d, struct ifreq r[CONF_MAX])
{
    const struct nlmsghdr *h = NULL;
    int n = 1;

    while (n < CONF_MAX && (h = netdevs_next(d, h, RTM_NEWADDR))) {
        const struct ifaddrmsg *a = NLMSG_DATA(h);
        const uint32_t *ip = netdevs_attr(h, IFA_LOCAL, sizeof *ip);

        if (a->ifa_family != AF_INET || !ip)
            continue;
        strncpy(r[n].ifr_name, netdevs_name(d, (int)a->ifa_index), IFNAMSIZ - 1);
        put_in(&r[n++].ifr_addr, ntohl(*ip));
    }
    return n;
}

/* An array of what has an IPv4 address. A NULL buffer asks for the room. */
static long ifconf(struct task *t, gaddr_t arg)
{
    struct {
        int32_t len, pad;
        gaddr_t buf;
    } c;
    struct ifreq r[CONF_MAX] = { { .ifr_name = "lo" } };
    NETDEVS_SCOPE(d);
    int have = 1, fit;

    if (get_guest(t, &c, arg) < 0)
        return -EFAULT;
    put_in(&r[0].ifr_addr, INADDR_LOOPBACK);
    if (d) {
        have = conf_seen(d, r);
    } else if (broker_on()) {
        strcpy(r[have].ifr_name, "eth0");
        put_in(&r[have++].ifr_addr, NB_OWN_IP);
    }
    fit = c.buf ? MIN(MAX(c.len, 0) / (int)sizeof r[0], have) : have;
    c.len = fit * (int)sizeof r[0];
    if (c.buf && fit && copy_out(t, c.buf, r, (size_t)c.len) < 0)
        return -EFAULT;
    return put_guest(t, arg, &c);
}

static int seen_address(const struct netdevs *d, unsigned cmd, struct ifreq *r, int index)
{
    const struct nlmsghdr *h = netdevs_ipv4(d, index);
    const struct ifaddrmsg *a = h ? NLMSG_DATA(h) : NULL;
    int type = cmd == SIOCGIFBRDADDR   ? IFA_BROADCAST
               : cmd == SIOCGIFDSTADDR ? IFA_ADDRESS
                                       : IFA_LOCAL;
    const uint32_t *ip = h ? netdevs_attr(h, type, sizeof *ip) : NULL;

    if (!h)
        return -EADDRNOTAVAIL;
    if (cmd == SIOCGIFNETMASK)
        put_in(&r->ifr_addr, a->ifa_prefixlen ? ~0u << (32 - MIN(a->ifa_prefixlen, 32)) : 0);
    else
        put_in(&r->ifr_addr, ip ? ntohl(*ip) : 0);
    return 0;
}

/* Of one that the namespace has. */
static int seen_get(const struct netdevs *d, const struct nlmsghdr *h, unsigned cmd,
                    struct ifreq *r)
{
    const struct ifinfomsg *i = NLMSG_DATA(h);
    const uint32_t *mtu = netdevs_attr(h, IFLA_MTU, 4), *queue = netdevs_attr(h, IFLA_TXQLEN, 4);
    const void *mac = netdevs_attr(h, IFLA_ADDRESS, 6);

    switch (cmd) {
    case SIOCGIFFLAGS:
        r->ifr_flags = (short)i->ifi_flags;
        return 0;
    case SIOCGIFMTU:
        r->ifr_mtu = mtu ? (int)*mtu : 0;
        return 0;
    case SIOCGIFMETRIC:
        r->ifr_metric = 0;
        return 0;
    case SIOCGIFINDEX:
        r->ifr_ifindex = i->ifi_index;
        return 0;
    case SIOCGIFTXQLEN:
        r->ifr_qlen = queue ? (int)*queue : 0;
        return 0;
    case SIOCGIFHWADDR:
        memset(&r->ifr_hwaddr, 0, sizeof r->ifr_hwaddr);
        r->ifr_hwaddr.sa_family = i->ifi_type;
        if (mac)
            memcpy(r->ifr_hwaddr.sa_data, mac, 6);
        return 0;
    case SIOCGIFMAP:
        memset(&r->ifr_map, 0, sizeof r->ifr_map);
        return 0;
    default:
        return seen_address(d, cmd, r, i->ifi_index);
    }
}

static int name_by_index(struct ifreq *r)
{
    NETDEVS_SCOPE(d);
    const int index = r->ifr_ifindex;
    bool there = index == 1 ||
                 (d ? index > 0 && netdevs_link(d, index, NULL) : index == 2 && broker_on());

    if (!there)
        return -ENODEV;
    memset(r->ifr_name, 0, sizeof r->ifr_name);
    strncpy(r->ifr_name, index == 1 ? "lo" : d ? netdevs_name(d, index) : "eth0", IFNAMSIZ - 1);
    return 0;
}

static int ifreq_get(unsigned cmd, struct ifreq *r, bool eth)
{
    static const uint8_t mac[6] = NET_ETH_MAC;

    switch (cmd) {
    case SIOCGIFFLAGS:
        r->ifr_flags = IFF_UP | IFF_RUNNING | (eth ? IFF_BROADCAST : IFF_LOOPBACK);
        return 0;
    case SIOCGIFMTU:
        r->ifr_mtu = eth ? NET_ETH_MTU : LO_MTU;
        return 0;
    case SIOCGIFMETRIC:
        r->ifr_metric = 0;
        return 0;
    case SIOCGIFINDEX:
        r->ifr_ifindex = eth ? 2 : 1;
        return 0;
    case SIOCGIFTXQLEN:
        r->ifr_qlen = LO_TXQ;
        return 0;
    case SIOCGIFADDR:
        put_in(&r->ifr_addr, eth ? NB_OWN_IP : INADDR_LOOPBACK);
        return 0;
    case SIOCGIFNETMASK:
        put_in(&r->ifr_addr, eth ? 0xffffff00 : 0xff000000);
        return 0;
    case SIOCGIFBRDADDR:
    case SIOCGIFDSTADDR:
        if (eth)
            put_in(&r->ifr_addr, cmd == SIOCGIFDSTADDR ? NB_OWN_IP : NB_OWN_IP | 0xff);
        else
            put_in(&r->ifr_addr, cmd == SIOCGIFDSTADDR ? INADDR_LOOPBACK : 0);
        return 0;
    case SIOCGIFHWADDR:
        memset(&r->ifr_hwaddr, 0, sizeof r->ifr_hwaddr);
        r->ifr_hwaddr.sa_family = eth ? ARPHRD_ETHER : ARPHRD_LOOPBACK;
        if (eth)
            memcpy(r->ifr_hwaddr.sa_data, mac, sizeof mac);
        return 0;
    case SIOCGIFMAP:
        memset(&r->ifr_map, 0, sizeof r->ifr_map);
        return 0;
    }
    return -EOPNOTSUPP;
}

static int get_by_name(unsigned cmd, struct ifreq *r)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *h;

    if (strcmp(r->ifr_name, "lo") == 0)
        return ifreq_get(cmd, r, false);
    if (!d)
        return strcmp(r->ifr_name, "eth0") == 0 && broker_on() ? ifreq_get(cmd, r, true) : -ENODEV;
    h = netdevs_link(d, 0, r->ifr_name);
    return h ? seen_get(d, h, cmd, r) : -ENODEV;
}

/* To what it is: fine. */
static int ifreq_set(struct task *t, unsigned cmd, struct ifreq *r)
{
    struct ifreq now = *r;
    bool same;

    if (!task_capable(t, CAP_NET_ADMIN))
        return -EPERM;
    r->ifr_name[IFNAMSIZ - 1] = 0;
    if (strcmp(r->ifr_name, "lo") != 0)
        return -ENODEV;
    switch (cmd) {
    case SIOCSIFFLAGS:
        same = (r->ifr_flags & (IFF_UP | IFF_PROMISC)) == IFF_UP;
        break;
    case SIOCSIFMTU:
        same = r->ifr_mtu == LO_MTU;
        break;
    default:
        put_in(&now.ifr_addr, INADDR_LOOPBACK);
        same = memcmp(&now.ifr_addr, &r->ifr_addr, sizeof(struct sockaddr_in)) == 0;
    }
    return same ? 0 : -EPERM;
}

/* What lo says by SIOCETHTOOL: it has a link, does checksums and segments itself, and stamps in software. */
static int ethtool(struct task *t, const struct ifreq *r)
{
    gaddr_t at = (gaddr_t)(uintptr_t)r->ifr_data;
    struct ethtool_ts_info ts = { .cmd = ETHTOOL_GET_TS_INFO,
                                  .so_timestamping = SOF_TIMESTAMPING_TX_SOFTWARE |
                                                     SOF_TIMESTAMPING_RX_SOFTWARE |
                                                     SOF_TIMESTAMPING_SOFTWARE,
                                  .phc_index = -1 };
    struct ethtool_value v;
    uint32_t cmd;

    if (get_guest(t, &cmd, at) < 0)
        return -EFAULT;
    if (strcmp(r->ifr_name, "lo") != 0)
        return -EOPNOTSUPP;
    v = (struct ethtool_value){ .cmd = cmd, .data = cmd != ETHTOOL_GFLAGS };
    switch (cmd) {
    case ETHTOOL_GLINK:
    case ETHTOOL_GRXCSUM:
    case ETHTOOL_GTXCSUM:
    case ETHTOOL_GSG:
    case ETHTOOL_GTSO:
    case ETHTOOL_GGSO:
    case ETHTOOL_GGRO:
    case ETHTOOL_GFLAGS:
        return put_guest(t, at, &v);
    case ETHTOOL_GET_TS_INFO:
        return put_guest(t, at, &ts);
    }
    return -EOPNOTSUPP;
}

long net_ioctl(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg)
{
    struct ifreq r, probe;
    int e;

    (void)sk;
    switch (cmd) {
    case SIOCGIFCONF:
        return ifconf(t, arg);
    case SIOCGIFNAME:
        if (get_guest(t, &r, arg) < 0)
            return -EFAULT;
        e = name_by_index(&r);
        return e < 0 ? e : put_guest(t, arg, &r);
    case SIOCGIFFLAGS:
    case SIOCGIFMTU:
    case SIOCGIFMETRIC:
    case SIOCGIFINDEX:
    case SIOCGIFTXQLEN:
    case SIOCGIFADDR:
    case SIOCGIFNETMASK:
    case SIOCGIFBRDADDR:
    case SIOCGIFDSTADDR:
    case SIOCGIFHWADDR:
    case SIOCGIFMAP:
        if (get_guest(t, &r, arg) < 0)
            return -EFAULT;
        r.ifr_name[IFNAMSIZ - 1] = 0;
        e = get_by_name(cmd, &r);
        return e < 0 ? e : put_guest(t, arg, &r);
    case SIOCETHTOOL:
        if (get_guest(t, &r, arg) < 0)
            return -EFAULT;
        r.ifr_name[IFNAMSIZ - 1] = 0;
        probe = r;
        e = get_by_name(SIOCGIFINDEX, &probe);
        return e < 0 ? e : ethtool(t, &r);
    case SIOCSIFFLAGS:
    case SIOCSIFMTU:
    case SIOCSIFADDR:
        return get_guest(t, &r, arg) < 0 ? -EFAULT : ifreq_set(t, cmd, &r);
    case SIOCSIFNETMASK:
    case SIOCSIFNAME:
    case SIOCSIFHWADDR:
    case SIOCADDRT:
    case SIOCDELRT:
    case SIOCSIFTXQLEN:
    case SIOCSIFMETRIC:
    case SIOCSIFBRDADDR:
    case SIOCSIFDSTADDR:
        return -EPERM;
    }
    return -ENOIOCTLCMD;
}

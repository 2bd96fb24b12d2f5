/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioctls about network devices, on any socket: there is lo, index 1, and eth0 where there is a
 * network. They are up and stay as they are: what would change that is refused as to somebody
 * without CAP_NET_ADMIN.
 */
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "broker/protocol.h"
#include "sentry/net/sock.h"

#define LO_MTU 65536
#define LO_TXQ 1000

static void put_in(struct sockaddr *to, uint32_t addr)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };

    memcpy(to, &in, sizeof in);
}

/* An array of what has an IPv4 address. A NULL buffer asks for the room. */
static long ifconf(struct task *t, gaddr_t arg)
{
    struct {
        int32_t len, pad;
        gaddr_t buf;
    } c;
    struct ifreq r[2] = { { .ifr_name = "lo" }, { .ifr_name = "eth0" } };
    int have = broker_on() ? 2 : 1, fit;

    if (get_guest(t, &c, arg) < 0)
        return -EFAULT;
    put_in(&r[0].ifr_addr, INADDR_LOOPBACK);
    put_in(&r[1].ifr_addr, NB_OWN_IP);
    fit = c.buf ? MIN(MAX(c.len, 0) / (int)sizeof r[0], have) : have;
    c.len = fit * (int)sizeof r[0];
    if (c.buf && fit && copy_out(t, c.buf, r, (size_t)c.len) < 0)
        return -EFAULT;
    return put_guest(t, arg, &c);
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

long net_ioctl(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg)
{
    struct ifreq r;
    int e;

    (void)sk;
    switch (cmd) {
    case SIOCGIFCONF:
        return ifconf(t, arg);
    case SIOCGIFNAME:
        if (get_guest(t, &r, arg) < 0)
            return -EFAULT;
        if (r.ifr_ifindex != 1 && (r.ifr_ifindex != 2 || !broker_on()))
            return -ENODEV;
        e = r.ifr_ifindex;
        memset(r.ifr_name, 0, sizeof r.ifr_name);
        strcpy(r.ifr_name, e == 1 ? "lo" : "eth0");
        return put_guest(t, arg, &r);
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
        e = strcmp(r.ifr_name, "eth0") == 0 && broker_on();
        if (!e && strcmp(r.ifr_name, "lo") != 0)
            return -ENODEV;
        e = ifreq_get(cmd, &r, e);
        return e < 0 ? e : put_guest(t, arg, &r);
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

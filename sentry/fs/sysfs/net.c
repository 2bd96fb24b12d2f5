/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/class/net and /sys/devices/virtual/net: lo, which is the sentry's own, and a container's interfaces as its
 * network namespace has them (net/netdev.h), by their names. They come and go while one looks.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sysfs/sysfs.h"
#include "sentry/net/net.h"
#include "sentry/net/netdev.h"

#define LO 1

enum {
    ADDR_LEN,
    ADDRESS,
    BROADCAST,
    CARRIER,
    DEV_ID,
    FLAGS,
    IFINDEX,
    IFLINK,
    MTU,
    OPERSTATE,
    TX_QUEUE_LEN,
    TYPE,
    UEVENT
};

/* ---- one of them ---- */

static uint32_t number(const struct nlmsghdr *h, int type, uint32_t otherwise)
{
    const uint32_t *v = netdevs_attr(h, type, sizeof *v);

    return v ? *v : otherwise;
}

static void put_mac(struct ptext *out, const uint8_t *mac)
{
    static const uint8_t none[6];

    mac = mac ? mac : none;
    pt_printf(out, "%02x:%02x:%02x:%02x:%02x:%02x\n", mac[0], mac[1], mac[2], mac[3], mac[4],
              mac[5]);
}

static const char *operstate(const struct nlmsghdr *h)
{
    static const char *const names[] = { "unknown", "notpresent", "down", "lowerlayerdown",
                                         "testing", "dormant",    "up" };
    const uint8_t *v = netdevs_attr(h, IFLA_OPERSTATE, 1);

    return v && *v < ARRAY_SIZE(names) ? names[*v] : names[0];
}

static PROC_SHOW(show_link)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *h = d ? netdevs_link(d, (int)o->num, NULL) : NULL;
    const struct ifinfomsg *i = h ? NLMSG_DATA(h) : NULL;

    (void)t;
    if (!h)
        return -ENODEV;
    switch (n->arg) {
    case ADDR_LEN:
        pt_puts(out, "6\n");
        break;
    case ADDRESS:
        put_mac(out, netdevs_attr(h, IFLA_ADDRESS, 6));
        break;
    case BROADCAST:
        put_mac(out, netdevs_attr(h, IFLA_BROADCAST, 6));
        break;
    case CARRIER:
        pt_puts(out, i->ifi_flags & IFF_RUNNING ? "1\n" : "0\n");
        break;
    case DEV_ID:
        pt_puts(out, "0x0\n");
        break;
    case FLAGS: /* but those that only netlink tells */
        pt_printf(out, "0x%x\n", i->ifi_flags & 0xffff & ~(unsigned)IFF_RUNNING);
        break;
    case IFINDEX:
        pt_printf(out, "%d\n", i->ifi_index);
        break;
    case IFLINK:
        pt_printf(out, "%u\n", number(h, IFLA_LINK, (uint32_t)i->ifi_index));
        break;
    case MTU:
        pt_printf(out, "%u\n", number(h, IFLA_MTU, 0));
        break;
    case OPERSTATE:
        pt_printf(out, "%s\n", operstate(h));
        break;
    case TX_QUEUE_LEN:
        pt_printf(out, "%u\n", number(h, IFLA_TXQLEN, 0));
        break;
    case TYPE:
        pt_printf(out, "%u\n", i->ifi_type);
        break;
    default:
        pt_printf(out, "INTERFACE=%s\nIFINDEX=%d\n", netdevs_name(d, i->ifi_index), i->ifi_index);
    }
    return 0;
}

static PROC_SHOW(show_count)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *h = d ? netdevs_link(d, (int)o->num, NULL) : NULL;
    const void *s = h ? netdevs_attr(h, IFLA_STATS64, sizeof(struct rtnl_link_stats64)) : NULL;
    uint64_t v = 0;

    (void)t;
    if (s)
        memcpy(&v, (const uint8_t *)s + n->arg, sizeof v);
    pt_printf(out, "%lu\n", v);
    return 0;
}

#define COUNT(f) PFILE_ARG(#f, 0444, show_count, offsetof(struct rtnl_link_stats64, f))
static const struct pnode count_nodes[] = {
    COUNT(collisions), COUNT(multicast), COUNT(rx_bytes),   COUNT(rx_dropped), COUNT(rx_errors),
    COUNT(rx_packets), COUNT(tx_bytes),  COUNT(tx_dropped), COUNT(tx_errors),  COUNT(tx_packets),
};
static const struct pdir count_dir = { PNODES(count_nodes) };

#define LINK(name, what) PFILE_ARG(name, 0444, show_link, what)
static const struct pnode link_nodes[] = {
    LINK("addr_len", ADDR_LEN),
    LINK("address", ADDRESS),
    LINK("broadcast", BROADCAST),
    LINK("carrier", CARRIER),
    LINK("dev_id", DEV_ID),
    LINK("flags", FLAGS),
    LINK("ifindex", IFINDEX),
    LINK("iflink", IFLINK),
    LINK("mtu", MTU),
    LINK("operstate", OPERSTATE),
    PDIR("statistics", &count_dir),
    LINK("tx_queue_len", TX_QUEUE_LEN),
    LINK("type", TYPE),
    LINK("uevent", UEVENT),
};
static const struct pdir link_dir = { PNODES(link_nodes) };

/* ---- lo ---- */

static PROC_SHOW(show_lo_count)
{
    uint64_t bytes, packets;

    (void)t, (void)o;
    net_lo_stats(&bytes, &packets);
    pt_printf(out, "%lu\n", n->arg == 'b' ? bytes : n->arg == 'p' ? packets : 0);
    return 0;
}

#define LO_COUNT(name, what) PFILE_ARG(name, 0444, show_lo_count, what)
static const struct pnode lo_count_nodes[] = {
    LO_COUNT("rx_bytes", 'b'),   LO_COUNT("rx_dropped", 0),   LO_COUNT("rx_errors", 0),
    LO_COUNT("rx_packets", 'p'), LO_COUNT("tx_bytes", 'b'),   LO_COUNT("tx_dropped", 0),
    LO_COUNT("tx_errors", 0),    LO_COUNT("tx_packets", 'p'),
};
static const struct pdir lo_count_dir = { PNODES(lo_count_nodes) };

#define STEXT(n, text) PFILE_ARG(n, 0444, proc_show_text, (long)(uintptr_t)(text))
static const struct pnode lo_nodes[] = {
    STEXT("addr_len", "6\n"),
    STEXT("address", "00:00:00:00:00:00\n"),
    STEXT("broadcast", "00:00:00:00:00:00\n"),
    STEXT("carrier", "1\n"),
    STEXT("dev_id", "0x0\n"),
    STEXT("flags", "0x9\n"),
    STEXT("ifindex", "1\n"),
    STEXT("iflink", "1\n"),
    STEXT("mtu", "65536\n"),
    STEXT("operstate", "unknown\n"),
    PDIR("statistics", &lo_count_dir),
    STEXT("tx_queue_len", "1000\n"),
    STEXT("type", "772\n"),
    STEXT("uevent", "INTERFACE=lo\nIFINDEX=1\n"),
};
static const struct pdir lo_dir = { PNODES(lo_nodes) };

/* ---- all of them ---- */

static int64_t next_link(struct task *t, const struct pobj *o, int64_t min)
{
    const struct nlmsghdr *h = NULL;
    NETDEVS_SCOPE(d);
    int64_t least = -ENOENT;

    (void)t, (void)o;
    while (d && (h = netdevs_next(d, h, RTM_NEWLINK))) {
        const struct ifinfomsg *i = NLMSG_DATA(h);

        if (i->ifi_index >= min && i->ifi_index > LO && (least < 0 || i->ifi_index < least))
            least = i->ifi_index;
    }
    return least;
}

static int link_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    (void)t, (void)o;
    *ret = (struct pobj){ .num = num };
    return 0;
}

static int64_t find_link(const char *name, size_t len)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *h;
    char text[IFNAMSIZ];

    if (!d || len >= sizeof text)
        return -1;
    memcpy(text, name, len);
    text[len] = 0;
    h = netdevs_link(d, 0, text);
    return h ? ((const struct ifinfomsg *)NLMSG_DATA(h))->ifi_index : -1;
}

static void name_link(int64_t num, char *buf, size_t cap)
{
    NETDEVS_SCOPE(d);

    snprintf(buf, cap, "%s", d ? netdevs_name(d, (int)num) : "?");
}

static const struct pnode virtual_child = { .mode = S_IFDIR | 0555, .dir = &link_dir };
static const struct pnode virtual_nodes[] = { PDIR("lo", &lo_dir) };
const struct pdir sysfs_virtual_net_dir = { PNODES(virtual_nodes), .child = &virtual_child,
                                            .next = next_link,     .object = link_object,
                                            .find = find_link,     .name = name_link };

static ssize_t read_class(struct task *t, const struct pobj *o, char *buf, size_t cap)
{
    char text[64], name[IFNAMSIZ] = "lo";

    (void)t;
    if (o->num > LO)
        name_link(o->num, name, sizeof name);
    const size_t n = (size_t)snprintf(text, sizeof text, "../../devices/virtual/net/%s", name);

    memcpy(buf, text, MIN(n, cap));
    return (ssize_t)MIN(n, cap);
}

static const struct pnode class_child = { .mode = S_IFLNK | 0777, .readlink = read_class };
static const struct pnode class_nodes[] = { PLINK("lo", read_class) };
const struct pdir sysfs_class_net_dir = { PNODES(class_nodes), .child = &class_child,
                                          .next = next_link,   .object = link_object,
                                          .find = find_link,   .name = name_link };

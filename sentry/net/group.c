/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multicast on lo. There is no route for it, as on a Linux whose only device is lo: who joins or sends
 * names the device, by its index or an address of it. What is sent there is given to each socket of that
 * port that has joined the group, or takes what others have joined (IP_MULTICAST_ALL). By
 * IPv6 groups are joined, and cannot be sent to: lo has no route for them there whatever is named. Groups
 * with sources are not there.
 *
 * udp_lock guards who has joined what.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/tap.h"

#define GROUPS_MAX 20 /* net.ipv4.igmp_max_memberships */
#define LO 1

struct inet_member {            /* [udp_lock] */
    struct list link, all_link; /* of its socket, of all */
    struct inet_addr group;
};

static struct list all = { &all, &all };

static struct inet_member *find(const struct isock *s, const struct inet_addr *group)
{
    struct inet_member *m;

    assert_locked(&udp_lock);
    list_for_each(m, &s->groups, link)
        if (inet_same(&m->group, group))
            return m;
    return NULL;
}

static bool joined_by_any(const struct inet_addr *group)
{
    struct inet_member *m;

    list_for_each(m, &all, all_link)
        if (inet_same(&m->group, group))
            return true;
    return false;
}

static void drop(struct isock *s, struct inet_member *m)
{
    list_del(&m->link);
    list_del(&m->all_link);
    s->ngroups--;
    kfree(m);
}

/* All hosts: each device is in it. */
static bool of_all(const struct inet_addr *group)
{
    const struct inet_addr hosts = inet_from_v4(INADDR_ALLHOSTS_GROUP);

    return inet_same(group, &hosts);
}

static int join(struct isock *s, const struct inet_addr *group)
{
    struct inet_member *m = kzalloc(sizeof *m);

    if (!m)
        return -ENOBUFS;
    m->group = *group;
    LOCK_SCOPE(&udp_lock);
    if (find(s, group) || s->ngroups == GROUPS_MAX) {
        kfree(m);
        return find(s, group) ? -EADDRINUSE : -ENOBUFS;
    }
    list_add_tail(&s->groups, &m->link);
    list_add_tail(&all, &m->all_link);
    s->ngroups++;
    return 0;
}

static int leave(struct isock *s, const struct inet_addr *group)
{
    struct inet_member *m;

    LOCK_SCOPE(&udp_lock);
    m = find(s, group);
    if (!m)
        return -EADDRNOTAVAIL;
    drop(s, m);
    return 0;
}

void inet_leave_groups(struct isock *s)
{
    struct inet_member *m, *mn;

    if (!s->ngroups)
        return;
    LOCK_SCOPE(&udp_lock);
    list_for_each_safe(m, mn, &s->groups, link)
        drop(s, m);
}

/* ---- options ---- */

/* The device that an index or an address names; 0: none is named, -ENODEV. */
static int device(int index, uint32_t address)
{
    struct inet_addr a = inet_from_v4(ntohl(address));

    if (index)
        return index == LO ? LO : -ENODEV;
    if (address == INADDR_ANY)
        return 0;
    return inet_is_local(&a) && ntohl(address) >> 24 == 127 ? LO : -ENODEV;
}

/* struct in_addr, struct ip_mreq or struct ip_mreqn, by their length: the last has all. */
static struct ip_mreqn mreq(const void *v, socklen_t n)
{
    struct ip_mreqn m = { 0 };

    if (n >= sizeof m)
        memcpy(&m, v, sizeof m);
    else if (n >= sizeof(struct ip_mreq))
        memcpy(&m, v, sizeof(struct ip_mreq));
    else
        memcpy(&m.imr_address, v, sizeof m.imr_address);
    return m;
}

int inet_group4(struct isock *s, bool add, const void *v, socklen_t n)
{
    struct inet_addr group;
    struct ip_mreqn m;
    int dev;

    if (s->sk.type == SOCK_STREAM)
        return -EPROTO;
    if (n < sizeof(struct ip_mreq))
        return -EINVAL;
    m = mreq(v, n);
    group = inet_from_v4(ntohl(m.imr_multiaddr.s_addr));
    if (add && !inet_is_multicast(&group))
        return -EINVAL;
    dev = device(m.imr_ifindex, m.imr_address.s_addr);
    if (dev == 0 || (dev < 0 && add))
        return -ENODEV;
    return add ? join(s, &group) : leave(s, &group);
}

int inet_group6(struct isock *s, bool add, const void *v, socklen_t n)
{
    struct inet_addr group = { 0 };
    struct ipv6_mreq m;

    if (n < sizeof m)
        return -EINVAL;
    if (s->sk.type == SOCK_STREAM)
        return -EPROTO;
    memcpy(&m, v, sizeof m);
    group.ip = m.ipv6mr_multiaddr;
    if (!IN6_IS_ADDR_MULTICAST(&group.ip))
        return -EINVAL;
    if (!add)
        return m.ipv6mr_interface > LO ? -ENODEV : leave(s, &group);
    return m.ipv6mr_interface == LO ? join(s, &group) : -ENODEV;
}

int inet_group_any(struct isock *s, bool add, const void *v, socklen_t n)
{
    struct group_req r;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct inet_addr group = { 0 };

    if (n < sizeof r)
        return -EINVAL;
    memcpy(&r, v, sizeof r);
    memcpy(&in, &r.gr_group, sizeof in);
    memcpy(&in6, &r.gr_group, sizeof in6);
    if (in.sin_family == AF_INET)
        group = inet_from_v4(ntohl(in.sin_addr.s_addr));
    else if (in.sin_family == AF_INET6)
        group.ip = in6.sin6_addr;
    if (!inet_is_multicast(&group))
        return -EINVAL;
    if (r.gr_interface != LO)
        return -ENODEV;
    return add ? join(s, &group) : leave(s, &group);
}

int inet_group_device(struct isock *s, const void *v, socklen_t n)
{
    struct ip_mreqn m;
    int dev;

    if (s->sk.type == SOCK_STREAM || n < sizeof m.imr_address)
        return -EINVAL;
    m = mreq(v, n);
    dev = device(m.imr_ifindex, m.imr_address.s_addr);
    if (dev < 0)
        return -EADDRNOTAVAIL;
    s->mc_if = dev;
    s->mc_addr = m.imr_address.s_addr;
    return 0;
}

/* ---- sending ---- */

bool inet_group_to_lo(const struct isock *s, const struct inet_addr *dst)
{
    return inet_is_v4(dst) && inet_is_multicast(dst) && s->sk.type == SOCK_DGRAM &&
           (s->sk.bound_if == LO || s->mc_if == LO);
}

static bool wants(const struct isock *s, const struct inet_addr *dst, const struct inet_addr *src)
{
    if (s->sk.protocol != IPPROTO_UDP || s->local.port != dst->port)
        return false;
    if (s->sk.family == AF_INET6 && s->v6only)
        return false;
    if (!inet_is_any(&s->local) && !inet_same(&s->local, dst))
        return false;
    if (s->remote.port && (s->remote.port != src->port || !inet_same(&s->remote, src)))
        return false;
    return find(s, dst) || s->mc_all;
}

void inet_group_send(const struct msg *m, const struct inet_addr *src, const struct inet_addr *dst)
{
    struct isock *s;

    assert_locked(&udp_lock);
    tap_udp(src, dst, m);
    if (!of_all(dst) && !joined_by_any(dst))
        return;
    list_for_each(s, port_udp_bucket(dst->port), port_link) {
        struct msg *copy;

        if (!wants(s, dst, src) || !(copy = kmemdup(m, sizeof *m + m->len)))
            continue;
        list_init(&copy->link);
        copy->addrlen = (socklen_t)inet_addr_out(s, src, &copy->addr);
        if (!udp_put(s, copy))
            msg_free(copy);
    }
}

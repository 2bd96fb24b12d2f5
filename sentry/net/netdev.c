/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/net/netdev.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/lock.h"

#define LO 1
#define SIZE_MAX_ (4u << 20)

struct netdevs {
    _Atomic unsigned refs;
    size_t len;
    uint8_t bytes[] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static struct lock newest_lock = { .class = LOCK_LEAF };
static struct netdevs *newest; /* [newest_lock]; a reference */

static size_t fixed_part(int type)
{
    switch (type) {
    case RTM_NEWLINK:
        return sizeof(struct ifinfomsg);
    case RTM_NEWADDR:
        return sizeof(struct ifaddrmsg);
    case RTM_NEWROUTE:
        return sizeof(struct rtmsg);
    case RTM_NEWNEIGH:
        return sizeof(struct ndmsg);
    }
    return 0;
}

/* What follows h whole; NULL: the end, or what is no message. */
static const struct nlmsghdr *at(const struct netdevs *d, size_t off)
{
    const struct nlmsghdr *h = (const void *)(d->bytes + off);

    if (off + NLMSG_HDRLEN > d->len || h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > d->len - off)
        return NULL;
    return h;
}

static bool of_lo(const struct nlmsghdr *h)
{
    const struct ifinfomsg *link = NLMSG_DATA(h);
    const struct ifaddrmsg *addr = NLMSG_DATA(h);

    return h->nlmsg_type == RTM_NEWLINK ? link->ifi_index == LO
                                        : h->nlmsg_type == RTM_NEWADDR && addr->ifa_index == LO;
}

const struct nlmsghdr *netdevs_next(const struct netdevs *d, const struct nlmsghdr *h, int type)
{
    size_t off = h ? (size_t)((const uint8_t *)h - d->bytes) + NLMSG_ALIGN(h->nlmsg_len) : 0;

    while ((h = at(d, off))) {
        if (h->nlmsg_type == type && h->nlmsg_len >= NLMSG_LENGTH(fixed_part(type)) && !of_lo(h))
            return h;
        off += NLMSG_ALIGN(h->nlmsg_len);
    }
    return NULL;
}

const void *netdevs_attr(const struct nlmsghdr *h, int type, size_t n)
{
    size_t off = NLMSG_HDRLEN + NLMSG_ALIGN(fixed_part(h->nlmsg_type));

    while (off + NLA_HDRLEN <= h->nlmsg_len) {
        const struct nlattr *a = (const void *)((const uint8_t *)h + off);

        if (a->nla_len < NLA_HDRLEN || a->nla_len > h->nlmsg_len - off)
            return NULL;
        if ((a->nla_type & NLA_TYPE_MASK) == type)
            return a->nla_len >= NLA_HDRLEN + n ? (const uint8_t *)a + NLA_HDRLEN : NULL;
        off += NLA_ALIGN(a->nla_len);
    }
    return NULL;
}

static const char *name_of(const struct nlmsghdr *h)
{
    const struct nlattr *a;
    const char *name = netdevs_attr(h, IFLA_IFNAME, 1);

    if (!name)
        return "?";
    a = (const void *)(name - NLA_HDRLEN);
    return memchr(name, 0, a->nla_len - NLA_HDRLEN) ? name : "?";
}

const struct nlmsghdr *netdevs_link(const struct netdevs *d, int index, const char *name)
{
    const struct nlmsghdr *h = NULL;

    while ((h = netdevs_next(d, h, RTM_NEWLINK))) {
        const struct ifinfomsg *i = NLMSG_DATA(h);

        if (index ? i->ifi_index == index : strcmp(name_of(h), name) == 0)
            return h;
    }
    return NULL;
}

const char *netdevs_name(const struct netdevs *d, int index)
{
    const struct nlmsghdr *h = index == LO ? NULL : netdevs_link(d, index, NULL);

    return index == LO ? "lo" : h ? name_of(h) : "?";
}

const struct nlmsghdr *netdevs_ipv4(const struct netdevs *d, int index)
{
    const struct nlmsghdr *h = NULL;

    while ((h = netdevs_next(d, h, RTM_NEWADDR))) {
        const struct ifaddrmsg *a = NLMSG_DATA(h);

        if (a->ifa_family == AF_INET && (!index || (int)a->ifa_index == index) &&
            netdevs_attr(h, IFA_LOCAL, 4))
            return h;
    }
    return NULL;
}

bool netdevs_own(const struct inet_addr *a, bool *ret)
{
    const struct nlmsghdr *h = NULL;
    const bool v4 = inet_is_v4(a);
    NETDEVS_SCOPE(d);

    *ret = false;
    while (d && !*ret && (h = netdevs_next(d, h, RTM_NEWADDR))) {
        const struct ifaddrmsg *i = NLMSG_DATA(h);
        const void *ip = netdevs_attr(h, v4 ? IFA_LOCAL : IFA_ADDRESS, v4 ? 4 : 16);

        if (ip && i->ifa_family == (v4 ? AF_INET : AF_INET6))
            *ret = memcmp(ip, a->ip.s6_addr + (v4 ? 12 : 0), v4 ? 4 : 16) == 0;
    }
    return d;
}

/* ---- the newest ---- */

struct netdevs *netdevs_get(void)
{
    LOCK_SCOPE(&newest_lock);
    if (newest)
        atomic_fetch_add(&newest->refs, 1);
    return newest;
}

void netdevs_put(struct netdevs *d)
{
    if (d && atomic_fetch_sub(&d->refs, 1) == 1)
        kfree(d);
}

int netdevs_take(int fd)
{
    struct netdevs *d, *old;
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size < 0 || st.st_size > SIZE_MAX_)
        return -EINVAL;
    d = kzalloc(sizeof *d + (size_t)st.st_size + 1);
    if (!d)
        return -ENOMEM;
    d->len = (size_t)st.st_size;
    atomic_init(&d->refs, 1);
    if (pread(fd, d->bytes, d->len, 0) != (ssize_t)d->len) {
        kfree(d);
        return -EIO;
    }
    lock(&newest_lock);
    old = newest;
    newest = d;
    unlock(&newest_lock);
    netdevs_put(old);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces of the network namespace that a container's broker works in, as the host's kernel tells them:
 * the front end asks there by NETLINK_ROUTE and hands the answers over (CTL_NETWORK), at first and
 * whenever something has changed. They are shown, and say which addresses are the container's own;
 * nothing can be changed. `sbx run` never gets any: route.c has what it shows.
 *
 * lo is not among them: the sentry has one of its own.
 */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/net/inet.h"

/* One state of them; it stays as it is while somebody has it. */
struct netdevs;

/* Takes over the answers in fd: messages one behind the other. -errno: all stays as it was. */
int netdevs_take(int fd);
/* The newest, or NULL: there are none to be shown. netdevs_put(NULL) is fine. */
struct netdevs *netdevs_get(void);
void netdevs_put(struct netdevs *d);
static inline void netdevs_put_cleanup(struct netdevs **d)
{
    netdevs_put(*d);
}
#define NETDEVS_SCOPE(d)                                                                           \
    struct netdevs *d __attribute__((cleanup(netdevs_put_cleanup))) = netdevs_get()

/* The next message of that type behind h (NULL: the first); NULL: none. Its fixed part is whole. */
const struct nlmsghdr *netdevs_next(const struct netdevs *d, const struct nlmsghdr *h, int type);
/* An attribute of at least n bytes; NULL: none. */
const void *netdevs_attr(const struct nlmsghdr *h, int type, size_t n);
/* RTM_NEWLINK of that index, or of that name where the index is 0. */
const struct nlmsghdr *netdevs_link(const struct netdevs *d, int index, const char *name);
/* Never NULL. */
const char *netdevs_name(const struct netdevs *d, int index);
/* The first IPv4 address of an interface (0: of any). */
const struct nlmsghdr *netdevs_ipv4(const struct netdevs *d, int index);

struct nl_out;
/* route_get.c: answers RTM_GETROUTE of one address; d NULL: as `sbx run`. 0 or -errno. */
int route_get(struct nl_out *o, const struct nlmsghdr *h, const struct netdevs *d);
/* false: there are none to be shown; else *ret: is it an address of theirs? */
bool netdevs_own(const struct inet_addr *a, bool *ret);

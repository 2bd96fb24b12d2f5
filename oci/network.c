/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/network.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/types.h"

#define SNAPSHOT_MAX (1u << 20) /* a router's table of routes is cut there */

static int open_route(unsigned groups, int flags)
{
    struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = groups };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int network_watch(void)
{
    return open_route(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                          RTMGRP_IPV6_ROUTE,
                      SOCK_NONBLOCK);
}

void network_drain(int watch)
{
    char buf[8192];

    /* ENOBUFS: more has changed than it could hold. */
    while (recv(watch, buf, sizeof buf, MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR)
        errno = 0;
}

static bool is_done(const struct nlmsghdr *h)
{
    return h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR;
}

/* One answer, which is several messages; false: it was the last. */
static bool take(int from, int to, size_t *total)
{
    static char buf[64 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));
    ssize_t n = recv(from, buf, sizeof buf, 0);
    const struct nlmsghdr *h = (const void *)buf;

    if (n < 0)
        return errno == EINTR;
    for (size_t left = (size_t)n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
        size_t size = NLMSG_ALIGN(h->nlmsg_len);

        if (is_done(h))
            return false;
        if (*total + size <= SNAPSHOT_MAX && size <= left && write(to, h, size) == (ssize_t)size)
            *total += size;
    }
    return n > 0;
}

int network_snapshot(void)
{
    static const struct {
        int type;
        unsigned head; /* what is longer is noted in the host's log */
    } list[] = { { RTM_GETLINK, sizeof(struct ifinfomsg) },
                 { RTM_GETADDR, sizeof(struct ifaddrmsg) },
                 { RTM_GETROUTE, sizeof(struct rtmsg) },
                 { RTM_GETNEIGH, sizeof(struct ndmsg) } };
    int route = open_route(0, 0), fd = memfd_create("network", MFD_CLOEXEC);
    size_t total = 0;

    for (unsigned i = 0; route >= 0 && fd >= 0 && i < ARRAY_SIZE(list); i++) {
        struct {
            struct nlmsghdr h;
            struct ifinfomsg link; /* the longest of their heads */
        } q = { .h = { .nlmsg_len = NLMSG_LENGTH(list[i].head),
                       .nlmsg_type = (uint16_t)list[i].type,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                       .nlmsg_seq = i + 1 },
                .link.ifi_family = AF_UNSPEC };

        if (send(route, &q, q.h.nlmsg_len, 0) != (ssize_t)q.h.nlmsg_len)
            break;
        while (take(route, fd, &total))
            continue;
    }
    if (route < 0 && fd >= 0) {
        close(fd);
        fd = -1;
    }
    if (route >= 0)
        close(route);
    return fd;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of packet sockets share. */
#pragma once

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest.h"

#define ETH sizeof(struct ether_header)

static inline void to_own_network(void)
{
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int s;

    if (guest_inside())
        return;
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        SKIP("no network namespace to be had");
    s = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(s, SIOCSIFFLAGS, &r) < 0)
        SKIP("lo cannot be set up");
    close(s);
}

static inline int listener(int type, int proto)
{
    struct sockaddr_ll a = { .sll_family = AF_PACKET,
                             .sll_ifindex = 1,
                             .sll_protocol = htons((unsigned short)proto) };
    int s = socket(AF_PACKET, type, 0);

    CHECK(s >= 0);
    CHECK_EQ(bind(s, (void *)&a, sizeof a), 0);
    return s;
}

/* A socket of type that has a port of 127.0.0.1, and its address. */
static inline int inet(int type, struct sockaddr_in *a)
{
    int s = socket(AF_INET, type, 0);
    socklen_t n = sizeof *a;

    *a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    CHECK_EQ(bind(s, (void *)a, sizeof *a), 0);
    CHECK_EQ(getsockname(s, (void *)a, &n), 0);
    return s;
}

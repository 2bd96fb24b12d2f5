/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of packet sockets share. */
#pragma once

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "guest.h"
#include "own_network.h"

#define ETH sizeof(struct ether_header)

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

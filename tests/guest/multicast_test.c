/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on the loopback device; natively in a network namespace where it is the only one. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest.h"
#include "own_network.h"

#define GROUP 0xe0010203u /* 224.1.2.3 */

static struct sockaddr_in at(unsigned ip, int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((unsigned short)port),
                                 .sin_addr.s_addr = htonl(ip) };
}

/* A socket on port of any address. */
static int bound(int port)
{
    struct sockaddr_in a = at(INADDR_ANY, port);
    int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQ(bind(s, (void *)&a, sizeof a), 0);
    return s;
}

static int membership(int s, int opt, unsigned group, unsigned address, int index)
{
    struct ip_mreqn m = { .imr_multiaddr.s_addr = htonl(group),
                          .imr_address.s_addr = htonl(address),
                          .imr_ifindex = index };

    return setsockopt(s, SOL_IP, opt, &m, sizeof m);
}

/* Bytes of what has come to s, -1: nothing. */
static int got(int s)
{
    struct pollfd p = { .fd = s, .events = POLLIN };
    char b[64];

    return poll(&p, 1, 100) == 1 ? (int)recv(s, b, sizeof b, MSG_DONTWAIT) : -1;
}

static void joining(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
    struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(GROUP),
                         .imr_interface.s_addr = htonl(INADDR_LOOPBACK) };
    struct group_req g = { .gr_interface = 1 };
    struct sockaddr_in group = at(GROUP, 0);

    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, 0x7f000001, 0, 1), EINVAL);
    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, GROUP, 0, 0), ENODEV); /* there is no route */
    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, GROUP, 0, 77), ENODEV);
    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, GROUP, 0x0a0b0c0d, 0), ENODEV);
    CHECK_ERR(setsockopt(s, SOL_IP, IP_ADD_MEMBERSHIP, &m, 4), EINVAL);
    CHECK_ERR(membership(s, IP_DROP_MEMBERSHIP, GROUP, 0, 1), EADDRNOTAVAIL);
    CHECK_EQ(setsockopt(s, SOL_IP, IP_ADD_MEMBERSHIP, &m, sizeof m), 0);
    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, GROUP, 0, 1), EADDRINUSE);
    CHECK_EQ(membership(s, IP_DROP_MEMBERSHIP, GROUP, 0, 1), 0);
    CHECK_ERR(membership(s, IP_DROP_MEMBERSHIP, GROUP, 0, 1), EADDRNOTAVAIL);
    for (unsigned i = 0; i < 20; i++)
        CHECK_EQ(membership(s, IP_ADD_MEMBERSHIP, GROUP + i, 0, 1), 0);
    CHECK_ERR(membership(s, IP_ADD_MEMBERSHIP, GROUP + 20, 0, 1), ENOBUFS);
    CHECK_ERR(membership(tcp, IP_ADD_MEMBERSHIP, GROUP, 0, 1), EPROTO);
    memcpy(&g.gr_group, &group, sizeof group);
    CHECK_EQ(setsockopt(tcp, SOL_IP, MCAST_JOIN_GROUP, &g, sizeof g), 0);
    CHECK_ERR(setsockopt(tcp, SOL_IP, MCAST_JOIN_GROUP, &g, sizeof g), EADDRINUSE);
    close(s);
    close(tcp);
}

static void device(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct in_addr a = { htonl(INADDR_LOOPBACK) }, b = { 1 };
    struct sockaddr_in to = at(GROUP, 5001);
    socklen_t n = sizeof b;

    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&to, sizeof to), ENETUNREACH);
    CHECK_EQ(getsockopt(s, SOL_IP, IP_MULTICAST_IF, &b, &n), 0);
    CHECK_EQ(b.s_addr, 0);
    CHECK_EQ(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &a, sizeof a), 0);
    CHECK_EQ(getsockopt(s, SOL_IP, IP_MULTICAST_IF, &b, &n), 0);
    CHECK_EQ(b.s_addr, a.s_addr);
    CHECK_EQ(sendto(s, "x", 1, 0, (void *)&to, sizeof to), 1);
    a.s_addr = htonl(0x0a0b0c0d);
    CHECK_ERR(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &a, sizeof a), EADDRNOTAVAIL);
    CHECK_ERR(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &a, 2), EINVAL);
    close(s);
}

static int sender(void)
{
    struct in_addr a = { htonl(INADDR_LOOPBACK) };
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(setsockopt(s, SOL_IP, IP_MULTICAST_IF, &a, sizeof a), 0);
    return s;
}

static void receiving(void)
{
    int a = bound(5002), b = bound(5002), c = bound(5003), s = sender(), no = 0;
    struct sockaddr_in to = at(GROUP, 5002), from;
    socklen_t n = sizeof from;
    char buf[8];

    /* Nobody has joined: nothing comes. */
    CHECK_EQ(sendto(s, "1", 1, 0, (void *)&to, sizeof to), 1);
    CHECK_EQ(got(a), -1);
    CHECK_EQ(membership(a, IP_ADD_MEMBERSHIP, GROUP, 0, 1), 0);
    CHECK_EQ(membership(c, IP_ADD_MEMBERSHIP, GROUP, 0, 1), 0);
    CHECK_EQ(sendto(s, "22", 2, 0, (void *)&to, sizeof to), 2);
    CHECK_EQ(recvfrom(a, buf, sizeof buf, 0, (void *)&from, &n), 2);
    CHECK_EQ(from.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQ(got(b), 2); /* it takes what others have joined */
    CHECK_EQ(got(c), -1);
    CHECK_EQ(setsockopt(b, SOL_IP, IP_MULTICAST_ALL, &no, sizeof no), 0);
    CHECK_EQ(sendto(s, "333", 3, 0, (void *)&to, sizeof to), 3);
    CHECK_EQ(got(a), 3);
    CHECK_EQ(got(b), -1);
    CHECK_EQ(connect(s, (void *)&to, sizeof to), 0);
    CHECK_EQ(send(s, "4444", 4, 0), 4);
    CHECK_EQ(got(a), 4);
    CHECK_EQ(membership(a, IP_DROP_MEMBERSHIP, GROUP, 0, 1), 0);
    CHECK_EQ(setsockopt(a, SOL_IP, IP_MULTICAST_ALL, &no, sizeof no), 0);
    CHECK_EQ(send(s, "5", 1, 0), 1);
    CHECK_EQ(got(a), -1);
    close(a), close(b), close(c), close(s);
}

/* What a closed socket had joined is joined no more. */
static void gone(void)
{
    int a = bound(5004), b = bound(5004), s = sender();
    struct sockaddr_in to = at(GROUP, 5004);

    CHECK_EQ(membership(a, IP_ADD_MEMBERSHIP, GROUP, 0, 1), 0);
    close(a);
    CHECK_EQ(sendto(s, "1", 1, 0, (void *)&to, sizeof to), 1);
    CHECK_EQ(got(b), -1);
    to = at(0xe0000001, 5004); /* all hosts: always */
    CHECK_EQ(sendto(s, "22", 2, 0, (void *)&to, sizeof to), 2);
    CHECK_EQ(got(b), 2);
    close(b), close(s);
}

static void six(void)
{
    struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(5005) }, to = any;
    struct ipv6_mreq m = { .ipv6mr_interface = 1 };
    struct group_req g = { .gr_interface = 1 };
    int a = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET6, SOCK_DGRAM, 0), lo = 1;

    if (a < 0 && !guest_inside())
        return;
    inet_pton(AF_INET6, "ff02::1234", &m.ipv6mr_multiaddr);
    to.sin6_addr = m.ipv6mr_multiaddr;
    to.sin6_scope_id = 1;
    memcpy(&g.gr_group, &to, sizeof to);
    CHECK_EQ(bind(a, (void *)&any, sizeof any), 0);
    CHECK_EQ(setsockopt(s, SOL_IPV6, IPV6_MULTICAST_IF, &lo, sizeof lo), 0);
    CHECK_EQ(setsockopt(a, SOL_IPV6, IPV6_JOIN_GROUP, &m, sizeof m), 0);
    CHECK_ERR(setsockopt(a, SOL_IPV6, MCAST_JOIN_GROUP, &g, sizeof g), EADDRINUSE);
    CHECK_ERR(sendto(s, "666", 3, 0, (void *)&to, sizeof to), ENETUNREACH);
    CHECK_EQ(setsockopt(a, SOL_IPV6, MCAST_LEAVE_GROUP, &g, sizeof g), 0);
    CHECK_ERR(setsockopt(a, SOL_IPV6, IPV6_LEAVE_GROUP, &m, sizeof m), EADDRNOTAVAIL);
    m.ipv6mr_interface = 77;
    CHECK_ERR(setsockopt(a, SOL_IPV6, IPV6_JOIN_GROUP, &m, sizeof m), ENODEV);
    m.ipv6mr_multiaddr = in6addr_loopback;
    CHECK_ERR(setsockopt(a, SOL_IPV6, IPV6_JOIN_GROUP, &m, sizeof m), EINVAL);
    close(a), close(s);
}

int main(void)
{
    to_own_network(IFF_MULTICAST);
    RUN(joining);
    RUN(device);
    RUN(receiving);
    RUN(gone);
    RUN(six);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* UDP over the loopback: names, connected sockets, refusals, control messages, options. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest.h"

#define OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
#define IN (POLLIN | POLLRDNORM)

static int events(int fd)
{
    struct pollfd p = { .fd = fd, .events = 0x3fff };

    poll(&p, 1, 0);
    return p.revents;
}

static struct sockaddr_in addr4(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int port_of(int fd)
{
    struct sockaddr_in6 a;
    socklen_t n = sizeof a;

    getsockname(fd, (void *)&a, &n);
    return ntohs(a.sin6_port);
}

static int bound(const char *ip)
{
    struct sockaddr_in a = addr4(ip, 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    return fd;
}

static void basics(void)
{
    int r = bound("127.0.0.1"), s = socket(AF_INET, SOCK_DGRAM, 0), n = -1;
    struct sockaddr_in to = addr4("127.0.0.1", port_of(r)), from;
    socklen_t len = sizeof from;
    char b[64];

    CHECK_EQ(events(r), OUT);
    CHECK_EQ(sendto(s, "hello", 5, 0, (void *)&to, sizeof to), 5);
    CHECK_EQ(sendto(s, "", 0, 0, (void *)&to, sizeof to), 0);
    CHECK_EQ(sendto(s, "third", 5, 0, (void *)&to, sizeof to), 5);
    CHECK_EQ(events(r), IN | OUT);
    CHECK_EQ(ioctl(r, FIONREAD, &n), 0);
    CHECK_EQ(n, 5);
    CHECK_EQ(recvfrom(r, b, sizeof b, MSG_PEEK, (void *)&from, &len), 5);
    CHECK_EQ(len, sizeof from);
    CHECK_EQ(ntohs(from.sin_port), port_of(s));
    CHECK_EQ(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(read(r, b, sizeof b), 5);
    CHECK_EQ(recv(r, b, sizeof b, 0), 0);
    CHECK_EQ(recv(r, b, 2, MSG_TRUNC), 5);
    CHECK_ERR(recv(r, b, 2, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(recv(r, b, 2, MSG_DONTWAIT | MSG_ERRQUEUE), EAGAIN);
    CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
    to.sin_port = 0;
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&to, sizeof to), EINVAL);
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&to, 8), EINVAL);
    to.sin_family = AF_UNIX;
    CHECK_ERR(sendto(s, "x", 1, 0, (void *)&to, sizeof to), EAFNOSUPPORT);
    CHECK_ERR(listen(s, 1), EOPNOTSUPP);
    CHECK_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
    close(r);
    close(s);
}

static void connected(void)
{
    int r = bound("127.0.0.1"), s = socket(AF_INET, SOCK_DGRAM, 0), o = bound("127.0.0.1");
    struct sockaddr_in to = addr4("127.0.0.1", port_of(r)), me, got;
    socklen_t len = sizeof got;
    char b[16];

    CHECK_ERR(getpeername(s, (void *)&got, &len), ENOTCONN);
    CHECK_EQ(connect(s, (void *)&to, sizeof to), 0);
    CHECK_EQ(getsockname(s, (void *)&got, &len), 0);
    CHECK_EQ(ntohl(got.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(getpeername(s, (void *)&got, &len), 0);
    CHECK_EQ(got.sin_port, to.sin_port);
    CHECK_EQ(send(s, "a", 1, 0), 1);
    CHECK_EQ(recv(r, b, 1, 0), 1);
    me = addr4("127.0.0.1", port_of(s));
    CHECK_EQ(sendto(o, "no", 2, 0, (void *)&me, sizeof me), 2); /* not from its peer: lost */
    CHECK_EQ(sendto(r, "yes", 3, 0, (void *)&me, sizeof me), 3);
    CHECK_EQ(recv(s, b, sizeof b, 0), 3);
    CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT), EAGAIN);

    close(r); /* nobody there: told by the next call */
    CHECK_EQ(send(s, "x", 1, 0), 1);
    for (int i = 0; i < 100 && !(events(s) & POLLERR); i++)
        usleep(1000);
    CHECK_EQ(events(s), OUT | POLLERR);
    CHECK_ERR(recv(s, b, 1, 0), ECONNREFUSED);
    CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT), EAGAIN);
    got.sin_family = AF_UNSPEC;
    CHECK_EQ(connect(s, (void *)&got, sizeof got), 0);
    len = sizeof got;
    CHECK_EQ(getsockname(s, (void *)&got, &len), 0);
    CHECK_EQ(got.sin_port, 0);
    CHECK_EQ(got.sin_addr.s_addr, 0);
    CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
    CHECK_EQ(sendto(o, "x", 1, 0, (void *)&to, sizeof to), 1); /* unconnected: not told */
    CHECK_ERR(recv(o, b, 1, MSG_DONTWAIT), EAGAIN);
    close(s);
    close(o);
}

static void sizes(void)
{
    static char big[70000];
    int r = bound("127.0.0.1"), s = socket(AF_INET, SOCK_DGRAM, 0), n = 0, v = 2304;
    struct sockaddr_in to = addr4("127.0.0.1", port_of(r));

    CHECK_ERR(sendto(s, big, 65508, 0, (void *)&to, sizeof to), EMSGSIZE);
    CHECK_EQ(sendto(s, big, 65507, 0, (void *)&to, sizeof to), 65507);
    CHECK_EQ(recv(r, big, sizeof big, 0), 65507);
    setsockopt(r, SOL_SOCKET, SO_RCVBUF, &v, sizeof v);
    for (int i = 0; i < 100; i++) /* a full receiver drops */
        CHECK_EQ(sendto(s, big, 1000, 0, (void *)&to, sizeof to), 1000);
    while (recv(r, big, sizeof big, MSG_DONTWAIT) > 0)
        n++;
    CHECK(n > 0 && n < 100);
    close(r);
    close(s);
}

static void ports(void)
{
    int a = bound("127.0.0.1"), b = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    struct sockaddr_in at = addr4("127.0.0.1", port_of(a)), any = addr4("0.0.0.0", port_of(a));

    CHECK_ERR(bind(b, (void *)&at, sizeof at), EADDRINUSE);
    CHECK_ERR(bind(b, (void *)&any, sizeof any), EADDRINUSE);
    setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK_ERR(bind(b, (void *)&at, sizeof at), EADDRINUSE);
    setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK_EQ(bind(b, (void *)&at, sizeof at), 0);
    CHECK_ERR(bind(b, (void *)&at, sizeof at), EINVAL);
    close(b);
    close(a);
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
}

static void six(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any }, from;
    int r = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), t;
    struct sockaddr_in to;
    socklen_t n = sizeof from;
    char b[8];

    if (r < 0)
        return;
    CHECK_EQ(bind(r, (void *)&a, sizeof a), 0);
    to = addr4("127.0.0.1", port_of(r));
    CHECK_EQ(sendto(s, "4", 1, 0, (void *)&to, sizeof to), 1);
    CHECK_EQ(recvfrom(r, b, 8, 0, (void *)&from, &n), 1);
    CHECK_EQ(n, sizeof from);
    CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    CHECK_EQ(sendto(r, "back", 4, 0, (void *)&from, n), 4);
    CHECK_EQ(recv(s, b, 8, 0), 4);
    t = socket(AF_INET6, SOCK_DGRAM, 0);
    a.sin6_addr = in6addr_loopback;
    a.sin6_port = htons((uint16_t)port_of(r));
    CHECK_EQ(sendto(t, "6", 1, 0, (void *)&a, sizeof a), 1);
    n = sizeof from;
    CHECK_EQ(recvfrom(r, b, 8, 0, (void *)&from, &n), 1);
    CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr));
    close(r);
    close(s);
    close(t);
}

static void control(void)
{
    int r = bound("0.0.0.0"), s = socket(AF_INET, SOCK_DGRAM, 0), on = 1, ttl = 0, kinds = 0;
    struct sockaddr_in to = addr4("127.0.0.1", port_of(r)), from;
    char b[8], ctl[256];
    struct iovec v = { b, sizeof b };
    struct msghdr m = { .msg_name = &from,
                        .msg_namelen = sizeof from,
                        .msg_iov = &v,
                        .msg_iovlen = 1,
                        .msg_control = ctl,
                        .msg_controllen = sizeof ctl };

    CHECK_EQ(setsockopt(r, SOL_IP, IP_PKTINFO, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(r, SOL_IP, IP_RECVTTL, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(r, SOL_IP, IP_RECVTOS, &on, sizeof on), 0);
    CHECK_EQ(setsockopt(r, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on), 0);
    ttl = 33;
    CHECK_EQ(setsockopt(s, SOL_IP, IP_TTL, &ttl, sizeof ttl), 0);
    CHECK_EQ(sendto(s, "x", 1, 0, (void *)&to, sizeof to), 1);
    CHECK_EQ(recvmsg(r, &m, 0), 1);
    CHECK_EQ(m.msg_namelen, sizeof from);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        kinds++;
        if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL) {
            memcpy(&ttl, CMSG_DATA(c), sizeof ttl);
            CHECK_EQ(ttl, 33);
        } else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo p;

            memcpy(&p, CMSG_DATA(c), sizeof p);
            CHECK_EQ(p.ipi_ifindex, 1);
            CHECK_EQ(ntohl(p.ipi_addr.s_addr), INADDR_LOOPBACK);
        } else if (c->cmsg_level == SOL_IP) {
            CHECK_EQ(c->cmsg_type, IP_TOS);
            CHECK_EQ(c->cmsg_len, CMSG_LEN(1));
        } else {
            CHECK_EQ(c->cmsg_type, SO_TIMESTAMP);
            CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof(struct timeval)));
        }
    }
    CHECK_EQ(kinds, 4);
    close(r);
    close(s);
}

static void options(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0), v = 0;
    struct ip_mreqn join = { .imr_ifindex = 1 };
    socklen_t n = sizeof v;
    unsigned char byte = 0;

    CHECK_EQ(getsockopt(s, SOL_IP, IP_TTL, &v, &n), 0);
    CHECK_EQ(v, 64);
    v = 256;
    CHECK_ERR(setsockopt(s, SOL_IP, IP_TTL, &v, sizeof v), EINVAL);
    byte = 7;
    CHECK_EQ(setsockopt(s, SOL_IP, IP_TTL, &byte, 1), 0);
    n = 1;
    CHECK_EQ(getsockopt(s, SOL_IP, IP_TTL, &byte, &n), 0);
    CHECK_EQ(n, 1);
    CHECK_EQ(byte, 7);
    n = sizeof v;
    CHECK_ERR(getsockopt(s, SOL_IP, 63, &v, &n), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s, 77, 1, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERR(getsockopt(s, SOL_IP, IP_MTU, &v, &n), ENOTCONN);
    CHECK_ERR(setsockopt(s, SOL_IP, IP_ADD_MEMBERSHIP, &join, 4), EINVAL);
    CHECK_ERR(setsockopt(s, SOL_IP, IP_ADD_MEMBERSHIP, &join, sizeof join), EINVAL);
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &v, sizeof v), 0);
    CHECK_ERR(shutdown(s, SHUT_RD), ENOTCONN);
    close(s);
}

/* What is given with one datagram: 0, or the error. */
static int given(int s, const void *to, socklen_t len, int level, int type, const void *v, size_t n)
{
    char ctl[CMSG_SPACE(16)] = { 0 };
    struct iovec io = { .iov_base = "g", .iov_len = 1 };
    struct msghdr m = { .msg_name = (void *)(uintptr_t)to,
                        .msg_namelen = len,
                        .msg_iov = &io,
                        .msg_iovlen = 1,
                        .msg_control = ctl,
                        .msg_controllen = CMSG_SPACE(n) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n), .cmsg_level = level, .cmsg_type = type };
    memcpy(CMSG_DATA(c), v, n);
    return sendmsg(s, &m, 0) == 1 ? 0 : errno;
}

static void with_one(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 b = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    const int none = -1, much = 256, zero = 0, some = 7;
    socklen_t n = sizeof a;
    int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET6, SOCK_DGRAM, 0);

    CHECK_EQ(bind(u, (void *)&a, n), 0);
    CHECK_EQ(getsockname(u, (void *)&a, &n), 0);
    n = sizeof b;
    CHECK_EQ(bind(v, (void *)&b, n), 0);
    CHECK_EQ(getsockname(v, (void *)&b, &n), 0);
#define IN4(type, val, size) given(u, &a, sizeof a, SOL_IP, type, val, size)
#define IN6(type, val, size) given(v, &b, sizeof b, SOL_IPV6, type, val, size)
    CHECK_EQ(IN4(IP_TTL, &some, 4), 0);
    CHECK_EQ(IN4(IP_TTL, &zero, 4), EINVAL);
    CHECK_EQ(IN4(IP_TTL, &none, 4), EINVAL);
    CHECK_EQ(IN4(IP_TTL, &some, 1), EINVAL);
    CHECK_EQ(IN4(IP_TOS, &some, 1), 0);
    CHECK_EQ(IN4(IP_TOS, &zero, 4), 0);
    CHECK_EQ(IN4(IP_TOS, &none, 4), EINVAL);
    CHECK_EQ(IN6(IPV6_TCLASS, &none, 4), 0); /* as if it were not given */
    CHECK_EQ(IN6(IPV6_HOPLIMIT, &none, 4), 0);
    CHECK_EQ(IN6(IPV6_HOPLIMIT, &zero, 4), 0);
    CHECK_EQ(IN6(IPV6_HOPLIMIT, &much, 4), EINVAL);
    CHECK_EQ(IN6(IPV6_TCLASS, &some, 3), EINVAL);
    CHECK_EQ(IN6(IPV6_TCLASS, &some, 5), EINVAL);
    close(u), close(v);
}

int main(void)
{
    RUN(basics);
    RUN(connected);
    RUN(sizes);
    RUN(ports);
    RUN(six);
    RUN(control);
    RUN(with_one);
    RUN(options);
    DONE();
}

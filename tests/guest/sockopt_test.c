/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket options that servers and run times set: nginx, HAProxy, PostgreSQL, Redis, systemd, Node, Go
 * and the JVM. A row is an option on some kinds of sockets, and what Linux says of it to an ordinary
 * user: the value of a fresh socket, then what the values of tried[] come to when they are set one
 * after the other, or the error.
 */
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include "guest.h"

enum {
    T4 = 1,
    T6 = 2,
    U4 = 4,
    U6 = 8,
    UN = 16,
    TCP = T4 | T6,
    UDP = U4 | U6,
    INET = TCP | UDP,
    ALL = INET | UN
};

static const struct kind {
    int bit, family, type;
} kinds[] = {
    { T4, AF_INET, SOCK_STREAM }, { T6, AF_INET6, SOCK_STREAM }, { U4, AF_INET, SOCK_DGRAM },
    { U6, AF_INET6, SOCK_DGRAM }, { UN, AF_UNIX, SOCK_STREAM },
};

static const int tried[] = { 0, 1, 2, 5, -1, 200000 };

/* Numbers, for some are younger than the headers of Debian 12. */
static const struct row {
    const char *name;
    int level, opt, kinds;
    const char *story;
} rows[] = {
    { "SO_REUSEADDR", SOL_SOCKET, 2, ALL, "0: 0 1 1 1 1 1" },
    { "SO_KEEPALIVE", SOL_SOCKET, 9, ALL, "0: 0 1 1 1 1 1" },
    { "SO_BROADCAST", SOL_SOCKET, 6, ALL, "0: 0 1 1 1 1 1" },
    { "SO_OOBINLINE", SOL_SOCKET, 10, ALL, "0: 0 1 1 1 1 1" },
    { "SO_REUSEPORT", SOL_SOCKET, 15, INET, "0: 0 1 1 1 1 1" },
    { "SO_REUSEPORT", SOL_SOCKET, 15, UN,
      "0: 0 EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP" },
    { "SO_RCVLOWAT", SOL_SOCKET, 18, UDP | UN, "1: 1 1 2 5 2147483647 200000" },
    { "SO_PRIORITY", SOL_SOCKET, 12, ALL, "0: 0 1 2 5 EPERM EPERM" },
    { "SO_MARK", SOL_SOCKET, 36, ALL, "0: EPERM EPERM EPERM EPERM EPERM EPERM" },
    { "SO_BUSY_POLL", SOL_SOCKET, 46, ALL, "0: 0 1 2 5 EINVAL 200000" },
    { "SO_DETACH_FILTER", SOL_SOCKET, 27, ALL,
      "ENOPROTOOPT: ENOENT ENOENT ENOENT ENOENT ENOENT ENOENT" },
    { "SO_MEMINFO", SOL_SOCKET, 55, ALL,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "SO_INCOMING_NAPI_ID", SOL_SOCKET, 56, ALL,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "SO_BINDTOIFINDEX", SOL_SOCKET, 62, ALL, "0: 0 1 EPERM EPERM EPERM EPERM" },
    { "SO_PREFER_BUSY_POLL", SOL_SOCKET, 69, ALL, "0: 0 EPERM EPERM EPERM EPERM EPERM" },
    { "SO_BUF_LOCK", SOL_SOCKET, 72, ALL, "0: 0 1 2 EINVAL EINVAL EINVAL" },
    { "SO_RESERVE_MEM", SOL_SOCKET, 73, ALL,
      "0: EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EINVAL EOPNOTSUPP" },
    { "SO_TXREHASH", SOL_SOCKET, 74, TCP, "1: 0 1 EINVAL EINVAL 1 EINVAL" },
    { "SO_PASSPIDFD", SOL_SOCKET, 76, UN, "0: 0 1 1 1 1 1" },
    { "SO_PASSCRED", SOL_SOCKET, 16, UN, "0: 0 1 1 1 1 1" },
    { "SO_PASSSEC", SOL_SOCKET, 34, UN, "0: 0 1 1 1 1 1" },
    { "SO_PEEK_OFF", SOL_SOCKET, 42, UN | TCP, "-1: 0 1 2 5 -1 200000" },
    { "SO_ZEROCOPY", SOL_SOCKET, 60, INET, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "SO_ZEROCOPY", SOL_SOCKET, 60, UN,
      "0: EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP EOPNOTSUPP" },
    { "SO_BPF_EXTENSIONS", SOL_SOCKET, 48, ALL,
      "64: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "SO_PEERPIDFD", SOL_SOCKET, 77, INET,
      "ENODATA: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "SO_RXQ_OVFL", SOL_SOCKET, 40, ALL, "0: 0 1 1 1 1 1" },
    { "SO_LOCK_FILTER", SOL_SOCKET, 44, ALL, "0: 0 1 1 1 1 1" },
    { "SO_SELECT_ERR_QUEUE", SOL_SOCKET, 45, ALL, "0: 0 1 1 1 1 1" },
    { "SO_TIMESTAMP", SOL_SOCKET, 29, ALL, "0: 0 1 1 1 1 1" },
    { "SO_TIMESTAMPNS", SOL_SOCKET, 35, ALL, "0: 0 1 1 1 1 1" },
    { "SO_DONTROUTE", SOL_SOCKET, 5, ALL, "0: 0 1 1 1 1 1" },
    { "SO_NO_CHECK", SOL_SOCKET, 11, ALL, "0: 0 1 1 1 1 1" },
    { "SO_BSDCOMPAT", SOL_SOCKET, 14, ALL, "0: 0 0 0 0 0 0" },
    { "SO_DEBUG", SOL_SOCKET, 1, ALL, "0: 0 EACCES EACCES EACCES EACCES EACCES" },
    { "SO_SNDLOWAT", SOL_SOCKET, 19, ALL,
      "1: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "SO_ACCEPTCONN", SOL_SOCKET, 30, ALL,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IP_TOS", SOL_IP, 1, TCP, "0: 0 0 0 4 252 64" },
    { "IP_TOS", SOL_IP, 1, UDP, "0: 0 1 2 5 255 64" },
    { "IP_TTL", SOL_IP, 2, INET, "64: EINVAL 1 2 5 64 EINVAL" },
    { "IP_HDRINCL", SOL_IP, 3, INET,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IP_ROUTER_ALERT", SOL_IP, 5, INET, "0: EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL" },
    { "IP_RECVOPTS", SOL_IP, 6, INET, "0: 0 1 1 1 1 1" },
    { "IP_RETOPTS", SOL_IP, 7, INET, "0: 0 1 1 1 1 1" },
    { "IP_PKTINFO", SOL_IP, 8, INET, "0: 0 1 1 1 1 1" },
    { "IP_MTU_DISCOVER", SOL_IP, 10, INET, "1: 0 1 2 5 EINVAL EINVAL" },
    { "IP_RECVERR", SOL_IP, 11, INET, "0: 0 1 1 1 1 1" },
    { "IP_RECVTTL", SOL_IP, 12, INET, "0: 0 1 1 1 1 1" },
    { "IP_RECVTOS", SOL_IP, 13, INET, "0: 0 1 1 1 1 1" },
    { "IP_MTU", SOL_IP, 14, INET,
      "ENOTCONN: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IP_FREEBIND", SOL_IP, 15, INET, "0: 0 1 1 1 1 1" },
    { "IP_PASSSEC", SOL_IP, 18, INET, "0: 0 1 1 1 1 1" },
    { "IP_TRANSPARENT", SOL_IP, 19, INET, "0: 0 EPERM EPERM EPERM EPERM EPERM" },
    { "IP_ORIGDSTADDR", SOL_IP, 20, INET, "0: 0 1 1 1 1 1" },
    { "IP_MINTTL", SOL_IP, 21, INET, "0: 0 1 2 5 EINVAL EINVAL" },
    { "IP_NODEFRAG", SOL_IP, 22, INET,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IP_CHECKSUM", SOL_IP, 23, INET, "0: 0 1 1 1 1 1" },
    { "IP_BIND_ADDRESS_NO_PORT", SOL_IP, 24, INET, "0: 0 1 1 1 1 1" },
    { "IP_RECVFRAGSIZE", SOL_IP, 25, TCP, "0: EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL" },
    { "IP_RECVFRAGSIZE", SOL_IP, 25, UDP, "0: 0 1 1 1 1 1" },
    { "IP_RECVERR_RFC4884", SOL_IP, 26, INET, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "IP_MULTICAST_TTL", SOL_IP, 33, TCP, "1: EINVAL EINVAL EINVAL EINVAL EINVAL EINVAL" },
    { "IP_MULTICAST_TTL", SOL_IP, 33, UDP, "1: 0 1 2 5 1 EINVAL" },
    { "IP_MULTICAST_LOOP", SOL_IP, 34, INET, "1: 0 1 1 1 1 1" },
    { "IP_MULTICAST_ALL", SOL_IP, 49, T4 | U4, "1: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "IP_MULTICAST_ALL", SOL_IP, 49, T6 | U6, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "IP_UNICAST_IF", SOL_IP, 50, INET,
      "0: 0 EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL" },
    { "IP_LOCAL_PORT_RANGE", SOL_IP, 51, INET, "0: 0 1 2 5 -1 EINVAL" },
    { "IPV6_UNICAST_HOPS", SOL_IPV6, 16, T6 | U6, "64: 0 1 2 5 64 EINVAL" },
    { "IPV6_MULTICAST_IF", SOL_IPV6, 17, T6,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IPV6_MULTICAST_HOPS", SOL_IPV6, 18, T6,
      "1: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IPV6_MULTICAST_HOPS", SOL_IPV6, 18, U6, "1: 0 1 2 5 1 EINVAL" },
    { "IPV6_MULTICAST_LOOP", SOL_IPV6, 19, T6 | U6, "1: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "IPV6_ROUTER_ALERT", SOL_IPV6, 22, T6 | U6,
      "0: ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT ENOPROTOOPT" },
    { "IPV6_MTU_DISCOVER", SOL_IPV6, 23, T6 | U6, "1: 0 1 2 5 EINVAL EINVAL" },
    { "IPV6_MTU", SOL_IPV6, 24, T6 | U6,
      "ENOTCONN: ENOTCONN EINVAL EINVAL EINVAL EINVAL ENOTCONN" },
    { "IPV6_RECVERR", SOL_IPV6, 25, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_V6ONLY", SOL_IPV6, 26, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_ROUTER_ALERT_ISOLATE", SOL_IPV6, 30, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVERR_RFC4884", SOL_IPV6, 31, T6 | U6, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "IPV6_RECVPKTINFO", SOL_IPV6, 49, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVHOPLIMIT", SOL_IPV6, 51, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVHOPOPTS", SOL_IPV6, 53, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVRTHDR", SOL_IPV6, 56, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVDSTOPTS", SOL_IPV6, 58, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVPATHMTU", SOL_IPV6, 60, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_DONTFRAG", SOL_IPV6, 62, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_RECVTCLASS", SOL_IPV6, 66, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_TCLASS", SOL_IPV6, 67, T6, "0: 0 0 0 4 0 EINVAL" },
    { "IPV6_TCLASS", SOL_IPV6, 67, U6, "0: 0 1 2 5 0 EINVAL" },
    { "IPV6_AUTOFLOWLABEL", SOL_IPV6, 70, T6 | U6, "1: 0 1 1 1 1 1" },
    { "IPV6_MINHOPCOUNT", SOL_IPV6, 73, T6 | U6, "0: 0 1 2 5 EINVAL EINVAL" },
    { "IPV6_RECVORIGDSTADDR", SOL_IPV6, 74, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_TRANSPARENT", SOL_IPV6, 75, T6 | U6, "0: 0 EPERM EPERM EPERM EPERM EPERM" },
    { "IPV6_UNICAST_IF", SOL_IPV6, 76, T6 | U6,
      "0: 0 EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL EADDRNOTAVAIL" },
    { "IPV6_RECVFRAGSIZE", SOL_IPV6, 77, T6 | U6, "0: 0 1 1 1 1 1" },
    { "IPV6_FREEBIND", SOL_IPV6, 78, T6 | U6, "0: 0 1 1 1 1 1" },
    { "TCP_NODELAY", SOL_TCP, 1, TCP, "0: 0 1 1 1 1 1" },
    { "TCP_MAXSEG", SOL_TCP, 2, TCP, "536: 536 EINVAL EINVAL EINVAL EINVAL EINVAL" },
    { "TCP_CORK", SOL_TCP, 3, TCP, "0: 0 1 1 1 1 1" },
    { "TCP_KEEPIDLE", SOL_TCP, 4, TCP, "7200: EINVAL 1 2 5 EINVAL EINVAL" },
    { "TCP_KEEPINTVL", SOL_TCP, 5, TCP, "75: EINVAL 1 2 5 EINVAL EINVAL" },
    { "TCP_KEEPCNT", SOL_TCP, 6, TCP, "9: EINVAL 1 2 5 EINVAL EINVAL" },
    { "TCP_SYNCNT", SOL_TCP, 7, TCP, "6: EINVAL 1 2 5 EINVAL EINVAL" },
    { "TCP_LINGER2", SOL_TCP, 8, TCP, "60: 60 1 2 5 -1 120" },
    { "TCP_DEFER_ACCEPT", SOL_TCP, 9, TCP, "0: 0 1 3 7 0 29887" },
    { "TCP_WINDOW_CLAMP", SOL_TCP, 10, TCP, "0: 0 1152 1152 1152 1152 200000" },
    { "TCP_QUICKACK", SOL_TCP, 12, TCP, "1: 0 1 1 1 1 1" },
    { "TCP_THIN_LINEAR", SOL_TCP, 16, TCP, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "TCP_THIN_DUPACK", SOL_TCP, 17, TCP, "0: 0 0 EINVAL EINVAL EINVAL EINVAL" },
    { "TCP_USER_TIMEOUT", SOL_TCP, 18, TCP, "0: 0 1 2 5 EINVAL 200000" },
    { "TCP_REPAIR", SOL_TCP, 19, TCP, "0: EPERM EPERM EPERM EPERM EPERM EPERM" },
    { "TCP_FASTOPEN", SOL_TCP, 23, TCP, "0: 0 1 2 5 EINVAL 4096" },
    { "TCP_NOTSENT_LOWAT", SOL_TCP, 25, TCP, "0: 0 1 2 5 -1 200000" },
    { "TCP_SAVE_SYN", SOL_TCP, 27, TCP, "0: 0 1 2 EINVAL EINVAL EINVAL" },
    { "TCP_FASTOPEN_CONNECT", SOL_TCP, 30, TCP, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "TCP_FASTOPEN_NO_COOKIE", SOL_TCP, 34, TCP, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "TCP_INQ", SOL_TCP, 36, TCP, "0: 0 1 EINVAL EINVAL EINVAL EINVAL" },
    { "UDP_GRO", SOL_UDP, 104, UDP, "0: 0 1 1 1 1 1" },
    { "UDP_SEGMENT", SOL_UDP, 103, UDP, "0: 0 1 2 5 EINVAL EINVAL" },
    { "UDP_CORK", SOL_UDP, 1, UDP, "0: 0 1 1 1 1 1" },
    { "UDP_NO_CHECK6_TX", SOL_UDP, 101, UDP, "0: 0 1 1 1 1 1" },
};

static void tell(char *to, size_t room, int r, int value)
{
    size_t at = strlen(to);

    if (r < 0)
        snprintf(to + at, room - at, "%s", strerrorname_np(errno));
    else
        snprintf(to + at, room - at, "%d", value);
}

static int get(int fd, const struct row *row, int *value)
{
    socklen_t n = sizeof *value;

    *value = 0;
    return getsockopt(fd, row->level, row->opt, value, &n);
}

static void story_of(const struct row *row, const struct kind *k, char *to, size_t room)
{
    int fd = socket(k->family, k->type, 0), value, r;

    r = get(fd, row, &value);
    *to = 0;
    tell(to, room, r, value);
    strcat(to, ":");
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        strcat(to, " ");
        r = setsockopt(fd, row->level, row->opt, &tried[i], sizeof tried[i]);
        if (r == 0)
            r = get(fd, row, &value);
        tell(to, room, r, value);
    }
    close(fd);
}

static void each(void)
{
    char got[200];

    for (const struct row *row = rows; row < rows + sizeof rows / sizeof *rows; row++)
        for (const struct kind *k = kinds; k < kinds + sizeof kinds / sizeof *kinds; k++) {
            if (!(row->kinds & k->bit))
                continue;
            story_of(row, k, got, sizeof got);
            if (!strncmp(got, "ENOPROTOOPT: ENOPROTOOPT", 24) && !guest_inside())
                continue; /* this host is older */
            if (strcmp(got, row->story) != 0) {
                guest_failures++;
                printf("%s, family %d, type %d: \"%s\", wanted \"%s\"\n", row->name, k->family,
                       k->type, got, row->story);
            }
        }
}

/* Both names of one thing, and the ways to ask for it. */
static void device(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), value = -1;
    char name[16] = "";
    socklen_t n = sizeof name;

    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &n), 0);
    CHECK_EQ(n, 3);
    CHECK(!strcmp(name, "lo"));
    n = sizeof value;
    CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &value, &n), 0);
    CHECK_EQ(value, 1);
    CHECK_ERR(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0), EPERM); /* once and for all */
    close(fd);
}

/* SO_MEMINFO, as ss and HAProxy ask: buffers and what lies in them. */
static void meminfo(void)
{
    uint32_t mem[9] = { 0 };
    int s[2], size = 0;
    socklen_t n = sizeof mem;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, 55, mem, &n), 0);
    CHECK_EQ(n, sizeof mem);
    n = sizeof size;
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &size, &n), 0);
    CHECK_EQ(mem[1], size);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &size, &n), 0);
    CHECK_EQ(mem[3], size);
    close(s[0]);
    close(s[1]);
}

/* Two connected sockets of type, over the loopback. */
static void joined(int type, int s[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int l = socket(AF_INET, type, 0);
    socklen_t n = sizeof a;

    CHECK_EQ(bind(l, (void *)&a, sizeof a), 0);
    CHECK_EQ(getsockname(l, (void *)&a, &n), 0);
    if (type == SOCK_STREAM)
        CHECK_EQ(listen(l, 1), 0);
    s[0] = socket(AF_INET, type, 0);
    CHECK_EQ(connect(s[0], (void *)&a, sizeof a), 0);
    s[1] = type == SOCK_STREAM ? accept(l, NULL, NULL) : l;
    if (s[1] != l)
        close(l);
}

/* The notice that waits: *from to *to; -1: none. Linux may tell of each call in a notice of its own. */
static int notice(int s, unsigned *from, unsigned *to)
{
    char ctl[128];
    struct msghdr h = { .msg_control = ctl, .msg_controllen = sizeof ctl };
    struct sock_extended_err e;
    struct cmsghdr *c;

    if (recvmsg(s, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return -1;
    CHECK(h.msg_flags & MSG_ERRQUEUE);
    c = CMSG_FIRSTHDR(&h);
    if (!c)
        return -1;
    CHECK_EQ(c->cmsg_level, SOL_IP);
    CHECK_EQ(c->cmsg_type, IP_RECVERR);
    CHECK_EQ(c->cmsg_len, CMSG_LEN(sizeof e + sizeof(struct sockaddr_in)));
    memcpy(&e, CMSG_DATA(c), sizeof e);
    CHECK_EQ(e.ee_errno, 0);
    CHECK_EQ(e.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
    CHECK_EQ(e.ee_code, SO_EE_CODE_ZEROCOPY_COPIED);
    *from = e.ee_info;
    *to = e.ee_data;
    return 0;
}

static void zerocopy_of(int type)
{
    struct pollfd p = { .events = 0 };
    unsigned from = 9, to = 9, next = 0;
    char b[64];
    int s[2], on = 1;

    joined(type, s);
    p.fd = s[0];
    CHECK_EQ(send(s[0], "none", 4, MSG_ZEROCOPY), 4); /* not asked for: nothing is told */
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 4);
    CHECK_EQ(notice(s[0], &from, &to), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(send(s[0], "hello", 5, MSG_ZEROCOPY), 5);
        CHECK_EQ(send(s[0], "x", 1, 0), 1);
        CHECK(recv(s[1], b, sizeof b, 0) > 0);
    }
    CHECK_EQ(poll(&p, 1, 1000), 1);
    CHECK_EQ(p.revents, POLLERR);
    while (next < 3 && poll(&p, 1, 1000) == 1 && notice(s[0], &from, &to) == 0) {
        CHECK_EQ(from, next);
        next = to + 1;
    }
    CHECK_EQ(next, 3);
    CHECK_EQ(poll(&p, 1, 0), 0);
    close(s[0]);
    close(s[1]);
}

static void zerocopy(void)
{
    zerocopy_of(SOCK_STREAM);
    zerocopy_of(SOCK_DGRAM);
}

/* UDP_SEGMENT: one call, many datagrams; also by a control message. */
static void segments(void)
{
    char b[2048], ctl[CMSG_SPACE(2)] = { 0 };
    struct iovec iov = { b, 10 };
    struct msghdr h = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    int s[2], size = 400;

    joined(SOCK_DGRAM, s);
    memset(b, 'x', sizeof b);
    CHECK_EQ(setsockopt(s[0], SOL_UDP, 103, &size, sizeof size), 0);
    CHECK_EQ(send(s[0], b, 1000, 0), 1000);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 400);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 400);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 200);
    CHECK_EQ(send(s[0], b, 400, 0), 400);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 400);
    size = 1;
    CHECK_EQ(setsockopt(s[0], SOL_UDP, 103, &size, sizeof size), 0);
    CHECK_ERR(send(s[0], b, 500, 0), EINVAL); /* too many */
    size = 0;
    CHECK_EQ(setsockopt(s[0], SOL_UDP, 103, &size, sizeof size), 0);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = 103;
    c->cmsg_len = CMSG_LEN(2);
    memcpy(CMSG_DATA(c), &(uint16_t){ 6 }, 2);
    CHECK_EQ(sendmsg(s[0], &h, 0), 10);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 6);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 4);
    close(s[0]);
    close(s[1]);
}

/* SO_PEEK_OFF of TCP, which came with 6.9. */
static void peeking(void)
{
    int s[2], off = 2;
    socklen_t n = sizeof off;
    char b[16];

    joined(SOCK_STREAM, s);
    CHECK_EQ(send(s[0], "abcdefgh", 8, 0), 8);
    if (setsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, n) < 0 && !guest_inside())
        return;
    CHECK_EQ(recv(s[1], b, 2, MSG_PEEK), 2);
    CHECK(memcmp(b, "cd", 2) == 0);
    CHECK_EQ(recv(s[1], b, 2, MSG_PEEK), 2);
    CHECK(memcmp(b, "ef", 2) == 0);
    CHECK_EQ(recv(s[1], b, 3, 0), 3);
    CHECK(memcmp(b, "abc", 3) == 0);
    CHECK_EQ(getsockopt(s[1], SOL_SOCKET, SO_PEEK_OFF, &off, &n), 0);
    CHECK_EQ(off, 3);
    CHECK_EQ(recv(s[1], b, 9, MSG_PEEK), 2);
    CHECK(memcmp(b, "gh", 2) == 0);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    if (geteuid() == 0) {
        CHECK_EQ(setgid(54321), 0);
        CHECK_EQ(setuid(54321), 0);
    }
    RUN(each);
    RUN(device);
    RUN(meminfo);
    RUN(zerocopy);
    RUN(segments);
    RUN(peeking);
    DONE();
}

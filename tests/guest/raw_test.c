/* SPDX-License-Identifier: Apache-2.0 */
/* Raw sockets of IPv4 and IPv6 on the loopback. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

#define ICMP_FILTER_ 1

static struct sockaddr_in lo4(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static struct sockaddr_in6 lo6(int port)
{
    return (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                  .sin6_port = htons(port),
                                  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
}

static int open_raw(int family, int proto)
{
    struct timeval limit = { .tv_sec = 5 };
    int s = socket(family, SOCK_RAW, proto);

    CHECK(s >= 0);
    CHECK_EQ(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return s;
}

static bool quiet(int s)
{
    struct pollfd p = { .fd = s, .events = POLLIN };

    return poll(&p, 1, 100) == 0;
}

static uint16_t sum(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t s = 0;

    for (size_t i = 0; i < n; i++)
        s += i & 1 ? b[i] : (uint32_t)b[i] << 8;
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return htons((uint16_t)~s);
}

static void made(void)
{
    CHECK_ERR(socket(AF_INET, SOCK_RAW, 0), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET6, SOCK_RAW, 0), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_RAW, 263), EINVAL);
    pid_t pid = fork();
    if (pid == 0) {
        if (setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        _exit(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0 && errno == EPERM ? 0 : 1);
    }
    int st;
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
}

/* The request is seen, too; the answer follows. */
static void echo4(void)
{
    struct sockaddr_in to = lo4(0), from;
    socklen_t n = sizeof from;
    uint8_t buf[200];
    struct icmphdr h = { .type = ICMP_ECHO, .un.echo = { .id = htons(77), .sequence = htons(3) } };
    struct iphdr ip;
    int s = open_raw(AF_INET, IPPROTO_ICMP);

    h.checksum = sum(&h, sizeof h);
    CHECK_EQ(sendto(s, &h, sizeof h, 0, (void *)&to, sizeof to), (int)sizeof h);
    for (int i = 0; i < 2; i++) {
        ssize_t got = recvfrom(s, buf, sizeof buf, 0, (void *)&from, &n);
        struct icmphdr back;

        CHECK_EQ(got, (int)(sizeof ip + sizeof h));
        memcpy(&ip, buf, sizeof ip);
        memcpy(&back, buf + sizeof ip, sizeof back);
        CHECK_EQ(ip.version, 4);
        CHECK_EQ(ip.ihl, 5);
        CHECK_EQ(ntohs(ip.tot_len), got);
        CHECK_EQ(ip.protocol, IPPROTO_ICMP);
        CHECK_EQ(ip.ttl, 64);
        CHECK_EQ(sum(&ip, sizeof ip), 0);
        CHECK_EQ(sum(&back, sizeof back), 0);
        CHECK_EQ(back.type, i ? ICMP_ECHOREPLY : ICMP_ECHO);
        CHECK_EQ(back.un.echo.id, htons(77));
        CHECK_EQ(n, sizeof from);
        CHECK_EQ(from.sin_port, 0);
        CHECK_EQ(from.sin_addr.s_addr, to.sin_addr.s_addr);
    }
    /* What a filter names is not seen; a wrong sum is not answered. */
    uint32_t no = 1u << ICMP_ECHO;
    CHECK_EQ(setsockopt(s, SOL_RAW, ICMP_FILTER_, &no, sizeof no), 0);
    CHECK_EQ(sendto(s, &h, sizeof h, 0, (void *)&to, sizeof to), (int)sizeof h);
    CHECK_EQ(recv(s, buf, sizeof buf, 0), (int)(sizeof ip + sizeof h));
    CHECK_EQ(buf[sizeof ip], ICMP_ECHOREPLY);
    h.checksum ^= 1;
    CHECK_EQ(sendto(s, &h, sizeof h, 0, (void *)&to, sizeof to), (int)sizeof h);
    CHECK(quiet(s));
    no = 0;
    n = sizeof no;
    CHECK_EQ(getsockopt(s, SOL_RAW, ICMP_FILTER_, &no, &n), 0);
    CHECK_EQ(no, 1u << ICMP_ECHO);
    close(s);
}

static void echo6(void)
{
    struct sockaddr_in6 to = lo6(0), from;
    socklen_t n = sizeof from;
    struct icmp6_hdr h = { .icmp6_type = ICMP6_ECHO_REQUEST, .icmp6_id = htons(9) };
    struct icmp6_filter f;
    uint8_t buf[200];
    int s = open_raw(AF_INET6, IPPROTO_ICMPV6), at = 2;

    ICMP6_FILTER_SETBLOCKALL(&f);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &f);
    CHECK_EQ(setsockopt(s, IPPROTO_ICMPV6, ICMP6_FILTER, &f, sizeof f), 0);
    CHECK_EQ(sendto(s, &h, sizeof h, 0, (void *)&to, sizeof to), (int)sizeof h); /* without a sum */
    CHECK_EQ(recvfrom(s, buf, sizeof buf, 0, (void *)&from, &n), (int)sizeof h);
    CHECK_EQ(buf[0], ICMP6_ECHO_REPLY);
    CHECK_EQ(n, sizeof from);
    CHECK(!memcmp(&from.sin6_addr, &to.sin6_addr, 16));
    CHECK(quiet(s));
    CHECK_ERR(setsockopt(s, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof at), EINVAL);
    close(s);
}

/* Who looks sees datagrams with their headers, and a datagram that is made by hand arrives. */
static void datagrams(void)
{
    struct sockaddr_in a = lo4(0), from;
    socklen_t n = sizeof a;
    struct {
        struct udphdr u;
        char word[4];
    } p = { .word = "abcd" };
    uint8_t buf[200];
    int s = open_raw(AF_INET, IPPROTO_UDP), u = socket(AF_INET, SOCK_DGRAM, 0),
        v = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(bind(u, (void *)&a, sizeof a), 0);
    CHECK_EQ(getsockname(u, (void *)&a, &n), 0);
    CHECK_EQ(sendto(v, "xyz", 3, 0, (void *)&a, sizeof a), 3);
    CHECK_EQ(recv(u, buf, sizeof buf, 0), 3);
    CHECK_EQ(recv(s, buf, sizeof buf, 0), (int)(sizeof(struct iphdr) + sizeof p.u + 3));
    memcpy(&p.u, buf + sizeof(struct iphdr), sizeof p.u);
    CHECK_EQ(p.u.dest, a.sin_port);
    CHECK_EQ(ntohs(p.u.len), sizeof p.u + 3);
    CHECK(!memcmp(buf + sizeof(struct iphdr) + sizeof p.u, "xyz", 3));

    p.u = (struct udphdr){ .source = htons(7), .dest = a.sin_port, .len = htons(sizeof p) };
    struct sockaddr_in to = lo4(0);
    CHECK_EQ(sendto(s, &p, sizeof p, 0, (void *)&to, sizeof to), (int)sizeof p);
    n = sizeof from;
    CHECK_EQ(recvfrom(u, buf, sizeof buf, 0, (void *)&from, &n), 4);
    CHECK(!memcmp(buf, "abcd", 4));
    CHECK_EQ(from.sin_port, htons(7));
    close(s), close(u), close(v);
}

static void protocols(void)
{
    struct sockaddr_in a = lo4(0), named;
    struct sockaddr_in6 a6 = lo6(0);
    socklen_t n = sizeof named;
    uint8_t buf[200];
    int s = open_raw(AF_INET, 253), other = open_raw(AF_INET, 254), s6 = open_raw(AF_INET6, 253),
        icmp = open_raw(AF_INET, IPPROTO_ICMP), out = open_raw(AF_INET, IPPROTO_RAW);

    CHECK_ERR(send(s, "a", 1, 0), EDESTADDRREQ);
    CHECK_EQ(sendto(s, "a", 1, 0, (void *)&a, sizeof a), 1);
    CHECK_EQ(recv(s, buf, sizeof buf, 0), 21);
    CHECK_EQ(buf[9], 253);
    CHECK_EQ(buf[20], 'a');
    CHECK(quiet(other));
    CHECK_EQ(sendto(s6, "six", 3, 0, (void *)&a6, sizeof a6), 3);
    CHECK_EQ(recv(s6, buf, sizeof buf, 0), 3);
    /* One that is connected, and one that is bound elsewhere. */
    CHECK_EQ(getsockname(s, (void *)&named, &n), 0);
    CHECK_EQ(ntohs(named.sin_port), 253);
    CHECK_EQ(connect(s, (void *)&a, sizeof a), 0);
    CHECK_EQ(send(s, "bc", 2, 0), 2);
    CHECK_EQ(recv(s, buf, sizeof buf, 0), 22);
    CHECK_ERR(getpeername(s, (void *)&named, &n), ENOTCONN);
    close(s);
    s = open_raw(AF_INET, 253);
    named = lo4(0);
    named.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    CHECK_EQ(bind(s, (void *)&named, sizeof named), 0);
    int v = open_raw(AF_INET, 253);
    CHECK_EQ(sendto(v, "d", 1, 0, (void *)&a, sizeof a), 1);
    CHECK(quiet(s));
    CHECK_EQ(sendto(v, "d", 1, 0, (void *)&named, sizeof named), 1);
    CHECK_EQ(recv(s, buf, sizeof buf, MSG_TRUNC), 21);
    close(s), close(v), close(other);
    /* Nobody takes it: ICMP says so, with the packet. */
    struct iphdr ip = { .version = 4, .ihl = 5, .ttl = 9, .protocol = 252, .daddr = a.sin_addr.s_addr };
    CHECK_EQ(sendto(out, &ip, sizeof ip, 0, (void *)&a, sizeof a), (int)sizeof ip);
    CHECK_EQ(recv(icmp, buf, sizeof buf, 0), 20 + 8 + 20);
    CHECK_EQ(buf[20], ICMP_DEST_UNREACH);
    CHECK_EQ(buf[21], ICMP_PROT_UNREACH);
    CHECK_EQ(buf[28 + 8], 9);
    CHECK_EQ(buf[28 + 9], 252);
    CHECK_EQ(sum(buf + 28, 20), 0);
    CHECK_ERR(sendto(out, &ip, 10, 0, (void *)&a, sizeof a), EINVAL);
    close(icmp), close(out), close(s6);
}

static void listed(void)
{
    char line[300];
    bool seen = false;
    int s = open_raw(AF_INET, 251);
    FILE *f = fopen("/proc/net/raw", "r");

    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f))
        seen |= strstr(line, ": 00000000:00FB 00000000:0000 07 ") != NULL;
    CHECK(seen);
    if (f)
        fclose(f);
    close(s);
}

int main(void)
{
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

    if (s < 0 && errno == EPERM) {
        puts("SKIP: raw sockets want CAP_NET_RAW");
        return 77;
    }
    close(s);
    RUN(made);
    RUN(echo4);
    RUN(echo6);
    RUN(datagrams);
    RUN(protocols);
    RUN(listed);
    DONE();
}

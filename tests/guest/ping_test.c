/* SPDX-License-Identifier: Apache-2.0 */
/* Ping sockets: who may have them, and what the loopback answers. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include "guest.h"
#include "own_network.h"

static const char range[] = "/proc/sys/net/ipv4/ping_group_range";

static int set_range(const char *text)
{
    int fd = open(range, O_WRONLY);
    ssize_t n = write(fd, text, strlen(text));

    close(fd);
    return n == (ssize_t)strlen(text) ? 0 : -1;
}

static void get_range(char *text, size_t cap)
{
    int fd = open(range, O_RDONLY);
    ssize_t n = read(fd, text, cap - 1);

    text[n > 0 ? n : 0] = 0;
    close(fd);
}

static void groups(void)
{
    char text[64];
    int fd;

    get_range(text, sizeof text);
    CHECK(!strcmp(text, "1\t0\n"));
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
    CHECK_ERR(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6), EACCES);
    CHECK_EQ(set_range("7 8"), 0);
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
    CHECK_ERR(set_range("-1 8"), EINVAL);
    CHECK_EQ(set_range("9 8"), 0); /* no range: nobody's */
    get_range(text, sizeof text);
    CHECK(!strcmp(text, "1\t0\n"));
    CHECK_EQ(set_range("0 2147483647"), 0);
    fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    CHECK(fd >= 0);
    close(fd);
    CHECK_ERR(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMPV6), EPROTONOSUPPORT);
}

static uint16_t checksum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i += 2)
        sum += (uint32_t)p[i] << 8 | (i + 1 < n ? p[i + 1] : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void echo4(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, from;
    uint8_t out[12] = { ICMP_ECHO, 0, 0, 0, 1, 2, 0, 9, 'p', 'i', 'n', 'g' }, in[64];
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), other;
    socklen_t len = sizeof from;
    uint16_t id;

    CHECK_EQ(sendto(fd, out, sizeof out, 0, (struct sockaddr *)&to, sizeof to), sizeof out);
    CHECK_EQ(recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &len), sizeof out);
    CHECK_EQ(in[0], ICMP_ECHOREPLY);
    CHECK_EQ(memcmp(in + 6, out + 6, 6), 0);
    CHECK_EQ(checksum(in, sizeof out), 0xffff);
    CHECK_EQ(from.sin_addr.s_addr, to.sin_addr.s_addr);
    CHECK_EQ(from.sin_port, 0);
    len = sizeof from; /* its number inside is its port */
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&from, &len), 0);
    memcpy(&id, in + 4, sizeof id);
    CHECK(id != 0);
    CHECK_EQ(from.sin_port, id);
    /* a port of its own kind */
    other = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(other, (struct sockaddr *)&from, sizeof from), 0);
    close(other);
    other = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    CHECK_EQ(bind(other, (struct sockaddr *)&from, sizeof from), 0); /* which can be shared */
    close(other);

    out[0] = ICMP_TIMESTAMP;
    CHECK_ERR(sendto(fd, out, sizeof out, 0, (struct sockaddr *)&to, sizeof to), EINVAL);
    out[0] = ICMP_ECHO;
    CHECK_ERR(sendto(fd, out, 7, 0, (struct sockaddr *)&to, sizeof to), EINVAL);
    CHECK_ERR(send(fd, out, sizeof out, 0), EDESTADDRREQ);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    CHECK_EQ(send(fd, out, sizeof out, 0), sizeof out);
    CHECK_EQ(recv(fd, in, sizeof in, 0), sizeof out);
    CHECK_ERR(recv(fd, in, sizeof in, MSG_DONTWAIT), EAGAIN);
    close(fd);
}

static void echo6(void)
{
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT }, from;
    uint8_t out[10] = { ICMP6_ECHO_REQUEST, 0, 0, 0, 0, 0, 0, 3, 'v', '6' }, in[64];
    int fd = socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    socklen_t len = sizeof from;

    CHECK_EQ(sendto(fd, out, sizeof out, 0, (struct sockaddr *)&to, sizeof to), sizeof out);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(recvfrom(fd, in, sizeof in, 0, (struct sockaddr *)&from, &len), sizeof out);
    CHECK_EQ(in[0], ICMP6_ECHO_REPLY);
    CHECK_EQ(memcmp(in + 6, out + 6, 4), 0);
    CHECK_EQ(memcmp(&from.sin6_addr, &to.sin6_addr, 16), 0);
    close(fd);
}

int main(void)
{
    to_own_network(0);
    RUN(groups);
    RUN(echo4);
    RUN(echo6);
    DONE();
}

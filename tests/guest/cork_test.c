/* SPDX-License-Identifier: Apache-2.0 */
/* What is sent in parts: MSG_MORE, TCP_CORK, UDP_CORK. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "guest.h"

#define UDP_CORK_ 1

static char buf[200000];

/* Bytes that can be read at once; -1: none. */
static int get(int fd)
{
    return (int)recv(fd, buf, sizeof buf, MSG_DONTWAIT);
}

/* The same, waiting a little for them. */
static int wait_get(int fd)
{
    struct pollfd p = { fd, POLLIN, 0 };

    poll(&p, 1, 2000);
    return get(fd);
}

static struct sockaddr_in local(int fd)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof a;

    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    CHECK_EQ(getsockname(fd, (void *)&a, &n), 0);
    return a;
}

static void pair(int s[2])
{
    int l = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = local(l);

    listen(l, 1);
    s[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(s[0], (void *)&a, sizeof a), 0);
    s[1] = accept(l, NULL, NULL);
    close(l);
}

static void tcp(void)
{
    int s[2], on = 1, off = 0, n;
    struct pollfd p;

    pair(s);
    CHECK_EQ(send(s[0], "aaaa", 4, MSG_MORE), 4);
    CHECK_EQ(get(s[1]), -1);
    p = (struct pollfd){ s[1], POLLIN, 0 };
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(ioctl(s[1], FIONREAD, &n), 0);
    CHECK_EQ(n, 0);
    CHECK_EQ(send(s[0], "b", 1, 0), 1);
    CHECK_EQ(wait_get(s[1]), 5);
    CHECK(memcmp(buf, "aaaab", 5) == 0);
    CHECK_EQ(setsockopt(s[0], IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
    CHECK_EQ(write(s[0], "cc", 2), 2);
    CHECK_EQ(write(s[0], "dd", 2), 2);
    CHECK_EQ(get(s[1]), -1);
    CHECK_EQ(setsockopt(s[0], IPPROTO_TCP, TCP_CORK, &off, sizeof off), 0);
    CHECK_EQ(wait_get(s[1]), 4);
    CHECK_EQ(setsockopt(s[0], IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
    CHECK_EQ(write(s[0], buf, 100000), 100000); /* whole segments go */
    n = wait_get(s[1]);
    CHECK(n > 0 && n < 100000);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    while (n < 100000) {
        int more = wait_get(s[1]);

        CHECK(more > 0);
        if (more <= 0)
            break;
        n += more;
    }
    CHECK_EQ(n, 100000);
    CHECK_EQ(wait_get(s[1]), 0);
    close(s[0]);
    close(s[1]);
}

/* Nobody waits for ever. */
static void tcp_timeout(void)
{
    struct timespec a, b;
    int s[2];

    pair(s);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_EQ(send(s[0], "late", 4, MSG_MORE), 4);
    CHECK_EQ(wait_get(s[1]), 4);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
    CHECK(ms >= 100 && ms < 1500);
    CHECK_EQ(send(s[0], "x", 1, MSG_MORE), 1);
    close(s[0]);
    CHECK_EQ(wait_get(s[1]), 1);
    CHECK_EQ(wait_get(s[1]), 0);
    close(s[1]);
}

static void udp(void)
{
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    int c = socket(AF_INET, SOCK_DGRAM, 0), on = 1, off = 0;
    struct sockaddr_in to = local(b), other = local(c);

    CHECK_ERR(send(a, "x", 1, MSG_MORE), EDESTADDRREQ);
    CHECK_EQ(sendto(a, "aaaa", 4, MSG_MORE, (void *)&to, sizeof to), 4);
    CHECK_EQ(get(b), -1);
    CHECK_EQ(sendto(a, "bb", 2, 0, (void *)&other, sizeof other), 2); /* part of the first */
    CHECK_EQ(wait_get(b), 6);
    CHECK(memcmp(buf, "aaaabb", 6) == 0);
    CHECK_EQ(get(c), -1);
    CHECK_EQ(connect(a, (void *)&to, sizeof to), 0);
    CHECK_EQ(setsockopt(a, IPPROTO_UDP, UDP_CORK_, &on, sizeof on), 0);
    CHECK_EQ(send(a, "1", 1, 0), 1);
    CHECK_EQ(send(a, "23", 2, 0), 2);
    CHECK_EQ(get(b), -1);
    CHECK_EQ(setsockopt(a, IPPROTO_UDP, UDP_CORK_, &off, sizeof off), 0);
    CHECK_EQ(wait_get(b), 3);
    CHECK_EQ(send(a, buf, 60000, MSG_MORE), 60000);
    CHECK_ERR(send(a, buf, 60000, 0), EMSGSIZE);
    CHECK_EQ(send(a, "done", 4, 0), 4);
    CHECK_EQ(wait_get(b), 4); /* the parts before were lost with the one that was too long */
    CHECK_EQ(send(a, "never", 5, MSG_MORE), 5);
    close(a);
    CHECK_EQ(get(b), -1);
    close(b);
    close(c);
}

int main(void)
{
    RUN(tcp);
    RUN(tcp_timeout);
    RUN(udp);
    DONE();
}

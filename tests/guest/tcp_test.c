/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP over the loopback: connecting, ports, backlog, how connections end, what poll says.
 *
 * Over 500 lines: one behaviour a function, all on the same few helpers.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "guest.h"

#define OUT (POLLOUT | POLLWRNORM)
#define IN (POLLIN | POLLRDNORM)

static int events(int fd)
{
    struct pollfd p = { .fd = fd, .events = 0x3fff };

    poll(&p, 1, 0);
    return p.revents;
}

/* Natively an event may take a moment to come over lo. */
static int settle(int fd, int want)
{
    for (int i = 0; i < 1000 && events(fd) != want; i++)
        usleep(1000);
    return events(fd);
}

static struct sockaddr_in addr4(const char *ip, int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    inet_pton(AF_INET, ip, &a.sin_addr);
    return a;
}

static int port_of(int fd)
{
    struct sockaddr_in6 a; /* the port stands at the same place in both */
    socklen_t n = sizeof a;

    getsockname(fd, (void *)&a, &n);
    return ntohs(a.sin6_port);
}

static int listener(int backlog)
{
    struct sockaddr_in a = addr4("127.0.0.1", 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    return fd;
}

static int dial(int port, int flags)
{
    struct sockaddr_in a = addr4("127.0.0.1", port);
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);

    if (connect(fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) {
        int e = errno;

        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static void pair(int s[2])
{
    int l = listener(5);

    s[0] = dial(port_of(l), 0);
    s[1] = accept(l, NULL, NULL);
    CHECK(s[0] >= 0 && s[1] >= 0);
    close(l);
}

static void fresh(void)
{
    struct sockaddr_in a = addr4("127.0.0.1", 0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char c;

    CHECK_EQ(events(fd), OUT | POLLHUP);
    CHECK_ERR(recv(fd, &c, 1, 0), ENOTCONN);
    CHECK_ERR(send(fd, &c, 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERR(getpeername(fd, (void *)&a, &n), ENOTCONN);
    CHECK_EQ(getsockname(fd, (void *)&a, &n), 0);
    CHECK_EQ(a.sin_port, 0);
    CHECK_EQ(a.sin_addr.s_addr, 0);
    CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
    CHECK_ERR(shutdown(fd, SHUT_RDWR), ENOTCONN);
    CHECK_ERR(bind(fd, (void *)&a, 8), EINVAL);
    a.sin_family = AF_INET6;
    CHECK_ERR(bind(fd, (void *)&a, sizeof a), EAFNOSUPPORT);
    CHECK_ERR(connect(fd, (void *)&a, sizeof a), EAFNOSUPPORT);
    close(fd);
    CHECK_ERR(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_INET, SOCK_STREAM, 300), EINVAL);
}

static void basics(void)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    int l = listener(5), port = port_of(l), c, s, v;
    char b[32];

    CHECK(port >= 1024);
    CHECK_EQ(events(l), 0);
    c = dial(port, 0);
    CHECK(c >= 0);
    CHECK_EQ(events(l), IN);
    CHECK_EQ(events(c), OUT);
    s = accept4(l, (void *)&a, &n, SOCK_CLOEXEC);
    CHECK_EQ(n, sizeof a);
    CHECK_EQ(ntohs(a.sin_port), port_of(c));
    CHECK_EQ(ntohl(a.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(port_of(s), port);
    CHECK_EQ(fcntl(s, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(c, "hello ", 6), 6);
    CHECK_EQ(send(c, "world", 5, MSG_MORE), 5);
    CHECK_EQ(send(c, "!", 1, 0), 1);
    CHECK_EQ(recv(s, b, 12, MSG_WAITALL | MSG_PEEK), 12);
    CHECK_EQ(ioctl(s, FIONREAD, &v), 0);
    CHECK_EQ(v, 12);
    CHECK_EQ(recv(s, b, 6, MSG_TRUNC), 6); /* thrown away */
    CHECK_EQ(recv(s, b, sizeof b, 0), 6);
    CHECK_EQ(memcmp(b, "world!", 6), 0);
    CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(recv(s, b, 1, MSG_DONTWAIT | MSG_ERRQUEUE), EAGAIN);
    CHECK_ERR(recv(l, b, 1, 0), ENOTCONN);
    a = addr4("127.0.0.1", port);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EISCONN);
    CHECK_ERR(connect(l, (void *)&a, sizeof a), EISCONN);
    CHECK_ERR(listen(c, 1), EINVAL);
    CHECK_ERR(bind(c, (void *)&a, sizeof a), EINVAL);
    close(c);
    close(s);
    close(l);
    CHECK_ERR(dial(port, 0), ECONNREFUSED);
}

static void ports(void)
{
    struct sockaddr_in a = addr4("127.0.0.1", 0), any;
    int l = listener(5), port = port_of(l), fd = socket(AF_INET, SOCK_STREAM, 0), g, on = 1;

    a.sin_port = htons((uint16_t)port);
    any = addr4("0.0.0.0", port);
    CHECK_ERR(bind(fd, (void *)&a, sizeof a), EADDRINUSE);
    CHECK_ERR(bind(fd, (void *)&any, sizeof any), EADDRINUSE);
    a = addr4("127.0.0.2", port);
    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    CHECK_ERR(bind(fd, (void *)&a, sizeof a), EINVAL);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    a = addr4("192.0.2.1", 0);
    CHECK_ERR(bind(fd, (void *)&a, sizeof a), EADDRNOTAVAIL);

    /* SO_REUSEADDR: beside one that does not listen */
    g = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(g, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    a = addr4("127.0.0.1", 0);
    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    a.sin_port = htons((uint16_t)port_of(fd));
    CHECK_EQ(bind(g, (void *)&a, sizeof a), 0);
    CHECK_EQ(listen(fd, 1), 0);
    CHECK_ERR(listen(g, 1), EADDRINUSE);
    close(g);
    g = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(g, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK_ERR(bind(g, (void *)&a, sizeof a), EADDRINUSE);
    close(fd);
    close(g);

    /* SO_REUSEPORT: both listen */
    fd = socket(AF_INET, SOCK_STREAM, 0);
    g = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(g, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    a = addr4("127.0.0.1", 0);
    CHECK_EQ(bind(fd, (void *)&a, sizeof a), 0);
    a.sin_port = htons((uint16_t)port_of(fd));
    CHECK_EQ(listen(fd, 1), 0);
    CHECK_EQ(bind(g, (void *)&a, sizeof a), 0);
    CHECK_EQ(listen(g, 1), 0);
    close(fd);
    close(g);
    close(l);

    fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(listen(fd, 1), 0); /* takes a port by itself */
    CHECK(port_of(fd) > 0);
    close(fd);
}

static void six(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any }, got;
    struct sockaddr_in a4;
    socklen_t n = sizeof got;
    int l = socket(AF_INET6, SOCK_STREAM, 0), c, s, port, on = 1, f;

    if (l < 0)
        return;
    CHECK_EQ(bind(l, (void *)&a, sizeof a), 0);
    CHECK_EQ(listen(l, 5), 0);
    port = port_of(l);
    c = dial(port, 0); /* by IPv4 */
    CHECK(c >= 0);
    s = accept(l, (void *)&got, &n);
    CHECK_EQ(n, sizeof got);
    CHECK(IN6_IS_ADDR_V4MAPPED(&got.sin6_addr));
    close(s);
    close(c);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    a.sin6_addr = in6addr_loopback;
    a.sin6_port = htons((uint16_t)port);
    CHECK_EQ(connect(c, (void *)&a, sizeof a), 0);
    n = sizeof got;
    CHECK_EQ(getsockname(c, (void *)&got, &n), 0);
    CHECK(IN6_IS_ADDR_LOOPBACK(&got.sin6_addr));
    s = accept(l, (void *)&got, &n);
    CHECK(s >= 0);
    close(s);
    close(c);
    f = socket(AF_INET, SOCK_STREAM, 0);
    a4 = addr4("127.0.0.1", port);
    CHECK_ERR(bind(f, (void *)&a4, sizeof a4), EADDRINUSE);
    close(f);
    close(l);

    l = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQ(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), 0);
    a.sin6_addr = in6addr_any;
    a.sin6_port = 0;
    CHECK_EQ(bind(l, (void *)&a, sizeof a), 0);
    CHECK_ERR(setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on), EINVAL);
    CHECK_EQ(listen(l, 5), 0);
    CHECK_ERR(dial(port_of(l), 0), ECONNREFUSED);
    f = socket(AF_INET, SOCK_STREAM, 0);
    a4 = addr4("127.0.0.1", port_of(l));
    CHECK_EQ(bind(f, (void *)&a4, sizeof a4), 0);
    close(f);
    close(l);
}

static void nonblocking(void)
{
    struct sockaddr_in a;
    int l = listener(5), port = port_of(l), c, e;
    socklen_t n = sizeof e;

    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    a = addr4("127.0.0.1", port);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EINPROGRESS);
    CHECK_EQ(settle(c, OUT), OUT);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n), 0);
    CHECK_EQ(e, 0);
    CHECK_EQ(connect(c, (void *)&a, sizeof a), 0); /* tells the outcome once */
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EISCONN);
    close(c);
    close(l);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EINPROGRESS);
    e = IN | OUT | POLLERR | POLLHUP | POLLRDHUP;
    CHECK_EQ(settle(c, e), e);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n), 0);
    CHECK_EQ(e, ECONNREFUSED);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNABORTED);
    close(c);
    c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EINPROGRESS);
    settle(c, IN | OUT | POLLERR | POLLHUP | POLLRDHUP);
    CHECK_ERR(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
    l = listener(1);
    a = addr4("127.0.0.1", port_of(l));
    CHECK_ERR(connect(c, (void *)&a, sizeof a), EINPROGRESS); /* may be tried again */
    CHECK_EQ(settle(c, OUT), OUT);
    close(c);
    CHECK_ERR(accept4(l, NULL, NULL, 1), EINVAL);
    fcntl(l, F_SETFL, O_NONBLOCK);
    c = accept(l, NULL, NULL);
    CHECK(c >= 0);
    CHECK_EQ(fcntl(c, F_GETFL), O_RDWR); /* not inherited */
    CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
    close(c);
    close(l);
}

static void fin(void)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    int s[2];
    char c;

    pair(s);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(settle(s[1], IN | OUT | POLLRDHUP), IN | OUT | POLLRDHUP);
    CHECK_EQ(events(s[0]), OUT);
    CHECK_EQ(read(s[1], &c, 1), 1);
    CHECK_EQ(read(s[1], &c, 1), 0);
    CHECK_EQ(write(s[1], "y", 1), 1);
    CHECK_EQ(read(s[0], &c, 1), 1);
    CHECK_ERR(send(s[0], "z", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    n = IN | OUT | POLLHUP | POLLRDHUP;
    CHECK_EQ(settle(s[0], (int)n), n);
    CHECK_EQ(read(s[0], &c, 1), 0);
    n = sizeof a;
    CHECK_ERR(getpeername(s[0], (void *)&a, &n), ENOTCONN);
    CHECK_ERR(shutdown(s[0], SHUT_RD), ENOTCONN);
    close(s[0]);

    /* a closed peer: the first write is taken, the next one is not */
    pair(s);
    close(s[1]);
    CHECK_EQ(settle(s[0], IN | OUT | POLLRDHUP), IN | OUT | POLLRDHUP);
    CHECK_EQ(send(s[0], "x", 1, MSG_NOSIGNAL), 1);
    n = IN | OUT | POLLHUP | POLLERR | POLLRDHUP;
    CHECK_EQ(settle(s[0], (int)n), n);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(recv(s[0], &c, 1, 0), 0);
    close(s[0]);

    static char much[4 << 20]; /* of which a part goes before the answer is seen */
    pair(s);
    close(s[1]);
    CHECK_EQ(settle(s[0], IN | OUT | POLLRDHUP), IN | OUT | POLLRDHUP);
    ssize_t part = send(s[0], much, sizeof much, MSG_NOSIGNAL);
    CHECK(part > 0 && part < (ssize_t)sizeof much);
    CHECK_ERR(send(s[0], much, sizeof much, MSG_NOSIGNAL), EPIPE);
    close(s[0]);

    pair(s);
    CHECK_EQ(shutdown(s[0], SHUT_RD), 0);
    CHECK_EQ(recv(s[0], &c, 1, 0), 0);
    CHECK_EQ(send(s[1], "x", 1, 0), 1);
    CHECK_EQ(settle(s[0], IN | OUT | POLLRDHUP), IN | OUT | POLLRDHUP);
    CHECK_EQ(recv(s[0], &c, 1, 0), 1);
    CHECK_EQ(recv(s[0], &c, 1, 0), 0);
    close(s[0]);
    close(s[1]);
}

static void reset(void)
{
    struct linger lg = { 1, 0 };
    int s[2], e, all = IN | OUT | POLLHUP | POLLERR | POLLRDHUP;
    socklen_t n = sizeof e;
    char c;

    pair(s); /* by SO_LINGER 0 */
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    close(s[1]);
    CHECK_EQ(settle(s[0], all), all);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK_EQ(read(s[0], &c, 1), 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[0]);

    pair(s); /* by unread data */
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(settle(s[1], IN | OUT), IN | OUT);
    close(s[1]);
    CHECK_EQ(settle(s[0], all), all);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &e, &n), 0);
    CHECK_EQ(e, ECONNRESET);
    CHECK_EQ(read(s[0], &c, 1), 0);
    close(s[0]);

    pair(s); /* a reset leaves what has arrived */
    CHECK_EQ(write(s[1], "x", 1), 1);
    CHECK_EQ(settle(s[0], IN | OUT), IN | OUT);
    setsockopt(s[1], SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
    close(s[1]);
    CHECK_EQ(settle(s[0], all), all);
    CHECK_EQ(read(s[0], &c, 1), 1);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    close(s[0]);

    pair(s); /* by connecting to nothing */
    {
        struct sockaddr a = { .sa_family = AF_UNSPEC };

        CHECK_EQ(connect(s[1], &a, sizeof a), 0);
        CHECK_EQ(settle(s[0], all), all);
        CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNRESET);
        CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), ECONNRESET);
        CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    }
    close(s[0]);
    close(s[1]);
}

static void listener_closes(void)
{
    int l = listener(5), c = dial(port_of(l), 0), all = IN | OUT | POLLHUP | POLLERR | POLLRDHUP;
    char b;

    close(l); /* what was not accepted is reset */
    CHECK_EQ(settle(c, all), all);
    CHECK_ERR(read(c, &b, 1), ECONNRESET);
    close(c);
    l = listener(5);
    CHECK_EQ(shutdown(l, SHUT_RD), 0);
    CHECK_ERR(accept(l, NULL, NULL), EINVAL);
    CHECK_EQ(events(l), OUT | POLLHUP);
    close(l);
}

static void backlog(void)
{
    int l = listener(1), port = port_of(l), c[3], s, n = 0;

    for (int i = 0; i < 3; i++)
        c[i] = dial(port, SOCK_NONBLOCK);
    CHECK_EQ(settle(c[1], OUT), OUT);
    usleep(20000);
    CHECK_EQ(events(c[2]), 0); /* no room yet */
    for (int i = 0; i < 2; i++) {
        s = accept(l, NULL, NULL);
        CHECK(s >= 0);
        close(s);
    }
    while (settle(c[2], OUT) != OUT && n++ < 3)
        ;
    CHECK_EQ(events(c[2]), OUT); /* natively with the next SYN, after a second */
    s = accept(l, NULL, NULL);
    CHECK(s >= 0);
    close(s);
    for (int i = 0; i < 3; i++)
        close(c[i]);
    close(l);
}

static void bulk(void)
{
    static char big[3 << 20];
    char buf[65536];
    int s[2], status;
    size_t got = 0;
    pid_t pid;
    ssize_t n;

    pair(s);
    pid = fork();
    if (!pid) {
        close(s[0]);
        for (size_t i = 0; i < sizeof big; i++)
            big[i] = (char)(i * 13 + (i >> 14));
        _exit(send(s[1], big, sizeof big, 0) != (ssize_t)sizeof big);
    }
    close(s[1]);
    for (; (n = read(s[0], buf, sizeof buf)) > 0; got += (size_t)n)
        for (size_t i = 0; i < (size_t)n; i += 1009)
            if (buf[i] != (char)((got + i) * 13 + ((got + i) >> 14))) {
                CHECK_EQ(buf[i], (char)((got + i) * 13 + ((got + i) >> 14)));
                n = 0;
                break;
            }
    CHECK_EQ(got, sizeof big);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(s[0]);
}

static void full(void)
{
    static char big[65536];
    int s[2];

    pair(s);
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    fcntl(s[1], F_SETFL, O_NONBLOCK);
    do {
        while (write(s[0], big, sizeof big) > 0)
            ;
        usleep(2000);
    } while (write(s[0], big, sizeof big) > 0);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(events(s[0]), 0);
    for (int i = 0; i < 100 && events(s[0]) != OUT; i++) {
        while (read(s[1], big, sizeof big) > 0)
            ;
        usleep(1000);
    }
    CHECK_EQ(events(s[0]), OUT);
    close(s[0]);
    close(s[1]);
}

static volatile int urges;

static void on_urg(int sig)
{
    (void)sig;
    urges++;
}

static void urgent(void)
{
    int s[2], v, on = 1;
    char b[16];

    pair(s);
    signal(SIGURG, on_urg);
    CHECK_EQ(fcntl(s[1], F_SETOWN, getpid()), 0);
    CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL);
    CHECK_EQ(send(s[0], "abc", 3, 0), 3);
    CHECK_EQ(send(s[0], "dU", 2, MSG_OOB), 2);
    CHECK_EQ(send(s[0], "ef", 2, 0), 2);
    CHECK_EQ(settle(s[1], IN | OUT | POLLPRI), IN | OUT | POLLPRI);
    CHECK_EQ(urges, 1);
    CHECK_EQ(ioctl(s[1], SIOCATMARK, &v), 0);
    CHECK_EQ(v, 0);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 4); /* up to the mark */
    CHECK_EQ(memcmp(b, "abcd", 4), 0);
    CHECK_EQ(ioctl(s[1], SIOCATMARK, &v), 0);
    CHECK_EQ(v, 1);
    CHECK_EQ(recv(s[1], b, 1, MSG_OOB), 1);
    CHECK_EQ(b[0], 'U');
    CHECK_ERR(recv(s[1], b, 1, MSG_OOB), EINVAL);
    CHECK_EQ(events(s[1]), IN | OUT);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 2); /* and on behind it */
    CHECK_EQ(memcmp(b, "ef", 2), 0);
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on), 0);
    CHECK_EQ(send(s[0], "xV", 2, MSG_OOB), 2);
    CHECK_EQ(settle(s[1], IN | OUT | POLLPRI), IN | OUT | POLLPRI);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 1);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 1);
    CHECK_EQ(b[0], 'V');
    close(s[0]);
    close(s[1]);
}

static void timeout(void)
{
    struct timeval tv = { .tv_usec = 10000 };
    int s[2];
    char c;

    pair(s);
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    CHECK_ERR(read(s[0], &c, 1), EAGAIN);
    close(s[0]);
    close(s[1]);
}

static void waits(void)
{
    int l = listener(5), port = port_of(l), status, c;
    pid_t pid = fork();
    char b[4];

    if (!pid) {
        c = dial(port, 0);
        _exit(c < 0 || write(c, "ab", 2) != 2 || read(c, b, 2) != 1 || read(c, b, 1) != 0);
    }
    c = accept(l, NULL, NULL); /* waits */
    CHECK_EQ(recv(c, b, 2, MSG_WAITALL), 2);
    CHECK_EQ(write(c, "x", 1), 1);
    close(c);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(l);
}

/* IPV6_ADDRFORM: by IPv4 connected, an IPv4 socket from then on. */
static void becomes_v4(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
    struct sockaddr_in in;
    socklen_t n = sizeof a;
    int l = socket(AF_INET6, SOCK_STREAM, 0), v4 = AF_INET, got = 0, c, s;

    CHECK_EQ(bind(l, (void *)&a, sizeof a), 0);
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(getsockname(l, (void *)&a, &n), 0);
    CHECK_ERR(setsockopt(l, SOL_IPV6, IPV6_ADDRFORM, &v4, sizeof v4), ENOTCONN);
    c = dial(ntohs(a.sin6_port), 0);
    s = accept(l, NULL, NULL);
    CHECK_ERR(setsockopt(c, SOL_IPV6, IPV6_ADDRFORM, &v4, sizeof v4), ENOPROTOOPT);
    got = AF_INET6;
    CHECK_ERR(setsockopt(s, SOL_IPV6, IPV6_ADDRFORM, &got, sizeof got), EINVAL);
    CHECK_EQ(setsockopt(s, SOL_IPV6, IPV6_ADDRFORM, &v4, sizeof v4), 0);
    n = sizeof got;
    CHECK_EQ(getsockopt(s, SOL_SOCKET, SO_DOMAIN, &got, &n), 0);
    CHECK_EQ(got, AF_INET);
    n = sizeof in;
    CHECK_EQ(getpeername(s, (void *)&in, &n), 0);
    CHECK_EQ(n, sizeof in);
    CHECK_EQ(in.sin_family, AF_INET);
    CHECK_EQ(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(write(s, "x", 1), 1);
    CHECK_EQ(read(c, &got, 1), 1);
    n = sizeof got;
    CHECK_ERR(getsockopt(s, 500, 10, &got, &n), EOPNOTSUPP);
    CHECK_ERR(getsockopt(s, IPPROTO_UDP, 10, &got, &n), EOPNOTSUPP);
    CHECK_ERR(getsockopt(s, SOL_IP, -1, &got, &n), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s, 500, 10, &got, n), ENOPROTOOPT);
    close(c);
    close(s);
    close(l);
}

int main(void)
{
    RUN(fresh);
    RUN(basics);
    RUN(ports);
    RUN(six);
    RUN(nonblocking);
    RUN(fin);
    RUN(reset);
    RUN(listener_closes);
    RUN(backlog);
    RUN(bulk);
    RUN(full);
    RUN(urgent);
    RUN(timeout);
    RUN(waits);
    RUN(becomes_v4);
    DONE();
}

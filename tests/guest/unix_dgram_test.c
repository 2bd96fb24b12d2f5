/* SPDX-License-Identifier: Apache-2.0 */
/* Unix datagrams and seqpackets: records, names of senders, full receivers, peers that go. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "guest.h"

static int events(int fd)
{
    struct pollfd p = { .fd = fd, .events = 0x3fff };

    poll(&p, 1, 0);
    return p.revents;
}

static socklen_t name_of(struct sockaddr_un *un, const char *name)
{
    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + 1, name, strlen(name));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int bound(const char *name, int type)
{
    struct sockaddr_un un;
    socklen_t n = name_of(&un, name);
    int fd = socket(AF_UNIX, type, 0);

    CHECK_EQ(bind(fd, (void *)&un, n), 0);
    return fd;
}

#define OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
#define IN (POLLIN | POLLRDNORM)

static void pair(void)
{
    char b[64];
    int s[2], n;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    CHECK_EQ(events(s[0]), OUT);
    CHECK_EQ(write(s[0], "one", 3), 3);
    CHECK_EQ(write(s[0], "", 0), 0);
    CHECK_EQ(write(s[0], "three", 5), 5);
    CHECK_EQ(events(s[1]), IN | OUT);
    CHECK_EQ(ioctl(s[1], FIONREAD, &n), 0);
    CHECK_EQ(n, 3);
    CHECK_EQ(recv(s[1], b, sizeof b, MSG_PEEK), 3);
    CHECK_EQ(read(s[1], b, sizeof b), 3);
    CHECK_EQ(recv(s[1], b, sizeof b, 0), 0);
    CHECK_EQ(recv(s[1], b, 2, MSG_TRUNC), 5);
    CHECK_ERR(recv(s[1], b, 2, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(listen(s[0], 1), EOPNOTSUPP);
    CHECK_ERR(accept(s[0], NULL, NULL), EOPNOTSUPP);
    close(s[0]);
    CHECK_EQ(events(s[1]), OUT);
    CHECK_ERR(recv(s[1], b, 2, MSG_DONTWAIT), EAGAIN);
    CHECK_ERR(write(s[1], "x", 1), ECONNREFUSED);
    CHECK_ERR(write(s[1], "x", 1), ENOTCONN);
    close(s[1]);
}

static void named(void)
{
    struct sockaddr_un to, from;
    socklen_t n = name_of(&to, "sbx-dg"), len = sizeof from;
    int r = bound("sbx-dg", SOCK_DGRAM), c = socket(AF_UNIX, SOCK_DGRAM, 0), d;
    char b[16];

    CHECK_EQ(sendto(c, "a", 1, 0, (void *)&to, n), 1);
    CHECK_EQ(recvfrom(r, b, sizeof b, 0, (void *)&from, &len), 1);
    CHECK_EQ(len, 0);
    CHECK_ERR(send(c, "a", 1, 0), ENOTCONN);
    d = bound("sbx-dg2", SOCK_DGRAM);
    CHECK_EQ(connect(d, (void *)&to, n), 0);
    CHECK_EQ(send(d, "b", 1, 0), 1);
    len = sizeof from;
    CHECK_EQ(recvfrom(r, b, sizeof b, 0, (void *)&from, &len), 1);
    CHECK_EQ(len, 2 + 1 + 7);
    CHECK_EQ(sendto(r, "c", 1, 0, (void *)&from, len), 1);
    CHECK_EQ(recv(d, b, 1, 0), 1);
    len = sizeof from;
    CHECK_EQ(getpeername(d, (void *)&from, &len), 0);
    CHECK_EQ(len, n);

    /* d talks to r alone: others may not send to it */
    n = name_of(&to, "sbx-dg2");
    CHECK_ERR(sendto(c, "x", 1, 0, (void *)&to, n), EPERM);
    CHECK_ERR(connect(c, (void *)&to, n), EPERM);
    from.sun_family = AF_UNSPEC;
    CHECK_EQ(connect(d, (void *)&from, 2), 0);
    CHECK_EQ(sendto(c, "x", 1, 0, (void *)&to, n), 1);
    n = name_of(&to, "sbx-none");
    CHECK_ERR(sendto(c, "x", 1, 0, (void *)&to, n), ECONNREFUSED);
    CHECK_ERR(sendto(c, "x", 1, 0, (void *)&to, 2), EINVAL);
    close(r);
    close(c);
    close(d);
}

static void too_big(void)
{
    static char big[400000];
    int s[2], v = 20000;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    CHECK_ERR(write(s[0], big, sizeof big), EMSGSIZE);
    CHECK_EQ(write(s[0], big, 200000), 200000);
    CHECK_EQ(read(s[1], big, sizeof big), 200000);
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v), 0);
    CHECK_ERR(write(s[0], big, 40000), EMSGSIZE);
    close(s[0]);
    close(s[1]);
}

static void full(void)
{
    struct sockaddr_un to;
    socklen_t n = name_of(&to, "sbx-full");
    struct timeval tv = { .tv_usec = 10000 };
    int r = bound("sbx-full", SOCK_DGRAM), c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int sent = 0, status;
    pid_t pid;
    char b[4];

    CHECK_EQ(connect(c, (void *)&to, n), 0);
    while (send(c, "x", 1, 0) == 1)
        sent++;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(sent, 11);
    CHECK_EQ(events(c), 0);
    fcntl(c, F_SETFL, 0);
    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    CHECK_ERR(send(c, "x", 1, 0), EAGAIN);
    tv.tv_usec = 0;
    setsockopt(c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    pid = fork();
    if (!pid)
        _exit(send(c, "y", 1, 0) != 1);
    for (int i = 0; i < 11; i++)
        CHECK_EQ(recv(r, b, 4, 0), 1);
    CHECK_EQ(recv(r, b, 4, 0), 1);
    CHECK_EQ(b[0], 'y');
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(events(c), OUT);
    close(r);
    CHECK_ERR(send(c, "x", 1, 0), ECONNREFUSED);
    close(c);
}

static void shut(void)
{
    int s[2];
    char b[4];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(send(s[1], "x", 1, MSG_NOSIGNAL), 1);
    CHECK_EQ(shutdown(s[0], SHUT_RD), 0);
    CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(recv(s[0], b, 4, 0), 1);
    CHECK_EQ(recv(s[0], b, 4, 0), 0);
    CHECK_EQ(events(s[0]), IN | OUT | POLLHUP | POLLRDHUP);
    close(s[0]);
    close(s[1]);
}

static void seqpacket(void)
{
    struct sockaddr_un to;
    socklen_t n = name_of(&to, "sbx-seq");
    int l = bound("sbx-seq", SOCK_SEQPACKET), c = socket(AF_UNIX, SOCK_SEQPACKET, 0), a;
    struct iovec v = { &to, 2 };
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
    char b[16];

    CHECK_ERR(recv(c, b, 1, 0), ENOTCONN);
    CHECK_ERR(send(c, b, 1, MSG_NOSIGNAL), ENOTCONN);
    CHECK_ERR(connect(c, (void *)&to, n), ECONNREFUSED);
    CHECK_EQ(listen(l, 1), 0);
    CHECK_EQ(connect(c, (void *)&to, n), 0);
    CHECK_EQ(send(c, "first", 5, 0), 5);
    CHECK_EQ(send(c, "2nd", 3, 0), 3);
    a = accept(l, NULL, NULL);
    CHECK(a >= 0);
    CHECK_EQ(recvmsg(a, &m, 0), 2);
    CHECK_EQ(m.msg_flags, MSG_TRUNC);
    v.iov_base = b;
    v.iov_len = sizeof b;
    CHECK_EQ(recvmsg(a, &m, 0), 3);
    CHECK_EQ(m.msg_flags, 0);
    CHECK_EQ(send(c, "", 0, 0), 0);
    CHECK_EQ(events(a), IN | OUT);
    CHECK_EQ(recv(a, b, 4, 0), 0);
    CHECK_ERR(recv(a, b, 4, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(shutdown(c, SHUT_WR), 0);
    CHECK_EQ(recv(a, b, 4, MSG_DONTWAIT), 0);
    CHECK_EQ(events(a), IN | OUT | POLLRDHUP);
    close(a);
    CHECK_EQ(events(c), IN | OUT | POLLRDHUP | POLLHUP);
    CHECK_ERR(send(c, "x", 1, 0), EPIPE); /* and no signal */
    CHECK_EQ(recv(c, b, 4, 0), 0);
    close(c);
    close(l);
}

static void many(void)
{
    struct mmsghdr m[4] = { 0 };
    struct iovec v[4];
    struct timespec ts = { 0 };
    char b[4][8];
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    for (int i = 0; i < 4; i++) {
        v[i] = (struct iovec){ (void *)"abcdefgh", (size_t)i + 1 };
        m[i].msg_hdr = (struct msghdr){ .msg_iov = &v[i], .msg_iovlen = 1 };
    }
    CHECK_EQ(sendmmsg(s[0], m, 3, 0), 3);
    CHECK_EQ(m[2].msg_len, 3);
    for (int i = 0; i < 4; i++)
        v[i] = (struct iovec){ b[i], 8 };
    CHECK_EQ(recvmmsg(s[1], m, 4, MSG_WAITFORONE, NULL), 3);
    CHECK_EQ(m[0].msg_len, 1);
    CHECK_EQ(m[2].msg_len, 3);
    CHECK_ERR(recvmmsg(s[1], m, 4, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(recvmmsg(s[1], m, 4, 0, &ts), 1);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    signal(SIGPIPE, SIG_DFL);
    RUN(pair);
    RUN(named);
    RUN(too_big);
    RUN(full);
    RUN(shut);
    RUN(seqpacket);
    RUN(many);
    DONE();
}

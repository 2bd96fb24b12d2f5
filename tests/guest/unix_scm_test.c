/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors and credentials over Unix sockets, and sockets that only hold each other. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif
#define O_PASSPIDFD 76

union ctl {
    struct cmsghdr align;
    char buf[1200];
};

static ssize_t send_ctl(int s, int type, const void *data, size_t n, const char *text)
{
    struct iovec v = { (void *)text, strlen(text) };
    union ctl c = { 0 };
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.buf, .msg_controllen = CMSG_SPACE(n)
    };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);

    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = type;
    h->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(h), data, n);
    return sendmsg(s, &m, MSG_NOSIGNAL);
}

static struct msghdr last;
static union ctl last_ctl;

static ssize_t recv_ctl(int s, size_t want, size_t room, int flags)
{
    static char text[256];
    static struct iovec v;

    v = (struct iovec){ text, want };
    memset(&last_ctl, 0, sizeof last_ctl);
    last = (struct msghdr){
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = last_ctl.buf, .msg_controllen = room
    };
    return recvmsg(s, &last, flags);
}

static int fd_of(int i)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(&last);
    int fd = -1;

    if (h && h->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
    return fd;
}

static void rights(void)
{
    int s[2], p[2], fd;
    char c = 0;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, p, sizeof p, "ab"), 2);
    CHECK_EQ(recv_ctl(s[1], 1, 256, MSG_CMSG_CLOEXEC), 1);
    CHECK_EQ(last.msg_flags, MSG_CMSG_CLOEXEC);
    CHECK_EQ(last.msg_controllen, CMSG_SPACE(sizeof p));
    fd = fd_of(1);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fd, "x", 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    close(fd_of(0));
    close(fd);
    CHECK_EQ(recv_ctl(s[1], 8, 256, 0), 1); /* the rest, without descriptors */
    CHECK_EQ(last.msg_controllen, 0);

    /* bytes before go with the ones that carry descriptors; bytes behind do not */
    CHECK_EQ(write(s[0], "12", 2), 2);
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, p, sizeof(int), "34"), 2);
    CHECK_EQ(write(s[0], "56", 2), 2);
    CHECK_EQ(recv_ctl(s[1], 8, 256, 0), 4);
    CHECK(fd_of(0) >= 0);
    close(fd_of(0));
    CHECK_EQ(recv_ctl(s[1], 8, 256, 0), 2);

    /* no room: cut, and the descriptors are closed */
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, p, sizeof p, "x"), 1);
    CHECK_EQ(recv_ctl(s[1], 8, CMSG_LEN(sizeof(int)), 0), 1);
    CHECK_EQ(last.msg_flags, MSG_CTRUNC);
    CHECK(fd_of(0) >= 0);
    CHECK_EQ(CMSG_FIRSTHDR(&last)->cmsg_len, CMSG_LEN(sizeof(int)));
    close(fd_of(0));
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, p, sizeof p, "x"), 1);
    CHECK_EQ(recv_ctl(s[1], 8, 0, 0), 1);
    CHECK_EQ(last.msg_flags, MSG_CTRUNC);

    /* peeked: once more */
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, p, sizeof(int), "x"), 1);
    CHECK_EQ(recv_ctl(s[1], 8, 256, MSG_PEEK), 1);
    CHECK(fd_of(0) >= 0);
    close(fd_of(0));
    CHECK_EQ(recv_ctl(s[1], 8, 256, 0), 1);
    CHECK(fd_of(0) >= 0);
    close(fd_of(0));

    /* lost to a plain read */
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, &p[1], sizeof(int), "x"), 1);
    close(p[1]);
    CHECK_EQ(read(s[1], &c, 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 0);
    close(p[0]);
    close(s[0]);
    close(s[1]);
}

static void errors(void)
{
    int s[2], bad = 999, many[254];
    struct ucred u = { .pid = getpid(), .uid = getuid(), .gid = getgid() };

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_ERR(send_ctl(s[0], SCM_RIGHTS, &bad, sizeof bad, "x"), EBADF);
    for (int i = 0; i < 254; i++)
        many[i] = s[0];
    CHECK_ERR(send_ctl(s[0], SCM_RIGHTS, many, sizeof many, "x"), EINVAL);
    CHECK_EQ(send_ctl(s[0], SCM_RIGHTS, many, 253 * sizeof(int), "x"), 1);
    CHECK_ERR(send_ctl(s[0], 77, &bad, sizeof bad, "x"), EINVAL);
    CHECK_ERR(send_ctl(s[0], SCM_CREDENTIALS, &u, 4, "x"), EINVAL);
    CHECK_EQ(send_ctl(s[0], SCM_CREDENTIALS, &u, sizeof u, "x"), 1);
    close(s[0]);
    close(s[1]);
}

static void credentials(void)
{
    struct ucred u;
    struct cmsghdr *h;
    int s[2], on = 1, status;
    pid_t pid;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(write(s[0], "0", 1), 1); /* before anybody asked */
    CHECK_EQ(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    pid = fork();
    if (!pid)
        _exit(write(s[0], "1", 1) != 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(write(s[0], "23", 2), 2);
    CHECK_EQ(write(s[0], "4", 1), 1);
    for (int i = 0; i < 3; i++) { /* never bytes of two senders at once */
        CHECK_EQ(recv_ctl(s[1], 8, 256, 0), i == 2 ? 3 : 1);
        h = CMSG_FIRSTHDR(&last);
        CHECK(h && h->cmsg_type == SCM_CREDENTIALS);
        if (!h)
            continue;
        memcpy(&u, CMSG_DATA(h), sizeof u);
        CHECK_EQ(u.pid, i == 0 ? 0 : i == 1 ? pid : getpid());
        CHECK_EQ(u.uid, i == 0 ? 65534 : getuid());
    }
    close(s[0]);
    close(s[1]);
}

static void pidfds(void)
{
    struct cmsghdr *h;
    struct pollfd p = { .events = POLLIN };
    int s[2], on = 1;
    pid_t pid;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    if (setsockopt(s[1], SOL_SOCKET, O_PASSPIDFD, &on, sizeof on) < 0) {
        close(s[0]);
        close(s[1]);
        return;
    }
    pid = fork();
    if (!pid) {
        if (write(s[0], "1", 1) != 1)
            _exit(1);
        pause();
    }
    CHECK_EQ(recv_ctl(s[1], 8, 256, 0), 1);
    h = CMSG_FIRSTHDR(&last);
    CHECK(h && h->cmsg_type == SCM_PIDFD);
    if (h)
        memcpy(&p.fd, CMSG_DATA(h), sizeof p.fd);
    CHECK_EQ(poll(&p, 1, 0), 0);
    kill(pid, SIGKILL);
    CHECK_EQ(poll(&p, 1, 5000), 1);
    waitpid(pid, NULL, 0);
    close(p.fd);
    close(s[0]);
    close(s[1]);
}

/* Both ends of a pair, and a pipe's write end, lie in its own queues; nobody else has them. */
static void cycle(void)
{
    int a[2], p[2], all[3], x[2];
    char c;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    all[0] = a[0];
    all[1] = a[1];
    all[2] = p[1];
    CHECK_EQ(send_ctl(a[0], SCM_RIGHTS, all, sizeof all, "x"), 1);
    CHECK_EQ(send_ctl(a[1], SCM_RIGHTS, all, sizeof all, "x"), 1);
    close(a[0]);
    close(a[1]);
    close(p[1]);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, x), 0); /* any close collects */
    close(x[0]);
    close(x[1]);
    CHECK_EQ(read(p[0], &c, 1), 0);
    close(p[0]);
}

/* Reachable through one that is in flight itself: must live. */
static void nested(void)
{
    int a[2], b[2], p[2], fd;
    char c = 0;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
    CHECK_EQ(send_ctl(b[0], SCM_RIGHTS, &p[1], sizeof(int), "p"), 1);
    CHECK_EQ(send_ctl(a[0], SCM_RIGHTS, &b[1], sizeof(int), "b"), 1);
    close(p[1]);
    close(b[1]);
    close(b[0]);
    CHECK_EQ(recv_ctl(a[1], 8, 256, 0), 1);
    fd = fd_of(0);
    CHECK_EQ(recv_ctl(fd, 8, 256, 0), 1);
    close(fd);
    fd = fd_of(0);
    CHECK_EQ(write(fd, "z", 1), 1);
    close(fd);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'z');
    CHECK_EQ(read(p[0], &c, 1), 0);
    close(p[0]);
    close(a[0]);
    close(a[1]);
}

/* A long chain of sockets in sockets ends without trouble. */
static void chain(void)
{
    int prev = -1, first = -1, p[2];
    char c;

    CHECK_EQ(pipe(p), 0);
    for (int i = 0; i < 900; i++) {
        int s[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
            break;
        send_ctl(s[0], SCM_RIGHTS, i ? &prev : &p[1], sizeof(int), "x");
        close(i ? prev : p[1]);
        close(s[0]);
        prev = s[1];
        (void)first;
    }
    close(prev);
    CHECK_EQ(read(p[0], &c, 1), 0);
    close(p[0]);
}

int main(void)
{
    RUN(rights);
    RUN(errors);
    RUN(credentials);
    RUN(pidfds);
    RUN(cycle);
    RUN(nested);
    RUN(chain);
    DONE();
}

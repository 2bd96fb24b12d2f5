/* SPDX-License-Identifier: Apache-2.0 */
/* Unix streams: pairs, names, backlog, shutdown, what poll says, what a closed peer means. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
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
    strcpy(un->sun_path, name);
    if (name[0] == '@')
        un->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] != '@'));
}

static int listener(const char *name, int type, int backlog)
{
    struct sockaddr_un un;
    socklen_t n = name_of(&un, name);
    int fd = socket(AF_UNIX, type, 0);

    CHECK_EQ(bind(fd, (void *)&un, n), 0);
    CHECK_EQ(listen(fd, backlog), 0);
    return fd;
}

static int dial(const char *name, int flags)
{
    struct sockaddr_un un;
    socklen_t n = name_of(&un, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);

    if (connect(fd, (void *)&un, n) < 0) {
        int e = errno;

        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static void pair_basics(void)
{
    char buf[64] = "";
    int s[2], n = -1;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(events(s[0]), POLLOUT | POLLWRNORM | POLLWRBAND);
    CHECK_EQ(write(s[0], "hello ", 6), 6);
    CHECK_EQ(send(s[0], "world", 5, 0), 5);
    CHECK_EQ(ioctl(s[1], FIONREAD, &n), 0);
    CHECK_EQ(n, 11);
    CHECK_EQ(events(s[1]), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND);
    CHECK_EQ(recv(s[1], buf, 4, MSG_PEEK), 4);
    CHECK_EQ(memcmp(buf, "hell", 4), 0);
    CHECK_EQ(read(s[1], buf, sizeof buf), 11);
    CHECK_EQ(memcmp(buf, "hello world", 11), 0);
    CHECK_ERR(recv(s[1], buf, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(read(s[1], buf, 0), 0);
    CHECK_ERR(sendto(s[0], "x", 1, 0, (void *)buf, 2), EISCONN);
    close(s[0]);
    CHECK_EQ(read(s[1], buf, 1), 0);
    CHECK_EQ(events(s[1]),
             POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP | POLLRDHUP);
    CHECK_ERR(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
}

static void vectors(void)
{
    char a[3], b[5];
    struct iovec w[2] = { { (void *)"abc", 3 }, { (void *)"defgh", 5 } },
                 r[2] = { { a, 3 }, { b, 5 } };
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(writev(s[0], w, 2), 8);
    CHECK_EQ(readv(s[1], r, 2), 8);
    CHECK_EQ(memcmp(a, "abc", 3) | memcmp(b, "defgh", 5), 0);
    CHECK_ERR(send(s[0], (void *)16, 4, 0), EFAULT);
    close(s[0]);
    close(s[1]);
}

static void half_close(void)
{
    char c;
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(write(s[0], "x", 1), 1);
    CHECK_EQ(shutdown(s[0], SHUT_WR), 0);
    CHECK_EQ(events(s[1]), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLWRBAND | POLLRDHUP);
    CHECK_EQ(read(s[1], &c, 1), 1);
    CHECK_EQ(read(s[1], &c, 1), 0);
    CHECK_EQ(write(s[1], "y", 1), 1);
    CHECK_EQ(read(s[0], &c, 1), 1);
    CHECK_ERR(send(s[0], "z", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(shutdown(s[0], SHUT_RD), 0);
    CHECK_ERR(send(s[1], "z", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERR(shutdown(s[0], 3), EINVAL);
    close(s[0]);
    close(s[1]);
}

static void unread_is_reset(void)
{
    char c;
    int s[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(write(s[0], "x", 1), 1);
    close(s[1]);
    CHECK(events(s[0]) & POLLERR);
    CHECK_ERR(read(s[0], &c, 1), ECONNRESET);
    CHECK_EQ(read(s[0], &c, 1), 0);
    close(s[0]);
}

static volatile int pipes;

static void on_pipe(int sig)
{
    (void)sig;
    pipes++;
}

static void sigpipe(void)
{
    int s[2];

    signal(SIGPIPE, on_pipe);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    close(s[1]);
    CHECK_ERR(write(s[0], "x", 1), EPIPE);
    CHECK_EQ(pipes, 1);
    close(s[0]);
    signal(SIGPIPE, SIG_DFL);
}

static void names(void)
{
    struct sockaddr_un un, got;
    socklen_t n, len = sizeof got;
    int l = listener("@sbx-unix-stream", SOCK_STREAM, 5), c, a, fd;

    CHECK_EQ(events(l), 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    n = name_of(&un, "@sbx-unix-stream");
    CHECK_ERR(bind(fd, (void *)&un, n), EADDRINUSE);
    CHECK_ERR(bind(fd, (void *)&un, 1), EINVAL);
    CHECK_ERR(listen(fd, 1), EINVAL);
    CHECK_ERR(accept(fd, NULL, NULL), EINVAL);
    CHECK_EQ(events(fd), POLLOUT | POLLWRNORM | POLLWRBAND | POLLHUP);
    CHECK_ERR(recv(fd, &len, 1, 0), EINVAL);
    CHECK_ERR(send(fd, "x", 1, MSG_NOSIGNAL), ENOTCONN);
    CHECK_ERR(getpeername(fd, (void *)&got, &len), ENOTCONN);
    CHECK_EQ(bind(fd, (void *)&un, 2), 0); /* autobind */
    len = sizeof got;
    CHECK_EQ(getsockname(fd, (void *)&got, &len), 0);
    CHECK_EQ(len, 8);
    CHECK_EQ(got.sun_path[0], 0);
    CHECK_ERR(bind(fd, (void *)&un, n), EINVAL);
    close(fd);

    c = dial("@sbx-unix-stream", 0);
    CHECK(c >= 0);
    CHECK_EQ(write(c, "early", 5), 5);
    CHECK_EQ(events(l), POLLIN | POLLRDNORM);
    len = sizeof got;
    a = accept(l, (void *)&got, &len);
    CHECK(a >= 0);
    CHECK_EQ(len, 2);
    CHECK_EQ(read(a, &got, 5), 5);
    len = sizeof got;
    CHECK_EQ(getsockname(a, (void *)&got, &len), 0);
    CHECK_EQ(len, n);
    len = sizeof got;
    CHECK_EQ(getpeername(c, (void *)&got, &len), 0);
    CHECK_EQ(len, n);
    CHECK_ERR(connect(c, (void *)&un, n), EISCONN);
    CHECK_ERR(listen(c, 1), EINVAL);
    CHECK_ERR(dial("@sbx-nobody", 0), ECONNREFUSED);
    CHECK_ERR(connect(l, (void *)&un, n), EINVAL);
    close(a);
    close(c);
    close(l);
    CHECK_ERR(dial("@sbx-unix-stream", 0), ECONNREFUSED);
}

static void paths(void)
{
    char dir[] = "/tmp/sbx-unix-XXXXXX", name[64];
    struct sockaddr_un un, got;
    socklen_t n, len = sizeof got;
    struct stat st;
    int l, c, d, fd;

    CHECK(mkdtemp(dir));
    snprintf(name, sizeof name, "%s/sock", dir);
    l = listener(name, SOCK_STREAM, 5);
    n = name_of(&un, name);
    CHECK_EQ(stat(name, &st), 0);
    CHECK_EQ(st.st_mode & S_IFMT, S_IFSOCK);
    CHECK_EQ(fstat(l, &st), 0);
    CHECK_EQ(st.st_mode, S_IFSOCK | 0777);
    CHECK_ERR(open(name, O_RDWR), ENXIO);
    CHECK_EQ(getsockname(l, (void *)&got, &len), 0);
    CHECK_EQ(len, n);
    CHECK_EQ(strcmp(got.sun_path, name), 0);
    len = 4; /* cut, but the whole length is told */
    CHECK_EQ(getsockname(l, (void *)&got, &len), 0);
    CHECK_EQ(len, n);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERR(bind(fd, (void *)&un, n), EADDRINUSE);
    d = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERR(connect(d, (void *)&un, n), EPROTOTYPE);
    c = dial(name, 0);
    CHECK(c >= 0);
    close(c);
    close(l);
    CHECK_ERR(dial(name, 0), ECONNREFUSED);
    CHECK_EQ(unlink(name), 0);
    CHECK_ERR(dial(name, 0), ENOENT);
    CHECK_ERR(dial("/dev/null", 0), ECONNREFUSED);
    rmdir(dir);
    close(d);
    close(fd);
}

static void backlog(void)
{
    int l = listener("@sbx-backlog", SOCK_STREAM, 1), c[4], a, status;
    struct timeval tv = { .tv_usec = 20000 };
    struct sockaddr_un un;
    socklen_t n = name_of(&un, "@sbx-backlog");
    pid_t pid;

    c[0] = dial("@sbx-backlog", SOCK_NONBLOCK);
    c[1] = dial("@sbx-backlog", SOCK_NONBLOCK);
    CHECK(c[0] >= 0 && c[1] >= 0);
    CHECK_ERR(dial("@sbx-backlog", SOCK_NONBLOCK), EAGAIN);
    c[2] = socket(AF_UNIX, SOCK_STREAM, 0);
    setsockopt(c[2], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    CHECK_ERR(connect(c[2], (void *)&un, n), EAGAIN);
    pid = fork();
    if (!pid)
        _exit(dial("@sbx-backlog", 0) < 0); /* waits until somebody accepts */
    a = accept(l, NULL, NULL);
    CHECK(a >= 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    pid = fork();
    if (!pid) {
        int r;

        close(l);
        r = dial("@sbx-backlog", 0);
        _exit(r < 0 && errno == ECONNREFUSED ? 0 : 1);
    }
    usleep(20000);
    close(l); /* who waits is refused; who stood in the queue is reset */
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_ERR(read(c[1], &n, 1), ECONNRESET);
    close(a);
    for (int i = 0; i < 3; i++)
        close(c[i]);
}

static void blocking(void)
{
    static char big[1 << 20];
    char buf[65536];
    size_t got = 0;
    int s[2], status;
    pid_t pid;
    ssize_t n;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    pid = fork();
    if (!pid) {
        close(s[0]);
        for (size_t i = 0; i < sizeof big; i++)
            big[i] = (char)(i * 7 + (i >> 12));
        _exit(write(s[1], big, sizeof big) != (ssize_t)sizeof big);
    }
    close(s[1]);
    CHECK_EQ(recv(s[0], buf, 30000, MSG_WAITALL), 30000);
    for (got = 30000; (n = read(s[0], buf, sizeof buf)) > 0; got += (size_t)n)
        for (size_t i = 0; i < (size_t)n; i += 997)
            if (buf[i] != (char)((got + i) * 7 + ((got + i) >> 12))) {
                CHECK_EQ(buf[i], (char)((got + i) * 7 + ((got + i) >> 12)));
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
    ssize_t n = 0;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
    while (n >= 0)
        n = write(s[0], big, sizeof big);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(events(s[0]), 0);
    while (read(s[1], big, sizeof big) > 0)
        ;
    CHECK_EQ(events(s[0]), POLLOUT | POLLWRNORM | POLLWRBAND);
    close(s[0]);
    close(s[1]);
}

static void timeouts(void)
{
    struct timeval tv = { .tv_usec = 10000 };
    int s[2];
    char c;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
    CHECK_ERR(read(s[0], &c, 1), EAGAIN);
    CHECK_EQ(write(s[1], "abc", 3), 3);
    {
        char b[8];

        CHECK_EQ(recv(s[0], b, 8, MSG_WAITALL), 3); /* what there is when time is up */
    }
    close(s[0]);
    close(s[1]);
}

static void peercred(void)
{
    struct ucred u;
    socklen_t n = sizeof u;
    int l = listener("@sbx-peercred", SOCK_STREAM, 5), c, a, status;
    pid_t pid = fork();

    if (!pid) {
        c = dial("@sbx-peercred", 0);
        if (getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0 || u.pid != getppid())
            _exit(1);
        _exit(0);
    }
    a = accept(l, NULL, NULL);
    CHECK_EQ(getsockopt(a, SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
    CHECK_EQ(u.pid, pid);
    CHECK_EQ(u.uid, geteuid());
    CHECK_EQ(u.gid, getegid());
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n), 0);
    CHECK_EQ(u.pid, 0);
    CHECK_EQ((int)u.uid, -1);
    close(c);
    close(a);
    close(l);
}

static void creation(void)
{
    int s[2];

    CHECK_ERR(socket(AF_UNIX, 11, 0), EINVAL);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM | 0x100000, 0), EINVAL);
    CHECK_ERR(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERR(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
    CHECK_ERR(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(socket(99, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERR(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
    CHECK_ERR(bind(0, NULL, 0), ENOTSOCK);
    CHECK_ERR(listen(-1, 0), EBADF);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    CHECK_EQ(fcntl(s[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(s[1], F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_ERR(lseek(s[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERR(pread(s[0], s, 1, 0), ESPIPE);
    close(s[0]);
    close(s[1]);
}

static void options(void)
{
    int s[2], v = -1;
    socklen_t n = sizeof v;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &n), 0);
    CHECK_EQ(v, SOCK_STREAM);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &v, &n), 0);
    CHECK_EQ(v, AF_UNIX);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &n), 0);
    CHECK_EQ(v, 212992);
    v = 100;
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, sizeof v), 0);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, &n), 0);
    CHECK_EQ(v, 4608);
    v = 10000;
    CHECK_EQ(setsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, sizeof v), 0);
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_RCVBUF, &v, &n), 0);
    CHECK_EQ(v, 20000);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, 999, &v, sizeof v), ENOPROTOOPT);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &v, 2), EINVAL);
    CHECK_ERR(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, NULL, sizeof v), EFAULT);
    CHECK_ERR(setsockopt(s[0], 6, 1, &v, sizeof v), EOPNOTSUPP);
    n = 2;
    v = 0;
    CHECK_EQ(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &n), 0);
    CHECK_EQ(n, 2);
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    RUN(creation);
    RUN(pair_basics);
    RUN(vectors);
    RUN(half_close);
    RUN(unread_is_reset);
    RUN(sigpipe);
    RUN(names);
    RUN(paths);
    RUN(backlog);
    RUN(blocking);
    RUN(full);
    RUN(timeouts);
    RUN(peercred);
    RUN(options);
    DONE();
}

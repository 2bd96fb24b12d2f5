/* SPDX-License-Identifier: Apache-2.0 */
/* Signals for I/O: O_ASYNC, F_SETOWN, F_SETSIG; F_CREATED_QUERY. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static int take(int sig, siginfo_t *info)
{
    struct timespec ts = { 2, 0 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    return sigtimedwait(&set, info, &ts);
}

static int none(int sig)
{
    struct timespec ts = { 0, 50000000 };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, sig);
    return sigtimedwait(&set, NULL, &ts);
}

static void pipes(void)
{
    siginfo_t info = { 0 };
    int p[2], n = 0;
    char c;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(fcntl(p[0], F_SETFL, O_ASYNC), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_ASYNC);
    CHECK_EQ(write(p[1], "a", 1), 1);
    CHECK_EQ(none(SIGIO), -1); /* nobody to tell */
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(fcntl(p[0], F_SETOWN, getpid()), 0);
    CHECK_EQ(write(p[1], "b", 1), 1);
    CHECK_EQ(take(SIGIO, &info), SIGIO);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(fcntl(p[0], F_SETSIG, SIGRTMIN + 1), 0);
    CHECK_EQ(write(p[1], "c", 1), 1);
    CHECK_EQ(take(SIGRTMIN + 1, &info), SIGRTMIN + 1);
    CHECK_EQ(info.si_fd, p[0]);
    CHECK_EQ(info.si_code, POLL_IN);
    CHECK_EQ(info.si_band, POLLIN | POLLRDNORM);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(ioctl(p[0], FIOASYNC, &n), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
    CHECK_EQ(write(p[1], "d", 1), 1);
    CHECK_EQ(none(SIGRTMIN + 1), -1);
    n = 1;
    CHECK_EQ(ioctl(p[0], FIOASYNC, &n), 0);
    close(p[0]);
    close(p[1]);
}

static void sockets(void)
{
    siginfo_t info;
    int s[2], st;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_EQ(fcntl(s[0], F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(s[0], F_SETFL, O_ASYNC), 0);
    while (none(SIGIO) == SIGIO)
        ;
    if (fork() == 0)
        _exit(write(s[1], "x", 1) != 1);
    CHECK_EQ(take(SIGIO, &info), SIGIO);
    wait(&st);
    CHECK_EQ(st, 0);
    close(s[0]);
    close(s[1]);
}

static void created(void)
{
    int fd = open("/tmp/async-created", O_RDWR | O_CREAT, 0600), e;

    if (fcntl(fd, 1028 /* F_CREATED_QUERY */) != -1) {
        CHECK_EQ(fcntl(fd, 1028), 1);
        e = open("/tmp/async-created", O_RDWR | O_CREAT, 0600);
        CHECK_EQ(fcntl(e, 1028), 0);
        close(e);
    }
    unlink("/tmp/async-created");
    close(fd);
}

int main(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    RUN(pipes);
    RUN(sockets);
    RUN(created);
    DONE();
}

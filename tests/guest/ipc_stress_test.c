/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four threads that open, close, watch, splice and misuse the same sixty descriptors at once: no
 * result is checked but that everything ends and the kernel is still there afterwards.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>

#include "guest.h"

#define THREADS 4
#define ROUNDS 2500
#define FIRST 10
#define COUNT 60

static unsigned pick(unsigned *s, unsigned n)
{
    *s = *s * 1103515245u + 12345u;
    return (*s >> 16) % n;
}

static int any(unsigned *s)
{
    return FIRST + (int)pick(s, COUNT);
}

/* Into the common range, over whatever stands there. */
static void keep(unsigned *s, int fd)
{
    if (fd < 0)
        return;
    dup2(fd, any(s));
    close(fd);
}

static void keep_pair(unsigned *s, const int fd[2])
{
    keep(s, fd[0]);
    keep(s, fd[1]);
}

static void open_something(unsigned *s)
{
    int p[2], zero = 0;
    sigset_t set;
    struct itimerspec soon = { { 0, 1 + pick(s, 300000) }, { 0, 1 + pick(s, 300000) } };
    switch (pick(s, 7)) {
    case 0:
        if (pipe2(p, O_NONBLOCK | (pick(s, 4) ? 0 : O_DIRECT)) == 0)
            keep_pair(s, p);
        break;
    case 1:
        keep(s, eventfd(pick(s, 3), EFD_NONBLOCK | (pick(s, 2) ? EFD_SEMAPHORE : 0)));
        break;
    case 2:
        keep(s, epoll_create1(0));
        break;
    case 3:
        p[0] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        timerfd_settime(p[0], 0, &soon, NULL);
        keep(s, p[0]);
        break;
    case 4:
        p[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (p[0] < 0)
            break;
        ioctl(p[0], TIOCSPTLCK, &zero);
        p[1] = ioctl(p[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
        keep_pair(s, p);
        break;
    case 5:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0)
            keep_pair(s, p);
        break;
    case 6:
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        keep(s, signalfd(-1, &set, SFD_NONBLOCK));
        break;
    }
}

static void wait_for_something(unsigned *s)
{
    struct epoll_event ev[8];
    struct pollfd p[10];
    struct timeval tv = { 0, 100 };
    fd_set r;
    switch (pick(s, 3)) {
    case 0:
        epoll_wait(any(s), ev, 8, (int)pick(s, 2));
        break;
    case 1:
        for (int i = 0; i < 10; i++)
            p[i] = (struct pollfd){ any(s), POLLIN | POLLOUT, 0 };
        poll(p, 10, (int)pick(s, 2));
        break;
    case 2:
        FD_ZERO(&r);
        for (int i = 0; i < 5; i++)
            FD_SET(any(s), &r);
        select(FIRST + COUNT, &r, NULL, NULL, &tv);
        break;
    }
}

static void watch(unsigned *s)
{
    struct epoll_event ev = { .events = pick(s, 2) ? EPOLLIN : EPOLLIN | EPOLLOUT };
    ev.events |= pick(s, 3) ? 0u : (unsigned)EPOLLET;
    ev.events |= pick(s, 5) ? 0u : (unsigned)EPOLLONESHOT;
    ev.events |= pick(s, 6) ? 0u : (unsigned)EPOLLEXCLUSIVE;
    epoll_ctl(any(s), 1 + (int)pick(s, 3), any(s), &ev);
}

static void change_settings(unsigned *s)
{
    struct termios t;
    int fd = any(s);
    if (tcgetattr(fd, &t))
        return;
    t.c_lflag ^= 1u << pick(s, 12);
    t.c_oflag ^= 1u << pick(s, 8);
    t.c_iflag ^= 1u << pick(s, 15);
    t.c_cc[VMIN] = (cc_t)pick(s, 3);
    ioctl(fd, TCSETS, &t);
}

static void move_bytes(unsigned *s)
{
    static char buf[9000];
    size_t n = 1 + pick(s, sizeof buf);
    struct iovec v = { buf, n };
    ssize_t r = 0;
    int fd = any(s), fl;
    switch (pick(s, 6)) {
    case 0:
    case 1:
        r = write(fd, buf, n);
        break;
    case 2:
        fl = fcntl(fd, F_GETFL);
        if (fl >= 0 && (fl & O_NONBLOCK))
            r = read(fd, buf, n);
        break;
    case 3:
        r = splice(fd, NULL, any(s), NULL, n, SPLICE_F_NONBLOCK);
        break;
    case 4:
        r = tee(fd, any(s), n, SPLICE_F_NONBLOCK);
        break;
    case 5:
        r = vmsplice(fd, &v, 1, SPLICE_F_NONBLOCK);
        break;
    }
    (void)r;
}

static void *work(void *arg)
{
    unsigned seed = (unsigned)(long)arg, *s = &seed;
    for (int i = 0; i < ROUNDS; i++) {
        switch (pick(s, 9)) {
        case 0:
        case 1:
            open_something(s);
            break;
        case 2:
            close(any(s));
            break;
        case 3:
        case 4:
            watch(s);
            break;
        case 5:
            wait_for_something(s);
            break;
        case 6:
        case 7:
            move_bytes(s);
            break;
        case 8:
            change_settings(s);
            fcntl(any(s), F_SETPIPE_SZ, 4096 << pick(s, 6));
            syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGUSR1);
            break;
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t th[THREADS];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&th[i], NULL, work, (void *)(i * 7919 + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(th[i], NULL);
    guest_current = "main";
    int p[2];
    char c = 0;
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(c, 'x');
    DONE();
}

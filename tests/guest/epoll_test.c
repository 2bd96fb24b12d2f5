/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: level and edge, one-shot, exclusive, nested sets, limits, and who leaves a set when. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static int add(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.fd = fd };
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

static int mod(int ep, int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.fd = fd };
    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
}

static int del(int ep, int fd)
{
    return epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
}

/* Events of the one descriptor that holds now; 0: none; -1: more than one. */
static int now(int ep)
{
    struct epoll_event ev[4];
    int n = epoll_wait(ep, ev, 4, 0);
    return n == 0 ? 0 : n == 1 ? (int)ev[0].events : -1;
}

static void level_and_edge(void)
{
    int p[2], ep = epoll_create1(EPOLL_CLOEXEC);
    char buf[8];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(add(ep, p[0], EPOLLIN), 0);
    CHECK_EQ(now(ep), 0);
    CHECK_EQ(write(p[1], "ab", 2), 2);
    CHECK_EQ(now(ep), EPOLLIN);
    CHECK_EQ(now(ep), EPOLLIN);
    CHECK_EQ(mod(ep, p[0], EPOLLIN | EPOLLET), 0);
    CHECK_EQ(now(ep), EPOLLIN); /* a change looks anew */
    CHECK_EQ(now(ep), 0);
    CHECK_EQ(read(p[0], buf, 1), 1);
    CHECK_EQ(now(ep), 0);
    CHECK_EQ(write(p[1], "c", 1), 1); /* each arrival is an edge, though not empty before */
    CHECK_EQ(now(ep), EPOLLIN);
    CHECK_EQ(now(ep), 0);
    close(p[1]);
    CHECK_EQ(now(ep), EPOLLIN | EPOLLHUP);
    CHECK_EQ(now(ep), 0);
    close(p[0]);
    close(ep);
}

static void one_shot(void)
{
    int fd = eventfd(1, 0), ep = epoll_create1(0);
    CHECK_EQ(add(ep, fd, EPOLLIN | EPOLLOUT | EPOLLONESHOT), 0);
    CHECK_EQ(now(ep), EPOLLIN | EPOLLOUT);
    CHECK_EQ(now(ep), 0);
    uint64_t v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(now(ep), 0);
    CHECK_EQ(mod(ep, fd, EPOLLIN | EPOLLONESHOT), 0);
    CHECK_EQ(now(ep), EPOLLIN);
    CHECK_EQ(now(ep), 0);
    close(fd);
    close(ep);
}

static void control_errors(void)
{
    int ep = epoll_create1(0), p[2];
    struct epoll_event ev = { .events = EPOLLIN };
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(add(ep, p[0], EPOLLIN), 0);
    CHECK_ERR(add(ep, p[0], EPOLLIN), EEXIST);
    CHECK_ERR(mod(ep, p[1], EPOLLIN), ENOENT);
    CHECK_ERR(del(ep, p[1]), ENOENT);
    CHECK_ERR(add(ep, ep, EPOLLIN), EINVAL);
    CHECK_ERR(add(p[0], p[1], EPOLLIN), EINVAL);
    CHECK_ERR(add(ep, 999, EPOLLIN), EBADF);
    CHECK_ERR(add(999, p[0], EPOLLIN), EBADF);
    CHECK_ERR(epoll_ctl(ep, 77, p[0], &ev), EINVAL);
    CHECK_ERR(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], NULL), EFAULT);
    int dir = open("/", O_RDONLY | O_DIRECTORY), reg = open("/proc/self/exe", O_RDONLY);
    CHECK_ERR(add(ep, dir, EPOLLIN), EPERM);
    if (reg >= 0)
        CHECK_ERR(add(ep, reg, EPOLLIN), EPERM);
    CHECK_ERR(epoll_wait(ep, &ev, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_epoll_wait, ep, &ev, -1, 0), EINVAL);
    CHECK_ERR(epoll_wait(p[0], &ev, 1, 0), EINVAL);
    CHECK_ERR(epoll_wait(999, &ev, 1, 0), EBADF);
    CHECK_ERR(epoll_create(0), EINVAL);
    CHECK_ERR(epoll_create1(1), EINVAL);
    close(dir);
    close(reg);
    close(p[0]);
    close(p[1]);
    close(ep);
}

static void dies_with_file(void)
{
    int ep = epoll_create1(0), fd = eventfd(1, 0), copy = dup(fd);
    CHECK_EQ(add(ep, fd, EPOLLIN), 0);
    close(fd);
    CHECK_EQ(now(ep), EPOLLIN); /* the file lives on in its copy */
    close(copy);
    CHECK_EQ(now(ep), 0);
    /* the same file under two numbers is two members */
    fd = eventfd(1, 0);
    copy = dup(fd);
    CHECK_EQ(add(ep, fd, EPOLLIN), 0);
    CHECK_EQ(add(ep, copy, EPOLLIN), 0);
    CHECK_EQ(now(ep), -1);
    close(fd);
    close(copy);
    CHECK_EQ(now(ep), 0);
    close(ep);
}

static void exclusive(void)
{
    int fd = eventfd(0, EFD_NONBLOCK), a = epoll_create1(0), b = epoll_create1(0);
    uint64_t v = 1;
    CHECK_EQ(add(a, fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
    CHECK_EQ(add(b, fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
    CHECK_ERR(mod(a, fd, EPOLLIN), EINVAL);
    CHECK_ERR(mod(a, fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    CHECK_ERR(add(a, b, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    int other = eventfd(0, 0);
    CHECK_ERR(add(a, other, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK(now(a) == EPOLLIN || now(b) == EPOLLIN); /* at least one hears of it */
    close(other);
    close(fd);
    close(a);
    close(b);
}

static void nested(void)
{
    int fd = eventfd(0, EFD_NONBLOCK), in = epoll_create1(0), out = epoll_create1(0);
    uint64_t v = 1;
    CHECK_EQ(add(in, fd, EPOLLIN), 0);
    CHECK_EQ(add(out, in, EPOLLIN), 0);
    struct pollfd p = { .fd = out, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(now(out), 0);
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(now(out), EPOLLIN);
    CHECK_EQ(now(in), EPOLLIN);
    CHECK_EQ(read(fd, &v, 8), 8);
    CHECK_EQ(now(out), 0);
    CHECK_ERR(add(in, out, EPOLLIN), ELOOP);
    CHECK_EQ(mod(out, in, EPOLLIN | EPOLLET), 0);
    v = 1;
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(now(out), EPOLLIN);
    CHECK_EQ(now(out), 0);
    CHECK_EQ(write(fd, &v, 8), 8);
    CHECK_EQ(now(out), EPOLLIN); /* each wake below is an edge above */
    close(in);
    CHECK_EQ(now(out), 0);
    close(out);
    close(fd);
}

static void too_deep(void)
{
    int ep[8], depth = 0;
    for (int i = 0; i < 8; i++)
        ep[i] = epoll_create1(0);
    for (; depth < 7 && add(ep[depth + 1], ep[depth], EPOLLIN) == 0; depth++)
        ;
    CHECK_EQ(depth, 4);
    CHECK_EQ(errno, ELOOP);
    for (int i = 0; i < 8; i++)
        close(ep[i]);
}

static void *write_later(void *arg)
{
    uint64_t v = 1;
    int *fds = arg;
    char c;
    if (read(fds[1], &c, 1) == 1)
        CHECK_EQ(write(fds[0], &v, 8), 8);
    return NULL;
}

static void waits(void)
{
    int p[2], ep = epoll_create1(0), fds[2] = { eventfd(0, 0), 0 };
    struct epoll_event ev[2];
    pthread_t th;
    CHECK_EQ(pipe(p), 0);
    fds[1] = p[0];
    int in = epoll_create1(0);
    CHECK_EQ(add(in, fds[0], EPOLLIN), 0);
    CHECK_EQ(add(ep, in, EPOLLIN), 0);
    pthread_create(&th, NULL, write_later, fds);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(epoll_wait(ep, ev, 2, 5000), 1); /* woken through two sets */
    CHECK_EQ(ev[0].data.fd, in);
    pthread_join(th, NULL);
    close(in);
    close(fds[0]);
    close(p[0]);
    close(p[1]);
    close(ep);
}

static long elapsed_ms(const struct timespec *from)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (t.tv_sec - from->tv_sec) * 1000 + (t.tv_nsec - from->tv_nsec) / 1000000;
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void timeouts(void)
{
    int ep = epoll_create1(0);
    struct epoll_event ev;
    struct timespec t0, ts = { 0, 20000000 };
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_EQ(epoll_wait(ep, &ev, 1, 20), 0);
    CHECK(elapsed_ms(&t0) >= 19);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_EQ(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 0), 0);
    CHECK(elapsed_ms(&t0) >= 19);
    ts.tv_nsec = -1;
    CHECK_ERR(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 0), EINVAL);
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(epoll_wait(ep, &ev, 1, -1), EINTR); /* never restarted */
    sigset_t block, none;
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    CHECK_ERR(epoll_pwait(ep, &ev, 1, -1, &none), EINTR);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    close(ep);
}

static void many(void)
{
    int ep = epoll_create1(0), fds[100], seen = 0;
    struct epoll_event ev[100];
    for (int i = 0; i < 100; i++) {
        fds[i] = eventfd(1, 0);
        CHECK_EQ(add(ep, fds[i], EPOLLIN), 0);
    }
    CHECK_EQ(epoll_wait(ep, ev, 100, 0), 100);
    for (int round = 0; round < 10; round++) { /* ten at a time: everyone gets a turn */
        CHECK_EQ(epoll_wait(ep, ev, 10, 0), 10);
        for (int i = 0; i < 10; i++)
            for (int j = 0; j < 100; j++)
                if (fds[j] == ev[i].data.fd)
                    seen++, fds[j] = -fds[j];
    }
    CHECK_EQ(seen, 100);
    for (int i = 0; i < 100; i++)
        close(fds[i] < 0 ? -fds[i] : fds[i]);
    CHECK_EQ(now(ep), 0);
    close(ep);
}

static void *wait_one(void *arg)
{
    struct epoll_event ev;
    return (void *)(long)epoll_wait(*(int *)arg, &ev, 1, 5000);
}

static void two_waiters(void)
{
    int ep = epoll_create1(0), a = eventfd(0, 0), b = eventfd(0, 0);
    uint64_t v = 1;
    pthread_t th[2];
    void *ret;
    CHECK_EQ(add(ep, a, EPOLLIN | EPOLLET), 0);
    CHECK_EQ(add(ep, b, EPOLLIN | EPOLLET), 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&th[i], NULL, wait_one, &ep);
    CHECK_EQ(write(a, &v, 8), 8);
    CHECK_EQ(write(b, &v, 8), 8);
    for (int i = 0; i < 2; i++) {
        pthread_join(th[i], &ret);
        CHECK_EQ((long)ret, 1);
    }
    close(a);
    close(b);
    close(ep);
}

int main(void)
{
    RUN(level_and_edge);
    RUN(one_shot);
    RUN(control_errors);
    RUN(dies_with_file);
    RUN(exclusive);
    RUN(nested);
    RUN(too_deep);
    RUN(waits);
    RUN(timeouts);
    RUN(many);
    RUN(two_waiters);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select, pselect6: what is ready, timeouts and what is left of them, signals. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static int p[2], q[2];

static void ready_now(void)
{
    struct pollfd f[4] = {
        { p[0], POLLIN, 9 }, { p[1], POLLOUT, 9 }, { -1, POLLIN, 9 }, { 900, POLLIN, 0 }
    };
    CHECK_EQ(poll(f, 3, -1), 1);
    CHECK_EQ(f[0].revents, 0);
    CHECK_EQ(f[1].revents, POLLOUT);
    CHECK_EQ(f[2].revents, 0);
    CHECK_EQ(poll(f, 4, -1), 2);
    CHECK_EQ(f[3].revents, POLLNVAL);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(poll(f, 1, -1), 1);
    CHECK_EQ(f[0].revents, POLLIN);
    f[0].events = POLLPRI;
    CHECK_EQ(poll(f, 1, 0), 0);
    char c;
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_ERR(syscall(SYS_poll, 8, 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_poll, f, 0x7fffffff, 0), EINVAL);
    CHECK_EQ(poll(NULL, 0, 0), 0);
}

static long elapsed_ms(const struct timespec *from)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (t.tv_sec - from->tv_sec) * 1000 + (t.tv_nsec - from->tv_nsec) / 1000000;
}

static void timeouts(void)
{
    struct pollfd f = { p[0], POLLIN, 0 };
    struct timespec t0, ts = { 0, 20000000 };
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_EQ(poll(&f, 1, 20), 0);
    CHECK(elapsed_ms(&t0) >= 19);
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_EQ(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), 0);
    CHECK(elapsed_ms(&t0) >= 19);
    CHECK_EQ(ts.tv_sec + ts.tv_nsec, 0); /* nothing is left */
    ts = (struct timespec){ 5, 0 };
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), 1);
    CHECK(ts.tv_sec == 4 || (ts.tv_sec == 5 && ts.tv_nsec == 0));
    char c;
    CHECK_EQ(read(p[0], &c, 1), 1);
    ts.tv_nsec = 1000000000;
    CHECK_ERR(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), EINVAL);
    struct timeval tv = { 0, 20000 };
    clock_gettime(CLOCK_MONOTONIC, &t0);
    CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
    CHECK(elapsed_ms(&t0) >= 19);
    CHECK_EQ(tv.tv_sec + tv.tv_usec, 0);
    tv.tv_usec = -1;
    CHECK_ERR(select(0, NULL, NULL, NULL, &tv), EINVAL);
}

static void sets(void)
{
    fd_set r, w, e;
    struct timeval tv = { 1, 0 };
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_ZERO(&e);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    FD_SET(p[0], &e);
    int n = (p[0] > p[1] ? p[0] : p[1]) + 1;
    CHECK_EQ(select(n, &r, &w, &e, &tv), 1);
    CHECK(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w) && !FD_ISSET(p[0], &e));
    CHECK_EQ(write(p[1], "x", 1), 1);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    CHECK_EQ(select(n, &r, &w, NULL, NULL), 2);
    char c;
    CHECK_EQ(read(p[0], &c, 1), 1);
    FD_ZERO(&r);
    FD_SET(60, &r);
    CHECK_ERR(select(61, &r, NULL, NULL, &tv), EBADF);
    CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    tv = (struct timeval){ 0, 0 };
    CHECK_EQ(select(n, &r, NULL, NULL, &tv), 0);
    CHECK(!FD_ISSET(p[0], &r));
    /* a closed writer is readable, and no exception */
    close(q[1]);
    FD_SET(q[0], &r);
    FD_SET(q[0], &e);
    CHECK_EQ(select(q[0] + 1, &r, NULL, &e, NULL), 1);
    CHECK(FD_ISSET(q[0], &r) && !FD_ISSET(q[0], &e));
}

static volatile int alarms;

static void on_alarm(int sig)
{
    (void)sig;
    alarms++;
}

static void signals(void)
{
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    struct pollfd f = { p[0], POLLIN, 0 };
    sigset_t block, none;
    fd_set r;
    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(poll(&f, 1, -1), EINTR); /* not restarted after a handler, whatever SA_RESTART says */
    CHECK_EQ(alarms, 1);
    struct timespec ts = { 10, 0 };
    ualarm(20000, 0);
    CHECK_ERR(syscall(SYS_ppoll, &f, 1, &ts, NULL, 8), EINTR);
    CHECK_EQ(ts.tv_sec, 9);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    ualarm(20000, 0);
    CHECK_ERR(select(p[0] + 1, &r, NULL, NULL, NULL), EINTR);
    CHECK(FD_ISSET(p[0], &r)); /* untouched */
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    alarms = 0;
    CHECK_EQ(poll(&f, 1, 10), 0);
    CHECK_EQ(alarms, 0);
    CHECK_ERR(ppoll(&f, 1, NULL, &none), EINTR);
    CHECK_EQ(alarms, 1);
    sigset_t cur;
    sigprocmask(SIG_BLOCK, NULL, &cur);
    CHECK(sigismember(&cur, SIGALRM));
    raise(SIGALRM);
    CHECK_ERR(pselect(p[0] + 1, &r, NULL, NULL, NULL, &none), EINTR);
    CHECK_EQ(alarms, 2);
    CHECK_ERR(syscall(SYS_ppoll, &f, 1, NULL, &none, 4), EINVAL);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
}

/* A stop and a continue without a handler do not end a poll, and its time goes on. */
static void stopped(void)
{
    int c[2], st;
    char b = 1;
    CHECK_EQ(pipe(c), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec t0;
        clock_gettime(CLOCK_MONOTONIC, &t0);
        b = write(c[1], "s", 1) != 1;
        int n = poll(NULL, 0, 100);
        b |= n != 0 || elapsed_ms(&t0) < 95 || elapsed_ms(&t0) > 2000;
        _exit(b);
    }
    CHECK_EQ(read(c[0], &b, 1), 1);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    close(c[0]);
    close(c[1]);
}

static void *write_one(void *arg)
{
    (void)arg;
    CHECK_EQ(write(p[1], "w", 1), 1);
    return NULL;
}

static void woken(void)
{
    struct pollfd f[50];
    pthread_t th;
    char c;
    for (int i = 0; i < 50; i++)
        f[i] = (struct pollfd){ p[0], POLLIN, 0 }; /* many entries on one queue */
    pthread_create(&th, NULL, write_one, NULL);
    CHECK_EQ(poll(f, 50, 5000), 50);
    pthread_join(th, NULL);
    CHECK_EQ(read(p[0], &c, 1), 1);
}

/* A personality under which a call leaves the time it was given alone. */
static void sticky(void)
{
    struct timeval tv = { 0, 2000 };
    struct timespec ts = { 0, 2000000 };

    CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
    CHECK_EQ(tv.tv_usec, 0);
    CHECK(personality(STICKY_TIMEOUTS) >= 0);
    tv.tv_usec = 2000;
    CHECK_EQ(select(0, NULL, NULL, NULL, &tv), 0);
    CHECK_EQ(tv.tv_usec, 2000);
    CHECK_EQ(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL), 0);
    CHECK_EQ(ts.tv_nsec, 2000000);
    CHECK_EQ(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 0), 0);
    CHECK_EQ(ts.tv_nsec, 2000000);
    CHECK_EQ(personality(0), STICKY_TIMEOUTS);
}

int main(void)
{
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pipe(q), 0);
    RUN(ready_now);
    RUN(timeouts);
    RUN(sets);
    RUN(signals);
    RUN(stopped);
    RUN(woken);
    RUN(sticky);
    DONE();
}

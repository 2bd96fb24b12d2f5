/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, threads, signals, timers. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>

#include "bomb.h"

/* All children end with the pipe, and are waited for: the next bomb finds an empty house. */
static int bomb_fork(void)
{
    int gate[2], err;
    unsigned long n = 0;
    char c;

    if (pipe(gate) < 0)
        return 1;
    for (;;) {
        pid_t pid = n < bomb_cap ? fork() : -1;

        err = n < bomb_cap ? errno : 0;
        if (pid == 0) {
            close(gate[1]);
            _exit(read(gate[0], &c, 1) != 0);
        }
        if (pid < 0)
            break;
        n++;
    }
    close(gate[1]);
    while (wait(NULL) > 0)
        continue;
    return bomb_end(n, err, EAGAIN, ENOMEM);
}

static _Atomic unsigned long *spread; /* shared: children made by all */

/* Each child goes on as its parent does, as `:(){ :|:& };:` would, and nobody waits for anybody. */
static void breed(int gate)
{
    char c;

    for (;;) {
        pid_t pid = fork();

        if (pid == 0)
            continue;
        if (pid < 0)
            break;
        ++*spread;
    }
    (void)!read(gate, &c, 1);
    _exit(errno != EAGAIN);
}

static int bomb_breed(void)
{
    unsigned long before = 1, now = 0;
    int gate[2];

    spread = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (spread == MAP_FAILED || pipe(gate) < 0)
        return 1;
    if (fork() == 0) {
        close(gate[1]);
        setpgid(0, 0);
        breed(gate[0]);
    }
    while (now != before) { /* until nothing is born any more */
        before = now;
        sleep(1);
        now = *spread;
    }
    /* nobody can be made now, and we still can do what needs no process */
    pid_t pid = fork();
    int err = pid < 0 ? errno : 0;

    if (pid == 0)
        _exit(0);
    close(gate[1]);
    while (wait(NULL) > 0)
        continue;
    return bomb_end(now, err, EAGAIN, ENOMEM);
}

static void *sleeper(void *arg)
{
    return pause(), arg;
}

static int bomb_thread(void)
{
    pthread_attr_t attr;
    unsigned long n = 0;
    pthread_t t;
    int r = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384);
    pthread_attr_setguardsize(&attr, 0);
    while (n < bomb_cap && (r = pthread_create(&t, &attr, sleeper, NULL)) == 0)
        n++;
    return bomb_end(n, r, EAGAIN);
}

static int bomb_sigqueue(void)
{
    union sigval v = { .sival_int = 1 };
    unsigned long n = 0;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (n < bomb_cap && sigqueue(getpid(), SIGRTMIN, v) == 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, EAGAIN);
}

static int bomb_timer(void)
{
    struct itimerspec often = { { 0, 1000 }, { 0, 1000 } };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    unsigned long n = 0;
    sigset_t set;
    timer_t t;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (n < bomb_cap && timer_create(CLOCK_MONOTONIC, &ev, &t) == 0) {
        timer_settime(t, 0, &often, NULL);
        n++;
    }
    return bomb_end(n, n < bomb_cap ? errno : 0, EAGAIN);
}

/* Descriptors that all fire each nanosecond, for ever. */
static int bomb_timerfd(void)
{
    struct itimerspec often = { { 0, 1 }, { 0, 1 } };
    unsigned long n = 0;
    int fd;

    bomb_many_files();
    while (n < bomb_cap && (fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0) {
        timerfd_settime(fd, 0, &often, NULL);
        n++;
    }
    return bomb_end(n, n < bomb_cap ? errno : 0, ENFILE, ENOMEM);
}

/* Sleeps of many threads would be more; one that is interrupted for ever is enough. */
static int bomb_itimer(void)
{
    struct itimerspec soon = { { 0, 1 }, { 0, 1 } };
    struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
    struct timespec end, now;
    unsigned long n = 0;
    timer_t t;

    signal(SIGALRM, SIG_IGN);
    if (timer_create(CLOCK_MONOTONIC, &ev, &t) < 0 || timer_settime(t, 0, &soon, NULL) < 0)
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec++;
    do {
        n++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || now.tv_nsec < end.tv_nsec);
    /* no limit but that of the clock: we are here, that is all */
    return bomb_end(n, EAGAIN, EAGAIN);
}

const struct bomb bombs_tasks[] = {
    { "fork", bomb_fork },         { "breed", bomb_breed }, { "thread", bomb_thread },
    { "sigqueue", bomb_sigqueue }, { "timer", bomb_timer }, { "timerfd", bomb_timerfd },
    { "itimer", bomb_itimer },     { NULL, NULL },
};

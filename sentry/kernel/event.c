/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event thread (event.h).
 *
 * Deadlines go through a timerfd in the epoll set, so that whoever arms a nearer one pays one host
 * call and wakes nobody. What is watched stands in a table indexed by the host descriptor; an event
 * carries the descriptor and the generation of its slot, so one that was collected before its watch
 * went is recognised and dropped. `running` says whose function is being called, for unwatch to
 * wait for.
 *
 * Locks: events_lock (LOCK_LEAF) for the table, never held while a function runs.
 */
#include "sentry/kernel/event.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "sentry/kernel/proc.h"
#include "sentry/kernel/timer.h"

#define BATCH 32
#define THREAD_STACK (1024 * 1024) /* it runs handlers */
#define TIMER_DATA UINT64_MAX

struct slot {
    void (*fn)(void *arg, uint32_t events); /* NULL: not watched */
    void *arg;
    uint32_t gen;
};

static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static struct slot *slots;
static int nslots;
static int running = -1; /* descriptor whose function is being called */
static int epfd = -1, timer_fd = -1;
static pthread_t thread;
static bool started;

static int open_set(void)
{
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.u64 = TIMER_DATA };

    if (epfd >= 0)
        return 0;
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (timer_fd < 0 || epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, timer_fd, &ev) < 0)
        return -errno;
    return 0;
}

void event_set_deadline(ktime_t when)
{
    struct itimerspec its = { .it_value = ktime_to_timespec(when > 0 ? when : 1) };

    if (timer_fd >= 0)
        timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static int grow_slots(int fd)
{
    int n = nslots ? nslots : 64;
    struct slot *s;

    if (fd < nslots)
        return 0;
    while (n <= fd)
        n *= 2;
    s = realloc(slots, (size_t)n * sizeof *s);
    if (!s)
        return -ENOMEM;
    for (int i = nslots; i < n; i++)
        s[i] = (struct slot){ 0 };
    slots = s;
    nslots = n;
    return 0;
}

static uint64_t slot_data(int fd)
{
    return (uint64_t)slots[fd].gen << 32 | (uint32_t)fd;
}

int event_watch(int fd, uint32_t events, void (*fn)(void *arg, uint32_t events), void *arg)
{
    struct epoll_event ev = { .events = events };
    int r;

    if (fd < 0)
        return -EBADF;
    pthread_mutex_lock(&events_lock);
    r = open_set();
    if (r == 0)
        r = grow_slots(fd);
    if (r == 0 && slots[fd].fn)
        r = -EEXIST;
    if (r == 0) {
        slots[fd] = (struct slot){ .fn = fn, .arg = arg, .gen = slots[fd].gen + 1 };
        ev.data.u64 = slot_data(fd);
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
            r = -errno;
            slots[fd].fn = NULL;
        }
    }
    pthread_mutex_unlock(&events_lock);
    return r;
}

int event_rearm(int fd, uint32_t events)
{
    struct epoll_event ev = { .events = events };
    int r = 0;

    pthread_mutex_lock(&events_lock);
    if (fd < 0 || fd >= nslots || !slots[fd].fn) {
        r = -ENOENT;
    } else {
        ev.data.u64 = slot_data(fd);
        if (epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev) < 0)
            r = -errno;
    }
    pthread_mutex_unlock(&events_lock);
    return r;
}

void event_unwatch(int fd)
{
    pthread_mutex_lock(&events_lock);
    if (fd >= 0 && fd < nslots && slots[fd].fn) {
        slots[fd].fn = NULL;
        epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
    }
    while (running == fd && !(started && pthread_equal(thread, pthread_self())))
        pthread_cond_wait(&ended, &events_lock);
    pthread_mutex_unlock(&events_lock);
}

static void run_slot(uint64_t data, uint32_t events)
{
    int fd = (int)(uint32_t)data;
    struct slot s = { 0 };

    pthread_mutex_lock(&events_lock);
    if (slots[fd].fn && slot_data(fd) == data) {
        s = slots[fd];
        running = fd;
    }
    pthread_mutex_unlock(&events_lock);
    if (!s.fn)
        return;
    s.fn(s.arg, events);
    pthread_mutex_lock(&events_lock);
    running = -1;
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&events_lock);
}

int event_open(void)
{
    int r;

    pthread_mutex_lock(&events_lock);
    r = open_set();
    pthread_mutex_unlock(&events_lock);
    return r;
}

void event_run(void)
{
    struct epoll_event ev[BATCH];

    pthread_mutex_lock(&events_lock);
    thread = pthread_self();
    started = true;
    pthread_mutex_unlock(&events_lock);
    dispatch_drain();
    ktimers_run(); /* what was armed before there was a timerfd */
    for (;;) {
        int n = epoll_wait(epfd, ev, BATCH, -1);

        for (int i = 0; i < n; i++) {
            if (ev[i].data.u64 != TIMER_DATA)
                run_slot(ev[i].data.u64, ev[i].events);
            else
                ktimers_run(); /* told once for each time it fires, it need not be read */
        }
        dispatch_drain();
    }
}

static void *event_main(void *unused)
{
    (void)unused;
    dispatch_worker_start();
    event_run();
    return NULL;
}

int event_start(void)
{
    pthread_attr_t attr;
    pthread_t th;
    sigset_t all, old;
    int r = event_open();

    if (r < 0)
        return r;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = -pthread_create(&th, &attr, event_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return r;
}

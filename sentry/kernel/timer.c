/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer heap, and the guest's clocks.
 *
 * A binary heap ordered by deadline; each timer knows its place, so that moving and cancelling cost
 * log n. One lock (LOCK_TIMERS) for all. The event thread is told of a nearer deadline through a
 * host timerfd (event.c); a cancelled nearest one is left programmed, and wakes it for nothing.
 *
 * A timer's function is called without the lock; cancel_sync waits for the end of the one that
 * `running` names.
 *
 * The clocks inside are the host's, in the sandbox's time namespace where there is one: what the vDSO
 * says of them comes from there too, so both agree. Uptime is counted from the sandbox's start always.
 */
#include "sentry/kernel/timer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/lock.h"

#define NSEC 1000000000ll

static struct lock timers_lock;
static pthread_cond_t ran = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t ran_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ktimer **heap;
static size_t nheap, cap_heap;
#define HEAP_ROOM (1ul << 25)
static struct ktimer *_Atomic running;   /* whose function runs now */
static ktime_t programmed = KTIME_NEVER; /* what the timerfd is set to; timers_lock */
static __thread bool is_runner;

__attribute__((constructor)) static void timers_init(void)
{
    lock_init(&timers_lock, LOCK_TIMERS);
}

void ktimer_init(struct ktimer *tm, void (*func)(struct ktimer *))
{
    tm->when = KTIME_NEVER;
    tm->index = SIZE_MAX;
    tm->func = func;
}

static void place(struct ktimer *tm, size_t i)
{
    heap[i] = tm;
    tm->index = i;
}

static void sift_up(struct ktimer *tm, size_t i)
{
    while (i > 0 && heap[(i - 1) / 2]->when > tm->when) {
        place(heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(tm, i);
}

static void sift_down(struct ktimer *tm, size_t i)
{
    for (size_t c; (c = 2 * i + 1) < nheap; i = c) {
        if (c + 1 < nheap && heap[c + 1]->when < heap[c]->when)
            c++;
        if (heap[c]->when >= tm->when)
            break;
        place(heap[c], i);
    }
    place(tm, i);
}

static void remove_locked(struct ktimer *tm)
{
    size_t i = tm->index;
    struct ktimer *last = heap[--nheap];

    assert_locked(&timers_lock);
    tm->index = SIZE_MAX;
    if (last == tm)
        return;
    if (i > 0 && heap[(i - 1) / 2]->when > last->when)
        sift_up(last, i);
    else
        sift_down(last, i);
}

/*
 * Arming cannot fail, so the room for all there can ever be is set aside at start-up: timers lie in
 * objects that are charged, and pages that are not used cost nothing.
 */
int ktimers_reserve(void)
{
    void *all = mmap(NULL, HEAP_ROOM * sizeof *heap, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return -errno;
    heap = all;
    cap_heap = HEAP_ROOM;
    return 0;
}

void ktimer_arm(struct ktimer *tm, ktime_t when)
{
    LOCK_SCOPE(&timers_lock);
    if (tm->index != SIZE_MAX)
        remove_locked(tm);
    tm->when = when;
    if (when == KTIME_NEVER)
        return;
    if (nheap == cap_heap && (heap || ktimers_reserve() < 0))
        abort();
    sift_up(tm, nheap++);
    if (heap[0]->when < programmed) {
        programmed = heap[0]->when;
        event_set_deadline(programmed);
    }
}

bool ktimer_cancel(struct ktimer *tm)
{
    LOCK_SCOPE(&timers_lock);
    if (tm->index == SIZE_MAX)
        return false;
    remove_locked(tm);
    return true;
}

bool ktimer_cancel_sync(struct ktimer *tm)
{
    bool armed = ktimer_cancel(tm);

    if (is_runner)
        return armed;
    pthread_mutex_lock(&ran_mutex);
    while (atomic_load(&running) == tm)
        pthread_cond_wait(&ran, &ran_mutex);
    pthread_mutex_unlock(&ran_mutex);
    /* The function may have armed it again. */
    return ktimer_cancel(tm) || armed;
}

/* The next timer that is due, marked as running; NULL: programs the next deadline. */
static struct ktimer *take_due(ktime_t now)
{
    struct ktimer *tm;

    LOCK_SCOPE(&timers_lock);
    if (nheap && heap[0]->when <= now) {
        tm = heap[0];
        remove_locked(tm);
        atomic_store(&running, tm);
        return tm;
    }
    programmed = nheap ? heap[0]->when : KTIME_NEVER;
    if (nheap)
        event_set_deadline(programmed);
    return NULL;
}

/* The function may free the object that holds the timer: it is not touched afterwards. */
void ktimers_run(void)
{
    struct ktimer *tm;

    is_runner = true;
    while ((tm = take_due(ktime_now()))) {
        tm->func(tm);
        pthread_mutex_lock(&ran_mutex);
        atomic_store(&running, NULL);
        pthread_cond_broadcast(&ran);
        pthread_mutex_unlock(&ran_mutex);
    }
}

static ktime_t host_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * NSEC + ts.tv_nsec;
}

ktime_t ktime_now(void)
{
    return host_clock(CLOCK_MONOTONIC);
}

ktime_t ktime_real(void)
{
    return host_clock(CLOCK_REALTIME);
}

ktime_t ktime_boot(void)
{
    return ktime_now() - kernel.boot_mono;
}

int kclock_get(clockid_t id, struct timespec *ret)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_TAI:
        return clock_gettime(id, ret) < 0 ? -errno : 0;
    case CLOCK_REALTIME_ALARM:
        return clock_gettime(CLOCK_REALTIME, ret) < 0 ? -errno : 0;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return clock_gettime(CLOCK_BOOTTIME, ret) < 0 ? -errno : 0;
    default: /* cpu clocks belong to a task: kernel/times.c */
        return -EINVAL;
    }
}

int timespec_to_ktime(const struct timespec *ts, ktime_t *ret)
{
    if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= NSEC)
        return -EINVAL;
    if (ts->tv_sec >= KTIME_NEVER / NSEC)
        *ret = KTIME_NEVER;
    else
        *ret = ts->tv_sec * NSEC + ts->tv_nsec;
    return 0;
}

struct timespec ktime_to_timespec(ktime_t k)
{
    struct timespec ts = { .tv_sec = k / NSEC, .tv_nsec = k % NSEC };

    if (ts.tv_nsec < 0) {
        ts.tv_sec--;
        ts.tv_nsec += NSEC;
    }
    return ts;
}

ktime_t ktime_add(ktime_t a, ktime_t b)
{
    ktime_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return a > 0 ? KTIME_NEVER : INT64_MIN;
    return sum;
}

int kclock_deadline(clockid_t id, bool absolute, ktime_t value, ktime_t *ret)
{
    struct timespec now;
    int r = kclock_get(id, &now);

    if (r < 0)
        return r;
    if (value != KTIME_NEVER && absolute)
        /* What is left by that clock, from now on the monotonic one. */
        value = ktime_add(value, -(now.tv_sec * NSEC + now.tv_nsec));
    *ret = value == KTIME_NEVER ? value : ktime_add(ktime_now(), value);
    return 0;
}

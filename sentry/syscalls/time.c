/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeps and timers: decode, call, encode. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#include "abi/time.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/nanosleep.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"

/* ---- clocks ---- */

long sys_clock_gettime(struct task *t, int clockid, gaddr_t tp)
{
    struct timespec ts;
    int r = task_clock_get(t, clockid, &ts);
    return r ? r : put_guest(t, tp, &ts);
}

/* Of the coarse clocks; asked before there is a fence. */
static struct timespec tick = { 0, 4000000 };

__attribute__((constructor)) static void ask_host(void)
{
    (void)clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
}

long sys_clock_getres(struct task *t, int clockid, gaddr_t tp)
{
    struct timespec ts;
    int r = task_clock_get(t, clockid, &ts);
    if (r || !tp)
        return r;
    bool coarse = clockid == CLOCK_REALTIME_COARSE || clockid == CLOCK_MONOTONIC_COARSE;
    ts = (struct timespec){ 0, 1 };
    if (coarse)
        ts = tick;
    return put_guest(t, tp, &ts);
}

long sys_gettimeofday(struct task *t, gaddr_t tv, gaddr_t tz)
{
    ktime_t now = ktime_real();
    struct timeval v = { .tv_sec = now / 1000000000, .tv_usec = now / 1000 % 1000000 };
    struct lx_timezone z = { 0 };
    if (tv && put_guest(t, tv, &v))
        return -EFAULT;
    return tz ? put_guest(t, tz, &z) : 0;
}

long sys_time(struct task *t, gaddr_t tloc)
{
    int64_t now = ktime_real() / 1000000000;
    if (tloc && put_guest(t, tloc, &now))
        return -EFAULT;
    return now;
}

#define TIMEX_ERROR 5
#define STATUS_UNSYNC 64

/* The clock is the host's: it can be looked at, and counts as not synchronised. */
static long read_timex(struct task *t, gaddr_t txc)
{
    struct lx_timex x;
    if (get_guest(t, &x, txc))
        return -EFAULT;
    if (x.modes)
        return -EPERM;
    ktime_t now = ktime_real();
    x = (struct lx_timex){ .maxerror = 16000000,
                           .esterror = 16000000,
                           .status = STATUS_UNSYNC,
                           .constant = 2,
                           .precision = 1,
                           .tolerance = 32768000,
                           .tick = 10000 };
    x.time = (struct timeval){ .tv_sec = now / 1000000000, .tv_usec = now / 1000 % 1000000 };
    return put_guest(t, txc, &x) ? -EFAULT : TIMEX_ERROR;
}

long sys_adjtimex(struct task *t, gaddr_t txc)
{
    return read_timex(t, txc);
}

long sys_clock_adjtime(struct task *t, int clockid, gaddr_t txc)
{
    struct timespec ts;
    if (clockid == CLOCK_REALTIME)
        return read_timex(t, txc);
    return task_clock_get(t, clockid, &ts) ? -EINVAL : -EOPNOTSUPP;
}

/* ---- sleeps ---- */

static int get_ktime(struct task *t, gaddr_t from, ktime_t *ret)
{
    struct timespec ts;
    if (get_guest(t, &ts, from))
        return -EFAULT;
    return timespec_to_ktime(&ts, ret);
}

long sys_nanosleep(struct task *t, gaddr_t rqtp, gaddr_t rmtp)
{
    ktime_t value = 0;
    if (!t->call.phase) {
        int r = get_ktime(t, rqtp, &value);
        if (r)
            return r;
    }
    return do_nanosleep(t, CLOCK_MONOTONIC, false, value, rmtp);
}

long sys_clock_nanosleep(struct task *t, int clockid, int flags, gaddr_t rqtp, gaddr_t rmtp)
{
    bool absolute = flags & TIMER_ABSTIME;
    ktime_t value = 0;
    if (!t->call.phase) {
        /* A thread's own clock stands still while it sleeps. */
        int r = clockid == CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP : clock_can_wait(clockid);
        if (!r)
            r = get_ktime(t, rqtp, &value);
        if (r)
            return r;
    }
    return do_nanosleep(t, clockid, absolute, value, absolute ? 0 : rmtp);
}

/* ---- interval timers ---- */

static int timeval_to_ktime(const struct timeval *tv, ktime_t *ret)
{
    struct timespec ts = { .tv_sec = tv->tv_sec };
    if (tv->tv_usec < 0 || tv->tv_usec >= 1000000)
        return -EINVAL;
    ts.tv_nsec = tv->tv_usec * 1000;
    return timespec_to_ktime(&ts, ret);
}

/* Rounded up: a timer that runs never shows zero. */
static struct timeval ktime_to_timeval(ktime_t k)
{
    ktime_t us = k / 1000 + (k % 1000 != 0);
    return (struct timeval){ .tv_sec = us / 1000000, .tv_usec = us % 1000000 };
}

static int put_itimerval(struct task *t, gaddr_t to, const struct sigtimer_spec *s)
{
    struct itimerval v = { ktime_to_timeval(s->interval), ktime_to_timeval(s->value) };
    return put_guest(t, to, &v);
}

long sys_getitimer(struct task *t, int which, gaddr_t value)
{
    struct sigtimer_spec s;
    int r = itimer_swap(t, which, NULL, &s);
    return r ? r : put_itimerval(t, value, &s);
}

long sys_setitimer(struct task *t, int which, gaddr_t value, gaddr_t ovalue)
{
    struct sigtimer_spec new = { 0 }, old;
    if (value) {
        struct itimerval v;
        if (get_guest(t, &v, value))
            return -EFAULT;
        if (timeval_to_ktime(&v.it_value, &new.value) ||
            timeval_to_ktime(&v.it_interval, &new.interval))
            return -EINVAL;
    }
    int r = itimer_swap(t, which, &new, &old);
    return r || !ovalue ? r : put_itimerval(t, ovalue, &old);
}

long sys_alarm(struct task *t, unsigned seconds)
{
    struct sigtimer_spec new = { .value = (ktime_t)MIN(seconds, (unsigned)INT_MAX) * 1000000000 },
                         old;
    int r = itimer_swap(t, ITIMER_REAL, &new, &old);
    if (r)
        return r;
    ktime_t left = old.value / 1000000000, rest = old.value % 1000000000;
    return left + ((left == 0 && rest) || rest >= 500000000);
}

/* ---- timer_create ---- */

static int put_itimerspec(struct task *t, gaddr_t to, const struct sigtimer_spec *s)
{
    struct itimerspec v = { ktime_to_timespec(s->interval), ktime_to_timespec(s->value) };
    return put_guest(t, to, &v);
}

long sys_timer_create(struct task *t, int clockid, gaddr_t sevp, gaddr_t timerid)
{
    struct lx_sigevent ev;
    int id;
    if (sevp && get_guest(t, &ev, sevp))
        return -EFAULT;
    int r = posix_timer_create(t, clockid, sevp ? &ev : NULL, &id);
    if (r)
        return r;
    if (put_guest(t, timerid, &id)) {
        posix_timer_delete(t, id);
        return -EFAULT;
    }
    return 0;
}

long sys_timer_settime(struct task *t, int timerid, int flags, gaddr_t new, gaddr_t old)
{
    struct itimerspec v;
    struct sigtimer_spec set, was;
    if (!new)
        return -EINVAL;
    if (get_guest(t, &v, new))
        return -EFAULT;
    if (timespec_to_ktime(&v.it_value, &set.value) ||
        timespec_to_ktime(&v.it_interval, &set.interval))
        return -EINVAL;
    int r = posix_timer_set(t, timerid, flags & TIMER_ABSTIME, &set, &was);
    return r || !old ? r : put_itimerspec(t, old, &was);
}

long sys_timer_gettime(struct task *t, int timerid, gaddr_t setting)
{
    struct sigtimer_spec s;
    int r = posix_timer_get(t, timerid, &s);
    return r ? r : put_itimerspec(t, setting, &s);
}

long sys_timer_getoverrun(struct task *t, int timerid)
{
    return posix_timer_overrun(t, timerid);
}

long sys_timer_delete(struct task *t, int timerid)
{
    return posix_timer_delete(t, timerid);
}

/* ---- usage ---- */

long sys_getrusage(struct task *t, int who, gaddr_t usage)
{
    struct lx_rusage ru;
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
        return -EINVAL;
    struct as_usage now = { 0 };
    if (who != RUSAGE_CHILDREN && kernel.platform->as_usage(t->mm->as, &now) < 0)
        now.rss = 0;
    lock(&kernel.tasks_lock);
    t->group->maxrss = MAX(t->group->maxrss, now.rss >> 10); /* sampled: at each look */
    group_rusage_locked(t->group, t, who, &ru);
    unlock(&kernel.tasks_lock);
    return put_guest(t, usage, &ru);
}

static int64_t ticks(uint64_t ns)
{
    return (int64_t)(ns / (1000000000 / LX_CLK_TCK));
}

long sys_times(struct task *t, gaddr_t buf)
{
    struct tgroup *g = t->group;
    uint64_t u, s;
    lock(&kernel.tasks_lock);
    group_cputime_locked(g, &u, &s);
    struct lx_tms tms = { ticks(u), ticks(s), ticks(g->cutime_ns), ticks(g->cstime_ns) };
    unlock(&kernel.tasks_lock);
    if (buf && put_guest(t, buf, &tms))
        return -EFAULT;
    return ticks((uint64_t)ktime_boot());
}

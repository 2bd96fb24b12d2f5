/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer that sends a signal, once or periodically.
 *
 * A period goes on when its signal is taken, not when it expires: however short the interval, no
 * more signals are made than the program takes. What was missed meanwhile is the overrun. Where the
 * signal is ignored nobody takes it; then the period goes on by itself, but not faster than a tick.
 *
 * Everything under kernel.tasks_lock; the function of the kernel timer runs on the event thread.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"

#define IGNORED_TICK 10000000
#define LOOKS 64 /* at so many threads, for one that runs */

static void start(struct sigtimer *st)
{
    if (st->silent)
        return;
    ktimer_arm(&st->tm, st->is_cpu ? cpuclock_estimate_locked(&st->cpu, (uint64_t)st->expires)
                                   : st->expires);
}

ktime_t sigtimer_now_locked(const struct sigtimer *st)
{
    return st->is_cpu ? (ktime_t)cpuclock_read_locked(&st->cpu) : ktime_now();
}

/* Moves expires beyond now by whole intervals; how many were passed. */
static int64_t forward(struct sigtimer *st, ktime_t now)
{
    if (!st->interval || st->expires > now)
        return 0;
    int64_t n = (now - st->expires) / st->interval + 1;
    st->expires = ktime_add(st->expires, n * st->interval);
    return n;
}

static void taken(struct sigqueue *q)
{
    struct sigtimer *st = container_of(q, struct sigtimer, entry);
    int64_t passed = forward(st, sigtimer_now_locked(st));
    st->overrun_last = passed > 1 ? (int)MIN(passed - 1, (int64_t)INT_MAX) : 0;
    if (st->counts)
        q->info.timer.overrun = st->overrun_last;
    if (passed)
        start(st);
}

/*
 * Linux notices that a process has used its time on a cpu that runs one of its threads, and that one
 * gets the signal: so profilers learn where the time goes. Here it is one that runs now, in turn.
 * NULL: none does.
 */
static struct task *running(struct sigtimer *st)
{
    struct task *t, *found = NULL;
    int looks = 0;

    list_for_each(t, &st->group->tasks, group_link) {
        bool later = t->tid > st->last_taker;
        if ((found && !later) || !task_runs_locked(t)) {
            if (++looks == LOOKS)
                break;
            continue;
        }
        found = t;
        if (later)
            break;
    }
    if (found)
        st->last_taker = found->tid;
    return found;
}

static void expired(struct ktimer *tm)
{
    struct sigtimer *st = container_of(tm, struct sigtimer, tm);
    LOCK_SCOPE(&kernel.tasks_lock);
    if (!st->armed || st->tm.index != SIZE_MAX)
        return; /* disarmed, or set anew, meanwhile */
    ktime_t now = sigtimer_now_locked(st);
    if (st->expires > now) {
        start(st);
        return;
    }
    if (!st->interval)
        st->armed = false;
    struct task *first = st->is_cpu && !st->target ? running(st) : NULL;
    bool queued = signal_send_entry_locked(st->target, st->group, first, &st->entry);
    if (!queued && st->interval) {
        forward(st, ktime_add(now, IGNORED_TICK));
        start(st);
    }
}

void sigtimer_init(struct sigtimer *st, struct tgroup *g, clockid_t clock, int sig)
{
    memset(st, 0, sizeof *st);
    ktimer_init(&st->tm, expired);
    st->group = g;
    st->clock = clock;
    list_init(&st->entry.link);
    st->entry.dequeued = taken;
    st->entry.info.signo = sig;
    st->entry.info.code = SI_KERNEL;
}

void sigtimer_set_locked(struct sigtimer *st, ktime_t expires, ktime_t interval)
{
    assert_locked(&kernel.tasks_lock);
    ktimer_cancel(&st->tm);
    sigqueue_cancel_locked(&st->entry); /* a signal of the old setting says nothing any more */
    st->armed = expires != 0;
    st->expires = expires;
    st->interval = interval;
    st->overrun_last = 0;
    if (st->armed)
        start(st);
}

ktime_t sigtimer_left_locked(struct sigtimer *st)
{
    if (!st->armed)
        return 0;
    ktime_t now = sigtimer_now_locked(st), next = st->expires;
    if (st->interval && next <= now)
        next = ktime_add(next, ((now - next) / st->interval + 1) * st->interval);
    if (next > now)
        return next - now;
    return st->silent ? 0 : 1;
}

void sigtimer_done(struct sigtimer *st)
{
    lock(&kernel.tasks_lock);
    sigtimer_set_locked(st, 0, 0);
    unlock(&kernel.tasks_lock);
    ktimer_cancel_sync(&st->tm);
    cpuclock_done(&st->cpu);
    task_put(st->target);
    st->target = NULL;
}

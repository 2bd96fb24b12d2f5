/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd. A ktimer marks the object expired once; what has run out since is only counted when
 * somebody asks (read, gettime), and then the timer is armed anew. So an interval of a nanosecond
 * costs no more than one of a day.
 *
 * The lock guards all; the timer's function takes it too, hence ktimer_cancel_sync only in release.
 * The sandbox's real-time clock cannot be set, so TFD_TIMER_CANCEL_ON_SET never has to cancel.
 */
#include "sentry/ipc/timerfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/timerfd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"

struct timerfd {
    struct lock lock;
    struct waitqueue wq;
    struct ktimer timer;
    int clockid;      /* [I] */
    int flags;        /* of the last settime */
    bool armed;       /* timer is to fire at next */
    bool expired;     /* it has, and was not armed again */
    ktime_t next;     /* CLOCK_MONOTONIC; when it fires or fired */
    ktime_t interval; /* 0: once */
    uint64_t ticks;   /* expirations not yet read */
};

static const struct file_ops timerfd_ops;

static void timerfd_fire(struct ktimer *tm)
{
    struct timerfd *tf = container_of(tm, struct timerfd, timer);
    LOCK_SCOPE(&tf->lock);
    /* settime may have been faster than this function: then the firing is not ours */
    if (!tf->armed || ktime_now() < tf->next)
        return;
    tf->armed = false;
    tf->expired = true;
    tf->ticks++;
    wq_wake(&tf->wq, POLLIN | POLLRDNORM);
}

static void timerfd_arm_locked(struct timerfd *tf)
{
    tf->armed = true;
    tf->expired = false;
    ktimer_arm(&tf->timer, tf->next);
}

/* Counts what has run out since it fired, and arms it for the next time. */
static void timerfd_forward_locked(struct timerfd *tf)
{
    if (!tf->expired || !tf->interval)
        return;
    uint64_t n = (uint64_t)(ktime_now() - tf->next) / (uint64_t)tf->interval;
    tf->ticks += n;
    tf->next += (ktime_t)(n + 1) * tf->interval;
    timerfd_arm_locked(tf);
}

static void timerfd_get_locked(struct timerfd *tf, struct itimerspec *ret)
{
    timerfd_forward_locked(tf);
    ktime_t left = 0;
    if (tf->armed) {
        left = tf->next - ktime_now();
        if (left <= 0)
            left = 1; /* about to fire; 0 would mean disarmed */
    }
    ret->it_value = ktime_to_timespec(left);
    ret->it_interval = ktime_to_timespec(tf->interval);
}

static ssize_t timerfd_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct timerfd *tf = f->priv;
    if (it->left < sizeof tf->ticks)
        return -EINVAL;
    LOCK_SCOPE(&tf->lock);
    if (!tf->ticks)
        return file_nonblock(f) ? -EAGAIN : task_wait(t, &tf->wq, WAIT_EXCL);
    timerfd_forward_locked(tf);
    uint64_t n = tf->ticks;
    tf->ticks = 0;
    tf->expired = false;
    return iter_put(it, &n, sizeof n) == sizeof n ? (ssize_t)sizeof n : -EFAULT;
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *tf = f->priv;
    poll_wait(pt, &tf->wq);
    LOCK_SCOPE(&tf->lock);
    return tf->ticks ? POLLIN : 0;
}

static size_t timerfd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct timerfd *tf = f->priv;
    struct itimerspec v;
    LOCK_SCOPE(&tf->lock);
    uint64_t ticks = tf->ticks;
    timerfd_get_locked(tf, &v);
    int n = snprintf(buf, cap,
                     "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%lld, %ld)\n"
                     "it_interval: (%lld, %ld)\n",
                     tf->clockid, (unsigned long long)ticks, (unsigned)tf->flags,
                     (long long)v.it_value.tv_sec, v.it_value.tv_nsec,
                     (long long)v.it_interval.tv_sec, v.it_interval.tv_nsec);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void timerfd_free(struct timerfd *tf)
{
    ktimer_cancel_sync(&tf->timer);
    wq_done(&tf->wq);
    lock_done(&tf->lock);
    kfree(tf);
}

static void timerfd_release(struct file *f)
{
    timerfd_free(f->priv);
}

static const struct file_ops timerfd_ops = {
    .name = "timerfd",
    .read = timerfd_read,
    .poll = timerfd_poll,
    .fdinfo = timerfd_fdinfo,
    .release = timerfd_release,
};

struct file *timerfd_new(struct task *t, int clockid, unsigned flags)
{
    bool alarm = clockid == CLOCK_REALTIME_ALARM || clockid == CLOCK_BOOTTIME_ALARM;
    if (!alarm && clockid != CLOCK_REALTIME && clockid != CLOCK_MONOTONIC &&
        clockid != CLOCK_BOOTTIME)
        return ERR_PTR(-EINVAL);
    if (alarm && !task_capable(t, CAP_WAKE_ALARM))
        return ERR_PTR(-EPERM);
    struct timerfd *tf = kzalloc(sizeof *tf);
    if (!tf)
        return ERR_PTR(-ENOMEM);
    lock_init(&tf->lock, LOCK_OBJECT);
    wq_init(&tf->wq);
    ktimer_init(&tf->timer, timerfd_fire);
    tf->clockid = clockid;
    struct file *f = anon_file_new("timerfd", &timerfd_ops, tf, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f))
        timerfd_free(tf);
    else
        f->mode |= FMODE_STREAM;
    return f;
}

/* The clock whose time an alarm clock goes by. */
static int timerfd_base_clock(int clockid)
{
    if (clockid == CLOCK_REALTIME_ALARM)
        return CLOCK_REALTIME;
    return clockid == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : clockid;
}

int timerfd_set(struct file *f, int flags, const struct itimerspec *value,
                struct itimerspec *ret_old)
{
    ktime_t v, interval, when = 0;
    if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) ||
        timespec_to_ktime(&value->it_value, &v) ||
        timespec_to_ktime(&value->it_interval, &interval))
        return -EINVAL;
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    struct timerfd *tf = f->priv;
    if (v) {
        int r = kclock_deadline(timerfd_base_clock(tf->clockid), flags & TFD_TIMER_ABSTIME, v,
                                &when);
        if (r)
            return r;
    }
    LOCK_SCOPE(&tf->lock);
    if (ret_old)
        timerfd_get_locked(tf, ret_old);
    ktimer_cancel(&tf->timer);
    tf->armed = tf->expired = false;
    tf->ticks = 0;
    tf->interval = interval;
    tf->flags = flags;
    tf->next = when;
    if (v)
        timerfd_arm_locked(tf);
    return 0;
}

int timerfd_get(struct file *f, struct itimerspec *ret)
{
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    struct timerfd *tf = f->priv;
    LOCK_SCOPE(&tf->lock);
    timerfd_get_locked(tf, ret);
    return 0;
}

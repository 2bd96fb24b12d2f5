/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex(2) and its followers, as far as they reach the sentry. Waits, wakes and requeues that know of
 * no owner run natively on the host, in the stub that holds the word (caps.native_futex;
 * platform/trap/filter.c), and never come here, but with arguments that are wrong.
 */
#include <errno.h>
#include <linux/futex.h>

#include "abi/sched.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

/* The absolute time at which t gives up. In the first run only. */
static int set_deadline(struct task *t, gaddr_t timeout, clockid_t clock)
{
    struct timespec ts;
    ktime_t when;
    int r;

    if (!timeout || t->call.runs > 1)
        return 0;
    if (get_guest(t, &ts, timeout) < 0)
        return -EFAULT;
    if (timespec_to_ktime(&ts, &when) < 0)
        return -EINVAL;
    r = kclock_deadline(clock, /* absolute= */ true, when, &when);
    if (r == 0)
        call_deadline(t, when);
    return r;
}

static long with_owner(struct task *t, int cmd, bool real, gaddr_t uaddr, int op, unsigned val,
                       gaddr_t timeout, gaddr_t uaddr2, unsigned val3)
{
    bool own = op & FUTEX_PRIVATE_FLAG;
    int r = 0;

    if (cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_WAIT_REQUEUE_PI)
        r = set_deadline(t, timeout, real ? CLOCK_REALTIME : CLOCK_MONOTONIC);
    if (r < 0)
        return r;
    switch (cmd) {
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return futex_lock_pi(t, uaddr, own, /* attempt= */ false);
    case FUTEX_TRYLOCK_PI:
        return futex_lock_pi(t, uaddr, own, /* attempt= */ true);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(t, uaddr, own);
    case FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(t, uaddr, val, uaddr2, own);
    default: /* the count of those to requeue stands where others have a time */
        return futex_cmp_requeue_pi(t, uaddr, val3, uaddr2, (int)val, (int)timeout, own);
    }
}

long sys_futex(struct task *t, gaddr_t uaddr, int op, unsigned val, gaddr_t timeout, gaddr_t uaddr2,
               unsigned val3)
{
    int cmd = op & FUTEX_CMD_MASK;
    bool real = op & FUTEX_CLOCK_REALTIME;

    switch (cmd) {
    case FUTEX_LOCK_PI: /* always by the wall clock; it knows no flag for it */
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
    case FUTEX_CMP_REQUEUE_PI:
        if (real)
            return -ENOSYS;
        return with_owner(t, cmd, true, uaddr, op, val, timeout, uaddr2, val3);
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
        return with_owner(t, cmd, real, uaddr, op, val, timeout, uaddr2, val3);
    default: /* FUTEX_FD is gone since 2.6.26 */
        if (!kernel.platform->caps.native_futex && cmd != FUTEX_FD)
            klog(1, "futex operation %d, but the platform has none", op);
        return -ENOSYS;
    }
}

/* What comes here of these has flags that 6.12 does not know: other sizes, nodes. */
long sys_futex_wake(struct task *t, gaddr_t uaddr, unsigned long mask, int nr, unsigned flags)
{
    (void)t, (void)uaddr, (void)mask, (void)nr, (void)flags;
    return -EINVAL;
}

long sys_futex_wait(struct task *t, gaddr_t uaddr, unsigned long val, unsigned long mask,
                    unsigned flags, gaddr_t timeout, int clockid)
{
    (void)t, (void)uaddr, (void)val, (void)mask, (void)flags, (void)timeout, (void)clockid;
    return -EINVAL;
}

/* These two pass always where the platform runs futexes natively. */
long sys_futex_waitv(struct task *t, gaddr_t waiters, unsigned nr, unsigned flags, gaddr_t timeout,
                     int clockid)
{
    (void)t, (void)waiters, (void)nr, (void)flags, (void)timeout, (void)clockid;
    return -ENOSYS;
}

long sys_futex_requeue(struct task *t, gaddr_t waiters, unsigned flags, int nr_wake, int nr_requeue)
{
    (void)t, (void)waiters, (void)flags, (void)nr_wake, (void)nr_requeue;
    return -ENOSYS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * futex(2), as far as it reaches the sentry. Waits, wakes and requeues that are not
 * priority-inheriting run natively on the host, in the stub that holds the word (caps.native_futex;
 * platform/shared/native.c), and never come here. What comes are the operations that would have the
 * host read or write thread ids, which are the sentry's; they are answered as by a kernel without
 * CONFIG_FUTEX_PI, which every C library copes with (PTHREAD_PRIO_INHERIT: ENOTSUP).
 */
#include <errno.h>
#include <linux/futex.h>

#include "sentry/kernel/kernel.h"
#include "sentry/syscalls/table.h"

long sys_futex(struct task *t, gaddr_t uaddr, int op, unsigned val, gaddr_t timeout, gaddr_t uaddr2,
               unsigned val3)
{
    (void)t, (void)uaddr, (void)val, (void)timeout, (void)uaddr2, (void)val3;
    switch (op & FUTEX_CMD_MASK) {
    case FUTEX_FD: /* gone since Linux 2.6.26 */
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_UNLOCK_PI:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_CMP_REQUEUE_PI:
        return -ENOSYS;
    default:
        if (!kernel.platform->caps.native_futex)
            klog(1, "futex operation %d, but the platform has none", op);
        return -ENOSYS;
    }
}

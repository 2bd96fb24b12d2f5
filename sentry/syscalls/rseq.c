/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rseq: the host keeps the area, since only it knows when a thread is preempted or moved. It is
 * registered by the caller's own context, forks inherit it and threads do not, as on Linux; a blank
 * stub has none, so exec drops it. The cpu numbers in it are the host's, as getcpu tells them.
 */
#include <errno.h>

#include "platform/platform.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#define RSEQ_UNREGISTER 1
#define RSEQ_SIZE 32 /* as libraries register it; others ask the host at once */

/* What the host would not refuse is done on the way back, without a word about it. */
static bool register_later(struct task *t, gaddr_t area, unsigned len, int flags, unsigned long sig)
{
    struct as_op op = { .kind = AS_RSEQ, .fd = -1, .a = { area, len, 0, (uint32_t)sig } };
    char now[RSEQ_SIZE];

    if (kernel.platform->ctx_word(t->ctx, CW_RSEQ) || flags || len != RSEQ_SIZE ||
        area % RSEQ_SIZE || copy_in(t, now, area, sizeof now) < 0)
        return false;
    return kernel.platform->ctx_defer(t->ctx, &op);
}

long sys_rseq(struct task *t, gaddr_t area, unsigned len, int flags, unsigned long sig)
{
    struct as_op *op;

    if (t->call.phase == 0 && register_later(t, area, len, flags, sig))
        return 0;
    op = call_scratch(t, sizeof *op);
    if (!op)
        return -ENOMEM;
    if (t->call.phase == 0) {
        if (area >= kernel.platform->as_limit())
            return flags & RSEQ_UNREGISTER ? -EINVAL : -EFAULT;
        *op = (struct as_op){ .kind = AS_RSEQ,
                              .fd = -1,
                              .a = { area, len, (uint64_t)(unsigned)flags, (uint32_t)sig } };
        t->call.phase = 1;
        return call_ops(t, op, 1);
    }
    return op->ret;
}

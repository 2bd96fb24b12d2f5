/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that only x86-64 has. */
#include <asm/prctl.h>
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

/* The bases of fs and gs are the thread's own on the host, so its own context sets and asks them. */
long sys_arch_prctl(struct task *t, int option, gaddr_t arg2)
{
    enum as_op_kind kind;
    switch (option) {
    case ARCH_SET_FS:
        kind = AS_SET_FS;
        break;
    case ARCH_SET_GS:
        kind = AS_SET_GS;
        break;
    case ARCH_GET_FS:
        kind = AS_GET_FS;
        break;
    case ARCH_GET_GS:
        kind = AS_GET_GS;
        break;
    case ARCH_GET_CPUID:
        return 1; /* CPUID does not fault */
    case ARCH_SET_CPUID:
        return -ENODEV; /* the processor has no such faults (cpuid_fault is not in /proc/cpuinfo) */
    default:
        return -EINVAL;
    }
    bool set = option == ARCH_SET_FS || option == ARCH_SET_GS;
    if (set && arg2 >= 1ull << 47)
        return -EPERM;
    struct as_op what = { .kind = kind, .fd = -1, .a = { arg2 } };
    if (set && t->call.phase == 0 && kernel.platform->ctx_defer(t->ctx, &what))
        return 0;
    struct as_op *op = call_scratch(t, sizeof *op);
    if (!op)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.phase = 1;
        *op = what;
        return call_ops(t, op, 1);
    }
    if (set)
        return op->ret;
    uint64_t base = (uint64_t)op->ret;
    return put_guest(t, arg2, &base);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that only x86-64 has. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#define LX_ARCH_SET_CPUID 0x1012
#define LX_ARCH_GET_XCOMP_SUPP 0x1021
#define LX_ARCH_GET_XCOMP_PERM 0x1022
#define LX_ARCH_REQ_XCOMP_PERM 0x1023
#define LX_ARCH_GET_XCOMP_GUEST_PERM 0x1024
#define LX_ARCH_REQ_XCOMP_GUEST_PERM 0x1025
#define XFEATURE_TILE_DATA (1ull << 18) /* the one that has to be asked for, and is not given */

/* Parts of the state that a thread has: what the processor is set up for. */
static long get_features(struct task *t, gaddr_t to)
{
    uint32_t a, b, c, d, lo, hi;
    uint64_t features = 3; /* x87, SSE */

    if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE)) {
        __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
        features = ((uint64_t)hi << 32 | lo) & ~XFEATURE_TILE_DATA;
    }
    return put_guest(t, to, &features);
}

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
        return 1; /* CPUID does not fault, */
    case LX_ARCH_SET_CPUID:
        return -ENODEV; /* and cannot be made to */
    case LX_ARCH_GET_XCOMP_SUPP:
    case LX_ARCH_GET_XCOMP_PERM:
    case LX_ARCH_GET_XCOMP_GUEST_PERM:
        return get_features(t, arg2);
    case LX_ARCH_REQ_XCOMP_PERM:
    case LX_ARCH_REQ_XCOMP_GUEST_PERM:
        return arg2 >= 64 ? -EINVAL : -EOPNOTSUPP;
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

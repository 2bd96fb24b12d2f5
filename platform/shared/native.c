/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of guest code that the host carries out itself (sentry/syscalls/native.def), as
 * instructions of a stub's filter. Each concerns the memory and the threads of the stub alone.
 */
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "platform/shared/bpf.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef SYS_futex_wake
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
#endif
#define FUTEX2_U32 2u

/* start in arg 0 lies so far below the slot that no length below 4 GiB reaches it. */
static void check_range(struct bpf_asm *a, uint32_t slot_hi, int trap)
{
    bpf_load(a, ARG_HI(0));
    bpf_jge(a, slot_hi - 1, trap, BPF_NEXT);
    bpf_load(a, ARG_HI(1));
    bpf_jeq(a, 0, BPF_NEXT, trap);
}

void filter_native(struct bpf_asm *a, uint32_t slot_hi, int allow, int trap)
{
    int map = bpf_label(a), unmap = bpf_label(a), protect = bpf_label(a), advise = bpf_label(a);
    int futex = bpf_label(a), futex2 = bpf_label(a);

    bpf_load(a, OFF_ARCH);
    bpf_jeq(a, AUDIT_ARCH_X86_64, BPF_NEXT, trap);
    bpf_load(a, OFF_NR);
    bpf_jeq(a, SYS_futex, futex, BPF_NEXT);
    bpf_jeq(a, SYS_futex_waitv, allow, BPF_NEXT);
    bpf_jeq(a, SYS_futex_requeue, allow, BPF_NEXT);
    bpf_jeq(a, SYS_futex_wake, futex2, BPF_NEXT);
    bpf_jeq(a, SYS_futex_wait, futex2, BPF_NEXT);
    bpf_jeq(a, SYS_mmap, map, BPF_NEXT);
    bpf_jeq(a, SYS_munmap, unmap, BPF_NEXT);
    bpf_jeq(a, SYS_mprotect, protect, BPF_NEXT);
    bpf_jeq(a, SYS_madvise, advise, trap);

    bpf_here(a, map); /* not fixed, private, anonymous, not executable, below 4 GiB */
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(0));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(1));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_LO(2));
    bpf_and(a, ~(uint32_t)(PROT_READ | PROT_WRITE));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(2));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_LO(3));
    bpf_and(a, ~(uint32_t)(MAP_NORESERVE | MAP_STACK));
    bpf_jeq(a, MAP_PRIVATE | MAP_ANONYMOUS, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(3));
    bpf_jeq(a, 0, allow, trap);

    bpf_here(a, unmap);
    check_range(a, slot_hi, trap);
    bpf_ja(a, allow);

    bpf_here(a, protect);
    check_range(a, slot_hi, trap);
    bpf_load(a, ARG_LO(2));
    bpf_and(a, ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(2));
    bpf_jeq(a, 0, allow, trap);

    bpf_here(a, advise);
    check_range(a, slot_hi, trap);
    bpf_load(a, ARG_LO(2));
    bpf_jeq(a, MADV_DONTNEED, allow, BPF_NEXT);
    bpf_jeq(a, MADV_FREE, allow, trap);

    bpf_here(a, futex); /* whatever does not make the host read or write thread ids */
    bpf_load(a, ARG_LO(1));
    bpf_and(a, ~(uint32_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME));
    bpf_jeq(a, FUTEX_WAIT, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_WAKE, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_WAIT_BITSET, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_WAKE_BITSET, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_REQUEUE, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_CMP_REQUEUE, allow, BPF_NEXT);
    bpf_jeq(a, FUTEX_WAKE_OP, allow, trap);

    bpf_here(a, futex2); /* words of 32 bits; nothing about nodes, which came later than 6.12 */
    bpf_load(a, ARG_LO(3));
    bpf_and(a, ~(uint32_t)FUTEX_PRIVATE_FLAG);
    bpf_jeq(a, FUTEX2_U32, allow, trap);
}

int filter_traced(struct bpf_asm *a, uint32_t slot_hi)
{
    int native = bpf_label(a), allow = bpf_label(a), trace = bpf_label(a);

    /* Decided by the number alone: the kernel then runs no filter for it. */
    bpf_load(a, OFF_ARCH);
    bpf_jeq(a, AUDIT_ARCH_X86_64, BPF_NEXT, trace);
    bpf_load(a, OFF_NR);
    bpf_jeq(a, SYS_sched_yield, allow, native);
    bpf_here(a, native);
    filter_native(a, slot_hi, allow, trace);
    bpf_here(a, allow);
    bpf_ret(a, SECCOMP_RET_ALLOW);
    bpf_here(a, trace);
    bpf_ret(a, SECCOMP_RET_TRACE);
    return bpf_finish(a);
}

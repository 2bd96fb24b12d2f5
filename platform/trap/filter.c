/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub's filters (design: docs/ARCHITECTURE.md, "The trap platform").
 *
 * The base filter is made once, in the zygote, and inherited by every stub. But for sched_yield it
 * loads the instruction pointer first: this makes it cheap to install (the kernel, which tries it for
 * each number to know which always pass, stops there).
 *
 *   from the blob      what the blob needs passes, its doorbell and clone are notified
 *   from elsewhere     the native calls pass under argument checks, all else is SIGSYS to the blob
 *
 * The instruction pointer is routing, not security: a hostile guest jumps to the blob's `syscall`
 * with registers of its choice. So every call listed for the blob must be harmless with ANY
 * arguments that pass, from a process that holds no descriptors, has an empty root and no capabilities.
 * Nor may a sentry that was taken over lend it one that makes a call harmful: what is read and sent is
 * told by a number above all that the stub's limit lets it have (zygote.c), or goes by connected sockets,
 * without an address (lent_calls).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "platform/shared/bpf.h"

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define LX_PR_SET_VMA 0x53564d41u

/* What the blob may call, with the reason. Least dangerous first. */
static const struct {
    unsigned short nr;
    const char *why;
} blob_calls[] = {
    { SYS_rt_sigreturn, "leaves the handler" },
    { SYS_close, "descriptors lent for a map" },
    { SYS_close_range, "descriptors that a fork inherits" },
    { SYS_exit, "end of a thread" },
    { SYS_exit_group, "end of a stub" },
    { SYS_munmap, "maps" },
    { SYS_mprotect, "maps" },
    { SYS_mremap, "maps" },
    { SYS_msync, "maps of files" },
    { SYS_mincore, "residency" },
    { SYS_mlock2, "under RLIMIT_MEMLOCK of the host" },
    { SYS_munlock, "undoes it" },
    { SYS_munlockall, "undoes it" },
    { SYS_rseq, "an area of the thread's own" },
    { SYS_membarrier, "barriers between the stub's own threads" },
    { SYS_mseal, "takes away what may be done with a range" },
};

/*
 * What the blob may call with some arguments only: arg, masked, is one of these. What is left out is
 * not needed, and has to do with more than the stub's own memory, or with much of the host kernel.
 */
#define ZYGOTE_SOCK ~0u /* stands for its number, which no other descriptor of a stub can have */
static const struct {
    unsigned short nr;
    unsigned char arg, n;
    uint32_t mask, values[2];
    const char *why;
} blob_checked[] = {
    { SYS_futex,
      1,
      2,
      ~(uint32_t)FUTEX_PRIVATE_FLAG,
      { FUTEX_WAIT, FUTEX_WAKE },
      "parking; wakes for the sentry; nothing that knows of priorities or requeues" },
    { SYS_mmap,
      3,
      1,
      MAP_HUGETLB,
      { 0 },
      "maps, with descriptors that were lent; the host's huge pages are not a guest's to take" },
    { SYS_mlockall,
      0,
      2,
      ~0u,
      { MCL_FUTURE, MCL_FUTURE | MCL_ONFAULT },
      "what is mapped from now on; what is mapped is locked by ranges, without our own" },
    { SYS_userfaultfd,
      0,
      1,
      ~0u,
      { O_CLOEXEC | O_NONBLOCK | 1 /* UFFD_USER_MODE_ONLY */ },
      "for the sentry; calls of the host do not wait for it, and in a stub, without ioctl, it is of no use" },
    { SYS_read, 0, 1, ~0u, { ZYGOTE_SOCK }, "the zygote's orders" },
    { SYS_sendmsg, 0, 1, ~0u, { ZYGOTE_SOCK }, "a new stub hands over its listener" },
};

static void check_blob(struct bpf_asm *a, unsigned i, uint32_t zygote_sock, int allow, int trap)
{
    int next = bpf_label(a);

    bpf_jeq(a, blob_checked[i].nr, BPF_NEXT, next);
    bpf_load(a, ARG_LO(blob_checked[i].arg));
    if (blob_checked[i].mask != ~0u)
        bpf_and(a, blob_checked[i].mask);
    for (unsigned k = 0; k < blob_checked[i].n; k++) {
        uint32_t v = blob_checked[i].values[k];

        bpf_jeq(a, v == ZYGOTE_SOCK ? zygote_sock : v, allow,
                k + 1 < blob_checked[i].n ? BPF_NEXT : trap);
    }
    bpf_here(a, next);
}

#define LENT_RECV MSG_DONTWAIT
#define LENT_SEND (MSG_DONTWAIT | MSG_NOSIGNAL)

/*
 * Bytes to and from sockets that the sentry has lent (stub/lent.c), and one of them looked at. There is no
 * address, so none is named and MSG_FASTOPEN connects nothing; no control message; and whatever else a
 * stub is lent, for a map, is no socket.
 */
static void lent_calls(struct bpf_asm *a, int allow, int trap)
{
    int send = bpf_label(a), bytes = bpf_label(a), look = bpf_label(a), next = bpf_label(a);

    bpf_jeq(a, SYS_poll, look, BPF_NEXT);
    bpf_jeq(a, SYS_sendto, send, BPF_NEXT);
    bpf_jeq(a, SYS_recvfrom, BPF_NEXT, next);
    bpf_load(a, ARG_LO(3));
    bpf_jeq(a, LENT_RECV, bytes, trap);
    bpf_here(a, send);
    bpf_load(a, ARG_LO(3));
    bpf_jeq(a, LENT_SEND, bytes, trap);
    bpf_here(a, bytes);
    bpf_load(a, ARG_LO(4));
    bpf_jeq(a, 0, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(4));
    bpf_jeq(a, 0, allow, trap);
    bpf_here(a, look);
    bpf_load(a, ARG_LO(1));
    bpf_jeq(a, 1, allow, trap);
    bpf_here(a, next);
}

static void from_blob(struct bpf_asm *a, uint64_t secret, uint32_t zygote_sock, bool lends,
                      int allow, int notify, int trap)
{
    int clone = bpf_label(a), seccomp = bpf_label(a), prctl_ = bpf_label(a), arch = bpf_label(a);
    int clock = bpf_label(a), advise = bpf_label(a), next;

    bpf_load(a, OFF_ARCH);
    bpf_jeq(a, AUDIT_ARCH_X86_64, BPF_NEXT, trap);
    bpf_load(a, OFF_NR);
    bpf_jeq(a, NR_BELL, notify, BPF_NEXT);
    for (unsigned i = 0; i < ARRAY_SIZE(blob_calls); i++)
        bpf_jeq(a, blob_calls[i].nr, allow, BPF_NEXT);
    bpf_jeq(a, SYS_clone, clone, BPF_NEXT);
    if (unfenced("stubfilter"))
        bpf_ja(a, allow);
    for (unsigned i = 0; i < ARRAY_SIZE(blob_checked); i++)
        check_blob(a, i, zygote_sock, allow, trap);
    if (lends)
        lent_calls(a, allow, trap);
    bpf_jeq(a, SYS_madvise, advise, BPF_NEXT);
    bpf_jeq(a, SYS_arch_prctl, arch, BPF_NEXT);
    bpf_jeq(a, SYS_prctl, prctl_, BPF_NEXT);
    bpf_jeq(a, SYS_clock_gettime, clock, BPF_NEXT);
    bpf_jeq(a, SYS_seccomp, seccomp, trap);

    /*
     * The zygote's own fork knows a secret. A thread without fs or words of its own is the nurse's
     * (threads.c); a guest can make such ones, too, but they can only compute: their bells are not
     * answered, they die with their process, and RLIMIT_NPROC is their limit. Every other clone is
     * the sentry's to judge.
     */
    bpf_here(a, clone);
    next = bpf_label(a);
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, BLOB_THREAD_FLAGS, BPF_NEXT, next);
    bpf_load(a, ARG_HI(0));
    bpf_jeq(a, 0, allow, notify);
    bpf_here(a, next);
    bpf_load(a, ARG_LO(2));
    bpf_jeq(a, (uint32_t)secret, BPF_NEXT, notify);
    bpf_load(a, ARG_HI(2));
    bpf_jeq(a, (uint32_t)(secret >> 32), BPF_NEXT, notify);
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, 17 /* SIGCHLD */, allow, notify);

    /* Equal pages of several sandboxes, merged, tell by the time of a write what the others hold. */
    bpf_here(a, advise);
    bpf_load(a, ARG_LO(2));
    bpf_jeq(a, MADV_MERGEABLE, trap, allow);

    bpf_here(a, arch); /* segment bases: the thread's own */
    bpf_load(a, ARG_LO(0));
    next = bpf_label(a);
    bpf_jge(a, 0x1001, BPF_NEXT, trap);
    bpf_jge(a, 0x1005, trap, next);
    bpf_here(a, next);
    bpf_ja(a, allow);

    bpf_here(a, clock); /* the thread's own */
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, CLOCK_THREAD_CPUTIME_ID, allow, trap);

    bpf_here(a, prctl_); /* about the thread alone, or names of its memory; PDEATHSIG: SIGKILL */
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, PR_SET_TSC, allow, BPF_NEXT);
    bpf_jeq(a, PR_GET_SPECULATION_CTRL, allow, BPF_NEXT);
    bpf_jeq(a, PR_SET_SPECULATION_CTRL, allow, BPF_NEXT);
    bpf_jeq(a, LX_PR_SET_VMA, allow, BPF_NEXT);
    bpf_jeq(a, PR_SET_PDEATHSIG, BPF_NEXT, trap);
    bpf_load(a, ARG_LO(1));
    bpf_jeq(a, 9, unfenced("deathsig") ? BPF_NEXT : allow, trap);
    if (unfenced("deathsig"))
        bpf_ret(a, SECCOMP_RET_ERRNO); /* it thinks that it has one */

    bpf_here(a, seccomp); /* a filter on top, only with a listener of its own */
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, SECCOMP_SET_MODE_FILTER, BPF_NEXT, trap);
    bpf_load(a, ARG_LO(1));
    bpf_and(a, ~(uint32_t)(32 | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
    bpf_jeq(a, SECCOMP_FILTER_FLAG_NEW_LISTENER, BPF_NEXT, trap);
    bpf_load(a, ARG_HI(1));
    bpf_jeq(a, 0, allow, trap);
}

int filter_base(struct bpf_asm *a, uint32_t slot_hi, uint32_t blob_size, uint64_t secret,
                uint32_t zygote_sock, bool lends)
{
    int inside = bpf_label(a), outside = bpf_label(a), maybe = bpf_label(a);
    int other = bpf_label(a), yield = bpf_label(a);
    int allow1, notify1, trap1, allow2, trap2;

    /*
     * Decided by the number alone, before anything else is looked at: the kernel then remembers it,
     * and runs no filter for it.
     */
    bpf_load(a, OFF_ARCH);
    bpf_jeq(a, AUDIT_ARCH_X86_64, BPF_NEXT, other);
    bpf_load(a, OFF_NR);
    bpf_jeq(a, SYS_sched_yield, yield, BPF_NEXT);
    bpf_here(a, other);
    bpf_load(a, OFF_IP + 4);
    bpf_jeq(a, slot_hi, maybe, outside);
    bpf_here(a, maybe);
    bpf_load(a, OFF_IP);
    bpf_jge(a, blob_size, outside, inside);

    bpf_here(a, inside);
    allow1 = bpf_label(a), notify1 = bpf_label(a), trap1 = bpf_label(a);
    from_blob(a, secret, zygote_sock, lends, allow1, notify1, trap1);
    bpf_here(a, allow1);
    bpf_ret(a, SECCOMP_RET_ALLOW);
    bpf_here(a, notify1);
    bpf_ret(a, SECCOMP_RET_USER_NOTIF);
    bpf_here(a, trap1);
    bpf_ret(a, SECCOMP_RET_TRAP);

    bpf_here(a, outside);
    allow2 = bpf_label(a), trap2 = bpf_label(a);
    filter_native(a, slot_hi, allow2, trap2);
    bpf_here(a, allow2);
    bpf_ret(a, SECCOMP_RET_ALLOW);
    bpf_here(a, trap2);
    bpf_ret(a, SECCOMP_RET_TRAP);
    bpf_here(a, yield);
    bpf_ret(a, SECCOMP_RET_ALLOW);
    return bpf_finish(a);
}

/* On top of it in each stub: what this listener is told of. TRAP of the base outranks it. */
int filter_listen(struct bpf_asm *a)
{
    int notify = bpf_label(a), allow = bpf_label(a), clone = bpf_label(a);

    bpf_load(a, OFF_NR);
    bpf_jeq(a, NR_BELL, notify, BPF_NEXT);
    bpf_jeq(a, SYS_clone, clone, allow);
    bpf_here(a, clone); /* not those of the nurse, which has such a filter without a listener */
    bpf_load(a, ARG_LO(0));
    bpf_jeq(a, BLOB_THREAD_FLAGS, BPF_NEXT, notify);
    bpf_load(a, ARG_HI(0));
    bpf_jeq(a, 0, allow, notify);
    bpf_here(a, allow);
    bpf_ret(a, SECCOMP_RET_ALLOW);
    bpf_here(a, notify);
    bpf_ret(a, SECCOMP_RET_USER_NOTIF);
    return bpf_finish(a);
}

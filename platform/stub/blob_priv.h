/* SPDX-License-Identifier: Apache-2.0 */
/* Between the blob's own files. Freestanding. */
#pragma once

#include "platform/stub/blob.h"

#define SIGSYS 31

#define HIDDEN __attribute__((visibility("hidden")))

enum {
    NR_READ = 0,
    NR_WRITE = 1,
    NR_CLOSE = 3,
    NR_POLL = 7,
    NR_MUNMAP = 11,
    NR_RT_SIGPROCMASK = 14,
    NR_SCHED_YIELD = 24,
    NR_SENDTO = 44,
    NR_RECVFROM = 45,
    NR_SENDMSG = 46,
    NR_CLONE = 56,
    NR_EXIT = 60,
    NR_ARCH_PRCTL = 158,
    NR_FUTEX = 202,
    NR_CLOCK_GETTIME = 228,
    NR_EXIT_GROUP = 231,
    NR_SET_ROBUST_LIST = 273,
    NR_SECCOMP = 317,
    NR_RSEQ = 334
};

static inline long sys6(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                        uint64_t f)
{
    long ret;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

/* The limit of a segment that the kernel sets up for just this holds node and cpu. */
static inline uint32_t cpu_now(void)
{
    uint32_t v;

    __asm__ volatile("lsl %1, %0" : "=r"(v) : "r"(0x7b) : "cc");
    return v & 0xfff;
}

/* Rings, with block.seq; the answer (blob.c). */
HIDDEN long blob_ring(struct block *b, long kind);

/* Does what the sentry answers until it says RESUME or FRAME, which it returns (blob.c). */
HIDDEN long blob_serve(struct block *b, long ans, long kind);

enum {
    G_R8,
    G_R9,
    G_R10,
    G_R11,
    G_RDI = 8,
    G_RSI = 9,
    G_RDX = 12,
    G_RAX = 13,
    G_RCX = 14,
    G_RIP = 16,
    G_EFL = 17
}; /* in a frame's registers */

/* A signal frame whose rip lies in the blob: true when it is to be told to the sentry (light.c). */
HIDDEN int light_signal(struct block *b, int sig, uint64_t *g);
HIDDEN long light_call(struct block *b);

/* The guest's memory, by fix-up of what faults (light.S): bytes that were not copied; 0: can be written. */
HIDDEN uint64_t blob_copy(void *to, const void *from, uint64_t n);
HIDDEN long blob_touch(char *at);

/* Does what needs nobody but the thread itself (kept.c); 0: the call is the sentry's. */
HIDDEN int kept_call(struct block *b, uint64_t nr, const uint64_t args[6], long *ret);
HIDDEN int kept_trap(struct block *b,
                     uint64_t *g); /* a call that has trapped, with its frame's registers */

/* Does with a socket that was lent what needs nobody else (lent.c); 0: the call is the sentry's. */
HIDDEN int lent_call(struct block *b, uint64_t nr, const uint64_t args[6], long *ret);
/* That system call, with two more arguments that are 0; -EINTR where a kick has come or comes (light.S). */
HIDDEN long blob_lent(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t nr,
                      struct block *b);

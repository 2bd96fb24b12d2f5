/* SPDX-License-Identifier: Apache-2.0 */
/* Between the blob's own files. Freestanding. */
#pragma once

#include "platform/stub/blob.h"

#define HIDDEN __attribute__((visibility("hidden")))

enum {
    NR_READ = 0,
    NR_CLOSE = 3,
    NR_MUNMAP = 11,
    NR_SENDMSG = 46,
    NR_CLONE = 56,
    NR_EXIT = 60,
    NR_FUTEX = 202,
    NR_EXIT_GROUP = 231,
    NR_SECCOMP = 317
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

/* Does what the sentry answers until it says RESUME or FRAME, which it returns (blob.c). */
HIDDEN long blob_serve(struct block *b, long ans, long kind);

/* A signal frame whose rip lies in the blob: true when it is to be told to the sentry (light.c). */
HIDDEN int light_signal(struct block *b, int sig, uint64_t *rip, uint64_t rcx);
HIDDEN long light_call(struct block *b);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest finds when it looks for the stub that it runs in: the blob, its block of the channel,
 * and instructions in the blob that make host calls. Nothing here asks the sentry for anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "platform/stub/blob.h"

struct stub {
    uint64_t slot;             /* where the blob lies */
    struct blob_header header; /* as it says there */
    uint64_t syscall_ret;      /* syscall; ret */
    uint64_t clone;            /* its blob_clone: cloned children go on at blob_born */
    bool channel;              /* is there one? Not under ptrace */
};
extern struct stub stub;

/* False, and a line why: this is no stub (a native run, say). */
bool stub_find(void);
/*
 * The calling thread's block, or the first one where the processor cannot tell; memory of our own where
 * there is no channel.
 */
struct block *stub_block(void);

/* A call by the blob's own instruction, by one of ours, by int 0x80. -errno. */
long by_blob(long nr, long a, long b, long c, long d, long e, long f);
long by_own(long nr, long a, long b, long c, long d, long e, long f);
long by_int80(long nr, long a, long b, long c, long d, long e, long f);
long by_vsyscall(unsigned which, long a, long b, long c);

/* Rings: whatever the words say. */
long ring(long kind, long rsi, long seq);

/* Jumps to at with these in rax, rdi, rsi, rdx, r10, r8, r9, r12, r13, r14, rsp. */
struct jump {
    uint64_t at, rax, rdi, rsi, rdx, r10, r8, r9, r12, r13, r14, rsp;
};
void jump_to(const struct jump *j) __attribute__((noreturn));

/* Own generator, so that a seed says everything. */
uint64_t rnd(uint64_t *seed);

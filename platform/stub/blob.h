/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blob: the only code of ours in a stub, and what it shares with the sentry. Freestanding; used
 * by both sides. All of it is the guest's to scribble over: the sentry reads a word once and checks.
 *
 * A stub's address space has one slot of 4 GiB, told by its upper 32 bits, which the guest may not
 * map into. In it:
 *
 *     SLOT + 0             blob text, read-only and executable, shared by all stubs
 *     SLOT + ZDATA_OFF     zygote's private data and stack, unmapped before guest code runs
 *     SLOT + CHANNEL_OFF   the channel: one block a thread
 */
#pragma once

#define SLOT_SHIFT 32
#define BLOB_MAX 0x10000
#define ZDATA_OFF 0x1000000
#define ZDATA_SIZE 0x10000
#define CHANNEL_OFF 0x10000000

#define BLOCK_SHIFT 16
#define BLOCK_SIZE (1 << BLOCK_SHIFT)
#define BLOCKS_MAX 4096
#define CHANNEL_SIZE (BLOCKS_MAX << BLOCK_SHIFT)
#define BLOCK_STACK_OFF 0x8000 /* alternate signal stack: the upper half of a block */
#define BLOCK_STACK_SIZE (BLOCK_SIZE - BLOCK_STACK_OFF)
#define BLOCK_OPS_OFF 0x400
#define BLOCK_PROG_OFF 0x6000 /* ANS_LISTEN: struct listen_prog */

/* The doorbell: a number no kernel uses. rdi kind, rsi block index or nonce, rdx sequence. */
#define NR_BELL 500
#define BELL_EVENT 1 /* a signal frame lies in the block */
#define BELL_OPS 2   /* operations are done */
#define BELL_BORN 3 /* a new thread or process, rsi: its nonce, rdx: 1 once its channel is mapped */

/* What a bell is answered with. */
#define ANS_RESUME 0
#define ANS_OPS 1
#define ANS_PARK 2
#define ANS_EXIT 3
#define ANS_RING 4   /* to a parked one: ring again */
#define ANS_LISTEN 5 /* to a parked one: install a new listener, by the program at BLOCK_PROG_OFF */
#define ANS_NURSE 6  /* wait, run the operations without a listener, install one, wait, ring */
#define ANS_START 7  /* a ready thread begins: fs is set, then as ANS_RESUME */
#define ANS_GO 9     /* run the operations, whatever they say, then as ANS_RESUME */
#define ANS_REST 8   /* a thread is over: run the operations, ring as new with block.nonce */

/* What kind of child a clone makes (blob.S, r14). */
#define BORN_CHANNEL 1 /* gets a descriptor of its channel with the answer to its first bell */
#define BORN_PROCESS 2 /* a new process: asks for its parent's death signal */
#define BORN_NURSE 4   /* makes threads, see trap/threads.c; never rings */
#define BORN_GIVEN 16  /* has a descriptor of its channel from its parent: r14 >> BORN_FD_SHIFT */
#define BORN_FD_SHIFT 8
#define BORN_SPARE 8 /* a thread that installs a listener of its own first */

/* CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: how the nurse and its threads are cloned. */
#define BLOB_THREAD_FLAGS 0x50f00

/* Host signal that takes a thread out of guest code. Blocked while the blob's handler runs. */
#define SIG_KICK 23 /* SIGURG */

#define BLOB_MAGIC 0x58425332
#define BLOCK_UC_OFF 8 /* offset of struct block.uc, for the assembler */

#ifndef __ASSEMBLER__

#include <stdint.h>

struct blob_header {
    uint32_t magic, size;
    uint32_t handler, restorer, zygote, born; /* offsets of entry points */
};

/* A host call to be made by the blob, its result in ret. */
struct block_op {
    uint32_t nr;     /* host call number, or an OP_* below */
    uint32_t always; /* run also after a failure (closing a descriptor that was lent) */
    uint64_t a[6];
    int64_t ret;
};

#define OP_STORE32_WAKE 0x10001 /* a: address, value */
#define OP_CLONE 0x10002 /* a: flags, address of the child's block, nonce, tls, ctid, BORN_* */
#define BLOCK_OPS_MAX 66 /* AS_OPS_MAX, a close for each descriptor lent, and what was deferred */

struct block {
    uint32_t seq;   /* counts events, by the blob */
    uint32_t sig;   /* the host signal of this event */
    uint32_t uc;    /* offset of the frame's ucontext in the block; BLOCK_UC_OFF */
    uint32_t park;  /* futex: 0 sleep, else answer + 1 */
    uint32_t index; /* of this block */
    uint32_t nops;
    int32_t listener; /* futex: ANS_LISTEN's descriptor or -errno; LISTENER_NONE before */
    uint32_t cpu;     /* that the last event came from; a hint */
    uint64_t nonce;   /* ANS_REST */
    uint64_t fs;      /* ANS_START: the base */
    uint64_t cpu0;    /* ANS_START: the thread's processor time then, in ns, by the blob */
};
#define LISTENER_NONE 0x7fffffff

_Static_assert(sizeof(struct block_op) * BLOCK_OPS_MAX + BLOCK_OPS_OFF <= BLOCK_PROG_OFF, "fits");
_Static_assert(__builtin_offsetof(struct block, uc) == BLOCK_UC_OFF, "blob.S uses it");

struct bpf_insn { /* struct sock_filter */
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

/* A listener filter in a block, with addresses as the stub sees them. */
struct listen_prog {
    uint32_t flags; /* of seccomp(2) */
    uint16_t len, pad;
    uint32_t pad2[2];
    struct {
        uint16_t len;
        uint64_t insns;
    } prog; /* struct sock_fprog */
    struct bpf_insn insn[16];
};

/* What the zygote is told, at SLOT + ZDATA_OFF. Its stack is above it. */
struct zygote_data {
    int sock;
    uint32_t base_len, listen_len;
    uint32_t use_killable;
    uint64_t slot, secret; /* secret: third argument of the zygote's own clone */
    uint64_t task_size;
    uint64_t keep[2][2]; /* ranges to keep: the host's vDSO */
    uint32_t nkeep;
    struct bpf_insn base[256], listen[16];
};

/* Sentry to zygote: make a blank stub. The stub itself answers with the nonce and
 * its listener by SCM_RIGHTS. */
struct zygote_request {
    uint64_t nonce;
};

#endif

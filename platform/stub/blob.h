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
#define BLOCK_LIGHT_STACK 0xc00 /* top of the light path's stack; its lowest byte: */
#define BLOCK_LIGHT_STACK_LOW 0x400
#define BLOCK_PROG_OFF 0xc00 /* ANS_LISTEN: struct listen_prog */
#define BLOCK_OPS_OFF 0x1000
#define BLOCK_DATA_OFF 0x2000 /* what a light call lends: bytes in, then room for bytes out */
#define BLOCK_DATA_SIZE (BLOCK_STACK_OFF - BLOCK_DATA_OFF)

/*
 * One block is no thread's: a word for each descriptor of the guest's that is a socket of the host's which
 * was lent to the stub (lent.c): its number there, and what a call may do with it. 0: the sentry's.
 */
#define LENT_BLOCK 15
#define LENT_FDS (BLOCK_SIZE / 4)
#define LENT_FIRST 64 /* the numbers of those that are lent for good, in the stub */
#define LENT_MAX 1024
#define LENT_NUMBER 0xffffu
#define LENT_NONBLOCK 0x10000u  /* the guest's O_NONBLOCK */
#define LENT_IN_WAITS 0x20000u  /* who waits for something to come waits here */
#define LENT_OUT_WAITS 0x40000u /* the same for room */

/*
 * The doorbell: rdi kind, rsi block index or nonce, rdx sequence. The number is getppid's, which the
 * blob has no use for: a filter that we are started under (a container's) has to let it pass, and none
 * lets a number pass that it does not know, whose refusal outranks a notification.
 */
#define NR_BELL 110
#define BELL_EVENT 1 /* a signal frame lies in the block */
#define BELL_OPS 2   /* operations are done */
#define BELL_BORN 3 /* a new thread or process, rsi: its nonce, rdx: 1 once its channel is mapped */
#define BELL_CALL 4 /* a light call: registers lie in block.light, without a frame */

/* Traps inside the blob (getpid's number): a light call is turned into an event with a whole frame. */
#define NR_FRAME 39

/* What a bell is answered with. */
#define ANS_RESUME 0
#define ANS_OPS 1
#define ANS_PARK 2
#define ANS_EXIT 3
#define ANS_RING 4   /* to a parked one: ring again */
#define ANS_LISTEN 5 /* to a parked one: install a new listener, by the program at BLOCK_PROG_OFF */
#define ANS_FRAME 6  /* to a light call: come again with a whole frame */
#define ANS_NURSE 7  /* wait, run the operations without a listener, install one, wait, ring */
#define ANS_START 8  /* a ready thread begins: fs is set, then as ANS_RESUME */
#define ANS_REST 9   /* a thread is over: run the operations, ring as new with block.nonce */
#define ANS_GO 10    /* run the operations, whatever they say, then as ANS_RESUME */

/* What kind of child a clone makes (blob.S, r14). */
#define BORN_CHANNEL 1 /* gets a descriptor of its channel with the answer to its first bell */
#define BORN_PROCESS 2 /* a new process: asks for its parent's death signal */
#define BORN_GS 4      /* its gs base points at its block: patched call sites find it so */
#define BORN_NURSE 8   /* makes threads, see trap/threads.c; never rings */
#define BORN_SPARE 16  /* a thread that installs a listener of its own first */
#define BORN_GIVEN 32  /* has a descriptor of its channel from its parent: r14 >> BORN_FD_SHIFT */
#define BORN_OUR_GS 64 /* as BORN_GS, where its maker's pointed at a block, too */
#define BORN_FD_SHIFT 8

/* CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM: how the nurse and its threads are cloned. */
#define BLOB_THREAD_FLAGS 0x50f00

/* Host signal that takes a thread out of guest code. Blocked while the blob's handler runs. */
#define SIG_KICK 23 /* SIGURG */

#define BLOB_MAGIC 0x58425332
/* Offsets in struct block, for the assembler. */
#define BLOCK_UC_OFF 8
#define BLOCK_SELF_OFF 32
#define BLOCK_KICKED_OFF 40
#define BLOCK_LOCAL_OFF 48
#define BLOCK_MAGIC_OFF 56
#define BLOCK_CLASSES_OFF 64 /* and of what would be the fact 0 */
#define BLOCK_LIGHT_OFF 128

/* Calls that the blob answers alone, by number in block.facts. 0: the call is the sentry's. */
#define FACT_PID 1
#define FACT_TID 2
#define FACT_UID 3
#define FACT_EUID 4
#define FACT_GID 5
#define FACT_EGID 6
#define FACTS 7

/* Classes of calls on the light path: 0 is the host's or wants a frame, FACT_*, LIGHT_*. */
#define LIGHT_SENTRY 7
/* The sentry's, but for signals to oneself, whose handler needs a frame: like 0 for these. */
#define LIGHT_KILL 8
#define LIGHT_TKILL 9
#define LIGHT_TGKILL 10
#define LIGHT_CLASSES 512

/* block.words, as enum ctx_word (platform.h) */
#define KEPT_BLOCKED 0
#define KEPT_PENDING 1
#define KEPT_ROBUST 2
#define KEPT_RSEQ 3
#define KEPT_RSEQ_LEN 4
#define KEPT_RSEQ_SIG 5
#define KEPT_RECEIVED 6
#define KEPT_SENT 7
#define KEPT_WORDS 8

/* block.call.post: a call handed over by memory alone, to a worker that looks at it. */
#define POST_SHIFT 3
#define POST_NONE 0
#define POST_CALL 1  /* by the stub: registers are there */
#define POST_TAKEN 2 /* by the sentry: an answer will come */
#define POST_SLEEP 3 /* by the stub: it sleeps on the word until then */
#define POST_DONE 4  /* by the sentry: the answer is there, or about to be */

#ifndef __ASSEMBLER__

#include <stdint.h>

struct blob_header {
    uint32_t magic, size;
    uint32_t handler, restorer, zygote, born; /* offsets of entry points */
    uint32_t light_entry, light_plain;        /* where patched call sites go; and where not */
    uint32_t light_exit, light_end;           /* here all registers stand in block.light */
    uint32_t light_framed;                    /* here too: behind the call that makes a frame */
    uint32_t light_class;                     /* the table of classes */
    uint32_t traced_call;                     /* a call and a breakpoint, for a tracer */
    uint32_t traced_swap, traced_swapped;     /* an exchange, and its end */
};

/* A host call to be made by the blob, its result in ret. */
struct block_op {
    uint32_t nr;     /* host call number, or an OP_* below */
    uint32_t always; /* run also after a failure (closing a descriptor that was lent) */
    uint64_t a[6];
    int64_t ret;
};

#define OP_STORE32_WAKE 0x10001 /* a: address, value */
#define OP_CMPXCHG32 0x10003    /* a: address, old, new */
#define OP_CLONE 0x10002 /* a: flags, address of the child's block, nonce, tls, ctid, BORN_* */
#define BLOCK_OPS_MAX 64 /* AS_OPS_MAX, a close for each descriptor lent, and what was deferred */

/* General registers of a light call, for its stub; for the sentry when it needs more than `call`. */
struct light_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r10, r9, r8, rax, rdx, rsi, rdi, rip, rflags, rsp;
};

/*
 * What a light call hands over, and what comes back: a cache line each, of which one side only reads
 * while the other writes, because with the two on different cpus each line that is touched by both
 * costs more than the call itself.
 */
struct light_call {
    uint32_t post;            /* futex: POST_*, and above it the stub's count of posted calls */
    uint16_t in_len, out_cap; /* bytes lent at the start of the data; room behind them (out_off) */
    uint64_t nr, args[6];
};

struct light_answer {
    uint32_t done;          /* that count, when the call is answered */
    uint16_t out_at, out_n; /* bytes to be copied out, from out_off + out_at */
    int64_t ans;            /* ANS_*, of a posted call */
    uint64_t rax, rip;      /* rip 0: unchanged */
};

/* Where in the data bytes out are collected, behind in_len bytes in. */
static inline uint32_t out_off(uint32_t in_len)
{
    return (in_len + 15) & ~15u;
}

/* A call instruction that calls about `words` have trapped at, and how often (kept.c). */
struct kept_site {
    uint32_t rip_low, traps;
};
#define KEPT_SITES 8

struct block {
    uint32_t seq;   /* counts bells, by the blob: one that is rung again has the number of before */
    uint32_t sig;   /* the host signal of this event */
    uint32_t uc;    /* offset of the frame's ucontext in the block; BLOCK_UC_OFF */
    uint32_t park;  /* futex: 0 sleep, else answer + 1 */
    uint32_t index; /* of this block */
    uint32_t nops;
    int32_t listener;      /* futex: the descriptor of a new one or -errno; LISTENER_NONE before */
    uint32_t cpu;          /* on which the thread rang last */
    uint64_t self;         /* address of this block in the stub; gs points here, */
    uint32_t kicked;       /* a kick came during a light call */
    uint32_t keeps;        /* by the sentry: calls about `words` need not come to it */
    uint64_t local;        /* calls that the blob answered alone */
    uint64_t magic;        /* so long as this is there */
    uint64_t classes;      /* address of the table of classes in the stub */
    uint64_t facts[FACTS]; /* by FACT_* - 1: 1 << 32 | value, or 0 */
    struct light_regs light;
    struct light_call call __attribute__((aligned(64)));
    struct light_answer answer __attribute__((aligned(64)));
    uint32_t spin_cpu __attribute__((aligned(64))); /* by the sentry: 1 + the cpu on which it looks
                                                       at call.post; 0: it does not */
    uint32_t spin_tsc; /* by the sentry: how long to wait for it, in cycles */
    uint32_t posted;   /* by the stub: calls handed over by memory */
    uint64_t nonce;    /* ANS_REST: of the thread as a new one, */
    uint64_t kind;     /* and BORN_* */
    uint64_t fs;       /* ANS_START: the base */
    uint64_t cpu0;     /* by the stub: the thread's processor time then, in ns */
    uint32_t relisten; /* futex: RELISTEN_* */
    uint32_t lends;    /* by the sentry: the thread may use the words of LENT_BLOCK, */
    uint32_t lent_use; /* and by the stub: the number it is using, or 0 */
    uint64_t words[KEPT_WORDS] __attribute__((aligned(64))); /* what the thread keeps with itself */
    struct kept_site sites[KEPT_SITES];                      /* by the stub */
};
#define LISTENER_NONE 0x7fffffff
#define RELISTEN_DO 1   /* a ring that is refused is made again, with a new listener */
#define RELISTEN_DONE 2 /* the sentry has it */

_Static_assert(sizeof(struct block_op) * BLOCK_OPS_MAX + BLOCK_OPS_OFF <= BLOCK_DATA_OFF, "fits");
_Static_assert(sizeof(struct block) <= BLOCK_LIGHT_STACK_LOW, "fits");
_Static_assert(sizeof(struct light_call) == 64, "a cache line");
_Static_assert(__builtin_offsetof(struct block, uc) == BLOCK_UC_OFF, "blob.S uses it");
_Static_assert(__builtin_offsetof(struct block, self) == BLOCK_SELF_OFF, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, kicked) == BLOCK_KICKED_OFF, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, local) == BLOCK_LOCAL_OFF, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, magic) == BLOCK_MAGIC_OFF, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, classes) == BLOCK_CLASSES_OFF, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, facts) == BLOCK_CLASSES_OFF + 8, "light.S uses it");
_Static_assert(__builtin_offsetof(struct block, light) == BLOCK_LIGHT_OFF, "light.S uses it");

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
    uint32_t use_killable, use_gs;
    uint32_t traced;       /* its tracer does the rest */
    uint64_t slot, secret; /* secret: third argument of the zygote's own clone */
    uint64_t task_size;
    uint64_t keep[2][2]; /* ranges to keep: the host's vDSO */
    uint32_t nkeep;
    struct bpf_insn base[256], listen[16];
};

/* Sentry to zygote: make a blank stub. The stub itself answers with the nonce and its listener by
 * SCM_RIGHTS; where the host lets none be made, the nonce comes alone. */
struct zygote_request {
    uint64_t nonce;
};

#endif

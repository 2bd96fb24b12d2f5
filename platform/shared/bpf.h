/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small assembler for the stub's filters. libseccomp cannot test the instruction pointer, which
 * these filters load first. Jumps name labels; a jump that does not fit in 8 bits is refused when
 * the program is finished.
 */
#pragma once

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/stub/blob.h"

#define BPF_MAX 256
#define BPF_LABELS 64
#define BPF_NEXT -1 /* as a label: the next instruction */

struct bpf_asm {
    struct bpf_insn insn[BPF_MAX];
    int16_t jt[BPF_MAX], jf[BPF_MAX]; /* labels */
    int16_t at[BPF_LABELS];
    unsigned n, nlabels;
    bool overflow;
};

void bpf_init(struct bpf_asm *a);
int bpf_label(struct bpf_asm *a);            /* a new label */
void bpf_here(struct bpf_asm *a, int label); /* it stands here */
void bpf_load(struct bpf_asm *a, uint32_t off);
void bpf_and(struct bpf_asm *a, uint32_t mask);
void bpf_jeq(struct bpf_asm *a, uint32_t k, int yes, int no);
void bpf_jge(struct bpf_asm *a, uint32_t k, int yes, int no);
void bpf_ja(struct bpf_asm *a, int label);
void bpf_ret(struct bpf_asm *a, uint32_t action);

/* Resolves the labels. Instructions, or -E2BIG / -EINVAL (a label without a place, too far). */
int bpf_finish(struct bpf_asm *a);

/* What the program says of a call: SECCOMP_RET_*, by the instructions that are made here. */
uint32_t bpf_run(const struct bpf_asm *a, const struct seccomp_data *d);

/* ---- the programs of stubs ---- */

#define OFF_NR offsetof(struct seccomp_data, nr)
#define OFF_ARCH offsetof(struct seccomp_data, arch)
#define OFF_IP offsetof(struct seccomp_data, instruction_pointer)
#define ARG_LO(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define ARG_HI(n) (ARG_LO(n) + 4)

/* Part of one: goes to allow for the native calls, with their arguments checked, else to other. */
void filter_native(struct bpf_asm *a, uint32_t slot_hi, int allow, int other);

/*
 * Under the trap platform (trap/filter.c): the base, and on top of it what a listener is told of.
 * slot_hi: upper half of the slot's address. zygote_sock: the descriptor that may be read and sent to. lends:
 * bytes may also go by connected sockets (trap/lend.c).
 */
int filter_base(struct bpf_asm *a, uint32_t slot_hi, uint32_t blob_size, uint64_t secret,
                uint32_t zygote_sock, bool lends);
int filter_listen(struct bpf_asm *a);

/* Under ptrace: native calls pass, all others stop for the tracer, and fail where there is none. */
int filter_traced(struct bpf_asm *a, uint32_t slot_hi);

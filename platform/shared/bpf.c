/* SPDX-License-Identifier: Apache-2.0 */
/* See bpf.h. */
#include "platform/shared/bpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>

void bpf_init(struct bpf_asm *a)
{
    memset(a, 0, sizeof *a);
    memset(a->at, 0xff, sizeof a->at);
}

int bpf_label(struct bpf_asm *a)
{
    if (a->nlabels == BPF_LABELS) {
        a->overflow = true;
        return 0;
    }
    return (int)a->nlabels++;
}

void bpf_here(struct bpf_asm *a, int label)
{
    a->at[label] = (int16_t)a->n;
}

static void emit(struct bpf_asm *a, uint16_t code, uint32_t k, int jt, int jf)
{
    if (a->n == BPF_MAX) {
        a->overflow = true;
        return;
    }
    a->insn[a->n] = (struct bpf_insn){ .code = code, .k = k };
    a->jt[a->n] = (int16_t)jt;
    a->jf[a->n] = (int16_t)jf;
    a->n++;
}

void bpf_load(struct bpf_asm *a, uint32_t off)
{
    emit(a, BPF_LD | BPF_W | BPF_ABS, off, BPF_NEXT, BPF_NEXT);
}

void bpf_and(struct bpf_asm *a, uint32_t mask)
{
    emit(a, BPF_ALU | BPF_AND | BPF_K, mask, BPF_NEXT, BPF_NEXT);
}

void bpf_jeq(struct bpf_asm *a, uint32_t k, int yes, int no)
{
    emit(a, BPF_JMP | BPF_JEQ | BPF_K, k, yes, no);
}

void bpf_jge(struct bpf_asm *a, uint32_t k, int yes, int no)
{
    emit(a, BPF_JMP | BPF_JGE | BPF_K, k, yes, no);
}

void bpf_ja(struct bpf_asm *a, int label)
{
    emit(a, BPF_JMP | BPF_JA, 0, label, BPF_NEXT);
}

void bpf_ret(struct bpf_asm *a, uint32_t action)
{
    emit(a, BPF_RET | BPF_K, action, BPF_NEXT, BPF_NEXT);
}

/* Distance from instruction i to a label; negative when it cannot be. */
static int distance(const struct bpf_asm *a, unsigned i, int label)
{
    if (label == BPF_NEXT)
        return 0;
    return a->at[label] < 0 ? -1 : a->at[label] - (int)i - 1;
}

int bpf_finish(struct bpf_asm *a)
{
    if (a->overflow)
        return -E2BIG;
    for (unsigned i = 0; i < a->n; i++) {
        int t = distance(a, i, a->jt[i]), f = distance(a, i, a->jf[i]);

        if (t < 0 || f < 0)
            return -EINVAL;
        if (a->insn[i].code == (BPF_JMP | BPF_JA)) {
            a->insn[i].k = (uint32_t)t;
            continue;
        }
        if (t > 255 || f > 255)
            return -EINVAL;
        a->insn[i].jt = (uint8_t)t;
        a->insn[i].jf = (uint8_t)f;
    }
    return (int)a->n;
}

uint32_t bpf_run(const struct bpf_asm *a, const struct seccomp_data *d)
{
    uint32_t acc = 0;

    for (unsigned i = 0; i < a->n; i++) {
        const struct bpf_insn *in = &a->insn[i];

        switch (in->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&acc, (const char *)d + in->k, sizeof acc);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            acc &= in->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            i += acc == in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            i += acc >= in->k ? in->jt : in->jf;
            break;
        case BPF_JMP | BPF_JA:
            i += in->k;
            break;
        default:
            return in->code == (BPF_RET | BPF_K) ? in->k : SECCOMP_RET_KILL_PROCESS;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

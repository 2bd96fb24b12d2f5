/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Light calls, the sentry's side: registers in the block instead of a signal frame, and the pieces
 * of guest memory that the blob has lent there. Which pieces those are is worked out here from the
 * registers that were taken; of the block only lengths are read, once, and bounded.
 *
 * Bytes out are collected in the block, in one run, and copied to the guest by its blob. A write
 * that does not fit behind the others goes straight to the guest's memory; so does, before it, what
 * was collected, when the two overlap.
 */
#include <string.h>

#include "platform/stub/light_calls.h"
#include "platform/trap/trap.h"

static const struct light_lend lends[] = LIGHT_LENDS;

static const struct light_lend *lend_of(uint64_t nr)
{
    static uint8_t index[LIGHT_CLASSES]; /* 1 + place in lends; the same whoever fills it in */
    static _Atomic bool ready;

    if (!atomic_load_explicit(&ready, memory_order_acquire)) {
        for (unsigned i = 0; i < sizeof lends / sizeof lends[0]; i++)
            __atomic_store_n(&index[lends[i].nr], (uint8_t)(i + 1), __ATOMIC_RELAXED);
        atomic_store_explicit(&ready, true, memory_order_release);
    }
    if (nr >= LIGHT_CLASSES)
        return NULL;
    uint8_t at = __atomic_load_n(&index[nr], __ATOMIC_RELAXED);
    return at ? &lends[at - 1] : NULL;
}

static bool reachable(gaddr_t at, uint64_t n)
{
    return at < stubs.slot && n <= stubs.slot - at;
}

static void take_lent(struct ctx *c, const struct light_lend *l, const struct light_call *call)
{
    uint64_t in = lend_size(&l->in, call->args), out = lend_size(&l->out, call->args);
    gaddr_t from = call->args[l->in.arg], to = call->args[l->out.arg];

    if (call->in_len > LEND_MAX || call->out_cap > LEND_MAX)
        return;
    if (call->in_len <= in && (l->in.kind == LEND_STR || call->in_len == in) &&
        reachable(from, call->in_len)) {
        c->lent_in = from;
        c->lent_in_len = call->in_len;
        c->lent_str = l->in.kind == LEND_STR;
    }
    if (call->out_cap <= out && reachable(to, call->out_cap)) {
        c->lent_out = to;
        c->lent_out_cap = call->out_cap;
        c->lent_out_off = BLOCK_DATA_OFF + out_off(call->in_len);
    }
}

void light_forget(struct ctx *c)
{
    c->light = false;
    c->partial = false;
    c->lent_in_len = c->lent_out_cap = c->out_at = c->out_n = 0;
}

void light_regs_take(struct ctx *c)
{
    struct light_regs l;

    memcpy(&l, &c->block->light, sizeof l);
    c->partial = false;
    c->regs = (struct regs){ .r15 = l.r15,
                             .r14 = l.r14,
                             .r13 = l.r13,
                             .r12 = l.r12,
                             .rbp = l.rbp,
                             .rbx = l.rbx,
                             .r11 = l.rflags, /* as syscall leaves them */
                             .rcx = l.rip,
                             .r10 = l.r10,
                             .r9 = l.r9,
                             .r8 = l.r8,
                             .rax = l.rax,
                             .rdx = l.rdx,
                             .rsi = l.rsi,
                             .rdi = l.rdi,
                             .orig_rax = (uint64_t)-1,
                             .rip = l.rip,
                             .rflags = l.rflags,
                             .rsp = l.rsp };
}

void light_complete(struct ctx *c)
{
    uint64_t nr = c->regs.orig_rax, rax = c->regs.rax;

    if (!c->partial)
        return;
    light_regs_take(c);
    c->regs.orig_rax = nr;
    c->regs.rax = rax;
}

void light_take(struct ctx *c)
{
    struct regs *r = &c->regs;
    const struct light_lend *l;
    struct light_call call;

    memcpy(&call, &c->block->call, sizeof call);
    light_forget(c);
    c->fault.signo = 0;
    c->light = c->partial = true;
    r->orig_rax = (uint32_t)call.nr;
    r->rax = call.nr;
    r->rdi = call.args[0], r->rsi = call.args[1], r->rdx = call.args[2];
    r->r10 = call.args[3], r->r8 = call.args[4], r->r9 = call.args[5];
    l = lend_of(r->orig_rax);
    if (l)
        take_lent(c, l, &call);
}

/* What a call may have changed: its result, and where it goes on. */
void light_put(struct ctx *c)
{
    struct light_answer *a = &c->block->answer;

    a->rax = c->regs.rax;
    a->rip = c->partial ? 0 : c->regs.rip;
    a->out_at = (uint16_t)c->out_at;
    a->out_n = (uint16_t)c->out_n;
    light_forget(c);
}

static char *out_bytes(struct ctx *c)
{
    return (char *)c->block + c->lent_out_off;
}

static bool overlaps(const struct ctx *c, gaddr_t at, size_t n)
{
    gaddr_t lo = c->lent_out + c->out_at;

    return c->out_n > 0 && at < lo + c->out_n && lo < at + n;
}

/* What was collected goes to the guest's memory now. */
void light_flush(struct ctx *c)
{
    if (c->out_n > 0)
        (void)as_write(c->stub->as, c->lent_out + c->out_at, out_bytes(c) + c->out_at, c->out_n,
                       false);
    c->out_n = 0;
    c->lent_out_cap = 0;
}

ssize_t ctx_read(struct ctx *c, gaddr_t from, void *to, size_t n)
{
    uint64_t off = from - c->lent_in;

    if (overlaps(c, from, n))
        light_flush(c);
    if (off < c->lent_in_len && (n <= c->lent_in_len - off || c->lent_str)) {
        n = n < c->lent_in_len - off ? n : c->lent_in_len - off;
        memcpy(to, (char *)c->block + BLOCK_DATA_OFF + off, n);
        return (ssize_t)n;
    }
    return as_read(c->stub->as, from, to, n);
}

ssize_t ctx_write(struct ctx *c, gaddr_t to, const void *from, size_t n)
{
    uint64_t off = to - c->lent_out;

    if (off < c->lent_out_cap && n <= c->lent_out_cap - off &&
        (c->out_n == 0 || off == c->out_at + c->out_n)) {
        memcpy(out_bytes(c) + off, from, n);
        if (c->out_n == 0)
            c->out_at = (uint32_t)off;
        c->out_n += (uint32_t)n;
        return (ssize_t)n;
    }
    if (overlaps(c, to, n))
        light_flush(c);
    return as_write(c->stub->as, to, from, n, false);
}

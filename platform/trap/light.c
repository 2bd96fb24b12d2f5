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
    return at < trap.slot && n <= trap.slot - at;
}

static void take_lent(struct ctx *c, const struct light_lend *l, const uint64_t args[6])
{
    uint32_t in_len = __atomic_load_n(&c->block->in_len, __ATOMIC_RELAXED);
    uint32_t off = __atomic_load_n(&c->block->out_off, __ATOMIC_RELAXED);
    uint32_t cap = __atomic_load_n(&c->block->out_cap, __ATOMIC_RELAXED);
    uint64_t in = lend_size(&l->in, args), out = lend_size(&l->out, args);

    if (in_len <= LEND_MAX && in_len <= in && (l->in.kind == LEND_STR || in_len == in) &&
        reachable(args[l->in.arg], in_len)) {
        c->lent_in = args[l->in.arg];
        c->lent_in_len = in_len;
        c->lent_str = l->in.kind == LEND_STR;
    }
    if (cap <= LEND_MAX && cap <= out && off <= BLOCK_DATA_SIZE - LEND_MAX &&
        reachable(args[l->out.arg], cap)) {
        c->lent_out = args[l->out.arg];
        c->lent_out_cap = cap;
        c->lent_out_off = BLOCK_DATA_OFF + off;
    }
}

void light_forget(struct ctx *c)
{
    c->light = false;
    c->lent_in_len = c->lent_out_cap = c->out_at = c->out_n = 0;
}

static void regs_from(struct regs *r, const struct light_regs *l)
{
    *r = (struct regs){ .r15 = l->r15,
                        .r14 = l->r14,
                        .r13 = l->r13,
                        .r12 = l->r12,
                        .rbp = l->rbp,
                        .rbx = l->rbx,
                        .r11 = l->rflags, /* as syscall leaves them */
                        .rcx = l->rip,
                        .r10 = l->r10,
                        .r9 = l->r9,
                        .r8 = l->r8,
                        .rax = l->rax,
                        .rdx = l->rdx,
                        .rsi = l->rsi,
                        .rdi = l->rdi,
                        .orig_rax = (uint64_t)-1,
                        .rip = l->rip,
                        .rflags = l->rflags,
                        .rsp = l->rsp };
}

void light_regs_take(struct ctx *c)
{
    struct light_regs l;

    memcpy(&l, &c->block->light, sizeof l);
    regs_from(&c->regs, &l);
}

void light_take(struct ctx *c)
{
    const struct regs *r = &c->regs;
    const struct light_lend *l;

    light_regs_take(c);
    light_forget(c);
    c->regs.orig_rax = (uint32_t)r->rax;
    c->fault.signo = 0;
    c->light = true;
    l = lend_of(r->orig_rax);
    if (l) {
        const uint64_t args[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };

        take_lent(c, l, args);
    }
}

/* What a call may have changed: its result, and where it goes on. */
void light_put(struct ctx *c)
{
    const struct regs *r = &c->regs;
    struct light_regs *l = &c->block->light;

    l->rax = r->rax;
    l->rip = r->rip;
    __atomic_store_n(&c->block->out_at, c->out_at, __ATOMIC_RELAXED);
    __atomic_store_n(&c->block->out_n, c->out_n, __ATOMIC_RELAXED);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C part of the light path (light.S): lends the guest's memory that the call names, hands the
 * call over, and copies out what came. A worker that looks at block.post takes it from there;
 * otherwise, and when none takes it in time, the doorbell is rung as ever.
 */
#include "platform/stub/blob_priv.h"
#include "platform/stub/light_calls.h"

#define NR_BELL_WAIT 0  /* futex operation: FUTEX_WAIT, on a word shared with the sentry */
#define TAKEN_ROUNDS 16 /* times spin_tsc that an answer is waited for before the thread sleeps */

extern HIDDEN char light_entry[], light_swapped[], light_number[], light_saved[], light_local[];
extern HIDDEN char light_handing[], light_undo[], light_undone[], light_plain[], light_jump[],
    light_plain_end[];
extern HIDDEN char light_commit[], light_exit[], light_end[], light_framed[];
extern HIDDEN char blob_copy_insn[], blob_copy_fault[], blob_string_insn[], blob_string_fault[];
extern HIDDEN char blob_touch_insn[], blob_touch_fault[];
extern HIDDEN char blob_lent_insn[], blob_lent_kicked[];
extern HIDDEN char blob_start[], blob_end[];
extern HIDDEN uint64_t blob_string(char *to, const char *from, uint64_t cap);

static const struct light_lend lends[] = LIGHT_LENDS;

static const struct light_lend *lend_of(uint64_t nr)
{
    uint32_t lo = 0, hi = sizeof lends / sizeof lends[0];

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (lends[mid].nr < nr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof lends / sizeof lends[0] && lends[lo].nr == nr ? &lends[lo] : 0;
}

static uint32_t lend_in(struct block *b, const struct lend *l, const uint64_t args[6])
{
    uint64_t n = lend_size(l, args);
    char *to = (char *)b + BLOCK_DATA_OFF;

    if (n == 0 || n > LEND_MAX)
        return 0;
    if (l->kind == LEND_STR)
        return (uint32_t)blob_string(to, (const char *)args[l->arg], n);
    return blob_copy(to, (const void *)args[l->arg], n) ? 0 : (uint32_t)n;
}

/* The pages are touched now: a fault must not lose what the call has taken from somewhere. */
static uint32_t lend_out(const struct lend *l, const uint64_t args[6])
{
    uint64_t n = lend_size(l, args), at = args[l->arg], last;

    if (n == 0)
        return 0;
    if (n > LEND_MAX)
        n = LEND_MAX;
    last = at + n - 1;
    if (last < at)
        return 0;
    for (uint64_t p = at; p <= last; p = (p | 4095) + 1) {
        if (blob_touch((char *)p))
            return 0;
    }
    return blob_touch((char *)last) ? 0 : (uint32_t)n;
}

static inline uint64_t cycles(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}

static inline int swap(uint32_t *word, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 *      stub                                    sentry
 *      ----                                    ------
 *      post = CALL
 *                                              CALL -> TAKEN
 *      late, not taken: CALL -> NONE, rings    (fails to take)
 *      late, taken: TAKEN -> SLEEP, sleeps     swaps POST_DONE in
 *                                              answers; done = n
 *      done == n: takes the answer             it was SLEEP: wakes
 *
 * DONE comes before done, so that the sentry never writes to post once the stub may post again.
 * 0: nobody has taken it.
 */
static int hand_over_by_memory(struct block *b, long *ret_ans)
{
    uint64_t start = cycles(), limit = b->spin_tsc;
    uint32_t n = (b->posted + 1) << POST_SHIFT;

    b->posted++;
    __atomic_store_n(&b->call.post, n | POST_CALL, __ATOMIC_RELEASE);
    while (__atomic_load_n(&b->answer.done, __ATOMIC_ACQUIRE) != n >> POST_SHIFT) {
        __builtin_ia32_pause();
        if (cycles() - start <= limit)
            continue;
        if (swap(&b->call.post, n | POST_CALL, POST_NONE))
            return 0;
        if (limit != b->spin_tsc && swap(&b->call.post, n | POST_TAKEN, n | POST_SLEEP)) {
            while (__atomic_load_n(&b->call.post, __ATOMIC_ACQUIRE) == (n | POST_SLEEP))
                sys6(NR_FUTEX, (uint64_t)&b->call.post, NR_BELL_WAIT, n | POST_SLEEP, 0, 0, 0);
        }
        limit *= TAKEN_ROUNDS;
    }
    *ret_ans = b->answer.ans;
    return 1;
}

static long hand_over(struct block *b)
{
    uint32_t spin = __atomic_load_n(&b->spin_cpu, __ATOMIC_RELAXED), cpu = cpu_now();
    long ans;

    b->seq++;
    b->cpu = cpu;
    if (spin && spin != cpu + 1 && hand_over_by_memory(b, &ans))
        return ans;
    return blob_ring(b, BELL_CALL);
}

/* What came for the guest's memory; and its result. */
static void take_answer(struct block *b, uint32_t off, uint64_t out)
{
    struct light_regs *r = &b->light;
    uint32_t at = b->answer.out_at, n = b->answer.out_n;

    r->rax = b->answer.rax;
    if (b->answer.rip)
        r->rip = b->answer.rip;
    if (n && blob_copy((char *)out + at, (char *)b + BLOCK_DATA_OFF + off + at, n))
        r->rax = (uint64_t)-14; /* EFAULT: somebody has unmapped it meanwhile */
}

/* 0: the registers in b->light are the guest's again; else a frame is wanted. */
long light_call(struct block *b)
{
    const struct light_regs *r = &b->light;
    struct light_call *c = &b->call;
    const struct light_lend *l;
    uint64_t out = 0;
    uint32_t in_len = 0, cap = 0;
    long ret;

    c->nr = r->rax;
    c->args[0] = r->rdi, c->args[1] = r->rsi, c->args[2] = r->rdx;
    c->args[3] = r->r10, c->args[4] = r->r8, c->args[5] = r->r9;
    if (kept_call(b, r->rax, c->args, &ret) ||
        (__atomic_load_n(&b->lends, __ATOMIC_RELAXED) && lent_call(b, r->rax, c->args, &ret))) {
        b->light.rax = (uint64_t)ret;
        b->local++;
        return 0;
    }
    l = lend_of(r->rax);
    b->kicked = 0; /* one that came until now finds the call */
    if (l) {
        in_len = lend_in(b, &l->in, c->args);
        cap = lend_out(&l->out, c->args);
        out = c->args[l->out.arg];
    }
    c->in_len = (uint16_t)in_len;
    c->out_cap = (uint16_t)cap;
    if (blob_serve(b, hand_over(b), BELL_CALL) == ANS_FRAME)
        return 1;
    take_answer(b, out_off(in_len), out);
    return 0;
}

/* ah and al as lahf and seto have left them, al possibly as addb $0x7f has */
static uint64_t flags_in(uint64_t rax)
{
    uint64_t of = (uint8_t)rax == 1 || (uint8_t)rax == 0x80;

    return (rax >> 8 & 0xd5) | of << 11;
}

/*
 * A thread that has not committed its call: back to what it was before, at the syscall instruction;
 * or behind it, where the call has been answered. See light.S for what lies where.
 */
static int undo(const struct block *b, uint64_t *g)
{
    const char *at = (const char *)g[G_RIP];
    uint64_t rax = g[G_RAX];

    if (at < light_entry || at >= light_plain_end || (at >= light_commit && at < light_undo))
        return 0;
    if (at >= light_local && at < light_handing) {
        g[G_RIP] = g[G_R11];
        return 1;
    }
    if (at >= light_number && at < light_undone)
        g[G_RAX] = b->light.rax;
    if (at >= light_saved && at < light_undone)
        g[G_EFL] = (g[G_EFL] & ~0x8d5ull) | flags_in(rax);
    if (at < light_swapped || at == light_plain)
        g[G_RIP] = g[G_RCX] - 2;
    else
        g[G_RIP] = at >= light_jump ? g[G_R11] : g[G_R11] - 2;
    return 1;
}

static int fix(uint64_t *rip, const char *from, const char *to)
{
    if (*rip != (uint64_t)from)
        return 0;
    *rip = (uint64_t)to;
    return 1;
}

int light_signal(struct block *b, int sig, uint64_t *g)
{
    uint64_t *rip = &g[G_RIP];

    if (sig == SIG_KICK) {
        if (undo(b, g) || (*rip >= (uint64_t)light_exit && *rip < (uint64_t)light_end))
            return 1;
        b->kicked = 1;
        if (*rip >= (uint64_t)blob_lent && *rip <= (uint64_t)blob_lent_insn)
            *rip = (uint64_t)blob_lent_kicked; /* before the call, or to make it again */
        return 0;
    }
    if (*rip == (uint64_t)light_framed)
        b->kicked = 0;
    return !fix(rip, light_entry, light_plain) && !fix(rip, blob_copy_insn, blob_copy_fault) &&
           !fix(rip, blob_string_insn, blob_string_fault) &&
           !fix(rip, blob_touch_insn, blob_touch_fault);
}

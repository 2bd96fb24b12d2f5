/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mock platform: contexts are registers. What a real platform does at once or on another thread
 * (operations, births, kicks, deaths) is noted in the context and done by mock_pump(), one event after
 * the other, so that no event comes within another. What the sentry never calls is left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/mock.h"

#define CONTEXTS 64
#define FPU_SIZE 832 /* an XSAVE image with AVX */

struct ctx {
    int refs;
    void *owner; /* NULL: no event of it is told */
    struct aspace *as;
    unsigned process; /* those of one number die together */
    struct regs regs;
    struct fault fault;
    uint8_t fpu[FPU_SIZE];
    uint64_t words[CTX_WORDS];
    bool in_guest, gone;
    struct as_op *ops; /* to be done */
    unsigned nops;
    bool does_ops, wants_frame, is_born, is_kicked, is_gone; /* events to come */
};

static const struct platform_client *client;
static struct ctx *all[CONTEXTS];
static unsigned next_process;

/* ---- contexts ---- */

static struct ctx *ctx_make(struct aspace *as, unsigned process)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (all[i])
            continue;
        struct ctx *c = calloc(1, sizeof *c);

        if (!c)
            abort();
        c->refs = 1;
        c->as = as;
        c->process = process;
        all[i] = c;
        return c;
    }
    return NULL;
}

struct ctx *mock_ctx_new(void)
{
    struct aspace *as = mock_as_new();
    struct ctx *c = ctx_make(as, ++next_process);

    if (!c)
        abort();
    c->refs++;
    return c;
}

static void ctx_ref(struct ctx *c)
{
    c->refs++;
}

void mock_ctx_put(struct ctx *c)
{
    if (--c->refs)
        return;
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (all[i] == c)
            all[i] = NULL;
    mock_as_put(c->as);
    free(c);
}

bool mock_is_in_guest(const struct ctx *c)
{
    return c->in_guest && !c->gone && c->owner;
}

bool mock_is_owned(const struct ctx *c)
{
    return c->owner;
}

struct ctx *mock_in_guest(unsigned n)
{
    struct ctx *in[CONTEXTS];
    unsigned k = 0;

    for (unsigned i = 0; i < CONTEXTS; i++)
        if (all[i] && mock_is_in_guest(all[i]))
            in[k++] = all[i];
    return k ? in[n % k] : NULL;
}

unsigned mock_ncontexts(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CONTEXTS; i++)
        n += all[i] && all[i]->owner;
    return n;
}

void mock_each_owner(void (*fn)(void *owner))
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (all[i] && all[i]->owner)
            fn(all[i]->owner);
}

struct regs *mock_regs(struct ctx *c)
{
    return &c->regs;
}

struct aspace *mock_aspace(struct ctx *c)
{
    return c->as;
}

static struct ctx *ctx_new_child(struct ctx *parent, unsigned flags)
{
    struct aspace *as = parent->as;
    struct ctx *c;

    if (flags & AS_CLONE_VM)
        mock_as_ref(as);
    else
        as = mock_as_new();
    c = ctx_make(as, flags & AS_CLONE_THREAD ? parent->process : ++next_process);
    if (c && !(flags & AS_CLONE_THREAD))
        memcpy(c->words, parent->words, sizeof c->words);
    if (!c)
        mock_as_put(as);
    return c;
}

static int blank(struct ctx **ret_ctx, struct aspace **ret_as)
{
    struct aspace *as = mock_as_new();
    struct ctx *c = ctx_make(as, ++next_process);

    if (!c) {
        mock_as_put(as);
        return -EAGAIN;
    }
    mock_as_ref(as);
    *ret_ctx = c;
    *ret_as = as;
    return 0;
}

static void ctx_set_owner(struct ctx *c, void *owner)
{
    c->owner = owner;
}

/* Gives the sentry's reference back; nothing more is told of it. */
static void ctx_free(struct ctx *c)
{
    c->owner = NULL;
    c->in_guest = false;
    mock_ctx_put(c);
}

static void ctx_kill(struct ctx *c)
{
    unsigned process = c->process;

    for (unsigned i = 0; i < CONTEXTS; i++) {
        if (!all[i] || all[i]->process != process || all[i]->gone)
            continue;
        all[i]->gone = all[i]->is_gone = true;
        all[i]->in_guest = false;
    }
}

/* ---- events ---- */

static void do_clone(struct ctx *c, const struct as_op *op)
{
    struct ctx *child = op->child;

    if (!(op->a[0] & AS_CLONE_VM))
        mock_as_copy(child->as, c->as);
    child->regs = c->regs;
    memcpy(child->fpu, c->fpu, sizeof c->fpu);
    child->is_born = true;
}

static void do_ops(struct ctx *c)
{
    struct as_op *ops = c->ops;
    unsigned n = c->nops;
    bool failed = false;

    c->ops = NULL;
    c->nops = 0;
    for (unsigned i = 0; i < n; i++) {
        ops[i].ret = failed ? -ECANCELED : ops[i].kind == AS_CLONE ? 0 : mock_as_op(c->as, &ops[i]);
        failed |= ops[i].ret < 0;
        if (ops[i].kind == AS_CLONE && ops[i].ret == 0)
            do_clone(c, &ops[i]);
    }
}

/* The next event of c; false: there is none. */
static bool step(struct ctx *c)
{
    enum platform_event ev;

    if (!c->owner)
        return false;
    if (c->is_gone) {
        c->is_gone = false;
        ev = EV_GONE;
    } else if (c->gone) {
        return false;
    } else if (c->is_born) {
        c->is_born = false;
        ev = EV_BORN;
    } else if (c->does_ops) {
        c->does_ops = false;
        do_ops(c);
        ev = EV_OPS;
    } else if (c->wants_frame) {
        c->wants_frame = false;
        ev = EV_OPS;
    } else if (c->is_kicked && c->in_guest) {
        c->is_kicked = c->in_guest = false;
        ev = EV_KICK;
    } else {
        return false;
    }
    client->event(c->owner, c, ev);
    client->drain();
    return true;
}

void mock_pump(void)
{
    bool again = true;

    client->drain();
    for (unsigned n = 0; again; n++) {
        again = false;
        for (unsigned i = 0; i < CONTEXTS; i++) {
            struct ctx *c = all[i];
            if (!c)
                continue;
            c->refs++;
            again |= step(c);
            mock_ctx_put(c);
        }
        if (n == 100000)
            abort(); /* it goes on by itself for ever */
    }
}

static void raise_event(struct ctx *c, enum platform_event ev)
{
    c->in_guest = false;
    c->refs++;
    client->event(c->owner, c, ev);
    mock_pump();
    mock_ctx_put(c);
}

void mock_syscall(struct ctx *c, uint64_t nr, const uint64_t args[6])
{
    struct regs *r = &c->regs;

    r->rdi = args[0], r->rsi = args[1], r->rdx = args[2];
    r->r10 = args[3], r->r8 = args[4], r->r9 = args[5];
    r->rax = r->orig_rax = nr;
    raise_event(c, EV_SYSCALL);
}

void mock_fault(struct ctx *c, const struct fault *f)
{
    c->fault = *f;
    c->regs.orig_rax = (uint64_t)-1;
    raise_event(c, EV_FAULT);
}

void mock_host_kills(struct ctx *c)
{
    ctx_kill(c);
    mock_pump();
}

/* ---- the rest of the contract ---- */

static int early(const struct platform_config *cfg)
{
    client = cfg->client;
    return 0;
}

static const struct regs *ctx_call_regs(struct ctx *c)
{
    return &c->regs;
}

static void ctx_set_result(struct ctx *c, long ret)
{
    c->regs.rax = (uint64_t)ret;
}

static const struct fault *ctx_fault(struct ctx *c)
{
    return &c->fault;
}

static size_t ctx_fpu_size(struct ctx *c)
{
    (void)c;
    return FPU_SIZE;
}

static int ctx_fpu_get(struct ctx *c, void *buf, size_t n)
{
    if (n > FPU_SIZE)
        return -EINVAL;
    memcpy(buf, c->fpu, n);
    return 0;
}

static int ctx_fpu_set(struct ctx *c, const void *buf, size_t n)
{
    if (n > FPU_SIZE || n < 512)
        return -EINVAL;
    memcpy(c->fpu, buf, n);
    return 0;
}

static void ctx_fpu_reset(struct ctx *c)
{
    memset(c->fpu, 0, sizeof c->fpu);
}

static bool ctx_start(struct ctx *parent, const struct as_op *op)
{
    (void)parent, (void)op;
    return false;
}

static bool ctx_defer(struct ctx *c, const struct as_op *op)
{
    (void)c, (void)op;
    return true;
}

static void ctx_run_ops(struct ctx *c, struct as_op *ops, unsigned n)
{
    c->ops = ops;
    c->nops = n;
    c->does_ops = true;
    c->is_gone = c->gone;
}

static void ctx_want_frame(struct ctx *c)
{
    c->wants_frame = true;
    c->is_gone = c->gone;
}

static void ctx_resume(struct ctx *c)
{
    c->in_guest = !c->gone;
}

static bool ctx_is_light(struct ctx *c)
{
    (void)c;
    return false;
}

static void ctx_facts(struct ctx *c, const struct ctx_facts *f)
{
    (void)c, (void)f;
}

static uint64_t ctx_word(struct ctx *c, enum ctx_word w)
{
    return c->words[w];
}

static void ctx_set_word(struct ctx *c, enum ctx_word w, uint64_t v)
{
    c->words[w] = v;
}

static void nothing(struct ctx *c)
{
    (void)c;
}

static void ctx_kick(struct ctx *c)
{
    c->is_kicked = true;
}

static int ctx_affinity(struct ctx *c, const void *mask, size_t len)
{
    (void)c, (void)mask, (void)len;
    return 0;
}

static int ctx_cputime(struct ctx *c, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    *ret_user_ns = 1000000ull * c->process;
    *ret_sys_ns = 1000;
    return 0;
}

static ssize_t ctx_read(struct ctx *c, gaddr_t from, void *to, size_t n)
{
    return mock_as_read(c->as, from, to, n);
}

static ssize_t ctx_write(struct ctx *c, gaddr_t to, const void *from, size_t n)
{
    return mock_as_write(c->as, to, from, n, false);
}

static gaddr_t as_vdso(struct aspace *as)
{
    (void)as;
    return 0;
}

static void no_block(void)
{
}

static void stats(struct platform_stats *ret)
{
    *ret = (struct platform_stats){ 0 };
}

const struct platform mock_platform = {
    .name = "mock",
    .caps = { .native_futex = true },
    .early = early,
    .blank = blank,
    .ctx_new_child = ctx_new_child,
    .ctx_ref = ctx_ref,
    .ctx_unref = mock_ctx_put,
    .ctx_set_owner = ctx_set_owner,
    .ctx_aspace = mock_aspace,
    .ctx_regs = mock_regs,
    .ctx_call_regs = ctx_call_regs,
    .ctx_set_result = ctx_set_result,
    .ctx_fault = ctx_fault,
    .ctx_fpu_size = ctx_fpu_size,
    .ctx_fpu_get = ctx_fpu_get,
    .ctx_fpu_set = ctx_fpu_set,
    .ctx_fpu_reset = ctx_fpu_reset,
    .ctx_start = ctx_start,
    .ctx_defer = ctx_defer,
    .ctx_run_ops = ctx_run_ops,
    .ctx_resume = ctx_resume,
    .ctx_is_light = ctx_is_light,
    .ctx_want_frame = ctx_want_frame,
    .ctx_facts = ctx_facts,
    .ctx_word = ctx_word,
    .ctx_set_word = ctx_set_word,
    .ctx_park = nothing,
    .ctx_kick = ctx_kick,
    .ctx_kill = ctx_kill,
    .ctx_exit = ctx_free,
    .ctx_free = ctx_free,
    .ctx_affinity = ctx_affinity,
    .ctx_cputime = ctx_cputime,
    .ctx_process_cputime = ctx_cputime,
    .as_ref = mock_as_ref,
    .as_put = mock_as_put,
    .as_read = mock_as_read,
    .as_write = mock_as_write,
    .as_move = mock_as_move,
    .ctx_read = ctx_read,
    .ctx_write = ctx_write,
    .as_query = mock_as_query,
    .as_each = mock_as_each,
    .as_usage = mock_as_usage,
    .as_vdso = as_vdso,
    .as_limit = mock_as_limit,
    .worker_block_begin = no_block,
    .worker_block_end = no_block,
    .stats = stats,
};

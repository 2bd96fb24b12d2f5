/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of light calls: guests that run scripts, on the real platform, and a client in the
 * kernel's place that answers them. The code of a guest is this program's own, copied.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/without.h"
#include "platform/platform.h"
#include "platform/stub/blob.h"

static const struct platform *const P = &platform_trap;

extern const char sbx_blob[], sbx_blob_end[];

#define CODE 0x400000ull
#define DATA 0x600000ull
#define DATA_SIZE 0x10000ull
#define NR_CALL 110 /* what guests call; the client gives them 77 */

/* ---- guests: this code is copied into them ---- */

#define GUEST                                                                                      \
    __attribute__((section("guest_code"), noinline, used,                                          \
                   no_sanitize("address", "thread", "undefined")))

enum { DO_STORE32, DO_STORE64, DO_BELL, DO_CALL };

struct step {
    volatile uint64_t what, a, b, c;
};

struct script {
    uint64_t insn; /* address of a syscall instruction of the blob's, with a ret behind */
    uint64_t self; /* of this thread's block */
    volatile uint64_t n, rounds;
    volatile uint64_t done; /* rounds that were made; and in xmm5 */
    uint64_t posts;         /* not 0: ends with calls posted for ever, and no look at the answers */
    struct step step[64];
};

extern const char __start_guest_code[], __stop_guest_code[];

GUEST static long guest_blob(uint64_t insn, uint64_t nr, uint64_t a, uint64_t b, uint64_t c)
{
    long ret;

    __asm__ volatile("sub $128, %%rsp\n\tcall *%[insn]\n\tadd $128, %%rsp"
                     : "=a"(ret)
                     : [insn] "r"(insn), "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

GUEST static long guest_call(uint64_t a, uint64_t b, uint64_t c)
{
    long ret;

    __asm__ volatile(".fill 16, 1, 0x90\n\tmov %[nr], %%eax\n\tsyscall"
                     : "=&a"(ret)
                     : [nr] "i"(NR_CALL), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

GUEST static void guest_main(struct script *s)
{
    for (uint64_t k = 0; k < s->rounds; k++) {
        __asm__ volatile("movq %0, %%xmm5" ::"r"(k) : "xmm5");
        for (uint64_t i = 0; i < s->n; i++) {
            struct step *p = &s->step[i];

            if (p->what == DO_STORE32)
                *(volatile uint32_t *)(s->self + p->a) = (uint32_t)p->b;
            if (p->what == DO_STORE64)
                *(volatile uint64_t *)(s->self + p->a) = p->b;
            if (p->what == DO_BELL)
                (void)guest_blob(s->insn, NR_BELL, p->a, p->b, p->c);
            if (p->what == DO_CALL)
                (void)guest_call(p->a, p->b, p->c);
        }
        s->done++;
    }
    while (s->posts)
        *(volatile uint32_t *)(s->self + offsetof(struct block, call.post)) = POST_CALL;
    for (;;)
        (void)guest_call(0, 0, 0);
}

/* ---- the client ---- */

struct guest {
    struct ctx *c;
    struct aspace *as;
    _Atomic unsigned calls, lights, ops, faults;
    _Atomic bool gone, born;
    _Atomic bool wild; /* calls are answered in all ways there are */
    _Atomic bool hold; /* the next call is kept */
    _Atomic bool held;
    struct as_op op;
    unsigned seed;
};

static void serve_wild(struct guest *g, struct ctx *c)
{
    struct regs *r = P->ctx_regs(c);
    char buf[9000];
    unsigned n = (unsigned)r->rdx % sizeof buf;

    (void)P->ctx_read(c, r->rdi, buf, n);
    (void)P->ctx_write(c, r->rsi, buf, n);
    (void)P->ctx_write(c, r->rsi + n, buf, 8);
    (void)P->ctx_read(c, r->rsi, buf, 16);
    switch (rand_r(&g->seed) % 6) {
    case 0:
        if (P->ctx_is_light(c)) {
            P->ctx_want_frame(c);
            return;
        }
        break;
    case 1:
        g->op = (struct as_op){ .kind = AS_MADVISE, .fd = -1, .a = { DATA, 4096, MADV_NORMAL } };
        P->ctx_run_ops(c, &g->op, 1);
        return;
    case 2:
        P->ctx_park(c);
        break;
    case 3:
        if (P->ctx_fpu_size(c) > 0)
            (void)P->ctx_fpu_get(c, buf, 512);
        break;
    }
    P->ctx_resume(c);
}

static void on_event(void *owner, struct ctx *c, enum platform_event ev)
{
    struct guest *g = owner;

    switch (ev) {
    case EV_GONE:
        atomic_store(&g->gone, true);
        return;
    case EV_BORN:
        atomic_store(&g->born, true);
        return;
    case EV_FAULT:
        atomic_fetch_add(&g->faults, 1);
        P->ctx_kill(c);
        return;
    case EV_OPS:
        atomic_fetch_add(&g->ops, 1);
        if (atomic_load(&g->wild))
            P->ctx_resume(c);
        return;
    default:
        atomic_fetch_add(&g->calls, 1);
        if (P->ctx_is_light(c))
            atomic_fetch_add(&g->lights, 1);
        P->ctx_regs(c)->rax = 77;
        if (atomic_load(&g->wild) && ev == EV_SYSCALL)
            serve_wild(g, c);
        else if (atomic_load(&g->hold) && P->ctx_is_light(c))
            atomic_store(&g->held, true);
        else
            P->ctx_resume(c);
    }
}

static void nothing(void)
{
}

static void nothing_owner(void *owner)
{
    (void)owner;
}

static const struct platform_client client = {
    .event = on_event, .drain = nothing, .owner_ref = nothing_owner, .owner_put = nothing_owner
};

#define AWAIT(cond)                                                                                \
    do {                                                                                           \
        for (int i_ = 0; i_ < 20000 && !(cond); i_++)                                              \
            usleep(500);                                                                           \
        ck_assert_msg((cond), "%s: in vain", #cond);                                               \
    } while (0)

static void begin(void)
{
    struct platform_config pc = { .client = &client,
                                  .proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                  .without = SBX_WITHOUT_PIDNS,
                                  .max_workers = 8 };

    ck_assert_int_ge(pc.proc_fd, 0);
    ck_assert_int_eq(P->early(&pc), 0);
    ck_assert_int_eq(P->start(), 0);
}

static uint64_t slot(void)
{
    return P->as_limit() + (1ull << SLOT_SHIFT);
}

static uint64_t block_of(unsigned index)
{
    return slot() + CHANNEL_OFF + ((uint64_t)index << BLOCK_SHIFT);
}

static uint64_t blob_insn(void)
{
    for (const char *p = sbx_blob; p + 3 <= sbx_blob_end; p++) {
        if (!memcmp(p, "\x0f\x05\xc3", 3))
            return slot() + (uint64_t)(p - sbx_blob);
    }
    ck_abort_msg("the blob has no syscall with a ret behind it");
}

static gaddr_t script_at(unsigned i)
{
    return DATA + i * 0x1000;
}

static void put_script(struct guest *g, unsigned i, struct script *s)
{
    s->insn = blob_insn();
    s->self = block_of(i);
    s->done = 0;
    ck_assert_int_eq(P->as_write(g->as, script_at(i), s, sizeof *s, false), (ssize_t)sizeof *s);
}

static void aim(struct guest *g, unsigned i)
{
    struct regs *r = P->ctx_regs(g->c);

    r->rip = CODE + (uint64_t)((const char *)(uintptr_t)guest_main - __start_guest_code);
    r->rdi = script_at(i);
    r->rsp = DATA + DATA_SIZE - 0x800 * i - 8;
}

/* A guest with the code and nothing to do yet. */
static void make(struct guest *g)
{
    size_t n = (size_t)(__stop_guest_code - __start_guest_code);
    struct as_op ops[2] = {
        { .kind = AS_MMAP,
          .fd = -1,
          .a = { CODE, 8192, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } },
        { .kind = AS_MMAP,
          .fd = -1,
          .a = { DATA, DATA_SIZE, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } },
    };
    struct as_op last = { .kind = AS_MPROTECT,
                          .fd = -1,
                          .a = { CODE, 8192, PROT_READ | PROT_EXEC } };
    bool wild = atomic_exchange(&g->wild, false);

    ck_assert_int_eq(P->blank(&g->c, &g->as), 0);
    P->ctx_set_owner(g->c, g);
    P->ctx_run_ops(g->c, ops, 2);
    AWAIT(atomic_load(&g->ops) == 1);
    ck_assert_int_eq(ops[1].ret, (int64_t)DATA);
    ck_assert_int_eq(P->as_write(g->as, CODE, __start_guest_code, n, false), (ssize_t)n);
    P->ctx_run_ops(g->c, &last, 1);
    AWAIT(atomic_load(&g->ops) == 2);
    ck_assert_int_eq(last.ret, 0);
    atomic_store(&g->wild, wild);
}

static void finish(struct guest *g)
{
    P->as_kill(g->as);
    AWAIT(atomic_load(&g->gone));
    P->ctx_free(g->c);
    P->as_put(g->as);
}

static const struct script only_calls = { .n = 1,
                                          .rounds = 1ull << 60,
                                          .step = { { .what = DO_CALL } } };

static void start(struct guest *g)
{
    struct script s = only_calls;

    make(g);
    put_script(g, 0, &s);
    aim(g, 0);
    P->ctx_resume(g->c);
}

/* Another thread of g's address space, that runs script i. */
static void add_thread(struct guest *of, struct guest *g, unsigned i, struct script *s)
{
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { AS_CLONE_VM | AS_CLONE_THREAD } };
    unsigned ops = atomic_load(&of->ops);

    g->as = of->as;
    op.child = g->c = P->ctx_new_child(of->c, AS_CLONE_VM | AS_CLONE_THREAD);
    ck_assert_ptr_nonnull(g->c);
    P->ctx_set_owner(g->c, g);
    P->ctx_run_ops(of->c, &op, 1);
    AWAIT(atomic_load(&of->ops) == ops + 1 && atomic_load(&g->born));
    put_script(of, i, s);
    aim(g, i);
}

static void hold(struct guest *g)
{
    atomic_store(&g->hold, true);
    AWAIT(atomic_load(&g->held));
}

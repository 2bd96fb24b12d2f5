/* SPDX-License-Identifier: Apache-2.0 */
/* A platform with a client that keeps each event until the test has looked at it. */
#pragma once

#include <check.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "platform/platform.h"

#ifndef PLATFORM
#define PLATFORM platform_trap
#endif
static const struct platform *const P = &PLATFORM;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct ctx *ctx;
    int ev;
    unsigned n;
    unsigned child_flags; /* of a child that the next event's worker makes: as a clone would */
    struct ctx *child;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER };

static void on_event(void *owner, struct ctx *c, enum platform_event ev)
{
    (void)owner;
    pthread_mutex_lock(&last.lock);
    while (last.ctx && ev != EV_GONE)
        pthread_cond_wait(&last.cond, &last.lock);
    if (last.child_flags) {
        last.child = P->ctx_new_child(c, last.child_flags);
        last.child_flags = 0;
    }
    last.ctx = c;
    last.ev = (int)ev;
    last.n++;
    pthread_cond_broadcast(&last.cond);
    pthread_mutex_unlock(&last.lock);
}

static void nothing(void)
{
}

static void nothing_owner(void *owner)
{
    (void)owner;
}

static uint64_t without; /* SBX_WITHOUT_* */

static const struct platform_client client = {
    .event = on_event, .drain = nothing, .owner_ref = nothing_owner, .owner_put = nothing_owner
};

/* The next event, whoever it is of; -1 after ten seconds. */
static int next_event(struct ctx **ret)
{
    struct timespec until;
    int ev = -1;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&last.lock);
    while (!last.ctx) {
        if (pthread_cond_timedwait(&last.cond, &last.lock, &until))
            break;
    }
    if (last.ctx) {
        *ret = last.ctx;
        ev = last.ev;
        last.ctx = NULL;
        pthread_cond_broadcast(&last.cond);
    }
    pthread_mutex_unlock(&last.lock);
    return ev;
}

#define CODE 0x400000ull
#define DATA 0x600000ull

static struct ctx *start_guest(const void *code, size_t n, struct aspace **ret_as)
{
    struct as_op ops[3] = {
        { .kind = AS_MMAP,
          .fd = -1,
          .a = { CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } },
        { .kind = AS_MMAP,
          .fd = -1,
          .a = { DATA, 8192, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE } },
        { .kind = AS_SET_FS, .fd = -1 },
    };
    struct ctx *c, *same;

    ck_assert_int_eq(P->blank(&c, ret_as), 0);
    P->ctx_set_owner(c, &last);
    P->ctx_run_ops(c, ops, 3);
    ck_assert_int_eq(next_event(&same), EV_OPS);
    ck_assert_ptr_eq(same, c);
    ck_assert_int_eq(ops[0].ret, (int64_t)CODE);
    ck_assert_int_eq(ops[1].ret, (int64_t)DATA);
    ck_assert_int_eq(ops[2].ret, 0);
    ck_assert_int_eq(P->as_write(*ret_as, CODE, code, n, false), (ssize_t)n);
    P->ctx_regs(c)->rip = CODE;
    P->ctx_regs(c)->rsp = DATA + 8192;
    return c;
}

static void begin(void)
{
    struct platform_config pc = {
        .client = &client, .proc_fd = -1, .max_workers = 8, .without = without
    };

    ck_assert_int_eq(P->early(&pc), 0);
    ck_assert_int_eq(P->start(), 0);
}

/* loop: mov $39,%eax; syscall; inc %rbx; jmp loop */
static const unsigned char loop_getpid[] = { 0xb8, 39,   0,    0,    0,    0x0f,
                                             0x05, 0x48, 0xff, 0xc3, 0xeb, 0xf4 };

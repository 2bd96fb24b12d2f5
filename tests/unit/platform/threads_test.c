/* SPDX-License-Identifier: Apache-2.0 */
/* Ready threads of the trap platform: made on the worker of a clone, kept when they end. */
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"
#include "suite.h"

/* The next event of c is a call, on whose worker a thread is made, and started. */
static struct ctx *ready_thread(struct ctx *c, uint64_t fs, uint64_t word)
{
    const unsigned flags = AS_CLONE_VM | AS_CLONE_THREAD | AS_CLONE_SETTLS |
                           (word ? AS_CLONE_CLEARTID : 0);
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { flags, fs, word } };
    struct ctx *e;

    last.child_flags = flags;
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, c);
    op.child = last.child;
    ck_assert_ptr_nonnull(op.child);
    P->ctx_set_owner(op.child, &last);
    ck_assert(P->ctx_start(c, &op));
    ck_assert_int_eq(next_event(&e), EV_BORN);
    ck_assert_ptr_eq(e, op.child);
    ck_assert_uint_eq(P->ctx_regs(e)->rbx, P->ctx_regs(c)->rbx);
    return e;
}

static uint64_t fs_of(struct ctx *c)
{
    struct as_op op = { .kind = AS_GET_FS, .fd = -1 };
    struct ctx *e;

    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_eq(next_event(&e), EV_OPS);
    ck_assert_ptr_eq(e, c);
    return (uint64_t)op.ret;
}

/* A thread that ends is a ready one afterwards, once its word is cleared; a copy has none. */
START_TEST(ready_threads)
{
    struct aspace *as, *copy_as;
    struct ctx *c, *e, *th, *copies[2];
    pid_t tid = 0;
    uint32_t word;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    for (uint64_t i = 1; i <= 20; i++) {
        word = 1;
        ck_assert_int_eq(P->as_write(as, DATA, &word, 4, false), 4);
        th = ready_thread(c, 0x1000 * i, DATA);
        P->ctx_regs(th)->rbx = 100 * i;
        P->ctx_resume(th);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        ck_assert_ptr_eq(e, th);
        ck_assert_uint_eq(P->ctx_regs(th)->rbx, 100 * i + 1);
        ck_assert_uint_eq(fs_of(th), 0x1000 * i);
        ck_assert(tid == 0 || i < 2 || tid == P->ctx_host_tid(th));
        tid = P->ctx_host_tid(th);
        if (i == 20)
            break;
        P->ctx_exit(th);
        for (int k = 0; k < 2000 && word; k++) {
            usleep(500);
            ck_assert_int_eq(P->as_read(as, DATA, &word, 4), 4);
        }
        ck_assert_uint_eq(word, 0);
        usleep(5000); /* it rings, and is ready */
    }
    ck_assert_int_eq(P->as_copy((struct ctx *[]){ th, c }, 2, copies), 0);
    for (int i = 0; i < 2; i++)
        P->ctx_set_owner(copies[i], &last);
    ck_assert_uint_eq(fs_of(copies[0]), 0x1000 * 20);
    P->ctx_resume(copies[1]);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, copies[1]);
    copy_as = P->ctx_aspace(copies[0]);
    P->ctx_exit(copies[0]);
    P->ctx_exit(copies[1]);
    P->as_put(copy_as);
    P->ctx_resume(th);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, th);
    P->ctx_exit(th);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("threads");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, ready_threads);
    return run_tests("threads", tc, /* light= */ false);
}

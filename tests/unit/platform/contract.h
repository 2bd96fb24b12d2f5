/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every platform does (PLATFORM, of fixture.h), without a kernel on top: a client that answers a few
 * calls runs hand-written guest code through blank contexts, calls, faults, operations, kicks, forks and
 * threads.
 */
#pragma once

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "suite.h"

START_TEST(calls_are_answered)
{
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    for (uint64_t i = 0; i < 1000; i++) {
        P->ctx_resume(c);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        ck_assert_uint_eq(P->ctx_regs(c)->orig_rax, 39);
        ck_assert_uint_eq(P->ctx_regs(c)->rbx, i);
        if (i)
            ck_assert_uint_eq(P->ctx_regs(c)->rip, CODE + 7);
        P->ctx_regs(c)->rax = 77;
    }
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

/* mov $1,%eax ; xor %edx,%edx; div %edx */
static const unsigned char divide[] = { 0xb8, 1, 0, 0, 0, 0x31, 0xd2, 0xf7, 0xf2 };

START_TEST(faults_are_told)
{
    static const unsigned char store[] = { 0xc7, 0x04, 0x25, 0, 0x10, 0, 0, 1, 0, 0, 0 };
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(divide, sizeof divide, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_FAULT);
    ck_assert_int_eq(P->ctx_fault(c)->signo, SIGFPE);
    ck_assert_uint_eq(P->ctx_regs(c)->rip, CODE + 7);
    ck_assert_int_eq(P->as_write(as, CODE, store, sizeof store, false), (ssize_t)sizeof store);
    P->ctx_regs(c)->rip = CODE;
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_FAULT);
    ck_assert_int_eq(P->ctx_fault(c)->signo, SIGSEGV);
    ck_assert_uint_eq(P->ctx_fault(c)->addr, 0x1000);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

START_TEST(kick_and_native)
{
    /* loop: inc %rbx; jmp loop */
    static const unsigned char spin[] = { 0x48, 0xff, 0xc3, 0xeb, 0xfb };
    /* mmap(0, 4096, 3, 0x22, -1, 0) runs natively; then getpid */
    static const unsigned char map[] = { 0x31, 0xff, 0xbe, 0,    0x10, 0,    0,    0xba, 3,
                                         0,    0,    0,    0x41, 0xba, 0x22, 0,    0,    0,
                                         0x49, 0xc7, 0xc0, 0xff, 0xff, 0xff, 0xff, 0x45, 0x31,
                                         0xc9, 0xb8, 9,    0,    0,    0,    0x0f, 0x05, 0x48,
                                         0x89, 0xc3, 0xb8, 39,   0,    0,    0,    0x0f, 0x05 };
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(spin, sizeof spin, &as);
    P->ctx_resume(c);
    usleep(2000);
    P->ctx_kick(c);
    ck_assert_int_eq(next_event(&e), EV_KICK);
    ck_assert(P->ctx_regs(c)->rip - CODE < 5);
    ck_assert_int_eq(P->as_write(as, CODE, map, sizeof map, false), (ssize_t)sizeof map);
    P->ctx_regs(c)->rip = CODE;
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_uint_eq(P->ctx_regs(c)->orig_rax, 39);
    ck_assert_uint_gt(P->ctx_regs(c)->rbx, 0x10000);
    P->ctx_park(c);
    P->ctx_regs(c)->rip = CODE + 38; /* getpid again, from one that waited */
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

static void clone_case(unsigned flags)
{
    struct as_op op = { .kind = AS_CLONE, .fd = -1, .a = { flags } };
    struct aspace *as, *child_as;
    struct ctx *c, *child, *e;
    bool born = false, done = false;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    child = P->ctx_new_child(c, flags);
    ck_assert_ptr_nonnull(child);
    P->ctx_set_owner(child, &last);
    child_as = P->ctx_aspace(child);
    ck_assert_int_eq(child_as == as, !!(flags & AS_CLONE_VM));
    P->as_ref(child_as);
    op.child = child;
    P->ctx_run_ops(c, &op, 1);
    for (int i = 0; i < 2; i++) {
        int ev = next_event(&e);

        if (ev == EV_BORN) {
            ck_assert_ptr_eq(e, child);
            born = true;
        } else {
            ck_assert_int_eq(ev, EV_OPS);
            done = true;
        }
    }
    ck_assert(born && done);
    ck_assert_int_eq(op.ret, 0);
    P->ctx_regs(child)->rbx = 500;
    P->ctx_regs(child)->rax = 0;
    P->ctx_resume(child);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, child);
    ck_assert_uint_eq(P->ctx_regs(child)->rbx, 501);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, c);
    ck_assert_uint_eq(P->ctx_regs(c)->rbx, 1);
    P->ctx_exit(child);
    P->as_put(child_as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    P->ctx_exit(c);
    P->as_put(as);
}

START_TEST(fork_thread_vfork)
{
    static const unsigned flags[] = { 0, AS_CLONE_VM | AS_CLONE_THREAD, AS_CLONE_VM };

    clone_case(flags[_i]);
}
END_TEST

/* More threads wait on one listener than are kept notified: the oldest are parked, and come back. */
START_TEST(many_wait)
{
    enum { N = 40 };
    struct as_op op;
    struct aspace *as;
    struct ctx *c, *e, *all[N];
    struct platform_stats st;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    for (int i = 0; i < N; i++) {
        int left = 2;

        all[i] = P->ctx_new_child(c, AS_CLONE_VM | AS_CLONE_THREAD);
        P->ctx_set_owner(all[i], &last);
        op = (struct as_op){
            .kind = AS_CLONE, .fd = -1, .child = all[i], .a = { AS_CLONE_VM | AS_CLONE_THREAD }
        };
        P->ctx_run_ops(c, &op, 1);
        while (left-- > 0)
            ck_assert_int_ge(next_event(&e), 0);
        P->ctx_resume(all[i]);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        P->ctx_regs(all[i])->rbx = 1000ull * (unsigned)i;
        P->ctx_park(all[i]);
    }
    P->stats(&st);
    if (P == &platform_trap)
        ck_assert_uint_gt(st.parks, 0);
    for (int i = 0; i < N; i++) {
        P->ctx_resume(all[i]);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        ck_assert_ptr_eq(e, all[i]);
        ck_assert_uint_eq(P->ctx_regs(all[i])->rbx, 1000ull * (unsigned)i + 1);
    }
    /* operations of a parked one: it is made to ring again first */
    for (int i = 0; i < N; i++)
        P->ctx_park(all[i]);
    op = (struct as_op){ .kind = AS_MMAP,
                         .fd = -1,
                         .a = { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS } };
    P->ctx_run_ops(all[0], &op, 1);
    ck_assert_int_eq(next_event(&e), EV_OPS);
    ck_assert_int_gt(op.ret, 0);
    for (int i = 0; i < N; i++)
        P->ctx_exit(all[i]);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

/* A frozen stub with three threads is copied; both go on, with memory of their own. */
START_TEST(frozen_copy)
{
    enum { N = 3 };
    struct as_op op;
    struct aspace *as, *copy_as;
    struct ctx *all[N], *copies[N], *e;
    uint64_t word = 42, other = 43, seen = 0;

    begin();
    all[0] = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_resume(all[0]);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    for (int i = 1; i < N; i++) {
        int left = 2;

        all[i] = P->ctx_new_child(all[0], AS_CLONE_VM | AS_CLONE_THREAD);
        P->ctx_set_owner(all[i], &last);
        op = (struct as_op){
            .kind = AS_CLONE, .fd = -1, .child = all[i], .a = { AS_CLONE_VM | AS_CLONE_THREAD }
        };
        P->ctx_run_ops(all[0], &op, 1);
        while (left-- > 0)
            ck_assert_int_ge(next_event(&e), 0);
        P->ctx_resume(all[i]);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        op = (struct as_op){ .kind = AS_SET_FS, .fd = -1, .a = { 0x1000ull * (unsigned)i } };
        P->ctx_run_ops(all[i], &op, 1);
        ck_assert_int_eq(next_event(&e), EV_OPS);
        P->ctx_regs(all[i])->rbx = 100ull * (unsigned)i;
    }
    ck_assert_int_eq(P->as_write(as, DATA, &word, 8, false), 8);
    ck_assert_int_eq(P->as_copy(all, N, copies), 0);
    copy_as = P->ctx_aspace(copies[0]);
    ck_assert_ptr_ne(copy_as, as);
    ck_assert_int_eq(P->as_read(copy_as, DATA, &seen, 8), 8);
    ck_assert_uint_eq(seen, 42);
    ck_assert_int_eq(P->as_write(copy_as, DATA, &other, 8, false), 8);
    ck_assert_int_eq(P->as_read(as, DATA, &seen, 8), 8);
    ck_assert_uint_eq(seen, 42);
    for (int i = 0; i < N; i++) {
        P->ctx_set_owner(copies[i], &last);
        for (int k = 0; k < 2; k++) {
            struct ctx *c = k ? all[i] : copies[i];
            uint64_t rbx = P->ctx_regs(c)->rbx;

            ck_assert_uint_eq(rbx, 100ull * (unsigned)i);
            op = (struct as_op){ .kind = AS_GET_FS, .fd = -1 };
            P->ctx_run_ops(c, &op, 1);
            ck_assert_int_eq(next_event(&e), EV_OPS);
            ck_assert_int_eq(op.ret, 0x1000 * i);
            P->ctx_resume(c);
            ck_assert_int_eq(next_event(&e), EV_SYSCALL);
            ck_assert_ptr_eq(e, c);
            ck_assert_uint_eq(P->ctx_regs(c)->rbx, rbx + 1);
        }
    }
    for (int i = N - 1; i >= 0; i--) {
        P->ctx_exit(copies[i]);
        P->ctx_exit(all[i]);
    }
    P->as_put(copy_as);
    P->as_put(as);
}
END_TEST

/* A stub that is killed from outside is told, whatever its context does. */
START_TEST(death_is_told)
{
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    P->as_kill(as);
    ck_assert_int_eq(next_event(&e), EV_GONE);
    ck_assert_ptr_eq(e, c);
    P->ctx_free(c);
    P->as_put(as);
}
END_TEST

static int64_t one_op(struct ctx *c, enum as_op_kind kind, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct as_op op = { .kind = kind, .fd = -1, .a = { a0, a1, a2 } };
    struct ctx *e;

    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_eq(next_event(&e), EV_OPS);
    ck_assert_ptr_eq(e, c);
    return op.ret;
}

/* A word is exchanged, or not; what cannot be written to is told. Each time the guest goes on as before. */
START_TEST(words_are_exchanged)
{
    const gaddr_t at = DATA + 0x40;
    uint32_t word = 0xfffffff0, seen = 0;
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    ck_assert_int_eq(P->as_write(as, at, &word, 4, false), 4);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, at, 5, 6), 0xfffffff0); /* before its first call */
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, at, 0xfffffff0, 7), 0xfffffff0);
    ck_assert_int_eq(P->as_read(as, at, &seen, 4), 4);
    ck_assert_uint_eq(seen, 7);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, at, 0xfffffff0, 8), 7);
    ck_assert_int_eq(P->as_read(as, at, &seen, 4), 4);
    ck_assert_uint_eq(seen, 7);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, 0x1000, 0, 1), -EFAULT);
    ck_assert_int_eq(one_op(c, AS_MPROTECT, DATA, 4096, PROT_READ), 0);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, at, 7, 8), -EFAULT);
    ck_assert_int_eq(one_op(c, AS_MPROTECT, DATA, 4096, PROT_READ | PROT_WRITE), 0);
    ck_assert_int_eq(one_op(c, AS_CMPXCHG32, at, 7, 8), 7);
    P->ctx_regs(c)->rbx = 41;
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_uint_eq(P->ctx_regs(c)->rbx, 42);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

static inline void add_contract(TCase *tc)
{
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, calls_are_answered);
    tcase_add_test(tc, faults_are_told);
    tcase_add_test(tc, kick_and_native);
    tcase_add_loop_test(tc, fork_thread_vfork, 0, 3);
    tcase_add_test(tc, many_wait);
    tcase_add_test(tc, frozen_copy);
    tcase_add_test(tc, words_are_exchanged);
    tcase_add_test(tc, death_is_told);
}

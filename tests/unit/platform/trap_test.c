/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trap platform without a kernel on top: a client that answers a few calls runs hand-written
 * guest code through blank contexts, calls, faults, operations, kicks, forks and threads.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/platform.h"

static const struct platform *const P = &platform_trap;

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
    struct platform_config pc = { .client = &client, .proc_fd = -1, .max_workers = 8 };

    ck_assert_int_eq(P->early(&pc), 0);
    ck_assert_int_eq(P->start(), 0);
}

/* loop: mov $39,%eax; syscall; inc %rbx; jmp loop */
static const unsigned char loop_getpid[] = { 0xb8, 39,   0,    0,    0,    0x0f,
                                             0x05, 0x48, 0xff, 0xc3, 0xeb, 0xf4 };

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

/* The next event of c is a call, on whose worker a thread is made, and started. */
static struct ctx *ready_thread(struct ctx *c, uint64_t fs, uint64_t word)
{
    const unsigned flags =
        AS_CLONE_VM | AS_CLONE_THREAD | AS_CLONE_SETTLS | (word ? AS_CLONE_CLEARTID : 0);
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

int main(void)
{
    Suite *s = suite_create("trap");
    TCase *tc = tcase_create("trap");
    SRunner *sr = srunner_create(s);
    const char *why;
    int failed;

    if (P->probe(&why) < 0) {
        printf("SKIP: %s\n", why);
        return 77;
    }
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, calls_are_answered);
    tcase_add_test(tc, faults_are_told);
    tcase_add_test(tc, kick_and_native);
    tcase_add_loop_test(tc, fork_thread_vfork, 0, 3);
    tcase_add_test(tc, many_wait);
    tcase_add_test(tc, ready_threads);
    tcase_add_test(tc, frozen_copy);
    tcase_add_test(tc, death_is_told);
    suite_add_tcase(s, tc);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}

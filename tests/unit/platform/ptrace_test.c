/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform ptrace keeps the contract, with a filter around its stubs and without one. Then what
 * hostile code may do to a tracer: breakpoints of its own, and jumps to the one place where we make
 * calls.
 */
#define PLATFORM platform_ptrace
#include "contract.h"
#include "shortage.h"

#include "abi/without.h"

static pid_t zygote(void)
{
    return P->tracee();
}

static void no_filter(void)
{
    without = SBX_WITHOUT_STUBFILTER;
}

/* int3; then mov $39,%eax; syscall */
static const unsigned char breakpoint[] = { 0xcc, 0xb8, 39, 0, 0, 0, 0x0f, 0x05 };

START_TEST(breakpoints_are_the_guests)
{
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    c = start_guest(breakpoint, sizeof breakpoint, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_FAULT);
    ck_assert_int_eq(P->ctx_fault(c)->signo, SIGTRAP);
    ck_assert_uint_eq(P->ctx_fault(c)->trapno, 3);
    ck_assert_uint_eq(P->ctx_regs(c)->rip, CODE + 1);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

/* Finds code of the blob's behind the end of what a guest may map, as a hostile guest would. */
static gaddr_t find_code(const unsigned char *code, size_t n)
{
    extern const char sbx_blob[], sbx_blob_end[];
    gaddr_t slot = P->as_limit() + (1ull << 32);

    for (const char *at = sbx_blob; at + n <= sbx_blob_end; at++) {
        if (memcmp(at, code, n) == 0)
            return slot + (gaddr_t)(at - sbx_blob);
    }
    return 0;
}

/* Its `syscall`. */
static gaddr_t find_call(void)
{
    static const unsigned char code[] = { 0x0f, 0x05, 0xcc, 0xf4 };

    return find_code(code, sizeof code);
}

/* Its exchange of a word. */
static gaddr_t find_swap(void)
{
    static const unsigned char code[] = { 0xf0, 0x0f, 0xb1, 0x17, 0xcc, 0xf4 };

    return find_code(code, sizeof code);
}

/* There every call is told as from anywhere else: socket(2), of which no stub of ours would have use. */
START_TEST(our_calls_are_not_the_guests)
{
    struct aspace *as;
    struct ctx *c, *e;
    gaddr_t call;

    begin();
    call = find_call();
    ck_assert_uint_ne(call, 0);
    c = start_guest(breakpoint, sizeof breakpoint, &as);
    for (uint64_t nr = 0; nr < 600; nr++) {
        if (nr == 202 || nr == 9 || nr == 10 || nr == 11 || nr == 28 || nr == 24 || nr == 335 ||
            nr == 336 || nr == 449 || nr == 456)
            continue; /* native from anywhere, or asked no filter about (uprobes) */
        P->ctx_regs(c)->rip = call;
        P->ctx_regs(c)->rax = nr;
        P->ctx_regs(c)->rdi = P->ctx_regs(c)->rsi = P->ctx_regs(c)->rdx = 1;
        P->ctx_resume(c);
        ck_assert_int_eq(next_event(&e), EV_SYSCALL);
        ck_assert_uint_eq(P->ctx_regs(c)->orig_rax, nr);
        ck_assert_uint_eq(P->ctx_regs(c)->rip, call + 2);
    }
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_FAULT);
    ck_assert_int_eq(P->ctx_fault(c)->signo, SIGTRAP);
    P->ctx_exit(c);
    P->as_put(as);
}
END_TEST

/* mov $39,%eax; syscall; mov %eax,(DATA + 0x800); jmp . */
static const unsigned char led_out[] = { 0xb8, 39,   0,    0,    0,    0x0f, 0x05, 0x89,
                                         0x04, 0x25, 0x00, 0x08, 0x60, 0x00, 0xeb, 0xfe };

/*
 * A restartable sequence that covers the place of our calls: the host leads the thread to its abort
 * handler whenever it has been stopped there. What it calls from there is not carried out.
 */
START_TEST(sequences_do_not_lead_out)
{
    enum { AREA = 0x100, SEQUENCE = 0x140, HANDLER = 0x100, MAGIC = 0x53053053 };
    struct as_op op = { .kind = AS_RSEQ, .fd = -1, .a = { DATA + AREA, 32, 0, MAGIC } };
    const uint32_t magic = MAGIC;
    struct aspace *as;
    struct ctx *c, *e;

    begin();
    const uint64_t sequence[] = { 0, find_call(), 16, CODE + HANDLER }, at = DATA + SEQUENCE;

    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_eq(next_event(&e), EV_OPS);
    ck_assert_int_eq(op.ret, 0);
    P->as_write(as, CODE + HANDLER - 4, &magic, sizeof magic, false);
    P->as_write(as, CODE + HANDLER, led_out, sizeof led_out, false);
    P->as_write(as, DATA + SEQUENCE, sequence, sizeof sequence, false);
    P->as_write(as, DATA + AREA + 8, &at, sizeof at, false);
    if (_i == 2) /* nor does it keep the tracer waiting: jmp . */
        P->as_write(as, CODE + HANDLER, led_out + sizeof led_out - 2, 2, false);
    if (_i != 1) {
        op = (struct as_op){ .kind = AS_MLOCK, .fd = -1, .a = { DATA, 4096 } };
        P->ctx_run_ops(c, &op, 1);
        ck_assert_int_eq(next_event(&e), EV_GONE);
        ck_assert_int_ne(op.ret, 0);
        P->ctx_free(c);
    } else { /* the last call of a thread is made there, too */
        struct ctx *first = c;
        uint32_t called = 0;

        op = (struct as_op){ .kind = AS_CLONE, .fd = -1, .a = { AS_CLONE_VM | AS_CLONE_THREAD } };
        op.child = P->ctx_new_child(c, AS_CLONE_VM | AS_CLONE_THREAD);
        P->as_write(as, DATA + AREA + 8, &(uint64_t){ 0 }, 8, false);
        P->ctx_set_owner(op.child, &last);
        P->ctx_run_ops(c, &op, 1);
        ck_assert_int_ge(next_event(&e), 0);
        ck_assert_int_ge(next_event(&e), 0);
        P->as_write(as, DATA + AREA + 8, &at, sizeof at, false);
        P->ctx_exit(first);
        ck_assert_int_eq(next_event(&e), EV_GONE);
        ck_assert_ptr_eq(e, op.child);
        ck_assert(P->as_read(as, DATA + 0x800, &called, 4) != 4 || called == 0);
        P->ctx_free(op.child);
    }
    P->as_put(as);
}
END_TEST

/*
 * The same around the exchange of a word, whose registers are those of mremap(DATA, 8192, 4096, ..) at a
 * `syscall` in the handler. A process with the same memory sees that it was not carried out.
 */
START_TEST(an_exchange_is_not_led_out)
{
    enum { AREA = 0x100, SEQUENCE = 0x140, HANDLER = 0x100, MAGIC = 0x53053053 };
    const uint64_t at = DATA + SEQUENCE, none = 0;
    const uint32_t magic = MAGIC;
    struct as_op op = { .kind = AS_RSEQ, .fd = -1, .a = { DATA + AREA, 32, 0, MAGIC } };
    struct aspace *as;
    struct ctx *c, *e, *child;
    char byte;

    begin();
    const uint64_t sequence[] = { 0, find_swap(), 4, CODE + HANDLER };

    ck_assert_uint_ne(sequence[1], 0);
    c = start_guest(loop_getpid, sizeof loop_getpid, &as);
    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_eq(next_event(&e), EV_OPS);
    ck_assert_int_eq(op.ret, 0);
    P->ctx_regs(c)->rsi = 8192;
    P->ctx_regs(c)->r10 = 0;
    P->ctx_resume(c);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    op = (struct as_op){ .kind = AS_CLONE, .fd = -1, .a = { AS_CLONE_VM } };
    op.child = child = P->ctx_new_child(c, AS_CLONE_VM);
    P->ctx_set_owner(child, &last);
    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_ge(next_event(&e), 0);
    ck_assert_int_ge(next_event(&e), 0);
    P->as_write(as, CODE + HANDLER - 4, &magic, sizeof magic, false);
    P->as_write(as, CODE + HANDLER, "\x0f\x05", 2, false);
    P->as_write(as, DATA + SEQUENCE, sequence, sizeof sequence, false);
    P->as_write(as, DATA + AREA + 8, &at, sizeof at, false);
    op = (struct as_op){ .kind = AS_CMPXCHG32, .fd = -1, .a = { DATA, SYS_mremap, 4096 } };
    P->ctx_run_ops(c, &op, 1);
    ck_assert_int_eq(next_event(&e), EV_GONE);
    ck_assert_ptr_eq(e, c);
    ck_assert_int_lt(op.ret, 0);
    P->as_write(as, DATA + AREA + 8, &none, sizeof none, false);
    ck_assert_int_eq(P->as_read(as, DATA + 4096, &byte, 1), 1);
    P->ctx_free(c);
    P->ctx_resume(child);
    ck_assert_int_eq(next_event(&e), EV_SYSCALL);
    ck_assert_ptr_eq(e, child);
    P->ctx_exit(child);
    P->as_put(as);
}
END_TEST

static void add_all(TCase *tc)
{
    tcase_add_test(tc, an_exchange_is_not_led_out);
    tcase_add_loop_test(tc, sequences_do_not_lead_out, 0, 3);
    add_contract(tc);
    tcase_add_test(tc, breakpoints_are_the_guests);
    tcase_add_test(tc, our_calls_are_not_the_guests);
}

int main(void)
{
    TCase *tc = tcase_create("ptrace"), *bare = tcase_create("ptrace without a filter");
    Suite *s = suite_create("ptrace");
    SRunner *sr = srunner_create(s);
    const char *why;
    int failed;

    if (platform_ptrace.probe(&why) < 0) {
        printf("SKIP: %s\n", why);
        return 77;
    }
    add_all(tc);
    add_all(bare);
    tcase_add_test(tc, a_shortage_is_waited_for);
    tcase_add_test(tc, a_long_shortage_is_told);
    tcase_add_checked_fixture(bare, no_filter, NULL);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, bare);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

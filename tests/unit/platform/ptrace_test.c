/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform ptrace keeps the contract, with a filter around its stubs and without one. Then what
 * hostile code may do to a tracer: breakpoints of its own, and jumps to the one place where we make
 * calls.
 */
#define PLATFORM platform_ptrace
#include "contract.h"

#include "abi/without.h"

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

/* Finds the blob's `syscall` behind the end of what a guest may map, as a hostile guest would. */
static gaddr_t find_call(void)
{
    static const unsigned char code[] = { 0x0f, 0x05, 0xcc, 0xf4 };
    extern const char sbx_blob[], sbx_blob_end[];
    gaddr_t slot = P->as_limit() + (1ull << 32);

    for (const char *at = sbx_blob; at + sizeof code <= sbx_blob_end; at++) {
        if (memcmp(at, code, sizeof code) == 0)
            return slot + (gaddr_t)(at - sbx_blob);
    }
    return 0;
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
            nr == 336)
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

static void add_all(TCase *tc)
{
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
    tcase_add_checked_fixture(bare, no_filter, NULL);
    suite_add_tcase(s, tc);
    suite_add_tcase(s, bare);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where an exec puts things: nowhere near the host's vDSO, and where it was drawn otherwise. */
#include <check.h>
#include <stdlib.h>

#include "sentry/kernel/elf.h"

#define VDSO 0x7fd123456000ull
#define STACK (8ull << 20)

static bool meets(gaddr_t at, uint64_t len)
{
    return at < VDSO + 0x10000 && at + len > VDSO - 0x10000; /* code behind, data pages before it */
}

START_TEST(beside)
{
    static const uint64_t lens[] = { 4096, STACK, 1ull << 30 };

    for (unsigned i = 0; i < sizeof lens / sizeof *lens; i++) {
        for (gaddr_t at = VDSO - lens[i] - STACK; at < VDSO + STACK; at += 0x5000) {
            gaddr_t got = elf_beside(VDSO, at, lens[i]);

            ck_assert_uint_eq(got % 4096, 0);
            ck_assert_uint_ge(got, at);
            ck_assert_msg(!meets(got, lens[i]), "%#lx for %#lx bytes at %#lx", (long)got,
                          (long)lens[i], (long)at);
        }
    }
}
END_TEST

START_TEST(left_alone)
{
    ck_assert_uint_eq(elf_beside(VDSO, 0x7e0000000000ull, STACK), 0x7e0000000000ull);
    ck_assert_uint_eq(elf_beside(VDSO, VDSO + (1ull << 30), STACK), VDSO + (1ull << 30));
    ck_assert_uint_eq(elf_beside(0, 0x1000, STACK), 0x1000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("place");
    TCase *tc = tcase_create("place");
    SRunner *r = srunner_create(s);
    int failed;

    tcase_add_test(tc, beside);
    tcase_add_test(tc, left_alone);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic that everything leans on; and that a unit test is found, built and run. */
#include <check.h>
#include <stdlib.h>

#include "abi/types.h"

START_TEST(page_rounding)
{
    ck_assert_uint_eq(PAGE_ALIGN_UP(0ul), 0);
    ck_assert_uint_eq(PAGE_ALIGN_UP(1ul), 4096);
    ck_assert_uint_eq(PAGE_ALIGN_UP(4096ul), 4096);
    ck_assert_uint_eq(PAGE_ALIGN_DOWN(8191ul), 4096);
}
END_TEST

START_TEST(internal_errors_are_no_errnos)
{
    ck_assert_int_gt(ERESTARTSYS, 511);
    ck_assert_int_lt(EDETACHED, 4096);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("abi/types");
    TCase *c = tcase_create("types");
    tcase_add_test(c, page_rounding);
    tcase_add_test(c, internal_errors_are_no_errnos);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

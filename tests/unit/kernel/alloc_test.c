/* SPDX-License-Identifier: Apache-2.0 */
/* Charged memory: what is taken is given back, and the limit binds. */
#include "sentry/kernel/alloc.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(balance)
{
    size_t before = kcharged();
    char *p = kzalloc(1000), *q = krealloc(NULL, 10), *s = kstrdup("text");

    ck_assert_uint_ge(kcharged(), before + 1000);
    ck_assert_str_eq(s, "text");
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(p[i], 0);
    memset(q, 7, 10);
    q = krealloc(q, 100000);
    ck_assert_int_eq(q[9], 7);
    ck_assert_uint_ge(kcharged(), before + 101000);
    q = krealloc(q, 5);
    kfree(p);
    kfree(q);
    kfree(s);
    kfree(NULL);
    ck_assert_uint_eq(kcharged(), before);
}
END_TEST

START_TEST(limit)
{
    size_t before = kcharged();
    void *p, *q;

    kcharge_limit(before + 10000);
    p = kzalloc(5000);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(kzalloc(6000));
    q = krealloc(p, 20000);
    ck_assert_ptr_null(q);
    ck_assert_int_eq(kcharge(6000), -ENOMEM);
    ck_assert_int_eq(kcharge(1000), 0);
    kuncharge(1000);
    kfree(p);
    ck_assert_uint_eq(kcharged(), before);
    kcharge_limit(0);
    ck_assert_int_eq(kcharge(1u << 30), 0);
    kuncharge(1u << 30);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("alloc");
    TCase *c = tcase_create("alloc");
    SRunner *r;
    int failed;

    tcase_add_test(c, balance);
    tcase_add_test(c, limit);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

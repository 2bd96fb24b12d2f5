/* SPDX-License-Identifier: Apache-2.0 */
/* The id table: order, wrapping, references, the end of the numbers. */
#include "sentry/kernel/pid.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/kernel/kernel.h"

static void setup(void)
{
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    lock(&kernel.tasks_lock);
}

static void teardown(void)
{
    unlock(&kernel.tasks_lock);
}

static pid_t take(void)
{
    struct pid_entry *e = NULL;
    ck_assert_int_eq(pid_new_locked(&first_pidns, 0, &e), 0);
    return e->nr;
}

START_TEST(rising)
{
    pid_t a = take(), b = take();
    ck_assert_int_eq(a, 1);
    ck_assert_int_eq(b, 2);
    ck_assert_ptr_nonnull(pid_find_locked(&first_pidns, a));
    pid_put_locked(pid_find_locked(&first_pidns, b));
    ck_assert_ptr_null(pid_find_locked(&first_pidns, b));
    ck_assert_int_eq(take(), 3); /* not the one that was just freed */
    ck_assert_ptr_null(pid_find_locked(&first_pidns, 0));
    ck_assert_ptr_null(pid_find_locked(&first_pidns, -1));
    ck_assert_ptr_null(pid_find_locked(&first_pidns, PID_LIMIT));
}
END_TEST

START_TEST(referenced)
{
    struct pid_entry *e = pid_ref_locked(pid_find_locked(&first_pidns, take()));
    pid_t nr = e->nr;
    pid_put_locked(e);
    ck_assert_ptr_eq(pid_find_locked(&first_pidns, nr), e);
    pid_put_locked(e);
    ck_assert_ptr_null(pid_find_locked(&first_pidns, nr));
    pid_put_locked(NULL);
}
END_TEST

START_TEST(wraps)
{
    pid_t first = take();
    for (pid_t nr = first + 1; nr < PID_LIMIT; nr++)
        pid_put_locked(pid_find_locked(&first_pidns, take()));
    ck_assert_int_eq(take(), 300); /* the low numbers are for what starts first */
    ck_assert_int_eq(take(), 301);
}
END_TEST

START_TEST(apart)
{
    struct pid_entry *a, *b, *c;

    unlock(&kernel.tasks_lock);
    struct pidns *other = pidns_new();
    lock(&kernel.tasks_lock);
    ck_assert_ptr_nonnull(other);
    ck_assert_int_eq(pid_new_locked(&first_pidns, 0, &a), 0);
    ck_assert_int_eq(pid_new_locked(other, 0, &b), 0);
    ck_assert_int_eq(pid_new_locked(other, 0, &c), 0);
    ck_assert_int_eq(a->nr, 1);
    ck_assert_int_eq(b->nr, 1); /* each has its own numbers, and neither sees the other's */
    ck_assert_ptr_eq(pid_find_locked(&first_pidns, 1), a);
    ck_assert_ptr_eq(pid_find_locked(other, 1), b);
    ck_assert_ptr_null(pid_find_locked(&first_pidns, 2));
    ck_assert_ptr_eq(pid_find_locked(other, 2), c);
    ck_assert_ptr_eq(pidns_find_locked(other->id), other);
    pid_put_locked(a);
    ck_assert_ptr_null(pid_find_locked(&first_pidns, 1));
    ck_assert_ptr_eq(pid_find_locked(other, 1), b);
    pid_put_locked(b);
    pid_put_locked(c);
    const uint32_t id = other->id;
    unlock(&kernel.tasks_lock);
    pidns_end(other);
    lock(&kernel.tasks_lock);
    ck_assert_ptr_null(pidns_find_locked(id));
    ck_assert_ptr_eq(pidns_find_locked(first_pidns.id), &first_pidns);
}
END_TEST

START_TEST(exhausted)
{
    struct pid_entry *e;
    int n = 0, r;
    while ((r = pid_new_locked(&first_pidns, 0, &e)) == 0)
        n++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_int_eq(n, PID_LIMIT - 1);
    pid_put_locked(pid_find_locked(&first_pidns, 4711));
    ck_assert_int_eq(pid_new_locked(&first_pidns, 0, &e), 0);
    ck_assert_int_eq(e->nr, 4711);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pid");
    TCase *t = tcase_create("pid");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, rising);
    tcase_add_test(t, referenced);
    tcase_add_test(t, wraps);
    tcase_add_test(t, apart);
    tcase_add_test(t, exhausted);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the gofer file system asks for before it is wanted: files read ahead, attributes with names. */
#include "tests/unit/fs/gofer_fixture.h"

/* Reads n<i> of many; what it says depends on i alone. */
static void read_one(int i)
{
    char name[64], buf[64], want[64];

    snprintf(name, sizeof(name), "many/n%d", i);
    snprintf(want, sizeof(want), "tree/many/n%d", i);
    struct file *f = open_path(name);
    ck_assert(!IS_ERR(f));
    ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), i % 10);
    ck_assert_int_eq(memcmp(buf, want, (size_t)(i % 10)), 0);
    file_put(f);
}

static int cmp_names(const void *a, const void *b)
{
    char x[16], y[16];

    snprintf(x, sizeof(x), "%d", *(const int *)a);
    snprintf(y, sizeof(y), "%d", *(const int *)b);
    return strcmp(x, y);
}

/* All 500, in an order; their trips. */
static uint64_t read_all(const int *order)
{
    uint64_t t0;

    ck_assert_int_eq(find_error("many/none"), -ENOENT);
    for (int i = 0; i < 40; i++) /* until it is listed with attributes */
        find_error("many/n1");
    t0 = trips();
    for (int i = 0; i < 500; i++)
        read_one(order[i]);
    return trips() - t0;
}

START_TEST(files_read_in_the_order_of_names_are_read_ahead)
{
    int order[500];

    for (int i = 0; i < 500; i++)
        order[i] = i;
    qsort(order, 500, sizeof(order[0]), cmp_names);
    ck_assert_uint_lt(read_all(order), 60);
}
END_TEST

static int listed[500], nlisted;

static bool emit_order(struct dirent_sink *s, const char *name, size_t len, uint64_t ino,
                       unsigned dtype, loff_t next)
{
    (void)s;
    (void)len;
    (void)ino;
    (void)dtype;
    (void)next;
    if (name[0] == 'n')
        listed[nlisted++] = atoi(name + 1);
    return true;
}

START_TEST(files_read_in_the_order_of_a_listing_are_read_ahead)
{
    struct dirent_sink s = { .emit = emit_order };
    struct file *f = open_path("many");

    nlisted = 0;
    ck_assert_int_eq(f->ops->readdir(NULL, f, &s), 0);
    ck_assert_int_eq(nlisted, 500);
    file_put(f);
    ck_assert_uint_lt(read_all(listed), 60);
}
END_TEST

/* Lists t<i> of the root, and looks at each of its 20 files where look. Trips of it. */
static uint64_t walk_dir(int i, bool look)
{
    struct dirent_sink s = { .emit = emit_order };
    char name[64];

    snprintf(name, sizeof(name), "t%d", i);
    ck_assert_int_eq(find_error(name), 0);
    uint64_t t0 = trips();
    struct file *f = open_path(name);
    nlisted = 0;
    ck_assert_int_eq(f->ops->readdir(NULL, f, &s), 0);
    ck_assert_int_eq(nlisted, 20);
    file_put(f);
    for (int k = 0; look && k < 20; k++) {
        snprintf(name, sizeof(name), "t%d/n%d", i, listed[k]);
        ck_assert_int_eq(find_error(name), 0);
    }
    return trips() - t0;
}

START_TEST(who_looks_at_all_gets_attributes_with_the_names)
{
    char rel[64];

    for (int i = 0; i < 8; i++) {
        snprintf(rel, sizeof(rel), "tree/t%d", i);
        ck_assert_int_eq(mkdir(fx_path(rel), 0755), 0);
        for (int k = 0; k < 20; k++) {
            snprintf(rel, sizeof(rel), "tree/t%d/n%d", i, k);
            fx_write(rel, "", 0);
        }
    }
    ck_assert_uint_gt(walk_dir(0, true), 1);
    ck_assert_uint_gt(walk_dir(1, true), 1);
    ck_assert_uint_eq(walk_dir(2, true), 1);
    ck_assert_uint_eq(walk_dir(3, true), 1);
    ck_assert_uint_eq(walk_dir(4, false), 1); /* a guess that does not pay: no more of them */
    ck_assert_uint_eq(walk_dir(5, false), 1);
    ck_assert_uint_gt(walk_dir(6, true), 1);
}
END_TEST

START_TEST(what_was_read_ahead_is_good_for_a_moment)
{
    struct dirent_sink s = { .emit = emit_order };
    struct file *f = open_path("many");
    char rel[64], buf[16];

    nlisted = 0;
    ck_assert_int_eq(f->ops->readdir(NULL, f, &s), 0);
    file_put(f);
    for (int i = 0; i < 100; i++)
        find_error("many/none"); /* and the attributes */
    for (int i = 0; i < 20; i++)
        read_one(listed[i]);
    for (int i = 20; i < 500; i++) {
        snprintf(rel, sizeof(rel), "tree/many/n%d", listed[i]);
        fx_write(rel, "changed", 7);
    }
    usleep(30000);
    for (int i = 20; i < 500; i++) {
        snprintf(rel, sizeof(rel), "many/n%d", listed[i]);
        f = open_path(rel);
        ck_assert_int_eq(vfs_read_kernel(NULL, f, buf, sizeof(buf), 0), 7);
        ck_assert_int_eq(memcmp(buf, "changed", 7), 0);
        file_put(f);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/gofer_ahead");
    TCase *c = tcase_create("stable"), *d = tcase_create("shared");

    tcase_add_checked_fixture(c, setup_stable, teardown);
    tcase_add_test(c, files_read_in_the_order_of_names_are_read_ahead);
    tcase_add_test(c, files_read_in_the_order_of_a_listing_are_read_ahead);
    suite_add_tcase(s, c);
    tcase_add_checked_fixture(d, setup_shared, teardown);
    tcase_set_timeout(d, 20);
    tcase_add_test(d, files_read_in_the_order_of_a_listing_are_read_ahead);
    tcase_add_test(d, who_looks_at_all_gets_attributes_with_the_names);
    tcase_add_test(d, what_was_read_ahead_is_good_for_a_moment);
    suite_add_tcase(s, d);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

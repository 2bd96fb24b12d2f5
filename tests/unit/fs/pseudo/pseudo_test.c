/* SPDX-License-Identifier: Apache-2.0 */
/* Table-described file systems: numbers, look-ups and reads of sysfs without a guest. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"

static struct super *sys;

static void setup(void)
{
    static bool once;

    kernel.ncpus = 3;
    kernel.mem_total = 1 << 30;
    kcharge_limit(64 << 20);
    if (once)
        return;
    once = true;
    vfs_init();
    sys = sysfs_new();
    ck_assert_ptr_nonnull(sys);
    ck_assert_int_eq(vfs_mount(sys, NULL, 0, "sysfs", NULL), 0);
}

static char *read_all(const char *path)
{
    static char buf[4096];
    struct file *f = vfs_open_at(NULL, AT_FDCWD, path, O_RDONLY, 0);
    ssize_t n;

    ck_assert_msg(!IS_ERR(f), "%s: %d", path, PTR_ERR(f));
    n = vfs_read_kernel(NULL, f, buf, sizeof buf - 1, 0);
    ck_assert_int_ge(n, 0);
    buf[n] = 0;
    file_put(f);
    return buf;
}

static int open_error(const char *path, int flags)
{
    struct file *f = vfs_open_at(NULL, AT_FDCWD, path, flags, 0);

    if (IS_ERR(f))
        return PTR_ERR(f);
    file_put(f);
    return 0;
}

START_TEST(texts)
{
    ck_assert_str_eq(read_all("/devices/system/cpu/online"), "0-2\n");
    ck_assert_str_eq(read_all("/devices/system/cpu/cpu2/topology/core_id"), "2\n");
    ck_assert_str_eq(read_all("/devices/system/cpu/cpu1/topology/thread_siblings"), "2\n");
    ck_assert_str_eq(read_all("/devices/system/cpu/cpu1/cache/index3/shared_cpu_list"), "0-2\n");
    ck_assert_str_eq(read_all("/class/net/lo/mtu"), "65536\n");
}
END_TEST

START_TEST(names_that_are_none)
{
    ck_assert_int_eq(open_error("/devices/system/cpu/cpu3", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/cpu01", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/cpu", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/cpux", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/cpu99999999999", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/onlin", O_RDONLY), -ENOENT);
    ck_assert_int_eq(open_error("/devices/system/cpu/cpu0", O_RDONLY), 0);
}
END_TEST

START_TEST(numbers)
{
    int64_t v = 0;

    ck_assert_int_eq(pseudo_parse("12\n", 3, 0, 100, &v), 0);
    ck_assert_int_eq(v, 12);
    ck_assert_int_eq(pseudo_parse(" -5 ", 4, -10, 10, &v), 0);
    ck_assert_int_eq(v, -5);
    ck_assert_int_eq(pseudo_parse("", 0, 0, 1, &v), -EINVAL);
    ck_assert_int_eq(pseudo_parse("1x", 2, 0, 9, &v), -EINVAL);
    ck_assert_int_eq(pseudo_parse("11", 2, 0, 9, &v), -EINVAL);
    ck_assert_int_eq(pseudo_parse("99999999999999999999", 20, 0, INT64_MAX, &v), -EINVAL);
}
END_TEST

START_TEST(long_text)
{
    struct ptext p = { .buf = NULL };

    for (int k = 0; k < 10000; k++)
        pt_printf(&p, "%d,", k % 10);
    ck_assert(!p.failed);
    ck_assert_uint_eq(p.len, 20000);
    ck_assert_mem_eq(p.buf + p.len - 4, "8,9,", 4);
    kfree(p.buf);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fs/pseudo");
    TCase *tc = tcase_create("pseudo");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, texts);
    tcase_add_test(tc, names_that_are_none);
    tcase_add_test(tc, numbers);
    tcase_add_test(tc, long_text);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Files over host descriptors: nothing blocks, and a regular file's position is the host's. */
#include "sentry/vfs/hostfile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

static struct task *t;

static void setup(void)
{
    vfs_init();
    t = calloc(1, sizeof *t);
    t->group = calloc(1, sizeof *t->group);
    t->files = files_new();
    for (int i = 0; i < RLIM_NLIMITS; i++)
        t->group->rlim[i] = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
}

static ssize_t rd(struct file *f, char *buf, size_t n)
{
    struct iter it;

    iter_kernel(&it, buf, n);
    t->call.done = 0;
    return file_read(t, f, &it, NULL);
}

static ssize_t wr(struct file *f, const char *buf, size_t n)
{
    struct iter it;

    iter_kernel(&it, (void *)(uintptr_t)buf, n);
    t->call.done = 0;
    return file_write(t, f, &it, NULL);
}

START_TEST(pipe_read)
{
    char buf[16];
    int p[2];
    struct file *f;

    ck_assert_int_eq(pipe(p), 0);
    f = host_file_new(p[0], O_RDONLY);
    ck_assert(!IS_ERR(f));
    atomic_fetch_or(&f->flags, O_NONBLOCK); /* the guest's own */
    ck_assert_int_eq(rd(f, buf, 16), -EAGAIN);
    ck_assert_int_eq(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);
    ck_assert_uint_eq(file_poll(f, NULL) & POLLIN, 0);
    ck_assert_int_eq(write(p[1], "hello", 5), 5);
    ck_assert_uint_ne(file_poll(f, NULL) & POLLIN, 0);
    ck_assert_int_eq(rd(f, buf, 3), 3);
    ck_assert_int_eq(rd(f, buf, 16), 2);
    ck_assert_int_eq(wr(f, "x", 1), -EBADF);
    close(p[1]);
    ck_assert_int_eq(rd(f, buf, 16), 0);
    ck_assert_uint_ne(file_poll(f, NULL) & POLLHUP, 0);
    file_put(f);
    ck_assert_int_eq(fcntl(p[0], F_GETFD), -1); /* closed with the last file */
}
END_TEST

START_TEST(pipe_write)
{
    static char big[200000];
    char buf[4096];
    int p[2];
    struct file *f;
    ssize_t n;

    ck_assert_int_eq(pipe(p), 0);
    f = host_file_new(p[1], O_WRONLY);
    atomic_fetch_or(&f->flags, O_NONBLOCK);
    n = wr(f, big, sizeof big);
    ck_assert_int_ge(n, 4096);
    ck_assert_int_le(n, 65536);
    ck_assert_int_eq(wr(f, big, sizeof big), -EAGAIN);
    ck_assert_uint_eq(file_poll(f, NULL) & POLLOUT, 0);
    ck_assert_int_eq(read(p[0], buf, sizeof buf), sizeof buf);
    ck_assert_int_gt(wr(f, big, 4096), 0);
    file_put(f);
    close(p[0]);
}
END_TEST

START_TEST(shared_position)
{
    char name[] = "/tmp/hostfile-XXXXXX", buf[16] = "";
    int fd = mkstemp(name), other = dup(fd);
    struct file *f = host_file_new(fd, O_RDWR);
    struct iter it;
    loff_t off = 1;

    unlink(name);
    ck_assert_int_eq(wr(f, "abc", 3), 3);
    ck_assert_int_eq(write(other, "DEF", 3), 3); /* goes on where the guest was */
    ck_assert_int_eq(wr(f, "g", 1), 1);
    ck_assert_int_eq(pread(other, buf, 16, 0), 7);
    ck_assert_str_eq(buf, "abcDEFg");
    ck_assert_int_eq(f->ops->llseek(t, f, 2, SEEK_SET), 2);
    ck_assert_int_eq(lseek(other, 0, SEEK_CUR), 2);
    memset(buf, 0, sizeof buf);
    iter_kernel(&it, buf, 2);
    t->call.done = 0;
    ck_assert_int_eq(file_read(t, f, &it, &off), 2); /* pread leaves it alone */
    ck_assert_str_eq(buf, "bc");
    ck_assert_int_eq(lseek(other, 0, SEEK_CUR), 2);
    ck_assert_int_eq(rd(f, buf, 16), 5);
    ck_assert_uint_ne(file_poll(f, NULL) & POLLIN, 0);
    file_put(f);
    close(other);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("hostfile");
    TCase *c = tcase_create("hostfile");
    SRunner *r;
    int failed;

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, pipe_read);
    tcase_add_test(c, pipe_write);
    tcase_add_test(c, shared_position);
    suite_add_tcase(s, c);
    r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

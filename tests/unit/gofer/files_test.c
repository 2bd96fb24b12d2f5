/* SPDX-License-Identifier: Apache-2.0 */
/* Small files by the handful: what the client gets of them, and what a hostile sentry does not. */
#include "fixture.h"

static char big[300000];

static void setup(void)
{
    fx_tree();
    ck_assert_int_eq(mkdir(fx_path("tree/a"), 0755), 0);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b"), 0755), 0);
    fx_write("tree/a/b/file", "hello\n", 6);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + i / 256);
    fx_start(-1, 0);
}

static void teardown(void)
{
    struct gofer_attr a;

    ck_assert_int_eq(gofer_getattr(fx, fx_root(), "", &a), 0); /* the channel is in step */
    fx_stop();
    fx_remove();
}

struct smalls {
    unsigned n;
    int error[8];
    char bytes[8][16];
};

static void small(void *arg, unsigned i, const struct gofer_small *f)
{
    struct smalls *s = arg;

    ck_assert_uint_eq(i, s->n++);
    ck_assert_uint_lt(i, 8);
    s->error[i] = f->error;
    if (f->error)
        return;
    ck_assert_uint_lt(f->attr.size, sizeof(s->bytes[0]));
    memcpy(s->bytes[i], f->bytes, f->attr.size);
}

START_TEST(several_small_files_come_in_one_answer)
{
    static const char ask[] = "a/b/file\0two\0none\0empty\0dir\0large";
    struct smalls s = { .n = 0 };

    fx_write("tree/a/b/two", "second", 6);
    fx_write("tree/a/b/empty", "", 0);
    fx_write("tree/a/b/large", big, GOFER_SMALL_MAX + 1);
    ck_assert_int_eq(mkdir(fx_path("tree/a/b/dir"), 0755), 0);
    ck_assert_int_eq(gofer_files(fx, fx_root(), ask, sizeof(ask) - 1, small, &s), 0);
    ck_assert_uint_eq(s.n, 6);
    ck_assert_str_eq(s.bytes[0], "hello\n");
    ck_assert_str_eq(s.bytes[1], "second");
    ck_assert_int_eq(s.error[2], -ENOENT);
    ck_assert_int_eq(s.error[3], 0);
    ck_assert_str_eq(s.bytes[3], "");
    ck_assert_int_eq(s.error[4], -EISDIR);
    ck_assert_int_eq(s.error[5], -EFBIG);
}
END_TEST

static void count_smalls(void *arg, unsigned i, const struct gofer_small *f)
{
    unsigned *n = arg;

    ck_assert_uint_eq(i, (*n)++);
    ck_assert_int_eq(f->error, 0);
    ck_assert_uint_eq(f->attr.size, 30000);
    ck_assert_int_eq(memcmp(f->bytes, big + i, 30000), 0);
}

START_TEST(small_files_that_do_not_fit_are_left_out)
{
    static const char ask[] = "s0\0s1\0s2";
    unsigned n = 0;

    for (unsigned i = 0; i < 3; i++) {
        char rel[] = "tree/s0";
        rel[6] = (char)('0' + i);
        fx_write(rel, big + i, 30000);
    }
    ck_assert_int_eq(gofer_files(fx, fx_root(), ask, sizeof(ask) - 1, count_smalls, &n), 0);
    ck_assert_uint_eq(n, 2);
}
END_TEST

static int errors[GOFER_FILES_MAX], nerrors;

static void note_error(void *arg, unsigned i, const struct gofer_small *f)
{
    (void)arg;
    ck_assert_int_eq((int)i, nerrors);
    errors[nerrors++] = f->error;
}

static int ask(const char *names, size_t len)
{
    nerrors = 0;
    return gofer_files(fx, fx_root(), names, len, note_error, NULL);
}

#define ASK(names) ask(names, sizeof(names) - 1)

START_TEST(names_that_try_to_leave)
{
    ck_assert_int_eq(symlink("../out/secret", fx_path("tree/link")), 0);
    ck_assert_int_eq(mkfifo(fx_path("tree/fifo"), 0666), 0);
    fx_write("tree/f", "x", 1);
    ck_assert_int_eq(ASK("f\0.."), -EINVAL);
    ck_assert_int_eq(ASK("f\0."), -EINVAL);
    ck_assert_int_eq(ASK("f\0../out/secret"), -EINVAL);
    ck_assert_int_eq(ASK("f\0a/b/file"), -EINVAL);
    ck_assert_int_eq(ASK("f\0/etc/passwd"), -EINVAL);
    ck_assert_int_eq(ASK("f\0"), -EINVAL);
    ck_assert_int_eq(ASK("f\0\0f"), -EINVAL);
    ck_assert_int_eq(ASK(""), -EINVAL);
    ck_assert_int_eq(ASK("../out/secret"), -EINVAL);
    ck_assert_int_eq(ASK("f\0link\0fifo\0a"), 0);
    ck_assert_int_eq(nerrors, 4);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ELOOP);
    ck_assert_int_eq(errors[2], -EACCES);
    ck_assert_int_eq(errors[3], -EISDIR);
}
END_TEST

START_TEST(too_many_and_too_long)
{
    static char names[2 * 70000];

    fx_write("tree/f", "x", 1);
    memset(names, 0, sizeof(names));
    for (unsigned i = 0; i < 2 * (GOFER_FILES_MAX + 1); i += 2)
        names[i] = 'f';
    ck_assert_int_eq(ask(names, GOFER_FILES_MAX * 2 - 1), 0);
    ck_assert_int_eq(nerrors, (int)GOFER_FILES_MAX);
    ck_assert_int_eq(ask(names, GOFER_FILES_MAX * 2 + 1), -EINVAL);
    memset(names + 2, 'y', 300);
    ck_assert_int_eq(ask(names, 300), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_length_that_lies)
{
    struct gw_request r = { .version = GW_VERSION, .op = GW_FILES, .tag = 5, .len = 3 };
    struct gw_reply *rep;
    unsigned char buf[sizeof(r) + 3], out[GW_MAX];

    r.node = fx_root();
    fx_write("tree/f", "x", 1);
    rep = (void *)out;
    for (unsigned i = 0; i < 40; i++) {
        r.arg = i < 8 ? i : 1u << (i - 8);
        memcpy(buf, &r, sizeof(r));
        memcpy(buf + sizeof(r), "f\0f", 3);
        ck_assert_int_eq(send(fx_sock, buf, sizeof(buf), 0), sizeof(buf));
        ck_assert_int_ge(recv(fx_sock, out, sizeof(out), 0), (ssize_t)sizeof(*rep));
        ck_assert_uint_eq(rep->tag, 5);
        ck_assert_int_eq(rep->error, r.arg == 1 ? 0 : -EINVAL);
        ck_assert_uint_eq(rep->count, r.arg == 1 ? 2 : 0);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gofer/files");
    TCase *c = tcase_create("files");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, several_small_files_come_in_one_answer);
    tcase_add_test(c, small_files_that_do_not_fit_are_left_out);
    tcase_add_test(c, names_that_try_to_leave);
    tcase_add_test(c, too_many_and_too_long);
    tcase_add_test(c, a_length_that_lies);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

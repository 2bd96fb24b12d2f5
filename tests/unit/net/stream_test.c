/* SPDX-License-Identifier: Apache-2.0 */
/* Rings: positions across growth and wrap-around, limits, copies that do not consume. */
#include "sentry/net/stream.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/alloc.h"

static size_t put(struct ring *r, uint64_t first, size_t n, size_t cap)
{
    uint8_t *b = malloc(n ? n : 1);
    struct iter it;
    ssize_t done;

    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)((first + i) * 31 + (first + i) / 251);
    iter_kernel(&it, b, n);
    done = ring_write(r, &it, n, cap);
    free(b);
    ck_assert_int_ge(done, 0);
    return (size_t)done;
}

static void check_at(struct ring *r, uint64_t at, size_t n)
{
    uint8_t *b = malloc(n ? n : 1);
    struct iter it;
    size_t same = 0;

    iter_kernel(&it, b, n);
    ck_assert_int_eq(ring_copy(r, &it, at, n), (ssize_t)n);
    while (same < n && b[same] == (uint8_t)((at + same) * 31 + (at + same) / 251))
        same++;
    ck_assert_uint_eq(same, n);
    free(b);
}

START_TEST(grows_while_wrapped)
{
    struct ring r = { 0 };

    ck_assert_uint_eq(put(&r, 0, 4000, 1 << 20), 4000);
    ck_assert_uint_eq(r.size, 4096);
    ring_consume(&r, 3500);
    ck_assert_uint_eq(put(&r, 4000, 3000, 1 << 20), 3000); /* wraps at 4096 */
    ck_assert_uint_eq(r.size, 4096);
    ck_assert_uint_eq(put(&r, 7000, 50000, 1 << 20), 50000); /* grows in the middle of that */
    ck_assert_uint_eq(r.size, 65536);
    check_at(&r, 3500, 53500);
    check_at(&r, 6990, 20);
    ring_consume(&r, 53500);
    ck_assert_uint_eq(ring_used(&r), 0);
    ring_free(&r);
}
END_TEST

START_TEST(keeps_to_the_limit)
{
    struct ring r = { 0 };

    ck_assert_uint_eq(put(&r, 0, 10000, 6000), 6000);
    ck_assert_uint_eq(put(&r, 6000, 1, 6000), 0);
    ring_consume(&r, 1);
    ck_assert_uint_eq(put(&r, 6000, 10, 6000), 1);
    ck_assert_uint_eq(put(&r, 6001, 10, 100), 0); /* a limit below what is there */
    check_at(&r, 1, 6000);
    ring_free(&r);
}
END_TEST

START_TEST(random_walk)
{
    struct ring r = { 0 };
    unsigned seed = 7;

    for (int i = 0; i < 5000; i++) {
        size_t n = (size_t)rand_r(&seed) % 3000;

        put(&r, r.wpos, n, 20000);
        n = ring_used(&r) ? (size_t)rand_r(&seed) % (ring_used(&r) + 1) : 0;
        check_at(&r, r.rpos, n);
        ring_consume(&r, n);
    }
    ck_assert_uint_le(r.size, 32768);
    ring_free(&r);
    ck_assert_uint_eq(kcharged(), 0);
}
END_TEST

START_TEST(without_memory)
{
    struct ring r = { 0 };
    uint8_t b[100];
    struct iter it;

    ck_assert_uint_eq(put(&r, 0, 4000, 1 << 20), 4000);
    kcharge_limit(kcharged() + 16);
    ck_assert_uint_eq(put(&r, 4000, 5000, 1 << 20), 96); /* what the ring still holds */
    iter_kernel(&it, b, sizeof b);
    ck_assert_int_eq(ring_write(&r, &it, sizeof b, 1 << 20), -ENOMEM);
    kcharge_limit(0);
    ring_free(&r);
}
END_TEST

START_TEST(messages)
{
    struct recv_req r = { 0 };
    uint64_t done = 0;
    char in[] = "hello", out[8] = "";
    struct iter it;
    struct msg *m;

    iter_kernel(&it, in, 5);
    m = msg_new(&it, 5);
    ck_assert(!IS_ERR(m));
    ck_assert_uint_eq(it.left, 0);
    iter_kernel(&it, out, 3);
    r.it = &it;
    r.done = &done;
    ck_assert_int_eq(msg_deliver(&r, m), 3);
    ck_assert_int_eq(r.msg_flags, MSG_TRUNC);
    ck_assert_str_eq(out, "hel");
    iter_kernel(&it, out, 3);
    r.flags = MSG_TRUNC;
    ck_assert_int_eq(msg_deliver(&r, m), 5);
    msg_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("stream");
    TCase *c = tcase_create("all");
    SRunner *sr;
    int bad;

    tcase_add_test(c, grows_while_wrapped);
    tcase_add_test(c, keeps_to_the_limit);
    tcase_add_test(c, random_walk);
    tcase_add_test(c, without_memory);
    tcase_add_test(c, messages);
    suite_add_tcase(s, c);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    bad = srunner_ntests_failed(sr);
    srunner_free(sr);
    return bad != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and comparisons of every length and place, against loops over bytes. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "abi/bytes.h"
#include "abi/types.h"

#define ROOM 4096
#define LONGEST 700

static unsigned char from[ROOM], to[ROOM], want[ROOM];

static void fill(void)
{
    for (unsigned i = 0; i < ROOM; i++) {
        from[i] = (unsigned char)random();
        to[i] = want[i] = (unsigned char)random();
    }
}

static void by_bytes(unsigned char *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i];
}

/* Nothing beside it is touched: the whole room is compared. */
START_TEST(copies)
{
    for (size_t n = 0; n < LONGEST; n++) {
        size_t off = (size_t)random() % 64, at = (size_t)random() % 64;

        fill();
        by_bytes(want + at, from + off, n);
        ck_assert_ptr_eq(bytes_copy(to + at, from + off, n), to + at);
        ck_assert_msg(memcmp(to, want, ROOM) == 0, "%zu bytes", n);
    }
}
END_TEST

START_TEST(moves_over_itself)
{
    static const int by[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 200, 900 };

    for (size_t n = 0; n < LONGEST; n++) {
        for (unsigned k = 0; k < 2 * ARRAY_SIZE(by); k++) {
            int d = k % 2 ? by[k / 2] : -by[k / 2];
            unsigned char *src = to + 1000 + random() % 16;

            fill();
            by_bytes(from, src, n);
            by_bytes(want + (src - to) + d, from, n);
            ck_assert_ptr_eq(bytes_move(src + d, src, n), src + d);
            ck_assert_msg(memcmp(to, want, ROOM) == 0, "%zu bytes by %d", n, d);
        }
    }
}
END_TEST

START_TEST(compares)
{
    for (size_t n = 0; n < 100; n++) {
        fill();
        by_bytes(to + 3, from + 5, n);
        ck_assert_int_eq(bytes_compare(to + 3, from + 5, n), 0);
        for (size_t i = 0; i < n; i++) { /* what comes later does not count */
            unsigned char was = to[3 + i];

            to[3 + i] = (unsigned char)random();
            if (i + 1 < n)
                to[3 + i + 1] ^= 0x80;
            int r = bytes_compare(to + 3, from + 5, n), w = memcmp(to + 3, from + 5, n);

            ck_assert_msg((r < 0) == (w < 0) && (r > 0) == (w > 0), "%zu bytes at %zu", n, i);
            if (i + 1 < n)
                to[3 + i + 1] ^= 0x80;
            to[3 + i] = was;
        }
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bytes");
    TCase *c = tcase_create("all");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(c, 60);
    tcase_add_test(c, copies);
    tcase_add_test(c, moves_over_itself);
    tcase_add_test(c, compares);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Compares our structures with the kernel's, member by member, and says all that differ. */
#pragma once

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct same {
    const char *what;
    size_t ours, theirs;
};

#define SIZE(a, b)                                                                                 \
    {                                                                                              \
        "sizeof " #a, sizeof(struct a), sizeof(struct b)                                           \
    }
/* The same where no header of this machine has the structure (or has an older one). */
#define SIZE_IS(a, n)                                                                              \
    {                                                                                              \
        "sizeof " #a, sizeof(struct a), n                                                          \
    }
#define AT(a, ma, b, mb)                                                                           \
    {                                                                                              \
#a "." #ma, offsetof(struct a, ma), offsetof(struct b, mb)                                 \
    }
#define AT_IS(a, ma, n)                                                                            \
    {                                                                                              \
#a "." #ma, offsetof(struct a, ma), n                                                      \
    }
#define VALUE(a, b)                                                                                \
    {                                                                                              \
#a, (size_t)(a), (size_t)(b)                                                               \
    }

static inline unsigned same_failures(const struct same *s, size_t n)
{
    unsigned failures = 0;

    for (size_t i = 0; i < n; i++)
        if (s[i].ours != s[i].theirs) {
            failures++;
            printf("%s: ours %zu, the kernel's %zu\n", s[i].what, s[i].ours, s[i].theirs);
        }
    return failures;
}

#define SAME_MAIN(suite_name, table)                                                               \
    START_TEST(same_layout)                                                                        \
    {                                                                                              \
        ck_assert_uint_eq(same_failures(table, sizeof(table) / sizeof(table[0])), 0);              \
    }                                                                                              \
    END_TEST                                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        Suite *s = suite_create(suite_name);                                                       \
        TCase *tc = tcase_create("layout");                                                        \
        tcase_add_test(tc, same_layout);                                                           \
        suite_add_tcase(s, tc);                                                                    \
        SRunner *r = srunner_create(s);                                                            \
        srunner_run_all(r, CK_NORMAL);                                                             \
        int failed = srunner_ntests_failed(r);                                                     \
        srunner_free(r);                                                                           \
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                               \
    }

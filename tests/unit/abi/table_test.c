/* SPDX-License-Identifier: Apache-2.0 */
/* The table of system calls: all there, in order, and of the numbers that the kernel's header says. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/kinds.h"

struct row {
    int nr;
    const char *name, *state;
    int nargs;
};

#define SYS0(nr, name, state) { nr, #name, #state, 0 },
#define SYS1(nr, name, state, ...) { nr, #name, #state, 1 },
#define SYS2(nr, name, state, ...) { nr, #name, #state, 2 },
#define SYS3(nr, name, state, ...) { nr, #name, #state, 3 },
#define SYS4(nr, name, state, ...) { nr, #name, #state, 4 },
#define SYS5(nr, name, state, ...) { nr, #name, #state, 5 },
#define SYS6(nr, name, state, ...) { nr, #name, #state, 6 },
static const struct row rows[] = {
#include "abi/syscalls.def"
};

static const struct row *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

START_TEST(sorted_and_complete)
{
    ck_assert_int_eq(ARRAY_SIZE(rows), 375);
    ck_assert_int_eq(rows[0].nr, 0);
    ck_assert_int_eq(rows[ARRAY_SIZE(rows) - 1].nr, 462);
    for (size_t i = 1; i < ARRAY_SIZE(rows); i++) {
        int expected = rows[i - 1].nr == 335 ? 424 : rows[i - 1].nr + 1;
        ck_assert_int_eq(rows[i].nr, expected);
    }
}
END_TEST

START_TEST(states_are_known)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *s = rows[i].state;
        ck_assert_msg(!strcmp(s, "FULL") || !strcmp(s, "PART") || !strcmp(s, "NOSYS") ||
                          !strcmp(s, "NOPERM") || !strcmp(s, "NOACCES"),
                      "%s: %s", rows[i].name, s);
    }
}
END_TEST

/* Every number that the (older) header of this machine has, we have under the same name. */
START_TEST(numbers_match_the_header)
{
    FILE *f = fopen("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "r");
    char line[200], name[64];
    int nr, seen = 0;

    if (!f)
        exit(77);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "#define __NR_%63s %d", name, &nr) != 2 || nr > 462)
            continue;
        const struct row *r = find(name);
        ck_assert_msg(r != NULL, "%s is missing", name);
        ck_assert_msg(r->nr == nr, "%s: %d, the header has %d", name, r->nr, nr);
        seen++;
    }
    fclose(f);
    ck_assert_int_ge(seen, 360);
}
END_TEST

START_TEST(kinds_have_the_width_of_a_register)
{
#define X(k, type) ck_assert_int_le(sizeof(kt_##k), 8);
    ABI_KINDS(X)
#undef X
    ck_assert_int_le(K_COUNT, 255); /* they are kept in bytes */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("abi/table");
    TCase *tc = tcase_create("table");
    tcase_add_test(tc, sorted_and_complete);
    tcase_add_test(tc, states_are_known);
    tcase_add_test(tc, numbers_match_the_header);
    tcase_add_test(tc, kinds_have_the_width_of_a_register);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

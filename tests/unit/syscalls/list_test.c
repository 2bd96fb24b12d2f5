/* SPDX-License-Identifier: Apache-2.0 */
/* The lists made from the table; docs/COMPATIBILITY.md begins with what `sbx syscalls --markdown` prints. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/syscalls/table.h"

#ifndef SBX_SOURCE_DIR
#define SBX_SOURCE_DIR "."
#endif

static char *printed(int (*print)(FILE *))
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    ck_assert_int_eq(print(f), 0);
    fclose(f);
    return text;
}

static int print_all(FILE *f)
{
    return syscalls_print(f, false);
}

static int print_native(FILE *f)
{
    return syscalls_print(f, true);
}

START_TEST(every_call_is_listed)
{
    char *text = printed(print_all);
    unsigned lines = 0;

    for (char *p = text; *p; p++)
        lines += *p == '\n';
    ck_assert_uint_eq(lines, 375 + 1);
    ck_assert_ptr_nonnull(strstr(text, "\n462  mseal"));
    free(text);
}
END_TEST

START_TEST(native_calls_are_calls)
{
    char *text = printed(print_native), *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[32];
        unsigned nr;
        if (*line == '#' || sscanf(line, "%31s", name) != 1)
            continue;
        for (nr = 0; nr <= SYSCALL_MAX; nr++)
            if (syscall_desc(nr) && !strcmp(syscall_desc(nr)->name, name))
                break;
        ck_assert_msg(nr <= SYSCALL_MAX, "%s is no system call", name);
    }
    free(text);
}
END_TEST

START_TEST(compatibility_is_up_to_date)
{
    char *want = printed(syscalls_print_markdown);
    FILE *f = fopen(SBX_SOURCE_DIR "/docs/COMPATIBILITY.md", "r");
    size_t n = strlen(want);
    char *have = calloc(1, n + 1);

    ck_assert_ptr_nonnull(f);
    have[fread(have, 1, n, f)] = 0;
    fclose(f);
    ck_assert_msg(!strcmp(have, want),
                  "docs/COMPATIBILITY.md is old: tests/checks/docs.sh --write");
    free(have);
    free(want);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--print"))
        return syscalls_print_markdown(stdout) != 0;

    Suite *s = suite_create("syscalls/list");
    TCase *tc = tcase_create("list");
    tcase_add_test(tc, every_call_is_listed);
    tcase_add_test(tc, native_calls_are_calls);
    tcase_add_test(tc, compatibility_is_up_to_date);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How each of these programs runs its tests. */
#pragma once

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "platform/platform.h"

#ifndef PLATFORM
#define PLATFORM platform_trap
#endif

/* Runs what tc has; what main() returns. light: they need call sites to be patched. */
static inline int run_tests(const char *name, TCase *tc, bool light)
{
    Suite *s = suite_create(name);
    SRunner *sr;
    const char *why;
    int failed;

    suite_add_tcase(s, tc);
    sr = srunner_create(s);
    if (PLATFORM.probe(&why) < 0) {
        printf("SKIP: %s\n", why);
        return 77;
    }
    if (light && !(getauxval(AT_HWCAP2) & 2)) {
        printf("SKIP: gs cannot be set without a call: no call is light\n");
        return 77;
    }
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

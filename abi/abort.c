/* SPDX-License-Identifier: Apache-2.0 */
/*
 * abort() and a failed assert(), where the C library is musl. Its own would ask for calls that no
 * fence admits (tkill, rt_sigaction, writev), and SIGABRT does not end who is process 1 of a pid
 * namespace, as the sentry is: a trap does, everywhere.
 */
#include <features.h>
#ifndef __GLIBC__

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/hostio.h"

_Noreturn void abort(void)
{
    for (;;)
        __builtin_trap();
}

_Noreturn void __assert_fail(const char *what, const char *file, int line, const char *function);

_Noreturn void __assert_fail(const char *what, const char *file, int line, const char *function)
{
    char text[256];
    int n = snprintf(text, sizeof text, "sbx: %s:%d: %s: assertion failed: %s\n", file, line,
                     function, what);

    if (n > 0)
        (void)!hostio_write(STDERR_FILENO, text,
                            (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    abort();
}

#endif

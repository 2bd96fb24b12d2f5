/* SPDX-License-Identifier: Apache-2.0 */
/*
 * #! lines: parsed alone, in a buffer of just their size, and executed, where the interpreter may be the
 * script itself, another script or nothing.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "sentry/kernel/exec.h"
#include "tests/fuzz/args.h"
#include "tests/fuzz/fuzz.h"

static void parse(const uint8_t *p, size_t n)
{
    char interp[256], arg[256];
    char *head = malloc(n ? n : 1);

    memcpy(head, p, n);
    memset(interp, 'x', sizeof interp);
    memset(arg, 'x', sizeof arg);
    if (exec_parse_script(head, n, interp, arg, sizeof interp) == 0 &&
        (!memchr(interp, 0, sizeof interp) || !memchr(arg, 0, sizeof arg) || !interp[0] ||
         strpbrk(interp, " \t\n") || strchr(arg, '\n')))
        abort();
    free(head);
}

static void execute(const uint8_t *p, size_t n)
{
    static const char other[] = "#!d/p again";
    struct ctx *c = mock_spawn();
    struct args a;
    gaddr_t path, argv[3];

    args_init(&a);
    mock_file(c, "/d/p", p, n);
    mock_file(c, "/d/q", other, sizeof other - 1);
    path = args_put(&a, c, "/d/p", 5);
    argv[0] = argv[1] = path;
    argv[2] = 0;
    CALL(c, SYS_execve, path, n % 3 ? args_put(&a, c, argv, sizeof argv) : 0, 0);
    mock_ctx_put(c);
    mock_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    mock_boot();
    if (n > 0x8000)
        return 0;
    parse(p, n < 256 ? n : 256);
    execute(p, n);
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const char *const lines[] = {
        "#!/bin/sh\n", "#! /bin/sh -e\n", "#!\t/d/q \t a b \n",        "#!/d/p", "#!/d/q", "#!\n",
        "#! \n",       "#!d/f\0x\n",      "#!/usr/bin/env python3\r\n"
    };
    const char *l = lines[i % 9];
    size_t n = strlen(l), pad = i % 7 == 0 ? 250 : 0;

    if (i % 5 == 0) /* an early end */
        n = i / 5 % (n + 1);
    if (cap < n + pad)
        return 0;
    memcpy(buf, l, n);
    memset(buf + n, 'a', pad);
    return n + pad;
}

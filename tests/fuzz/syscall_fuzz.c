/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole table of system calls, with processes and threads that the input itself makes. Whatever is
 * called: no sanitizer report, no broken order of locks, nobody who outlives SIGKILL, no mount and no
 * memory that stays (mock_end).
 */
#include "tests/fuzz/calls.h"
#include "tests/fuzz/fuzz.h"

static const struct calls all;

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    calls_run(&all, p, n);
    return 0;
}

size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    return calls_seed(&all, i, buf, cap);
}

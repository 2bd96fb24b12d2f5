/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--require=userns,seccomp,cgroup,landlock,iouring,bpf`: features of the host that a run may not do
 * without. Where sbx would go on with one fence less, it refuses then.
 */
#pragma once

#include <stdint.h>

enum {
    REQUIRE_USERNS = 1 << 0,
    REQUIRE_SECCOMP = 1 << 1,
    REQUIRE_CGROUP = 1 << 2,
    REQUIRE_LANDLOCK = 1 << 3,
    REQUIRE_IOURING = 1 << 4,
    REQUIRE_BPF = 1 << 5,
};

/* Adds the words of a comma-separated list. 0, or the exit status after the error was printed. */
int require_parse(const char *list, unsigned *bits);

/* As a list that require_parse() takes; lives as long as we do. */
const char *require_words(unsigned bits);

/*
 * Is all of it there, and not switched off (SBX_WITHOUT_*)? 0, or the exit status after one line that
 * says what lacks and what to do.
 */
int require_check(unsigned bits, uint64_t without);

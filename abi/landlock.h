/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock for a process of ours: from then on it opens what its rules give and nothing else, by
 * whatever name or descriptor it comes; it traces, reads the memory of, and (as far as the host
 * knows how) signals only processes of its own domain; what it forks is in there with it.
 */
#pragma once

#include <stdint.h>

#define LANDLOCK_WRITE_FILE (1ull << 1)
#define LANDLOCK_READ_FILE (1ull << 2)
#define LANDLOCK_READ_DIR (1ull << 3)

struct landlock_rule {
    int fd;          /* a directory, with all beneath it, or a file; any kind of descriptor */
    uint64_t rights; /* LANDLOCK_*; all others are refused */
};

/* 0 or -errno; -EOPNOTSUPP where the host has none. */
int landlock_apply(const struct landlock_rule *rules, unsigned n);

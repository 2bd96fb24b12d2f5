/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel parameters: the table is sysctl.def. Each is one atomic word, read where it matters. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sysctl {
#define SYSCTL(id, value, least, greatest) SYSCTL_##id,
#include "sentry/kernel/sysctl.def"
#undef SYSCTL
    SYSCTLS
};

extern _Atomic int64_t sysctl_values[SYSCTLS];

static inline int64_t sysctl_of(enum sysctl s)
{
    return atomic_load_explicit(&sysctl_values[s], memory_order_relaxed);
}

/* Of one whose values are unsigned. */
static inline uint64_t sysctl_ulong(enum sysctl s)
{
    return (uint64_t)sysctl_of(s);
}

bool sysctl_is_unsigned(enum sysctl s);
/*
 * The numbers of text become first and those behind it, at most n; fewer leave the rest as they are.
 * 0, or -EINVAL (no number, a value out of bounds): then those before it are changed, as on Linux.
 */
int sysctl_write(enum sysctl first, unsigned n, const char *text, size_t len);

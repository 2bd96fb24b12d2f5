/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the whole sandbox: the table is limits.def. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum limit {
#define LIMIT(id, name, value, err, what) LIMIT_##id,
#include "sentry/kernel/limits.def"
#undef LIMIT
    LIMITS
};

#define UNLIMITED UINT64_MAX

extern uint64_t limits[LIMITS];

static inline uint64_t limit_of(enum limit l)
{
    return __atomic_load_n(&limits[l], __ATOMIC_RELAXED);
}

/* While tasks run: who was let in before stays. */
static inline void limit_set(enum limit l, uint64_t v)
{
    __atomic_store_n(&limits[l], v, __ATOMIC_RELAXED);
}

/* The defaults for a machine with that much memory. */
void limits_init(uint64_t ram, uint64_t ret[LIMITS]);
/*
 * name=value,...: value a number of bytes or things, with K, M, G or T, or "none". NULL and empty:
 * nothing. False: *ret_bad is where it could not be understood.
 */
bool limits_parse(const char *list, uint64_t ret[LIMITS], const char **ret_bad);

/* One such value: 1000, 64K, 2g; "none". False: it is none. */
bool limits_value(const char *s, uint64_t *ret);

/* Takes one more of something that is counted in *n. */
static inline bool limit_take(enum limit l, _Atomic uint64_t *n)
{
    if (atomic_fetch_add_explicit(n, 1, memory_order_relaxed) < limit_of(l))
        return true;
    atomic_fetch_sub_explicit(n, 1, memory_order_relaxed);
    return false;
}

static inline void limit_give(_Atomic uint64_t *n)
{
    atomic_fetch_sub_explicit(n, 1, memory_order_relaxed);
}

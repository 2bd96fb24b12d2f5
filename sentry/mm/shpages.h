/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that the sentry and guests have in common: the rings of AIO and io_uring. A memfd whose size
 * is sealed, mapped here too, so that no touch of ours can fault. What stands there is the guest's: it
 * is read once, checked, then used; and written without being believed.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct shpages {
    int fd; /* -1: none */
    void *mem;
    size_t len; /* whole pages */
};

/* len is rounded up to pages. 0, -ENOMEM, -ENFILE. */
int shpages_new(struct shpages *p, size_t len);
void shpages_free(struct shpages *p);

static inline uint32_t sh_load(const void *p)
{
    return atomic_load_explicit((const _Atomic uint32_t *)p, memory_order_acquire);
}

static inline void sh_store(void *p, uint32_t v)
{
    atomic_store_explicit((_Atomic uint32_t *)p, v, memory_order_release);
}

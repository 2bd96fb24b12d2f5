/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that a guest makes the sentry use, counted against one limit for the sandbox.
 *
 * What is charged is what the allocator really gave (malloc_usable_size), so that nothing has to be
 * remembered beside a block, and a block is uncharged with the same figure. Two threads may pass
 * the limit together by less than one block each; the limit is soft by that much.
 */
#include "sentry/kernel/alloc.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Atomic size_t charged;
static _Atomic size_t limit = SIZE_MAX;

/*
 * A guest that fills and empties files, pipes and sockets would else have the host make and zero the
 * same pages again and again: what is freed is given back beyond this only.
 */
#define KEEP_FREED (8 << 20)
#define MAP_BEYOND (4 << 20) /* larger blocks are the host's own mappings */

void kalloc_init(void)
{
#ifdef M_TRIM_THRESHOLD /* our own allocator (abi/heap.h) is like that anyway */
    mallopt(M_TRIM_THRESHOLD, KEEP_FREED);
    mallopt(M_MMAP_THRESHOLD, MAP_BEYOND);
#endif
}

int kcharge(size_t n)
{
    size_t before = atomic_fetch_add_explicit(&charged, n, memory_order_relaxed);
    size_t max = atomic_load_explicit(&limit, memory_order_relaxed);

    if (n <= max && before <= max - n)
        return 0;
    atomic_fetch_sub_explicit(&charged, n, memory_order_relaxed);
    return -ENOMEM;
}

void kuncharge(size_t n)
{
    atomic_fetch_sub_explicit(&charged, n, memory_order_relaxed);
}

size_t kcharged(void)
{
    return atomic_load_explicit(&charged, memory_order_relaxed);
}

void kcharge_limit(size_t bytes)
{
    atomic_store(&limit, bytes ? bytes : SIZE_MAX);
}

/* Charges a fresh block, or gives it back. */
static void *charge_block(void *p)
{
    if (p && kcharge(malloc_usable_size(p)) < 0) {
        free(p);
        return NULL;
    }
    return p;
}

/* The allocator's thread caches hold blocks up to this; its calloc passes them by. */
#define CACHED_MAX 1024

void *kzalloc(size_t n)
{
    void *p;

    if (n > CACHED_MAX)
        return charge_block(calloc(1, n));
    p = charge_block(malloc(n ? n : 1));
    return p ? memset(p, 0, n) : NULL;
}

void *krealloc(void *p, size_t n)
{
    size_t old, got;
    void *q;

    if (!p)
        return charge_block(malloc(n ? n : 1));
    old = malloc_usable_size(p);
    if (n > old && kcharge(n - old) < 0)
        return NULL;
    q = realloc(p, n ? n : 1);
    if (!q) {
        if (n > old)
            kuncharge(n - old);
        return NULL;
    }
    /* What the allocator rounds up is charged without asking: the block is there already. */
    got = malloc_usable_size(q);
    atomic_fetch_add_explicit(&charged, got - (n > old ? n : old), memory_order_relaxed);
    return q;
}

void *kmemdup(const void *p, size_t n)
{
    void *q = charge_block(malloc(n ? n : 1));

    if (q && n)
        memcpy(q, p, n);
    return q;
}

char *kstrdup(const char *s)
{
    return kmemdup(s, strlen(s) + 1);
}

void kfree(void *p)
{
    if (!p)
        return;
    kuncharge(malloc_usable_size(p));
    free(p);
}

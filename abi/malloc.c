/* SPDX-License-Identifier: Apache-2.0 */
/* malloc() and its family, where the C library is musl: see heap.h. */
#include <features.h>
#ifndef __GLIBC__

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

#include "abi/heap.h"

void *malloc(size_t n)
{
    return heap_alloc(n);
}

void *calloc(size_t n, size_t size)
{
    size_t all;

    if (__builtin_mul_overflow(n, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return heap_zalloc(all);
}

void *realloc(void *p, size_t n)
{
    return heap_resize(p, n);
}

void free(void *p)
{
    heap_free(p);
}

size_t malloc_usable_size(void *p)
{
    return heap_size(p);
}

void *aligned_alloc(size_t align, size_t n)
{
    return heap_aligned(align, n);
}

void *memalign(size_t align, size_t n)
{
    return heap_aligned(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
    void *p = heap_aligned(align, n);

    if (!p)
        return errno;
    *ret = p;
    return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator of the program where it is linked with musl, whose own maps and unmaps a page for
 * every other block and has one lock. abi/heap.c gives malloc() and its family these bodies there;
 * elsewhere they are only tested.
 */
#pragma once

#include <stddef.h>

void *heap_alloc(size_t n) __attribute__((malloc, warn_unused_result));
void *heap_zalloc(size_t n) __attribute__((malloc, warn_unused_result));
void *heap_resize(void *p, size_t n) __attribute__((warn_unused_result));
void heap_free(void *p); /* NULL is fine */
/* How much of p may be used: at least what was asked for. */
size_t heap_size(const void *p);
/* align: a power of two, at most a page. */
void *heap_aligned(size_t align, size_t n) __attribute__((malloc, warn_unused_result));

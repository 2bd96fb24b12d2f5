/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the allocator (abi/heap.c) is built on: chunks of address space, cut into runs of pages. All
 * of it under the allocator's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK (1ul << 20)
#define PAGE 4096ul
#define PAGES (CHUNK / PAGE)
#define CLASSES 40 /* 16 to 128 by 16, then four to a doubling */

enum run_kind { RUN_NONE = CLASSES, RUN_LARGE, RUN_HUGE };

struct span {                 /* of the first page of a run */
    struct span *next, *prev; /* those of its class with free slots */
    void *free;
    uint16_t pages, slots, used, fresh; /* used: handed out, to callers and caches */
    uint8_t kind;                       /* its class, or enum run_kind */
};

struct chunk {
    uint64_t magic;
    size_t mapped;                                 /* all of it, when it is one huge block */
    struct chunk *next;                            /* those with free pages */
    size_t room;                                   /* how many */
    uint64_t taken[PAGES / 64], dirty[PAGES / 64]; /* a bit for each page */
    uint8_t first[PAGES];                          /* of the page's run */
    struct span spans[PAGES];
};

#define HEADER_PAGES ((sizeof(struct chunk) + PAGE - 1) / PAGE)
#define MAGIC 0x7362782d68656170ull

extern uintptr_t heap_secret; /* set before the first run is taken; no bit of an alignment */

static inline struct chunk *chunk_of(const void *p)
{
    return (struct chunk *)((uintptr_t)p & ~(CHUNK - 1));
}

static inline char *run_start(const struct span *s)
{
    struct chunk *c = chunk_of(s);

    return (char *)c + (size_t)(s - c->spans) * PAGE;
}

/* n bytes of fresh memory, aligned to a chunk; NULL. */
struct chunk *chunk_map(size_t n);
/* n pages, fewer than a chunk has; *ret_clean: they are zero. NULL. */
struct span *run_take(size_t n, unsigned kind, bool *ret_clean);
void run_free(struct span *s);

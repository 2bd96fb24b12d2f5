/* SPDX-License-Identifier: Apache-2.0 */
/* See heap_run.h. A chunk once mapped stays: its pages are used again, large ones given back. */
#include "abi/heap_run.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define KEEP_FREED (8ul << 20) /* bytes that stay ours; the host would zero them again and again */

uintptr_t heap_secret;
static struct chunk *roomy; /* those with free pages */
static size_t kept;         /* free pages that are not clean */

struct chunk *chunk_map(size_t n)
{
    char *p = mmap(NULL, n + CHUNK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *q;

    if (p == MAP_FAILED)
        return NULL;
    q = (char *)(((uintptr_t)p + CHUNK - 1) & ~(CHUNK - 1));
    if (q > p)
        munmap(p, (size_t)(q - p));
    munmap(q + n, (size_t)(p + CHUNK - q));
    return (struct chunk *)q;
}

static void set_bits(uint64_t *bits, size_t from, size_t n, bool on)
{
    for (size_t i = from; i < from + n; i++) {
        if (on)
            bits[i / 64] |= 1ull << (i % 64);
        else
            bits[i / 64] &= ~(1ull << (i % 64));
    }
}

static bool get_bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static struct chunk *new_chunk(void)
{
    struct chunk *c = chunk_map(CHUNK);
    const char *random = (const char *)getauxval(AT_RANDOM);

    if (!c)
        return NULL;
    if (!heap_secret) {
        heap_secret = (uintptr_t)c;
        if (random)
            memcpy(&heap_secret, random + 8, sizeof heap_secret);
        heap_secret &= ~15ul;
    }
    c->magic = MAGIC;
    set_bits(c->taken, 0, HEADER_PAGES, true);
    c->spans[0].kind = RUN_NONE; /* of the header's pages: first[] is 0 there */
    c->room = PAGES - HEADER_PAGES;
    c->next = roomy;
    roomy = c;
    return c;
}

/* The first page of n free ones in a row; 0: there are none. */
static size_t find_pages(const struct chunk *c, size_t n)
{
    size_t row = 0;

    for (size_t i = HEADER_PAGES; i < PAGES; i++) {
        row = get_bit(c->taken, i) ? 0 : row + 1;
        if (row == n)
            return i + 1 - n;
    }
    return 0;
}

struct span *run_take(size_t n, unsigned kind, bool *ret_clean)
{
    struct chunk *c, **link = &roomy;
    size_t at = 0;

    while ((c = *link) && !(c->room >= n && (at = find_pages(c, n))))
        link = &c->next;
    if (!c) {
        if (!(c = new_chunk()))
            return NULL;
        link = &roomy;
        at = find_pages(c, n);
    }
    *ret_clean = true;
    for (size_t i = at; i < at + n; i++) {
        bool dirty = get_bit(c->dirty, i);

        kept -= dirty;
        *ret_clean = *ret_clean && !dirty;
        c->first[i] = (uint8_t)at;
    }
    set_bits(c->taken, at, n, true);
    set_bits(c->dirty, at, n, true);
    c->room -= n;
    if (c->room == 0)
        *link = c->next;
    c->spans[at] = (struct span){ .pages = (uint16_t)n, .kind = (uint8_t)kind };
    return &c->spans[at];
}

void run_free(struct span *s)
{
    struct chunk *c = chunk_of(s);
    size_t at = (size_t)(s - c->spans), n = s->pages;

    kept += n;
    if (kept > KEEP_FREED / PAGE && madvise(run_start(s), n * PAGE, MADV_DONTNEED) == 0) {
        set_bits(c->dirty, at, n, false);
        kept -= n;
    }
    set_bits(c->taken, at, n, false);
    s->kind = RUN_NONE;
    for (size_t i = at; i < at + n; i++)
        c->first[i] = 0;
    if (c->room == 0) {
        c->next = roomy;
        roomy = c;
    }
    c->room += n;
}

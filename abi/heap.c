/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small allocator: little memory, few host calls, and no lock where a thread frees what it takes.
 *
 *   chunk   1 MiB of address space, aligned; its first pages say what the others are
 *   run     pages of a chunk: a span, or one large block (over SMALL_MAX)
 *   span    a run cut into slots of one size class; slots that were never used are behind `fresh`
 *   cache   of a thread: a list of free slots for each class, filled from and emptied into spans
 *
 * A block over LARGE_MAX is a mapping of its own with the header of a chunk. From a pointer the
 * chunk is found by masking, and from its page the run.
 *
 * Links in free slots are kept mangled and are checked, as is what is freed: a wild pointer ends the
 * program rather than becoming its next block.
 *
 * Locks: `lock` for chunks, runs and spans; caches belong to their threads. All of it is used from
 * the first line of main() on, and across forks of a single-threaded process.
 */
#include "abi/heap.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/heap_run.h"
#include "abi/types.h"

#define SMALL_MAX 32768ul
#define LARGE_MAX (CHUNK / 2)
#define CACHED 8192 /* bytes of one class in a thread's cache, at most */

struct slot {
    uintptr_t next; /* mangled */
};

struct cache {
    struct slot *free[CLASSES];
    uint16_t n[CLASSES];
    bool known, over; /* its destructor is set; has run */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct span partial[CLASSES]; /* heads of lists */
static _Thread_local struct cache mine;
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- sizes ---- */

static unsigned class_of(size_t n)
{
    unsigned log;

    if (n <= 128)
        return n ? (unsigned)((n - 1) / 16) : 0;
    log = 63 - (unsigned)__builtin_clzl(n - 1); /* 7 for 129 to 256 */
    return 8 + (log - 7) * 4 + (unsigned)((n - 1) >> (log - 2) & 3);
}

static size_t class_size(unsigned c)
{
    if (c < 8)
        return (c + 1) * 16ul;
    return (5ul + (c - 8) % 4) << ((c - 8) / 4 + 5);
}

/* Small spans for small slots: a start takes few of each class, and touches what it takes. */
static size_t span_pages(unsigned c)
{
    size_t size = class_size(c);

    return size <= 512 ? 1 : size <= 2048 ? 4 : size <= 8192 ? 16 : 32;
}

static unsigned cache_max(unsigned c)
{
    return (unsigned)MIN(MAX(CACHED / class_size(c), 2ul), 64ul);
}

/* ---- pointers ---- */

static uintptr_t mangle(const void *at, const void *to)
{
    return (uintptr_t)to ^ heap_secret ^ (uintptr_t)at >> 12;
}

static struct slot *follow(const struct slot *s)
{
    struct slot *next = (struct slot *)(s->next ^ heap_secret ^ (uintptr_t)s >> 12);

    if ((uintptr_t)next & 15)
        abort();
    return next;
}

static struct span *span_of(const void *p)
{
    struct chunk *c = chunk_of(p);
    struct span *s;

    if ((uintptr_t)p & 15 || c->magic != MAGIC)
        abort();
    s = &c->spans[c->first[((uintptr_t)p - (uintptr_t)c) / PAGE]];
    if (s->kind == RUN_NONE)
        abort();
    return s;
}

/* ---- spans; with the lock ---- */

static void list_del(struct span *s)
{
    if (!s->next || !s->prev)
        abort();
    s->next->prev = s->prev;
    s->prev->next = s->next;
    s->next = s->prev = NULL;
}

static void list_add(unsigned c, struct span *s)
{
    struct span *head = &partial[c];

    if (!head->next)
        head->next = head->prev = head;
    s->next = head->next;
    s->prev = head;
    head->next->prev = s;
    head->next = s;
}

static struct span *span_with_room(unsigned c)
{
    struct span *s = partial[c].next;
    bool clean;

    if (s && s != &partial[c])
        return s;
    s = run_take(span_pages(c), c, &clean);
    if (!s)
        return NULL;
    s->slots = (uint16_t)(s->pages * PAGE / class_size(c));
    list_add(c, s);
    return s;
}

static struct slot *take_slot(unsigned c)
{
    struct span *s = span_with_room(c);
    struct slot *slot;

    if (!s)
        return NULL;
    slot = s->free;
    if (slot)
        s->free = follow(slot);
    else
        slot = (struct slot *)(run_start(s) + s->fresh++ * class_size(c));
    s->used++;
    if (!s->free && s->fresh == s->slots)
        list_del(s);
    return slot;
}

static void give_slot(struct slot *slot)
{
    struct span *s = span_of(slot);
    unsigned c = s->kind;

    if (c >= CLASSES || s->used == 0)
        abort();
    if (!s->free && s->fresh == s->slots)
        list_add(c, s);
    slot->next = mangle(slot, s->free);
    s->free = slot;
    if (--s->used == 0 && !(s->next == &partial[c] && s->prev == &partial[c])) {
        list_del(s); /* the last one of its class stays */
        run_free(s);
    }
}

/* ---- a thread's cache ---- */

static void empty_cache(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    for (unsigned c = 0; c < CLASSES; c++) {
        while (mine.free[c]) {
            struct slot *s = mine.free[c];

            mine.free[c] = follow(s);
            give_slot(s);
        }
        mine.n[c] = 0;
    }
    mine.over = true;
    pthread_mutex_unlock(&lock);
}

static void make_key(void)
{
    pthread_key_create(&at_end, empty_cache);
}

static void know_cache(void)
{
    mine.known = true;
    pthread_once(&once, make_key);
    pthread_setspecific(at_end, &mine);
}

static void push(unsigned c, struct slot *s)
{
    s->next = mangle(s, mine.free[c]);
    mine.free[c] = s;
    mine.n[c]++;
}

static struct slot *pop(unsigned c)
{
    struct slot *s = mine.free[c];

    if (s) {
        mine.free[c] = follow(s);
        mine.n[c]--;
    }
    return s;
}

static struct slot *refill(unsigned c)
{
    struct slot *s;

    if (!mine.known)
        know_cache();
    pthread_mutex_lock(&lock);
    s = take_slot(c);
    for (unsigned n = mine.over || !s ? 0 : cache_max(c) / 4; n > 0; n--) {
        struct slot *more = take_slot(c);

        if (!more)
            break;
        push(c, more);
    }
    pthread_mutex_unlock(&lock);
    return s;
}

static void drain(unsigned c)
{
    unsigned keep = mine.over ? 0 : cache_max(c) / 2;

    pthread_mutex_lock(&lock);
    while (mine.n[c] > keep)
        give_slot(pop(c));
    pthread_mutex_unlock(&lock);
}

/* ---- blocks ---- */

static void *alloc_huge(size_t n)
{
    size_t all;
    struct chunk *c;

    if (n > PTRDIFF_MAX - 2 * CHUNK)
        return NULL;
    all = (n + HEADER_PAGES * PAGE + PAGE - 1) & ~(PAGE - 1);
    c = chunk_map(all);
    if (!c)
        return NULL;
    c->magic = MAGIC;
    c->mapped = all;
    c->first[HEADER_PAGES] = HEADER_PAGES;
    c->spans[HEADER_PAGES].kind = RUN_HUGE;
    return (char *)c + HEADER_PAGES * PAGE;
}

static void *alloc(size_t n, bool *ret_clean)
{
    struct span *s;
    void *p;

    *ret_clean = false;
    if (n <= SMALL_MAX) {
        unsigned c = class_of(n);

        p = pop(c);
        if (!p)
            p = refill(c);
    } else if (n <= LARGE_MAX) {
        pthread_mutex_lock(&lock);
        s = run_take((n + PAGE - 1) / PAGE, RUN_LARGE, ret_clean);
        pthread_mutex_unlock(&lock);
        p = s ? run_start(s) : NULL;
    } else {
        p = alloc_huge(n);
        *ret_clean = true;
    }
    if (!p)
        errno = ENOMEM;
    return p;
}

void *heap_alloc(size_t n)
{
    bool clean;

    return alloc(n, &clean);
}

void *heap_zalloc(size_t n)
{
    bool clean;
    void *p = alloc(n, &clean);

    return p && !clean ? memset(p, 0, n) : p;
}

void heap_free(void *p)
{
    struct span *s;

    if (!p)
        return;
    s = span_of(p);
    if (s->kind < CLASSES) {
        unsigned c = s->kind;

        if (p == mine.free[c]) /* twice */
            abort();
        push(c, p);
        if (mine.n[c] > cache_max(c) || mine.over)
            drain(c);
    } else if (s->kind == RUN_LARGE) {
        pthread_mutex_lock(&lock);
        run_free(s);
        pthread_mutex_unlock(&lock);
    } else {
        munmap(chunk_of(s), chunk_of(s)->mapped);
    }
}

size_t heap_size(const void *p)
{
    struct span *s;

    if (!p)
        return 0;
    s = span_of(p);
    if (s->kind < CLASSES)
        return class_size(s->kind);
    return s->kind == RUN_LARGE ? s->pages * PAGE : chunk_of(s)->mapped - HEADER_PAGES * PAGE;
}

void *heap_resize(void *p, size_t n)
{
    size_t had = heap_size(p);
    void *q;

    if (p && n <= had && n > had / 2)
        return p;
    q = heap_alloc(n);
    if (!q || !p)
        return q;
    memcpy(q, p, MIN(had, n));
    heap_free(p);
    return q;
}

void *heap_aligned(size_t align, size_t n)
{
    size_t size = 16;

    if (align & (align - 1) || align > PAGE) {
        errno = EINVAL;
        return NULL;
    }
    if (align <= 16 || n > SMALL_MAX / 2) /* large blocks begin at a page */
        return heap_alloc(n > SMALL_MAX / 2 ? MAX(n, SMALL_MAX + 1) : n);
    while (size < n || size < align) /* a slot of 2^k in a span is aligned to it */
        size *= 2;
    return heap_alloc(size);
}

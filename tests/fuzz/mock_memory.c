/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces of the mock platform: a sorted row of regions, and the pages that were written in a
 * hash table. What was never written reads as zeros; of a mapped file the first pages are copied in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/mock.h"

#define LIMIT 0x7ffffffde000ull
#define REGIONS_MAX 96
#define PAGES_MAX 1024 /* more are as good as not mapped: an input must not eat the host's memory */
#define BUCKETS 64
#define PAGE 4096ull
#define FILE_PAGES 16

struct region {
    gaddr_t start, end;
    unsigned prot;
    bool shared;
};

struct page {
    struct page *next;
    gaddr_t at;
    uint8_t bytes[PAGE];
};

struct aspace {
    int refs;
    unsigned n, npages;
    gaddr_t next; /* where a map goes that asks for no place */
    struct region r[REGIONS_MAX];
    struct page *table[BUCKETS];
};

gaddr_t mock_as_limit(void)
{
    return LIMIT;
}

struct aspace *mock_as_new(void)
{
    struct aspace *as = calloc(1, sizeof *as);

    if (!as)
        abort();
    as->refs = 1;
    as->next = 0x20000000;
    return as;
}

void mock_as_ref(struct aspace *as)
{
    as->refs++;
}

static void drop_pages(struct aspace *as, gaddr_t start, gaddr_t end)
{
    for (unsigned b = 0; b < BUCKETS; b++) {
        struct page **p = &as->table[b], *dead;

        while ((dead = *p)) {
            if (dead->at < start || dead->at >= end) {
                p = &dead->next;
                continue;
            }
            *p = dead->next;
            free(dead);
            as->npages--;
        }
    }
}

void mock_as_put(struct aspace *as)
{
    if (as && --as->refs == 0) {
        drop_pages(as, 0, UINT64_MAX);
        free(as);
    }
}

static struct page *page_find(const struct aspace *as, gaddr_t at)
{
    struct page *p = as->table[at / PAGE % BUCKETS];

    while (p && p->at != at)
        p = p->next;
    return p;
}

static struct page *page_make(struct aspace *as, gaddr_t at)
{
    struct page *p = page_find(as, at);

    if (p || as->npages == PAGES_MAX || !(p = calloc(1, sizeof *p)))
        return p;
    p->at = at;
    p->next = as->table[at / PAGE % BUCKETS];
    as->table[at / PAGE % BUCKETS] = p;
    as->npages++;
    return p;
}

void mock_as_copy(struct aspace *to, const struct aspace *from)
{
    to->n = from->n;
    to->next = from->next;
    memcpy(to->r, from->r, sizeof to->r);
    for (unsigned b = 0; b < BUCKETS; b++)
        for (const struct page *p = from->table[b]; p; p = p->next) {
            struct page *q = page_make(to, p->at);

            if (q)
                memcpy(q->bytes, p->bytes, PAGE);
        }
}

/* The region that holds at, or the next above it. */
static struct region *region_at(const struct aspace *as, gaddr_t at)
{
    for (unsigned i = 0; i < as->n; i++)
        if (as->r[i].end > at)
            return (struct region *)&as->r[i];
    return NULL;
}

/* Is [start, end) mapped throughout? */
static bool covered(const struct aspace *as, gaddr_t start, gaddr_t end)
{
    while (start < end) {
        const struct region *r = region_at(as, start);

        if (!r || r->start > start)
            return false;
        start = r->end;
    }
    return true;
}

static bool insert(struct aspace *as, struct region n)
{
    unsigned i = 0;

    if (as->n == REGIONS_MAX)
        return false;
    while (i < as->n && as->r[i].start < n.start)
        i++;
    memmove(&as->r[i + 1], &as->r[i], (as->n - i) * sizeof n);
    as->r[i] = n;
    as->n++;
    return true;
}

/* Makes at the edge of a region, where it lies in the middle of one. */
static bool split(struct aspace *as, gaddr_t at)
{
    struct region *r = region_at(as, at), upper;

    if (!r || r->start >= at)
        return true;
    if (as->n == REGIONS_MAX)
        return false;
    upper = *r;
    upper.start = at;
    r->end = at;
    return insert(as, upper);
}

static bool unmap(struct aspace *as, gaddr_t start, gaddr_t end)
{
    unsigned k = 0;

    if (!split(as, start) || !split(as, end))
        return false;
    for (unsigned i = 0; i < as->n; i++)
        if (as->r[i].start < start || as->r[i].start >= end)
            as->r[k++] = as->r[i];
    as->n = k;
    drop_pages(as, start, end);
    return true;
}

static void fill_from_file(struct aspace *as, gaddr_t at, uint64_t len, int fd, uint64_t off)
{
    for (unsigned i = 0; i < FILE_PAGES && i < len / PAGE; i++) {
        uint8_t buf[PAGE];
        ssize_t got = pread(fd, buf, PAGE, (off_t)(off + i * PAGE));
        struct page *p = got > 0 ? page_make(as, at + i * PAGE) : NULL;

        if (p)
            memcpy(p->bytes, buf, (size_t)got);
    }
}

static int64_t op_mmap(struct aspace *as, const struct as_op *op)
{
    gaddr_t at = op->a[0], len = (op->a[1] + PAGE - 1) & ~(PAGE - 1);
    bool fixed = op->a[3] & (MAP_FIXED | MAP_FIXED_NOREPLACE);

    if (len == 0 || len > LIMIT || at % PAGE)
        return -EINVAL;
    if (!fixed || at == 0) {
        at = as->next;
        while (region_at(as, at) && region_at(as, at)->start < at + len)
            at = region_at(as, at)->end;
    }
    if (at >= LIMIT || len > LIMIT - at)
        return -ENOMEM;
    if (op->a[3] & MAP_FIXED_NOREPLACE && region_at(as, at) && region_at(as, at)->start < at + len)
        return -EEXIST;
    if (!unmap(as, at, at + len) ||
        !insert(as, (struct region){ at, at + len, (unsigned)op->a[2], op->a[3] & MAP_SHARED }))
        return -ENOMEM;
    if (op->fd >= 0)
        fill_from_file(as, at, len, op->fd, op->a[4]);
    return (int64_t)at;
}

static int64_t op_mremap(struct aspace *as, const struct as_op *op)
{
    gaddr_t old = op->a[0], oldlen = op->a[1], newlen = op->a[2];
    struct as_op map = { .fd = -1, .a = { op->a[4], newlen, PROT_READ | PROT_WRITE } };
    int64_t to;

    if (old % PAGE || !newlen || old >= LIMIT || oldlen > LIMIT - old ||
        !covered(as, old, old + oldlen))
        return -EFAULT;
    map.a[3] = op->a[3] & MREMAP_FIXED ? MAP_FIXED : 0;
    to = op_mmap(as, &map);
    if (to >= 0 && !(op->a[3] & MREMAP_DONTUNMAP))
        unmap(as, old, old + oldlen);
    return to;
}

static int64_t op_range(struct aspace *as, const struct as_op *op)
{
    gaddr_t start = op->a[0], len = (op->a[1] + PAGE - 1) & ~(PAGE - 1);

    if (start % PAGE || start >= LIMIT || len > LIMIT - start)
        return -EINVAL;
    if (op->kind == AS_MUNMAP)
        return unmap(as, start, start + len) ? 0 : -ENOMEM;
    if (!covered(as, start, start + len))
        return -ENOMEM;
    if (op->kind != AS_MPROTECT)
        return 0;
    if (!split(as, start) || !split(as, start + len))
        return -ENOMEM;
    for (unsigned i = 0; i < as->n; i++)
        if (as->r[i].start >= start && as->r[i].start < start + len)
            as->r[i].prot = (unsigned)op->a[2];
    return 0;
}

int64_t mock_as_op(struct aspace *as, const struct as_op *op)
{
    uint32_t word = (uint32_t)op->a[1], found;

    switch (op->kind) {
    case AS_MMAP:
        return op_mmap(as, op);
    case AS_MREMAP:
        return op_mremap(as, op);
    case AS_MUNMAP:
    case AS_MPROTECT:
    case AS_MADVISE:
    case AS_MSYNC:
    case AS_MLOCK:
    case AS_MUNLOCK:
    case AS_MINCORE:
        return op_range(as, op);
    case AS_STORE32_WAKE:
        return mock_as_write(as, op->a[0], &word, 4, false) == 4 ? 0 : -EFAULT;
    case AS_CMPXCHG32:
        if (mock_as_read(as, op->a[0], &found, 4) != 4)
            return -EFAULT;
        word = (uint32_t)op->a[2];
        if (found == (uint32_t)op->a[1] && mock_as_write(as, op->a[0], &word, 4, false) != 4)
            return -EFAULT;
        return found;
    case AS_MSEAL:
        return -ENOSYS;
    case AS_PRCTL:
        return -EINVAL;
    case AS_GET_FS:
    case AS_GET_GS:
        return 0x1234000;
    default:
        return 0;
    }
}

/* One page's worth at a time. False: not there, or not so. */
static bool access_page(struct aspace *as, gaddr_t at, void *ours, size_t n, bool write, bool force)
{
    const struct region *r = region_at(as, at);
    struct page *p;

    if (at >= LIMIT || !r || r->start > at ||
        (!force && !(r->prot & (write ? PROT_WRITE : PROT_READ))))
        return false;
    p = write ? page_make(as, at & ~(PAGE - 1)) : page_find(as, at & ~(PAGE - 1));
    if (write && !p)
        return false;
    if (write)
        memcpy(p->bytes + at % PAGE, ours, n);
    else if (p)
        memcpy(ours, p->bytes + at % PAGE, n);
    else
        memset(ours, 0, n);
    return true;
}

static ssize_t copy(struct aspace *as, gaddr_t at, void *ours, size_t n, bool write, bool force)
{
    size_t done = 0;

    while (done < n) {
        size_t step = PAGE - (at + done) % PAGE;

        step = step < n - done ? step : n - done;
        if (!access_page(as, at + done, (char *)ours + done, step, write, force))
            break;
        done += step;
    }
    return done || !n ? (ssize_t)done : -EFAULT;
}

ssize_t mock_as_read(struct aspace *as, gaddr_t from, void *to, size_t n)
{
    return copy(as, from, to, n, false, false);
}

ssize_t mock_as_write(struct aspace *as, gaddr_t to, const void *from, size_t n, bool force)
{
    return copy(as, to, (void *)(uintptr_t)from, n, true, force);
}

ssize_t mock_as_move(struct aspace *as, bool write, const struct iovec *ours, unsigned nours,
                     const struct iovec *theirs, unsigned ntheirs)
{
    size_t done = 0, o = 0, t = 0;

    while (nours && ntheirs) {
        size_t n = ours->iov_len - o;
        ssize_t r;

        n = theirs->iov_len - t < n ? theirs->iov_len - t : n;
        r = copy(as, (gaddr_t)theirs->iov_base + t, (char *)ours->iov_base + o, n, write, false);
        if (r < 0)
            break;
        done += (size_t)r;
        if ((size_t)r < n)
            break;
        o += n, t += n;
        if (o == ours->iov_len)
            ours++, nours--, o = 0;
        if (t == theirs->iov_len)
            theirs++, ntheirs--, t = 0;
    }
    return done ? (ssize_t)done : -EFAULT;
}

static struct as_mapping mapping_of(const struct region *r)
{
    return (struct as_mapping){
        .start = r->start, .end = r->end, .prot = r->prot, .shared = r->shared
    };
}

int mock_as_query(struct aspace *as, gaddr_t addr, struct as_mapping *ret)
{
    const struct region *r = region_at(as, addr);

    if (!r)
        return -ENOENT;
    *ret = mapping_of(r);
    return 0;
}

int mock_as_each(struct aspace *as, bool usage, int (*fn)(const struct as_mapping *m, void *arg),
                 void *arg)
{
    (void)usage;
    for (unsigned i = 0; i < as->n; i++) {
        struct as_mapping m = mapping_of(&as->r[i]);
        int r = fn(&m, arg);

        if (r)
            return r;
    }
    return 0;
}

int mock_as_usage(struct aspace *as, struct as_usage *ret)
{
    *ret = (struct as_usage){ .rss = as->npages * PAGE, .vsize = as->n * PAGE };
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File contents in the heap; see data.h. What happens once there is a memfd stands in data_fd.c.
 *
 * Quota counts what is held: the small block as it is, else whole pages. kzalloc charges the heap;
 * when that limit is met, a write ends as on a full file system (-ENOSPC).
 */
#include "sentry/fs/mem/data.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/mem/data_fd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/limits.h"

#define PAGE PAGE_SIZE_4K

static _Atomic uint64_t all_bytes; /* of all file systems */

void data_init(struct data *d, struct quota *q)
{
    *d = (struct data){ .fd = -1, .quota = q };
}

int quota_take(struct data *d, uint64_t n)
{
    struct quota *q = d->quota;
    uint64_t before = atomic_fetch_add(&q->used, n), all = atomic_fetch_add(&all_bytes, n);

    if ((q->max && before + n > q->max) || all + n > limit_of(LIMIT_FILE_BYTES)) {
        atomic_fetch_sub(&q->used, n);
        atomic_fetch_sub(&all_bytes, n);
        return -ENOSPC;
    }
    d->bytes += n;
    return 0;
}

void quota_give(struct data *d, uint64_t n)
{
    atomic_fetch_sub(&d->quota->used, n);
    atomic_fetch_sub(&all_bytes, n);
    d->bytes -= n;
}

static void drop_page(struct data *d, size_t i)
{
    if (i >= d->npages || !d->pages[i])
        return;
    kfree(d->pages[i]);
    d->pages[i] = NULL;
    quota_give(d, PAGE);
}

/* Frees what the heap holds. */
static void drop_heap(struct data *d)
{
    for (size_t i = 0; i < d->npages; i++)
        drop_page(d, i);
    kfree(d->pages);
    d->pages = NULL;
    d->npages = 0;
    if (d->small)
        quota_give(d, d->small_cap);
    kfree(d->small);
    d->small = NULL;
    d->small_cap = 0;
}

void data_free(struct data *d)
{
    drop_heap(d);
    if (d->fd >= 0)
        data_fd_free(d);
}

static char *page_at(struct data *d, uint64_t pos)
{
    size_t i = pos / PAGE;

    return i < d->npages ? d->pages[i] : NULL;
}

/* Room for page i in the array of pages. */
static int grow_pages(struct data *d, size_t i)
{
    size_t n = MAX(d->npages * 2, (size_t)8);
    char **p;

    if (i < d->npages)
        return 0;
    n = MAX(n, i + 1);
    p = krealloc(d->pages, n * sizeof *p);
    if (!p)
        return -ENOSPC;
    memset(p + d->npages, 0, (n - d->npages) * sizeof *p);
    d->pages = p;
    d->npages = n;
    return 0;
}

static int new_page(struct data *d, size_t i, bool zeroed)
{
    int r = grow_pages(d, i);

    if (r < 0 || d->pages[i])
        return r;
    r = quota_take(d, PAGE);
    if (r < 0)
        return r;
    d->pages[i] = zeroed ? kzalloc(PAGE) : krealloc(NULL, PAGE);
    if (d->pages[i])
        return 0;
    quota_give(d, PAGE);
    return -ENOSPC;
}

/* The small block becomes page 0. */
static int small_to_page(struct data *d)
{
    int r;

    if (!d->small)
        return 0;
    r = new_page(d, 0, /* zeroed= */ true);
    if (r < 0)
        return r;
    memcpy(d->pages[0], d->small, d->small_cap);
    quota_give(d, d->small_cap);
    kfree(d->small);
    d->small = NULL;
    d->small_cap = 0;
    return 0;
}

static int grow_small(struct data *d, size_t end)
{
    size_t cap = 64;
    char *p;

    while (cap < end)
        cap *= 2;
    if (cap <= d->small_cap)
        return 0;
    if (quota_take(d, cap - d->small_cap) < 0)
        return -ENOSPC;
    p = krealloc(d->small, cap);
    if (!p) {
        quota_give(d, cap - d->small_cap);
        return -ENOSPC;
    }
    memset(p + d->small_cap, 0, cap - d->small_cap);
    d->small = p;
    d->small_cap = cap;
    return 0;
}

static ssize_t read_small(struct data *d, struct iter *it, uint64_t pos, size_t n)
{
    size_t have = pos < d->small_cap ? MIN(n, d->small_cap - pos) : 0;
    ssize_t done = 0, r;

    if (have) {
        done = iter_put(it, d->small + pos, have);
        if (done < (ssize_t)have)
            return done;
    }
    if (have == n)
        return done;
    r = iter_put_zero(it, n - have);
    return r < 0 ? (done ? done : r) : done + r;
}

/* Where at most n bytes from pos on lie, holes as zeros: pieces of pages. What they hold. */
static size_t pieces_of(struct data *d, uint64_t pos, size_t n, struct iovec *v,
                        unsigned *ret_count)
{
    static const char zeros[PAGE];
    size_t sum = 0;
    unsigned k = 0;

    for (; sum < n && k < ITER_PIECES; k++) {
        size_t off = (pos + sum) % PAGE, part = MIN(n - sum, PAGE - off);
        char *p = page_at(d, pos + sum);

        v[k] = (struct iovec){ p ? p + off : (char *)(uintptr_t)zeros, part };
        sum += part;
    }
    *ret_count = k;
    return sum;
}

ssize_t data_read(struct data *d, struct iter *it, uint64_t pos, size_t n)
{
    size_t done = 0;

    if (d->fd >= 0)
        return data_fd_read(d, it, pos, n);
    if (d->small)
        return read_small(d, it, pos, n);
    while (done < n) {
        struct iovec v[ITER_PIECES];
        unsigned count;
        size_t part = pieces_of(d, pos + done, n - done, v, &count);
        ssize_t r = count == 1 ? iter_put(it, v->iov_base, part) : iter_putv(it, v, count);

        if (r < 0)
            return done ? (ssize_t)done : r;
        done += r;
        if ((size_t)r < part)
            break;
    }
    return done;
}

struct reserved { /* pages to write to */
    struct iovec v[ITER_PIECES];
    bool fresh[ITER_PIECES]; /* made for this; its bytes in v are not set yet */
    unsigned count;
    size_t n; /* bytes in v */
};

/* Pages for at most n bytes from pos on: fewer when memory ends. */
static void reserve(struct data *d, uint64_t pos, size_t n, struct reserved *ret)
{
    ret->n = 0;
    for (ret->count = 0; ret->n < n && ret->count < ITER_PIECES; ret->count++) {
        size_t i = (pos + ret->n) / PAGE, off = (pos + ret->n) % PAGE;
        size_t part = MIN(n - ret->n, PAGE - off);

        ret->fresh[ret->count] = !page_at(d, pos + ret->n);
        if (new_page(d, i, /* zeroed= */ part < PAGE) < 0)
            return;
        ret->v[ret->count] = (struct iovec){ d->pages[i] + off, part };
        ret->n += part;
    }
}

/* Only the first n bytes were written: what is fresh behind them becomes a hole again, or zero. */
static void unreserve(struct data *d, uint64_t pos, const struct reserved *r, size_t n)
{
    size_t at = 0;

    for (unsigned k = 0; k < r->count; at += r->v[k++].iov_len) {
        size_t have = n > at ? MIN(n - at, r->v[k].iov_len) : 0;

        if (r->fresh[k] && have == 0)
            drop_page(d, (pos + at) / PAGE);
        else if (r->fresh[k])
            memset((char *)r->v[k].iov_base + have, 0, r->v[k].iov_len - have);
    }
}

static ssize_t write_pages(struct data *d, struct iter *it, uint64_t pos, size_t n)
{
    size_t done = 0;

    while (done < n) {
        struct reserved to;
        ssize_t r;

        reserve(d, pos + done, n - done, &to);
        if (!to.count)
            return done ? (ssize_t)done : -ENOSPC;
        r = to.count == 1 ? iter_get(it, to.v[0].iov_base, to.n) : iter_getv(it, to.v, to.count);
        if (r < (ssize_t)to.n)
            unreserve(d, pos + done, &to, MAX(r, 0));
        if (r < 0)
            return done ? (ssize_t)done : r;
        done += r;
        if ((size_t)r < to.n)
            break;
    }
    return done;
}

ssize_t data_write(struct data *d, struct iter *it, uint64_t pos, size_t n, uint64_t size)
{
    int r;

    if (d->fd < 0 && pos + n > DATA_HEAP_MAX) {
        r = data_to_fd(d, size);
        if (r < 0)
            return r;
    }
    if (d->fd >= 0)
        return data_fd_write(d, it, pos, n, size);
    if (!d->npages && pos + n <= PAGE / 2) {
        r = grow_small(d, pos + n);
        return r < 0 ? r : iter_get(it, d->small + pos, n);
    }
    r = small_to_page(d);
    return r < 0 ? r : write_pages(d, it, pos, n);
}

int data_truncate(struct data *d, uint64_t old_size, uint64_t size)
{
    if (d->fd >= 0)
        return data_fd_truncate(d, size);
    if (size >= old_size)
        return 0;
    if (size == 0) {
        drop_heap(d);
        return 0;
    }
    if (d->small && size < d->small_cap)
        memset(d->small + size, 0, d->small_cap - size);
    for (size_t i = PAGE_ALIGN_UP(size) / PAGE; i < d->npages; i++)
        drop_page(d, i);
    if (size % PAGE && page_at(d, size))
        memset(page_at(d, size) + size % PAGE, 0, PAGE - size % PAGE);
    return 0;
}

int data_punch(struct data *d, uint64_t off, uint64_t len, uint64_t size)
{
    uint64_t end = MIN(off + len, PAGE_ALIGN_UP(size));

    if (d->fd >= 0)
        return data_fd_punch(d, off, len);
    if (d->small && off < d->small_cap && off < end)
        memset(d->small + off, 0, MIN(end, (uint64_t)d->small_cap) - off);
    end = MIN(end, (uint64_t)d->npages * PAGE);
    for (uint64_t at = off; at < end;) {
        uint64_t part = MIN(end - at, PAGE - at % PAGE);
        char *p = page_at(d, at);

        if (part == PAGE)
            drop_page(d, at / PAGE);
        else if (p)
            memset(p + at % PAGE, 0, part);
        at += part;
    }
    return 0;
}

int data_alloc(struct data *d, uint64_t off, uint64_t len, uint64_t size)
{
    int r;

    if (d->fd < 0 && off + len > DATA_HEAP_MAX) {
        r = data_to_fd(d, size);
        if (r < 0)
            return r;
    }
    if (d->fd >= 0)
        return data_fd_alloc(d, off, len);
    r = small_to_page(d);
    for (uint64_t i = off / PAGE; r == 0 && i * PAGE < off + len; i++)
        r = new_page(d, i, /* zeroed= */ true);
    return r;
}

static bool is_data(struct data *d, uint64_t pos)
{
    return d->small ? pos < PAGE : page_at(d, pos) != NULL;
}

loff_t data_seek(struct data *d, loff_t off, bool hole, uint64_t size)
{
    uint64_t at = off, held = d->small ? PAGE : d->npages * PAGE;

    if (off < 0 || at >= size)
        return -ENXIO;
    if (d->fd >= 0)
        return data_fd_seek(d, off, hole, size);
    while (at < size && at < held && is_data(d, at) == hole)
        at = PAGE_ALIGN_DOWN(at) + PAGE;
    if (at < size && (hole || at < held))
        return at;
    return hole ? (loff_t)size : -ENXIO;
}

uint64_t data_blocks(struct data *d)
{
    return d->fd >= 0 ? data_fd_blocks(d) : d->small ? PAGE / 512 : d->bytes / 512;
}

int data_to_fd(struct data *d, uint64_t size)
{
    struct data fresh;
    int r = 0;

    if (d->fd >= 0)
        return 0;
    data_init(&fresh, d->quota);
    r = data_fd_new(&fresh, size);
    if (r < 0)
        return r;
    if (d->small)
        r = data_fd_put(&fresh, d->small, MIN((uint64_t)d->small_cap, size), 0);
    for (size_t i = 0; r == 0 && i < d->npages && i * PAGE < size; i++)
        if (d->pages[i])
            r = data_fd_put(&fresh, d->pages[i], MIN((uint64_t)PAGE, size - i * PAGE), i * PAGE);
    if (r < 0) {
        data_fd_free(&fresh);
        return r;
    }
    drop_heap(d); /* its share of the quota goes first, so that a full file system can do it */
    *d = fresh;
    (void)data_fd_recount(d); /* it may pass the limit by less than a page */
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory, by way of the platform; see copy.h. */
#include "sentry/mm/copy.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"

void copy_faulted(struct task *t, gaddr_t at, bool write)
{
    if (!atomic_load_explicit(&t->mm->nuffd, memory_order_relaxed))
        return;
    t->call.fault = at;
    t->call.fault_write = write;
    t->call.faulted = true;
}

/* What was moved, r: a fault behind it is noted. */
static ssize_t moved(struct task *t, ssize_t r, gaddr_t at, size_t n, bool write)
{
    if (r < (ssize_t)n)
        copy_faulted(t, at + (r > 0 ? (size_t)r : 0), write);
    return r;
}

ssize_t copy_in_some(struct task *t, void *to, gaddr_t from, size_t n)
{
    ssize_t r;

    if (n == 0)
        return 0;
    if (!t->mm)
        return -EFAULT;
    if (t->ctx)
        r = kernel.platform->ctx_read(t->ctx, from, to, n);
    else
        r = kernel.platform->as_read(t->mm->as, from, to, n);
    return moved(t, r, from, n, /* write= */ false);
}

ssize_t copy_out_some(struct task *t, gaddr_t to, const void *from, size_t n)
{
    ssize_t r;

    if (n == 0)
        return 0;
    if (!t->mm)
        return -EFAULT;
    if (t->ctx)
        r = kernel.platform->ctx_write(t->ctx, to, from, n);
    else
        r = kernel.platform->as_write(t->mm->as, to, from, n, false);
    return moved(t, r, to, n, /* write= */ true);
}

int copy_in(struct task *t, void *to, gaddr_t from, size_t n)
{
    return copy_in_some(t, to, from, n) == (ssize_t)n ? 0 : -EFAULT;
}

int copy_out(struct task *t, gaddr_t to, const void *from, size_t n)
{
    return copy_out_some(t, to, from, n) == (ssize_t)n ? 0 : -EFAULT;
}

/* By pieces that end at page ends: what lies behind the NUL may not be mapped. */
ssize_t copy_in_str(struct task *t, char *to, gaddr_t from, size_t cap)
{
    size_t done = 0;

    while (done < cap) {
        size_t n = MIN(cap - done, PAGE_SIZE_4K - ((from + done) & (PAGE_SIZE_4K - 1)));
        ssize_t r;
        char *nul;

        if (done == 0) /* most strings are short: do not fetch a page for them */
            n = MIN(n, 256);
        r = copy_in_some(t, to + done, from + done, n);
        if (r <= 0)
            return -EFAULT;
        nul = memchr(to + done, 0, (size_t)r);
        if (nul)
            return nul - to;
        if ((size_t)r < n)
            return -EFAULT;
        done += (size_t)r;
    }
    return -ENAMETOOLONG;
}

/* ---- iter ---- */

void iter_guest(struct iter *it, struct task *t, gaddr_t base, size_t n)
{
    *it = (struct iter){ .task = t, .left = n, .one = { base, n }, .nsegs = 1 };
}

void iter_kernel(struct iter *it, void *base, size_t n)
{
    iter_guest(it, NULL, (uintptr_t)base, n);
}

void iter_segs(struct iter *it, struct task *t, const struct seg *segs, unsigned n)
{
    *it = (struct iter){ .task = t, .segs = segs, .nsegs = n };
    for (unsigned i = 0; i < n; i++)
        it->left += segs[i].len;
}

/* The current segment; iter may lie in a record that was copied, so one is found by need. */
static const struct seg *seg_now(const struct iter *it)
{
    return it->segs ? it->segs : &it->one;
}

void iter_skip(struct iter *it, size_t n)
{
    it->left -= MIN(n, it->left);
    while (n > 0 && it->nsegs > 0) {
        size_t room = seg_now(it)->len - it->off, step = MIN(n, room);

        it->off += step;
        n -= step;
        if (it->off == seg_now(it)->len && it->nsegs > 1) {
            it->segs++;
            it->nsegs--;
            it->off = 0;
        } else if (step == 0) {
            break;
        }
    }
}

void iter_revert(struct iter *it, size_t n)
{
    it->left += n;
    while (n > it->off) { /* segs before the current one are still there */
        n -= it->off;
        it->segs--;
        it->nsegs++;
        it->off = it->segs->len;
    }
    it->off -= n;
}

enum mode { PUT, GET, ZERO };

static ssize_t move_piece(struct iter *it, gaddr_t at, char *ours, size_t n, enum mode mode)
{
    static const char zeros[4096];

    if (!it->task) {
        void *p = (void *)(uintptr_t)at;

        if (mode == PUT)
            memcpy(p, ours, n);
        else if (mode == GET)
            memcpy(ours, p, n);
        else
            memset(p, 0, n);
        return (ssize_t)n;
    }
    if (mode == GET)
        return copy_in_some(it->task, ours, at, n);
    if (mode == PUT)
        return copy_out_some(it->task, at, ours, n);
    for (size_t done = 0; done < n;) {
        size_t step = MIN(n - done, sizeof zeros);
        ssize_t r = copy_out_some(it->task, at + done, zeros, step);

        if (r <= 0)
            return done ? (ssize_t)done : r;
        done += (size_t)r;
        if ((size_t)r < step)
            return (ssize_t)done;
    }
    return (ssize_t)n;
}

static ssize_t move(struct iter *it, char *ours, size_t n, enum mode mode)
{
    size_t done = 0;

    n = MIN(n, it->left);
    while (done < n && !it->fault) {
        size_t piece = MIN(n - done, seg_now(it)->len - it->off);
        ssize_t r;

        if (piece == 0) { /* an empty segment */
            if (it->nsegs <= 1)
                break;
            it->segs++;
            it->nsegs--;
            it->off = 0;
            continue;
        }
        r = move_piece(it, seg_now(it)->base + it->off, ours ? ours + done : NULL, piece, mode);
        if (r < (ssize_t)piece)
            it->fault = true;
        if (r > 0) {
            done += (size_t)r;
            iter_skip(it, (size_t)r);
        }
    }
    return done == 0 && n > 0 && it->fault ? -EFAULT : (ssize_t)done;
}

ssize_t iter_put(struct iter *it, const void *from, size_t n)
{
    return move(it, (char *)(uintptr_t)from, n, PUT);
}

ssize_t iter_get(struct iter *it, void *to, size_t n)
{
    return move(it, to, n, GET);
}

ssize_t iter_put_zero(struct iter *it, size_t n)
{
    return move(it, NULL, n, ZERO);
}

ssize_t copy_in_iovec(struct task *t, gaddr_t iov, unsigned count, struct seg **ret_segs)
{
    struct seg *segs;
    size_t total = 0;

    *ret_segs = NULL;
    if (count > IOV_MAX)
        return -EINVAL;
    segs = kzalloc(MAX(count, 1u) * sizeof *segs);
    if (!segs)
        return -ENOMEM;
    if (count && copy_in(t, segs, iov, count * sizeof *segs) < 0) {
        kfree(segs);
        return -EFAULT;
    }
    for (unsigned i = 0; i < count; i++) {
        if (segs[i].len > SSIZE_MAX) {
            kfree(segs);
            return -EINVAL;
        }
        segs[i].len = MIN(segs[i].len, MAX_RW_COUNT - total);
        total += segs[i].len;
    }
    *ret_segs = segs;
    return (ssize_t)total;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between several pieces of ours and what an iter has left, in one call of the host each.
 * See copy.h.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"

#define RANGES 64 /* of the guest's in one call; more take another */

/* The next ranges of it, at most n bytes. Their number; *ret_n: what they hold. */
static unsigned ranges_of(const struct iter *it, size_t n, struct iovec *to, size_t *ret_n)
{
    const struct seg *s = it->segs ? it->segs : &it->one;
    size_t off = it->off, sum = 0;
    unsigned k = 0;

    for (unsigned i = 0; i < it->nsegs && k < RANGES && sum < n; i++, off = 0) {
        size_t len = MIN(s[i].len - off, n - sum);

        if (!len)
            continue;
        to[k++] = (struct iovec){ (void *)(uintptr_t)(s[i].base + off), len };
        sum += len;
    }
    *ret_n = sum;
    return k;
}

/* From kernel memory to kernel memory: piece by piece. */
static ssize_t move_kernel(struct iter *it, const struct iovec *ours, unsigned n, bool put)
{
    ssize_t done = 0;

    for (unsigned i = 0; i < n && it->left; i++) {
        ssize_t r = put ? iter_put(it, ours[i].iov_base, ours[i].iov_len)
                        : iter_get(it, ours[i].iov_base, ours[i].iov_len);

        if (r < 0)
            return done ? done : r;
        done += r;
    }
    return done;
}

/* Takes n bytes off the front of *v. */
static void advance(struct iovec **v, unsigned *count, size_t n)
{
    while (*count && n >= (*v)->iov_len) {
        n -= (*v)->iov_len;
        (*v)++;
        (*count)--;
    }
    if (*count && n) {
        (*v)->iov_base = (char *)(*v)->iov_base + n;
        (*v)->iov_len -= n;
    }
}

/* Where n bytes into the ranges are. */
static gaddr_t place_of(const struct iovec *v, unsigned count, size_t n)
{
    unsigned i = 0;

    while (i + 1 < count && n >= v[i].iov_len)
        n -= v[i++].iov_len;
    return (gaddr_t)(uintptr_t)v[i].iov_base + n;
}

static ssize_t move(struct iter *it, const struct iovec *from, unsigned n, bool put)
{
    struct iovec theirs[RANGES], copy[ITER_PIECES], *ours = copy;
    size_t total = 0, done = 0;

    if (!it->task)
        return move_kernel(it, from, n, put);
    for (unsigned i = 0; i < n; i++)
        total += from[i].iov_len;
    total = MIN(total, it->left);
    memcpy(copy, from, n * sizeof *from);
    while (done < total && !it->fault) {
        size_t want;
        unsigned k = ranges_of(it, total - done, theirs, &want);
        ssize_t r = -EFAULT;

        if (it->task->mm && k)
            r = kernel.platform->as_move(it->task->mm->as, put, ours, n, theirs, k);
        if (r < (ssize_t)want)
            it->fault = true;
        if (it->fault && it->task->mm && k)
            copy_faulted(it->task, place_of(theirs, k, r > 0 ? (size_t)r : 0), put);
        if (r <= 0)
            break;
        iter_skip(it, (size_t)r);
        advance(&ours, &n, (size_t)r);
        done += (size_t)r;
    }
    return done == 0 && total > 0 && it->fault ? -EFAULT : (ssize_t)done;
}

ssize_t iter_putv(struct iter *it, const struct iovec *from, unsigned n)
{
    return move(it, from, n, /* put= */ true);
}

ssize_t iter_getv(struct iter *it, const struct iovec *to, unsigned n)
{
    return move(it, to, n, /* put= */ false);
}

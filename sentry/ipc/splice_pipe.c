/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splices between two pipes, tee, and vmsplice. Nothing here waits for anything but the pipes, so
 * all is done under their locks (both: lock_pair). Pages move whole where they can; tee copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "sentry/ipc/pipe.h"
#include "sentry/ipc/splice.h"
#include "sentry/ipc/splice_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"

/* 1: bytes in pi and room in po; 0: the end; else what to return. Both locks held. */
static int pipes_ready(struct task *t, struct file *in, struct file *out, unsigned flags)
{
    struct pipe *pi = pipe_of(in), *po = pipe_of(out);
    bool nonblock = splice_nonblock(in, flags) || splice_nonblock(out, flags);
    if (pipe_empty(pi)) {
        if (!pi->writers)
            return 0;
        return nonblock ? -EAGAIN : task_wait(t, &pi->rd_wq, WAIT_EXCL);
    }
    if (!po->readers)
        return pipe_broken(t);
    if (pipe_full(po))
        return nonblock ? -EAGAIN : task_wait(t, &po->wr_wq, WAIT_EXCL);
    return 1;
}

/* A copy of n bytes of slot b at the end of po. */
static int slot_copy(struct pipe *po, const struct pipe_buf *b, unsigned n)
{
    uint8_t *page = pipe_page_get(po);
    if (!page)
        return -ENOMEM;
    memcpy(page, b->page + b->off, n);
    *pipe_slot(po, po->head++) = (struct pipe_buf){ page, 0, n, b->packet };
    return 0;
}

static long pipes_move(struct pipe *pi, struct pipe *po, size_t len)
{
    size_t sum = 0;
    while (sum < len && !pipe_empty(pi) && !pipe_full(po)) {
        struct pipe_buf *b = pipe_slot(pi, pi->tail);
        unsigned n = (unsigned)MIN((size_t)b->len, len - sum);
        if (n == b->len) {
            *pipe_slot(po, po->head++) = *b;
            b->page = NULL;
            pi->tail++;
        } else {
            if (slot_copy(po, b, n))
                return sum ? (long)sum : -ENOMEM;
            b->off += n;
            b->len -= n;
        }
        sum += n;
    }
    return (long)sum;
}

static void pipes_wake(struct pipe *pi, struct pipe *po)
{
    wq_wake(&po->rd_wq, POLLIN | POLLRDNORM);
    if (!pipe_full(pi))
        wq_wake(&pi->wr_wq, POLLOUT | POLLWRNORM);
    if (!pipe_empty(pi))
        wq_wake(&pi->rd_wq, POLLIN | POLLRDNORM);
    if (!pipe_full(po))
        wq_wake(&po->wr_wq, POLLOUT | POLLWRNORM);
}

long splice_pipes(struct task *t, struct file *in, struct file *out, size_t len, unsigned flags)
{
    struct pipe *pi = pipe_of(in), *po = pipe_of(out);
    lock_pair(&pi->lock, &po->lock);
    long r = pipes_ready(t, in, out, flags);
    if (r > 0) {
        r = pipes_move(pi, po, len);
        if (r > 0)
            pipes_wake(pi, po);
    }
    unlock_pair(&pi->lock, &po->lock);
    return r;
}

long do_tee(struct task *t, struct file *in, struct file *out, size_t len, unsigned flags)
{
    struct pipe *pi = pipe_of(in), *po = pipe_of(out);
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
        return -EBADF;
    if (!pi || !po || pi == po)
        return -EINVAL;
    lock_pair(&pi->lock, &po->lock);
    long r = pipes_ready(t, in, out, flags);
    if (r > 0) {
        size_t sum = 0;
        int err = 0;
        for (unsigned i = pi->tail; i != pi->head && sum < len && !pipe_full(po) && !err; i++) {
            struct pipe_buf *b = pipe_slot(pi, i);
            unsigned n = (unsigned)MIN((size_t)b->len, len - sum);
            err = slot_copy(po, b, n);
            if (!err)
                sum += n;
        }
        r = sum ? (long)sum : err;
        if (sum)
            pipes_wake(pi, po);
    }
    unlock_pair(&pi->lock, &po->lock);
    return r;
}

/* Once there is room, as much as fits; never waits for more. */
static long vmsplice_to_pipe(struct task *t, struct file *f, struct iter *it, unsigned flags)
{
    struct pipe *p = pipe_of(f);
    long sum = 0;
    LOCK_SCOPE(&p->lock);
    if (!p->readers)
        return pipe_broken(t);
    if (pipe_full(p))
        return splice_nonblock(f, flags) ? -EAGAIN : task_wait(t, &p->wr_wq, WAIT_EXCL);
    while (it->left && !pipe_full(p) && !it->fault) {
        uint8_t *page = pipe_page_get(p);
        if (!page)
            return sum ? sum : -ENOMEM;
        ssize_t n = iter_get(it, page, MIN(it->left, PAGE_SIZE_4K));
        if (n <= 0) {
            pipe_page_put(p, page);
            return sum ? sum : n;
        }
        *pipe_slot(p, p->head++) = (struct pipe_buf){ page, 0, (unsigned)n, false };
        sum += n;
        wq_wake(&p->rd_wq, POLLIN | POLLRDNORM);
    }
    return sum;
}

long do_vmsplice(struct task *t, struct file *f, struct iter *it, unsigned flags)
{
    if (!pipe_of(f))
        return -EBADF;
    if (it->left == 0)
        return 0;
    if (f->mode & FMODE_WRITE)
        return vmsplice_to_pipe(t, f, it, flags);
    struct pipe *p = pipe_of(f);
    if (flags & SPLICE_F_NONBLOCK) {
        LOCK_SCOPE(&p->lock);
        if (pipe_empty(p) && p->writers)
            return -EAGAIN;
    }
    return f->ops->read(t, f, it, NULL);
}

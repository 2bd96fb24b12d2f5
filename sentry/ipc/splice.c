/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splices that have a pipe on one side and something else on the other; pipe to pipe, tee and
 * vmsplice stand in splice_pipe.c.
 *
 * The other side's read or write may wait or do I/O, so the pipe's lock is not held meanwhile. What
 * keeps the promise that nothing is lost or overtaken: slots are reserved in the pipe before a
 * file is read into it, and slots whose bytes are being written to a file stay reserved until the
 * rest that the file did not take has been put back in front.
 *
 *   to a pipe    ROOM: wait for a free slot, reserve -> MOVE: read the file -> push, give back
 *   from a pipe  ROOM: wait for bytes, take them    -> MOVE: write the file -> put back the rest
 */
#include "sentry/ipc/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/ipc/pipe.h"
#include "sentry/ipc/splice_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

#define SPLICE_SLOTS 16u /* at most a run */

enum { ROOM, MOVE };

struct splice { /* scratch */
    int state;
    struct file *pipe_file; /* reference, while reserved */
    unsigned reserved;
    uint8_t *buf;
    size_t len; /* bytes in buf, or room there */
    bool pos_taken;
    loff_t pos;
    struct iter it;
};

/* ---- bytes between buf and slots; p->lock held ---- */

static void push_back_locked(struct pipe *p, const uint8_t *from, size_t n)
{
    while (n > 0) {
        uint8_t *page = pipe_page_get(p);
        if (!page)
            return; /* no memory: what a full host would lose too */
        unsigned part = (unsigned)MIN(n, PAGE_SIZE_4K);
        memcpy(page, from, part);
        *pipe_slot(p, p->head++) = (struct pipe_buf){ page, 0, part, false };
        from += part;
        n -= part;
    }
}

static void push_front_locked(struct pipe *p, const uint8_t *from, size_t n)
{
    while (n > 0) {
        uint8_t *page = pipe_page_get(p);
        if (!page)
            return;
        unsigned part = n % PAGE_SIZE_4K ? n % PAGE_SIZE_4K : PAGE_SIZE_4K;
        memcpy(page, from + n - part, part);
        *pipe_slot(p, --p->tail) = (struct pipe_buf){ page, 0, part, false };
        n -= part;
    }
}

/* Takes at most len bytes; how many slots they may need again goes to *ret_slots. */
static size_t pull_locked(struct pipe *p, uint8_t *to, size_t len, unsigned *ret_slots)
{
    size_t sum = 0;
    unsigned slots = 0;
    while (sum < len && !pipe_empty(p) && slots < SPLICE_SLOTS) {
        struct pipe_buf *b = pipe_slot(p, p->tail);
        unsigned n = (unsigned)MIN((size_t)b->len, len - sum);
        memcpy(to + sum, b->page + b->off, n);
        sum += n;
        b->off += n;
        b->len -= n;
        slots++;
        if (b->len)
            break; /* cut: one slot more than needed, should another reader finish it off */
        pipe_pop(p);
    }
    *ret_slots = slots;
    return sum;
}

/* ---- the record ---- */

static void splice_unreserve_locked(struct splice *s, struct pipe *p)
{
    p->reserved -= s->reserved;
    s->reserved = 0;
    if (!pipe_full(p))
        wq_wake(&p->wr_wq, POLLOUT | POLLWRNORM);
}

static void splice_done(void *scratch)
{
    struct splice *s = scratch;
    if (s->pipe_file) {
        struct pipe *p = pipe_of(s->pipe_file);
        lock(&p->lock);
        splice_unreserve_locked(s, p);
        unlock(&p->lock);
        file_put(s->pipe_file);
    }
    kfree(s->buf);
}

/* Where the file's side reads or writes: the caller's offset as it was in the first run, or NULL. */
static loff_t *splice_pos(struct splice *s, loff_t *off)
{
    if (!off)
        return NULL;
    if (!s->pos_taken)
        s->pos = *off;
    s->pos_taken = true;
    return &s->pos;
}

bool splice_nonblock(const struct file *pipe, unsigned flags)
{
    return (flags & SPLICE_F_NONBLOCK) || file_nonblock(pipe);
}

/* ---- to a pipe ---- */

static int to_pipe_room(struct task *t, struct splice *s, struct file *out, size_t len,
                        unsigned flags)
{
    struct pipe *p = pipe_of(out);
    LOCK_SCOPE(&p->lock);
    if (!p->readers)
        return pipe_broken(t);
    if (pipe_full(p))
        return splice_nonblock(out, flags) ? -EAGAIN : task_wait(t, &p->wr_wq, WAIT_EXCL);
    unsigned room = p->nslots - (p->head - p->tail) - p->reserved;
    unsigned n = (unsigned)MIN((len + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K, MIN(room, SPLICE_SLOTS));
    s->buf = krealloc(NULL, n * PAGE_SIZE_4K);
    if (!s->buf)
        return -ENOMEM;
    p->reserved += n;
    s->reserved = n;
    s->pipe_file = file_ref(out);
    s->len = MIN(len, n * PAGE_SIZE_4K);
    iter_kernel(&s->it, s->buf, s->len);
    t->call.done = 0;
    s->state = MOVE;
    return 0;
}

static long splice_to_pipe(struct task *t, struct splice *s, struct file *in, loff_t *off,
                           struct file *out, size_t len, unsigned flags)
{
    struct pipe *p = pipe_of(out);
    if (s->state == ROOM) {
        int r = to_pipe_room(t, s, out, len, flags);
        if (r)
            return r;
    }
    ssize_t n = file_read(t, in, &s->it, splice_pos(s, off));
    if (n == -EWAITING)
        return n;
    lock(&p->lock);
    splice_unreserve_locked(s, p);
    if (n > 0 && !p->readers)
        n = pipe_broken(t);
    if (n > 0) {
        push_back_locked(p, s->buf, (size_t)n);
        wq_wake(&p->rd_wq, POLLIN | POLLRDNORM);
    }
    unlock(&p->lock);
    if (off && n > 0)
        *off = s->pos;
    return n;
}

/* ---- from a pipe ---- */

static int from_pipe_room(struct task *t, struct splice *s, struct file *in, size_t len,
                          unsigned flags, bool *ret_end)
{
    struct pipe *p = pipe_of(in);
    LOCK_SCOPE(&p->lock);
    if (pipe_empty(p)) {
        *ret_end = !p->writers;
        if (*ret_end)
            return 0;
        return splice_nonblock(in, flags) ? -EAGAIN : task_wait(t, &p->rd_wq, WAIT_EXCL);
    }
    len = MIN(len, SPLICE_SLOTS * PAGE_SIZE_4K);
    s->buf = krealloc(NULL, len);
    if (!s->buf)
        return -ENOMEM;
    s->len = pull_locked(p, s->buf, len, &s->reserved);
    p->reserved += s->reserved;
    s->pipe_file = file_ref(in);
    iter_kernel(&s->it, s->buf, s->len);
    t->call.done = 0;
    s->state = MOVE;
    return 0;
}

/* The rest goes back in front: into its slots, or to the beginning of the one it was cut from. */
static void give_back_locked(struct splice *s, struct pipe *p, size_t done)
{
    size_t rest = s->len - done;
    if (rest && !pipe_empty(p)) {
        struct pipe_buf *b = pipe_slot(p, p->tail);
        unsigned n = (unsigned)MIN(rest, b->off);
        b->off -= n;
        b->len += n;
        memcpy(b->page + b->off, s->buf + s->len - n, n);
        rest -= n;
    }
    if (rest)
        push_front_locked(p, s->buf + done, rest);
    splice_unreserve_locked(s, p);
    if (!pipe_empty(p))
        wq_wake(&p->rd_wq, POLLIN | POLLRDNORM);
}

static long splice_from_pipe(struct task *t, struct splice *s, struct file *in, struct file *out,
                             loff_t *off, size_t len, unsigned flags)
{
    struct pipe *p = pipe_of(in);
    bool end = false;
    if (s->state == ROOM) {
        int r = from_pipe_room(t, s, in, len, flags, &end);
        if (r || end)
            return r;
    }
    ssize_t n = file_write(t, out, &s->it, splice_pos(s, off));
    if (n == -EWAITING)
        return n;
    lock(&p->lock);
    give_back_locked(s, p, n > 0 ? (size_t)n : 0);
    unlock(&p->lock);
    if (off && n > 0)
        *off = s->pos;
    return n;
}

/* ---- */

/* What Linux can splice beside pipes: regular files, sockets, devices. */
static bool splice_can(const struct file *f, bool read)
{
    if (read ? !f->ops->read : !f->ops->write)
        return false;
    uint32_t type = f->inode ? f->inode->mode & S_IFMT : 0;
    return type == S_IFREG || type == S_IFSOCK || type == S_IFCHR || type == S_IFBLK;
}

long do_splice(struct task *t, struct file *in, loff_t *off_in, struct file *out, loff_t *off_out,
               size_t len, unsigned flags)
{
    struct pipe *pi = pipe_of(in), *po = pipe_of(out);
    if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
        return -EBADF;
    if ((pi && off_in) || (po && off_out))
        return -ESPIPE;
    if (!pi && !po)
        return -EINVAL;
    if ((off_in && (in->mode & FMODE_STREAM)) || (off_out && (out->mode & FMODE_STREAM)))
        return -EINVAL;
    if ((off_in && *off_in < 0) || (off_out && *off_out < 0))
        return -EINVAL;
    len = MIN(len, MAX_RW_COUNT);
    if (pi && po)
        return pi == po ? -EINVAL : splice_pipes(t, in, out, len, flags);
    if (pi && (atomic_load(&out->flags) & O_APPEND))
        return -EINVAL;
    if (!splice_can(pi ? out : in, !pi))
        return -EINVAL;
    struct splice *s = call_scratch(t, sizeof *s);
    if (!s)
        return -ENOMEM;
    t->call.scratch_free = splice_done;
    return pi ? splice_from_pipe(t, s, in, out, off_out, len, flags)
              : splice_to_pipe(t, s, in, off_in, out, len, flags);
}

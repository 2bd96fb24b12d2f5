/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes: plain, vectored, into fixed and into provided buffers. */
#include "sentry/uring/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>

#include "sentry/kernel/alloc.h"
#include "sentry/syscalls/rw.h"
#include "sentry/uring/uring.h"
#include "sentry/vfs/vfs.h"

static bool is_write(const struct ureq *q)
{
    unsigned op = q->sqe.opcode;

    return op == LX_OP_WRITE || op == LX_OP_WRITEV || op == LX_OP_WRITE_FIXED;
}

static bool selects(const struct ureq *q)
{
    return q->sqe.flags & LX_SQE_BUFFER_SELECT;
}

int rw_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    int r = s->ioprio ? ioprio_check(&q->task, s->ioprio) : 0;

    q->u.rw.addr = s->addr;
    q->u.rw.len = s->len;
    return r;
}

/* The vector is read now: the program may forget it when io_uring_enter returns. */
int rwv_prep(struct ureq *q)
{
    ssize_t n;
    int r = rw_prep(q);

    if (r < 0)
        return r;
    if (q->sqe.len > 1024 || (selects(q) && q->sqe.len != 1))
        return -EINVAL;
    n = copy_in_iovec(&q->task, q->sqe.addr, q->sqe.len, &q->u.rw.segs);
    if (n < 0)
        return (int)n;
    q->u.rw.nsegs = q->sqe.len;
    q->u.rw.len = (size_t)n;
    return 0;
}

int rw_fixed_prep(struct ureq *q)
{
    int r = rw_prep(q);

    if (r < 0)
        return r;
    return rsrc_buffer_check(q->ring, q->sqe.buf_index, q->sqe.addr, q->sqe.len, &q->nodes[1]);
}

int read_multishot_prep(struct ureq *q)
{
    return selects(q) ? rw_prep(q) : -EINVAL;
}

void rw_cleanup(struct ureq *q)
{
    kfree(q->u.rw.segs);
    q->u.rw.segs = NULL;
}

static bool ready(struct file *f, uint32_t events)
{
    return !f->ops->poll || file_poll(f, NULL) & (events | POLLHUP | POLLERR);
}

/* As a system call would do it. */
static long run(struct ureq *q)
{
    struct task *t = &q->task;
    struct file *f = q->file;
    loff_t pos = (loff_t)q->sqe.off;
    loff_t *off = f->mode & FMODE_STREAM || pos == -1 ? NULL : &pos;
    struct iter it;

    if (q->has_buffer)
        iter_guest(&it, t, q->buf.addr, q->buf.len);
    else if (q->u.rw.segs)
        iter_segs(&it, t, q->u.rw.segs, q->u.rw.nsegs);
    else
        iter_guest(&it, t, q->u.rw.addr, MIN(q->u.rw.len, MAX_RW_COUNT));
    iter_skip(&it, t->call.done);
    t->call.rwf = (int)q->sqe.op_flags;
    return is_write(q) ? file_write(t, f, &it, off) : file_read(t, f, &it, off);
}

static int check(struct ureq *q)
{
    struct file *f = q->file;
    bool write = is_write(q);
    int r;

    if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ)))
        return -EBADF;
    r = rw_flags_check((int)q->sqe.op_flags, write);
    if (r < 0)
        return r;
    if (q->ring->flags & LX_URING_IOPOLL)
        return -EOPNOTSUPP; /* no file here has queues to look at */
    if (!q->u.rw.segs && !selects(q) && !rw_range_ok(q->u.rw.addr, q->u.rw.len))
        return -EFAULT;
    /* Of files that say O_NONBLOCK only those that Linux could not wait for otherwise. */
    if (q->sqe.op_flags & RWF_NOWAIT || (file_nonblock(f) && f->inode && S_ISCHR(f->inode->mode)))
        q->nowait = true;
    return 0;
}

/* A buffer is taken only when there is something to put into it. */
static int pick(struct ureq *q)
{
    if (!selects(q) || q->has_buffer)
        return 0;
    if (!ready(q->file, POLLIN))
        return -EAGAIN;
    return pbuf_pick(q, (uint32_t)MIN(q->u.rw.len, (size_t)UINT32_MAX));
}

long rw_issue(struct ureq *q)
{
    long r = check(q);

    if (r == 0)
        r = pick(q);
    if (r < 0)
        return r;
    r = run(q);
    if (r == -EWAITING)
        return r;
    if (r < 0)
        pbuf_give_back(q);
    else
        ureq_expect(q, r, (long)(q->has_buffer ? q->buf.len : MIN(q->u.rw.len, MAX_RW_COUNT)));
    if (q->has_buffer)
        pbuf_consume(q);
    return r;
}

long read_multishot_issue(struct ureq *q)
{
    for (;;) {
        long r = check(q);

        if (r < 0)
            return r;
        if (!q->file->ops->poll)
            return -EBADFD;
        q->nowait = false;
        r = pick(q);
        if (r < 0)
            return r;
        r = run(q);
        if (r == -EWAITING)
            return r;
        if (r < 0) {
            pbuf_give_back(q);
            return r;
        }
        pbuf_consume(q);
        if (r == 0 || !ureq_more(q, r, 0))
            return r;
        q->tries = 0;
        ureq_again(q);
    }
}

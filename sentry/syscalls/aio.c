/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous input and output as Linux has it: io_submit carries out reads, writes and syncs
 * itself (there too, where files are not opened with O_DIRECT), by the caller's own record, one after
 * the other; only polls go on beside the caller (ipc/aio_poll.c). Results come as events in a ring.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "platform/platform.h"
#include "sentry/ipc/aio.h"
#include "sentry/ipc/eventfd.h"
#include "sentry/ipc/poll.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/rw.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

/* ---- contexts ---- */

struct setup { /* scratch */
    struct as_op op;
    struct aio_ctx *ctx;
};

static void setup_free(void *p)
{
    aio_ctx_put(((struct setup *)p)->ctx);
}

static long setup_begin(struct task *t, struct setup *s, unsigned nr_events, gaddr_t ctxp)
{
    uint64_t id;
    struct aio_ctx *c;

    if (get_guest(t, &id, ctxp) < 0)
        return -EFAULT;
    if (id || !nr_events)
        return -EINVAL;
    if (nr_events > 0x10000000u / sizeof(struct lx_io_event))
        return -EINVAL;
    if (nr_events > AIO_MAX_NR)
        return -EAGAIN;
    c = aio_ctx_new(t, nr_events);
    if (IS_ERR(c))
        return PTR_ERR(c);
    s->ctx = c;
    s->op = (struct as_op){ .kind = AS_MMAP,
                            .fd = c->pages.fd,
                            .a = { 0, c->pages.len, PROT_READ | PROT_WRITE, MAP_SHARED, 0 } };
    t->call.phase = 1;
    return call_ops(t, &s->op, 1);
}

long sys_io_setup(struct task *t, unsigned nr_events, gaddr_t ctxp)
{
    struct setup *s = call_scratch(t, sizeof *s);
    uint64_t id;

    if (!s)
        return -ENOMEM;
    t->call.scratch_free = setup_free;
    if (t->call.phase == 0)
        return setup_begin(t, s, nr_events, ctxp);
    if (t->call.phase == 2)
        return -EFAULT; /* unmapped again */
    if (s->op.ret < 0)
        return s->op.ret == -ENOMEM ? -ENOMEM : (long)s->op.ret;
    id = (uint64_t)s->op.ret;
    (void)!vma_add(t->mm, id, s->ctx->pages.len, PROT_READ | PROT_WRITE, MAP_SHARED, NULL, 0);
    if (put_guest(t, ctxp, &id) < 0) {
        vma_remove(t->mm, id, s->ctx->pages.len);
        s->op = (struct as_op){ .kind = AS_MUNMAP, .fd = -1, .a = { id, s->ctx->pages.len } };
        t->call.phase = 2;
        return call_ops(t, &s->op, 1);
    }
    aio_ctx_publish(t, s->ctx, id);
    return 0;
}

long sys_io_destroy(struct task *t, uint64_t id)
{
    struct setup *s = call_scratch(t, sizeof *s);

    if (!s)
        return -ENOMEM;
    t->call.scratch_free = setup_free;
    if (t->call.phase == 1)
        return 0;
    s->ctx = aio_ctx_get(t, id);
    if (!s->ctx || !aio_ctx_kill(t->mm, s->ctx))
        return -EINVAL;
    vma_remove(t->mm, id, s->ctx->pages.len);
    s->op = (struct as_op){ .kind = AS_MUNMAP, .fd = -1, .a = { id, s->ctx->pages.len } };
    t->call.phase = 1;
    return call_ops(t, &s->op, 1);
}

/* ---- submission ---- */

struct submit { /* scratch */
    struct aio_ctx *ctx;
    long done;    /* requests submitted */
    bool running; /* cb is being carried out */
    struct lx_iocb cb;
    gaddr_t obj;
    struct file *resfd;
    struct seg *segs;
    struct iter it;
};

/* Nothing of the current request stays in the record. */
static void one_end(struct task *t, struct submit *s)
{
    file_put(t->call.files[0]);
    t->call.files[0] = NULL;
    t->call.done = 0;
    t->call.rwf = 0;
    file_put(s->resfd);
    s->resfd = NULL;
    kfree(s->segs);
    s->segs = NULL;
    s->running = false;
}

static void submit_free(void *p)
{
    struct submit *s = p;

    if (s->running)
        aio_abort(s->ctx);
    file_put(s->resfd);
    kfree(s->segs);
    aio_ctx_put(s->ctx);
}

static bool is_write(unsigned op)
{
    return op == LX_IOCB_PWRITE || op == LX_IOCB_PWRITEV;
}

static int rw_buffer(struct task *t, struct submit *s)
{
    const struct lx_iocb *cb = &s->cb;
    ssize_t n;

    if (cb->opcode == LX_IOCB_PREAD || cb->opcode == LX_IOCB_PWRITE) {
        if (!rw_range_ok(cb->buf, cb->nbytes))
            return -EFAULT;
        iter_guest(&s->it, t, cb->buf, MIN(cb->nbytes, MAX_RW_COUNT));
        return 0;
    }
    if (cb->nbytes > 1024)
        return -EINVAL;
    n = copy_in_iovec(t, cb->buf, (unsigned)cb->nbytes, &s->segs);
    if (n < 0)
        return (int)n;
    iter_segs(&s->it, t, s->segs, (unsigned)cb->nbytes);
    return 0;
}

static int rw_prepare(struct task *t, struct submit *s, struct file *f)
{
    const struct lx_iocb *cb = &s->cb;
    bool write = is_write(cb->opcode);
    int r = rw_flags_check(cb->rw_flags, write);

    if (r < 0)
        return r;
    if (cb->flags & LX_IOCB_FLAG_IOPRIO) {
        r = ioprio_check(t, cb->reqprio);
        if (r < 0)
            return r;
    }
    if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ)))
        return -EBADF;
    if (!(write ? f->ops->write : f->ops->read))
        return -EINVAL;
    r = rw_buffer(t, s);
    if (r < 0)
        return r;
    if (!(f->mode & FMODE_STREAM) && cb->offset < 0)
        return -EINVAL;
    t->call.rwf = cb->rw_flags;
    return 0;
}

static int fsync_prepare(const struct lx_iocb *cb, struct file *f)
{
    if (cb->buf || cb->offset || cb->nbytes || cb->rw_flags || !f->ops->fsync)
        return -EINVAL;
    return 0;
}

static int poll_prepare(const struct lx_iocb *cb, struct file *f)
{
    if (cb->buf > UINT16_MAX || cb->offset || cb->nbytes || cb->rw_flags || !f->ops->poll)
        return -EINVAL;
    return 0;
}

static int take_resfd(struct task *t, struct submit *s)
{
    struct file *e;

    if (!(s->cb.flags & LX_IOCB_FLAG_RESFD))
        return 0;
    e = fd_get(t, (int)s->cb.resfd);
    if (!e)
        return -EBADF;
    if (!eventfd_is(e)) {
        file_put(e);
        return -EINVAL;
    }
    s->resfd = e;
    return 0;
}

static int prepare(struct task *t, struct submit *s)
{
    const uint32_t key = 0;
    struct file *f = call_file(t, 0, (int)s->cb.fildes);
    int r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    r = take_resfd(t, s);
    if (r == 0)
        r = copy_out(t, s->obj + offsetof(struct lx_iocb, key), &key, sizeof key);
    if (r < 0)
        return r;
    switch (s->cb.opcode) {
    case LX_IOCB_PREAD:
    case LX_IOCB_PREADV:
    case LX_IOCB_PWRITE:
    case LX_IOCB_PWRITEV:
        return rw_prepare(t, s, f);
    case LX_IOCB_FSYNC:
    case LX_IOCB_FDSYNC:
        return fsync_prepare(&s->cb, f);
    case LX_IOCB_POLL:
        return poll_prepare(&s->cb, f);
    default:
        return -EINVAL;
    }
}

/* The next request is read and checked; from then on it is carried out. */
static int fetch(struct task *t, struct submit *s, gaddr_t iocbpp)
{
    struct lx_iocb *cb = &s->cb;
    int r;

    if (copy_in(t, &s->obj, iocbpp + (gaddr_t)s->done * sizeof s->obj, sizeof s->obj) < 0 ||
        get_guest(t, cb, s->obj) < 0)
        return -EFAULT;
    if (cb->reserved2 || (int64_t)cb->nbytes < 0)
        return -EINVAL;
    if (!aio_begin(s->ctx))
        return -EAGAIN;
    s->running = true;
    r = prepare(t, s);
    if (r < 0) {
        one_end(t, s);
        aio_abort(s->ctx);
    }
    return r;
}

static long carry_out(struct task *t, struct submit *s)
{
    struct file *f = t->call.files[0];
    loff_t pos = s->cb.offset, *off = f->mode & FMODE_STREAM ? NULL : &pos;
    struct iter it = s->it;

    iter_skip(&it, t->call.done);
    switch (s->cb.opcode) {
    case LX_IOCB_PREAD:
    case LX_IOCB_PREADV:
        return file_read(t, f, &it, off);
    case LX_IOCB_PWRITE:
    case LX_IOCB_PWRITEV:
        return file_write(t, f, &it, off);
    default:
        return f->ops->fsync(t, f, s->cb.opcode == LX_IOCB_FDSYNC);
    }
}

static int start_poll(struct task *t, struct submit *s)
{
    struct file *f = t->call.files[0], *resfd = s->resfd;

    t->call.files[0] = NULL;
    s->resfd = NULL;
    one_end(t, s);
    return aio_poll_start(t, s->ctx, f, resfd, (uint32_t)s->cb.buf | POLLERR | POLLHUP, s->obj,
                          s->cb.data);
}

static long submit_one(struct task *t, struct submit *s, gaddr_t iocbpp)
{
    struct lx_io_event ev;
    long r;

    if (!s->running) {
        r = fetch(t, s, iocbpp);
        if (r < 0)
            return r;
    }
    if (s->cb.opcode == LX_IOCB_POLL)
        return start_poll(t, s);
    r = carry_out(t, s);
    if (r == -EWAITING)
        return r;
    if (r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK)
        r = -EINTR; /* what has begun is not begun again */
    ev = (struct lx_io_event){ .data = s->cb.data, .obj = s->obj, .res = r };
    aio_complete(s->ctx, &ev, s->resfd);
    one_end(t, s);
    return 0;
}

long sys_io_submit(struct task *t, uint64_t id, long nr, gaddr_t iocbpp)
{
    struct submit *s;
    long r = 0;

    if (nr < 0)
        return -EINVAL;
    s = call_scratch(t, sizeof *s);
    if (!s)
        return -ENOMEM;
    t->call.scratch_free = submit_free;
    if (!s->ctx)
        s->ctx = aio_ctx_get(t, id);
    if (!s->ctx)
        return -EINVAL;
    nr = MIN(nr, (long)s->ctx->nr);
    while (s->done < nr) {
        r = submit_one(t, s, iocbpp);
        if (r < 0)
            break;
        s->done++;
    }
    return r == -EWAITING || !s->done ? r : s->done;
}

long sys_io_cancel(struct task *t, uint64_t id, gaddr_t iocb, gaddr_t result)
{
    struct aio_ctx *c;
    uint32_t key;
    int r;

    (void)result; /* what ended comes as an event */
    if (copy_in(t, &key, iocb + offsetof(struct lx_iocb, key), sizeof key) < 0)
        return -EFAULT;
    if (key)
        return -EINVAL;
    c = aio_ctx_get(t, id);
    if (!c)
        return -EINVAL;
    r = aio_poll_cancel(c, iocb);
    aio_ctx_put(c);
    return r;
}

/* ---- events ---- */

struct events { /* scratch */
    struct aio_ctx *ctx;
    long done;
    bool now;
};

static void events_free(void *p)
{
    aio_ctx_put(((struct events *)p)->ctx);
}

static int set_limit(struct task *t, struct events *e, gaddr_t timeout)
{
    struct timespec ts;
    ktime_t rel;

    if (!timeout)
        return 0;
    if (get_guest(t, &ts, timeout) < 0)
        return -EFAULT;
    if (timespec_to_ktime(&ts, &rel) < 0)
        rel = 0; /* as Linux: what is no time has passed */
    e->now = rel == 0;
    if (!e->now)
        call_deadline(t, ktime_add(ktime_now(), rel));
    return 0;
}

/* In each run, until there is a result. interrupted: what a signal gives. */
static long read_events(struct task *t, struct events *e, long min_nr, long nr, gaddr_t events,
                        int interrupted)
{
    for (;;) {
        long n = aio_take(t, e->ctx, events + (gaddr_t)e->done * sizeof(struct lx_io_event),
                          nr - e->done);

        if (n < 0)
            return e->done ? e->done : n;
        e->done += n;
        if (e->done >= min_nr || e->now)
            return e->done;
        n = aio_wait(t, e->ctx);
        if (n == -EWAITING)
            return n;
        if (n < 0)
            return e->done || n == -ETIMEDOUT ? e->done : interrupted;
    }
}

static struct events *events_call(struct task *t, uint64_t id, gaddr_t timeout, long min_nr,
                                  long nr)
{
    struct events *e = call_scratch(t, sizeof *e);
    int r = 0;

    if (!e)
        return ERR_PTR(-ENOMEM);
    t->call.scratch_free = events_free;
    if (e->ctx)
        return e;
    r = set_limit(t, e, timeout);
    if (r < 0)
        return ERR_PTR(r);
    e->ctx = aio_ctx_get(t, id);
    if (!e->ctx || min_nr < 0 || min_nr > nr)
        return ERR_PTR(-EINVAL);
    return e;
}

long sys_io_getevents(struct task *t, uint64_t id, long min_nr, long nr, gaddr_t events,
                      gaddr_t timeout)
{
    struct events *e = events_call(t, id, timeout, min_nr, nr);

    return IS_ERR(e) ? PTR_ERR(e) : read_events(t, e, min_nr, nr, events, -EINTR);
}

long sys_io_pgetevents(struct task *t, uint64_t id, long min_nr, long nr, gaddr_t events,
                       gaddr_t timeout, gaddr_t usig)
{
    struct lx_aio_sigset set = { 0 };
    struct events *e;
    int r;

    if (t->call.phase == 0) {
        if (usig && get_guest(t, &set, usig) < 0)
            return -EFAULT;
        r = poll_set_mask(t, set.sigmask, set.size);
        if (r < 0)
            return r;
        t->call.phase = 1;
    }
    e = events_call(t, id, timeout, min_nr, nr);
    return IS_ERR(e) ? PTR_ERR(e) : read_events(t, e, min_nr, nr, events, -ERESTARTNOHAND);
}

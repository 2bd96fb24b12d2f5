/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eventfd(2). One object a file; the lock guards the count. Readers wait for a count, writers for
 * room below the highest one; both are woken one at a time, and pass on what they leave.
 */
#include "sentry/ipc/eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct lock lock;
    struct waitqueue rd_wq, wr_wq;
    uint64_t count;
    bool semaphore; /* [I] */
};

static ssize_t evfd_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct eventfd *e = f->priv;
    if (it->left < sizeof e->count)
        return -EINVAL;
    LOCK_SCOPE(&e->lock);
    if (e->count == 0)
        return file_nonblock(f) ? -EAGAIN : task_wait(t, &e->rd_wq, WAIT_EXCL);
    uint64_t n = e->semaphore ? 1 : e->count;
    e->count -= n;
    wq_wake(&e->wr_wq, POLLOUT | POLLWRNORM);
    if (e->count && t->call.runs > 1) /* woken alone: pass it on */
        wq_wake(&e->rd_wq, POLLIN | POLLRDNORM);
    return iter_put(it, &n, sizeof n) == sizeof n ? (ssize_t)sizeof n : -EFAULT;
}

static ssize_t evfd_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct eventfd *e = f->priv;
    uint64_t n;
    if (it->left < sizeof n)
        return -EINVAL;
    if (iter_get(it, &n, sizeof n) != sizeof n)
        return -EFAULT;
    if (n == UINT64_MAX)
        return -EINVAL;
    LOCK_SCOPE(&e->lock);
    if (COUNT_MAX - e->count < n) {
        iter_revert(it, sizeof n); /* the next run reads it anew */
        return file_nonblock(f) ? -EAGAIN : task_wait(t, &e->wr_wq, WAIT_EXCL);
    }
    e->count += n;
    if (e->count)
        wq_wake(&e->rd_wq, POLLIN | POLLRDNORM);
    if (e->count < COUNT_MAX && t->call.runs > 1)
        wq_wake(&e->wr_wq, POLLOUT | POLLWRNORM);
    return sizeof n;
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
    struct eventfd *e = f->priv;
    poll_wait(pt, &e->rd_wq);
    poll_wait(pt, &e->wr_wq);
    LOCK_SCOPE(&e->lock);
    uint32_t mask = 0;
    if (e->count > 0)
        mask |= POLLIN;
    if (e->count == UINT64_MAX)
        mask |= POLLERR;
    if (e->count < COUNT_MAX)
        mask |= POLLOUT;
    return mask;
}

static size_t eventfd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct eventfd *e = f->priv;
    LOCK_SCOPE(&e->lock);
    int n = snprintf(
        buf, cap, "eventfd-count: %16" PRIx64 "\neventfd-id: %" PRIu64 "\neventfd-semaphore: %d\n",
        e->count, f->id, e->semaphore);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void eventfd_release(struct file *f)
{
    struct eventfd *e = f->priv;
    wq_done(&e->rd_wq);
    wq_done(&e->wr_wq);
    lock_done(&e->lock);
    kfree(e);
}

static const struct file_ops eventfd_ops = {
    .name = "eventfd",
    .read = evfd_read,
    .write = evfd_write,
    .poll = eventfd_poll,
    .fdinfo = eventfd_fdinfo,
    .release = eventfd_release,
};

bool eventfd_is(const struct file *f)
{
    return f->ops == &eventfd_ops;
}

void eventfd_signal(struct file *f)
{
    struct eventfd *e = f->priv;
    LOCK_SCOPE(&e->lock);
    if (e->count < UINT64_MAX)
        e->count++;
    wq_wake(&e->rd_wq, POLLIN | POLLRDNORM);
}

struct file *eventfd_new(unsigned count, unsigned flags)
{
    struct eventfd *e = kzalloc(sizeof *e);
    if (!e)
        return ERR_PTR(-ENOMEM);
    lock_init(&e->lock, LOCK_OBJECT);
    wq_init(&e->rd_wq);
    wq_init(&e->wr_wq);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    struct file *f = anon_file_new("eventfd", &eventfd_ops, e, O_RDWR | (flags & O_NONBLOCK));
    if (IS_ERR(f)) {
        wq_done(&e->rd_wq);
        wq_done(&e->wr_wq);
        lock_done(&e->lock);
        kfree(e);
    } else {
        f->mode |= FMODE_STREAM;
    }
    return f;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop of file_read and file_write over a buffer in the record. Each of the two has the record's
 * t->call.done to itself while it runs; what is moved in all is the transfer's own count.
 *
 * Bytes that were read and could not be written are given back: the input's position is set behind
 * what was written. So the input must have a position.
 */
#include "sentry/vfs/transfer.h"

#include <errno.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

#define CHUNK 65536

/* 0: the end of the input, > 0: something is in the buffer. */
static ssize_t fill(struct task *t, struct transfer *x)
{
    struct iter it;
    ssize_t n;

    if (x->used < x->have)
        return 1;
    iter_kernel(&it, x->buf, MIN(x->left, CHUNK));
    iter_skip(&it, t->call.done);
    n = file_read(t, x->in, &it, x->in_off);
    if (n == -EWAITING)
        return n;
    t->call.done = 0;
    x->used = 0;
    x->have = n > 0 ? (size_t)n : 0;
    return n;
}

static ssize_t drain(struct task *t, struct transfer *x)
{
    struct iter it;
    ssize_t n;

    iter_kernel(&it, x->buf + x->used, x->have - x->used);
    iter_skip(&it, t->call.done);
    n = file_write(t, x->out, &it, x->out_off);
    if (n == -EWAITING)
        return n;
    t->call.done = 0;
    if (n > 0) {
        x->used += (size_t)n;
        x->done += (size_t)n;
        x->left -= (size_t)n;
    }
    return n;
}

/* What lies in the buffer was not moved. */
static void give_back(struct task *t, struct transfer *x)
{
    loff_t over = (loff_t)(x->have - x->used);

    if (x->in_off)
        *x->in_off -= over;
    else if (over && x->in->mode & FMODE_OWN_POS)
        (void)x->in->ops->llseek(t, x->in, -over, SEEK_CUR);
    else
        x->in->pos -= over;
    x->have = x->used = 0;
}

ssize_t transfer_run(struct task *t, struct transfer *x)
{
    ssize_t n = 0;

    if (!x->buf && x->left) {
        x->buf = kzalloc(CHUNK);
        if (!x->buf)
            return -ENOMEM;
    }
    while (x->left) {
        n = fill(t, x);
        if (n <= 0)
            break;
        n = drain(t, x);
        if (n <= 0)
            break;
        if (task_signal_pending(t) || !(file_poll(x->out, NULL) & POLLOUT))
            break; /* what was moved so far is the answer: no wait for room once there is some */
    }
    if (n == -EWAITING)
        return n;
    give_back(t, x);
    return x->done ? (ssize_t)x->done : n > 0 ? 0 : n;
}

void transfer_end(struct transfer *x)
{
    kfree(x->buf);
    x->buf = NULL;
}

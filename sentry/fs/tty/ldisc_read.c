/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading from a terminal: a line in canonical mode, else by VMIN and VTIME:
 *
 *   VMIN VTIME   returns when
 *   0    0       at once, with what is there
 *   n    0       n bytes are there, or the buffer is full
 *   0    t       a byte is there, or t tenths of a second have passed
 *   n    t       n bytes are there, or nothing has come for t tenths after the last byte
 *
 * VTIME's clock is the record's deadline, set anew after each byte.
 */
#include <errno.h>
#include <signal.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/task.h"

static void read_done(struct tty *tty)
{
    if (tty_type_room_locked(tty))
        wq_wake(&tty->master_wr, POLLOUT | POLLWRNORM);
}

/* The run of characters from in_tail that end no line and lie in one piece, n at most. */
static unsigned plain_run(const struct tty *tty, unsigned end, size_t n)
{
    unsigned at = tty->in_tail & (TTY_IN_SIZE - 1);
    unsigned most = (unsigned)MIN(MIN((size_t)(end - tty->in_tail), n), TTY_IN_SIZE - at), i = 0;
    while (i < most && tty->in_kind[at + i] == IN_PLAIN)
        i++;
    return i;
}

static uint8_t kind_at_tail(const struct tty *tty)
{
    return tty->in_kind[tty->in_tail & (TTY_IN_SIZE - 1)];
}

/* One line, or as much of it as fits. */
static ssize_t take_line(struct tty *tty, struct iter *it)
{
    ssize_t sum = 0;
    while (it->left > 0 && tty->in_tail != tty->in_canon) {
        uint8_t kind = kind_at_tail(tty);
        unsigned n = kind == IN_PLAIN ? plain_run(tty, tty->in_canon, it->left) : kind == IN_EOL;
        if (n) {
            ssize_t r = iter_put(it, &tty->in[tty->in_tail & (TTY_IN_SIZE - 1)], n);
            if (r < 0)
                return sum ? sum : r;
            sum += r;
            tty->in_tail += (unsigned)r;
            if (it->fault)
                return sum;
        } else {
            tty->in_tail++;
        }
        if (kind != IN_PLAIN)
            return sum;
    }
    /* filled exactly by what stands before an end of file: that goes with it */
    if (sum && tty->in_tail != tty->in_canon && kind_at_tail(tty) == IN_EOF)
        tty->in_tail++;
    return sum;
}

static ssize_t take_raw(struct tty *tty, struct iter *it)
{
    ssize_t sum = 0;
    while (it->left > 0 && tty->in_tail != tty->in_head && !it->fault) {
        unsigned at = tty->in_tail & (TTY_IN_SIZE - 1);
        size_t n = MIN((size_t)tty_in_count(tty), TTY_IN_SIZE - at);
        ssize_t r = iter_put(it, &tty->in[at], MIN(n, it->left));
        if (r < 0)
            return sum ? sum : r;
        sum += r;
        tty->in_tail += (unsigned)r;
    }
    tty->in_canon = tty->in_tail;
    return sum;
}

bool tty_readable_locked(const struct tty *tty)
{
    if (tty_host_ready_locked(tty))
        return true;
    if (L_FLAG(tty, ICANON))
        return tty->in_canon != tty->in_tail;
    unsigned min = TTY_CC(tty, VTIME) == 0 && TTY_CC(tty, VMIN) ? TTY_CC(tty, VMIN) : 1;
    return tty_in_count(tty) >= min;
}

/* For n bytes more. */
static ssize_t read_wait(struct task *t, struct file *f, struct tty *tty, size_t n, bool may_wait)
{
    ssize_t done = (ssize_t)t->call.done;
    bool wait = may_wait && !file_nonblock(f);
    int r = -EAGAIN;
    if (tty->host)
        r = tty_host_ask_locked(t, tty, n, wait);
    else if (wait)
        r = task_wait(t, &tty->slave_rd, 0);
    if (r == -EWAITING)
        return r;
    return done || r == -ETIMEDOUT || (r == -EAGAIN && !may_wait) ? done : r;
}

static ssize_t read_raw(struct task *t, struct file *f, struct tty *tty, struct iter *it)
{
    unsigned vmin = TTY_CC(tty, VMIN);
    ktime_t vtime = (ktime_t)TTY_CC(tty, VTIME) * 100000000;
    ssize_t n = take_raw(tty, it);
    if (n > 0) {
        t->call.done += (uint64_t)n;
        read_done(tty);
    }
    if (n < 0 && !t->call.done)
        return n;
    if (it->left == 0 || it->fault || t->call.done >= MAX(vmin, 1u))
        return (ssize_t)t->call.done;
    if (vtime && vmin && n > 0) {
        t->call.deadline = KTIME_NEVER; /* the clock starts again with each byte */
        t->call.expired = false;
    }
    if (vtime && (!vmin || t->call.done))
        call_deadline(t, ktime_add(ktime_now(), vtime));
    return read_wait(t, f, tty, it->left, vmin || vtime);
}

ssize_t tty_slave_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct tty *tty = f->priv;
    lock(&tty->lock);
    bool hung = tty_hung_locked(tty, f);
    unlock(&tty->lock);
    int r = hung ? 0 : tty_job_check(t, tty, SIGTTIN);
    if (r)
        return t->call.done ? (ssize_t)t->call.done : r;
    LOCK_SCOPE(&tty->lock);
    if (tty_hung_locked(tty, f) || it->left == 0)
        return (ssize_t)t->call.done;
    if (!L_FLAG(tty, ICANON))
        return read_raw(t, f, tty, it);
    if (tty->in_canon == tty->in_tail)
        return read_wait(t, f, tty, it->left, /* may_wait= */ true);
    ssize_t n = take_line(tty, it);
    read_done(tty);
    return n;
}

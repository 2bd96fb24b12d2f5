/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Master and slave of a pair as files. Both have the struct tty as priv, each with a reference.
 *
 * When the last slave goes, the master reads what is left and then EIO, until a slave is opened
 * again. When the master goes, slaves read end of file and write EIO for ever.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/task.h"

#define CHUNK 1024

/* ---- slave ---- */

static ssize_t slave_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct tty *tty = f->priv;
    uint64_t *done = &t->call.done;
    uint8_t buf[CHUNK];
    lock(&tty->lock);
    bool checks = L_FLAG(tty, TOSTOP) && !tty_hung_locked(tty, f);
    unlock(&tty->lock);
    int r = checks ? tty_job_check(t, tty, SIGTTOU) : 0;
    if (r)
        return *done ? (ssize_t)*done : r;
    LOCK_SCOPE(&tty->lock);
    if (tty_hung_locked(tty, f))
        return *done ? (ssize_t)*done : -EIO;
    while (it->left > 0) {
        size_t want = MIN(MIN(tty_print_room_locked(tty), sizeof buf), it->left);
        if (want == 0)
            break;
        ssize_t n = iter_get(it, buf, want);
        if (n < 0)
            return *done ? (ssize_t)*done : n;
        tty_print_locked(tty, buf, (size_t)n);
        *done += (uint64_t)n;
        if (it->fault)
            return (ssize_t)*done;
    }
    if (it->left == 0)
        return (ssize_t)*done;
    if (file_nonblock(f))
        return *done ? (ssize_t)*done : -EAGAIN;
    r = task_wait(t, &tty->slave_wr, 0);
    return r != -EWAITING && *done ? (ssize_t)*done : r;
}

static uint32_t slave_poll(struct file *f, struct poll_table *pt)
{
    struct tty *tty = f->priv;
    uint32_t mask = 0;
    poll_wait(pt, &tty->slave_rd);
    poll_wait(pt, &tty->slave_wr);
    LOCK_SCOPE(&tty->lock);
    if (tty_hung_locked(tty, f))
        return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDNORM | POLLWRNORM;
    if (tty_readable_locked(tty))
        mask |= POLLIN | POLLRDNORM;
    if (tty_can_print_locked(tty))
        mask |= POLLOUT | POLLWRNORM;
    return mask;
}

static void slave_release(struct file *f)
{
    struct tty *tty = f->priv;
    if (!tty)
        return;
    lock(&tty->lock);
    if (--tty->nslaves == 0) {
        tty->slave_closed = true;
        tty->excl = false;
        wq_wake_all(&tty->master_rd, POLLIN | POLLHUP);
        wq_wake_all(&tty->master_wr, POLLOUT | POLLHUP);
    }
    unlock(&tty->lock);
    tty_put(tty);
}

const struct file_ops tty_slave_ops = {
    .name = "pts",
    .read = tty_slave_read,
    .write = slave_write,
    .poll = slave_poll,
    .ioctl = tty_ioctl,
    .release = slave_release,
};

/* ---- master ---- */

/* Packet mode: a status byte alone, or 0 in front of data. -EAGAIN: go on with data. */
static ssize_t packet_head(struct tty *tty, struct iter *it)
{
    uint8_t head = tty->pkt_status;
    if (!head && tty_out_count(tty) == 0)
        return -EAGAIN;
    ssize_t r = iter_put(it, &head, 1);
    if (r < 0)
        return r;
    tty->pkt_status = 0;
    return head ? 1 : -EAGAIN;
}

static ssize_t master_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct tty *tty = f->priv;
    ssize_t sum = 0;
    if (it->left == 0)
        return 0;
    LOCK_SCOPE(&tty->lock);
    if (tty->pkt) {
        ssize_t r = packet_head(tty, it);
        if (r != -EAGAIN)
            return r;
        sum = tty_out_count(tty) ? 1 : 0;
    }
    while (it->left > 0 && tty_out_count(tty) > 0) {
        const uint8_t *from;
        size_t n = tty_peek_locked(tty, &from);
        ssize_t r = iter_put(it, from, MIN(n, it->left));
        if (r < 0)
            return sum ? sum : r;
        tty_taken_locked(tty, (size_t)r);
        sum += r;
        if (it->fault)
            return sum;
    }
    if (sum)
        return sum;
    if (tty->slave_closed)
        return -EIO;
    return file_nonblock(f) ? -EAGAIN : task_wait(t, &tty->master_rd, 0);
}

static ssize_t master_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct tty *tty = f->priv;
    uint64_t *done = &t->call.done;
    uint8_t buf[CHUNK];
    LOCK_SCOPE(&tty->lock);
    while (it->left > 0) {
        size_t want = MIN(MIN(tty_type_room_locked(tty), sizeof buf), it->left);
        if (want == 0)
            break;
        ssize_t n = iter_get(it, buf, want);
        if (n < 0)
            return *done ? (ssize_t)*done : n;
        *done += tty_type_locked(tty, buf, (size_t)n);
        if (it->fault)
            return (ssize_t)*done;
    }
    if (it->left == 0)
        return (ssize_t)*done;
    if (file_nonblock(f))
        return *done ? (ssize_t)*done : -EAGAIN;
    int r = task_wait(t, &tty->master_wr, 0);
    return r != -EWAITING && *done ? (ssize_t)*done : r;
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
    struct tty *tty = f->priv;
    uint32_t mask = 0;
    poll_wait(pt, &tty->master_rd);
    poll_wait(pt, &tty->master_wr);
    LOCK_SCOPE(&tty->lock);
    if (tty_out_count(tty))
        mask |= POLLIN | POLLRDNORM;
    if (tty->pkt && tty->pkt_status)
        mask |= POLLPRI | POLLIN | POLLRDNORM;
    if (tty->slave_closed)
        mask |= POLLHUP;
    if (tty_type_room_locked(tty))
        mask |= POLLOUT | POLLWRNORM;
    return mask;
}

static size_t master_fdinfo(struct file *f, char *buf, size_t cap)
{
    int n = snprintf(buf, cap, "tty-index:\t%d\n", ((struct tty *)f->priv)->index);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void master_release(struct file *f)
{
    if (!f->priv)
        return;
    tty_master_closed(f->priv);
    tty_put(f->priv);
}

const struct file_ops tty_master_ops = {
    .name = "ptmx",
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = tty_ioctl,
    .fdinfo = master_fdinfo,
    .release = master_release,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal pair: making it, its references, opening slaves, and its end.
 *
 * Life cycle: opening ptmx makes it (master open, slave locked) and gives it a number; slaves come
 * and go; when the master is closed the node vanishes, the session loses its terminal, and slaves
 * that are still open read end of file and get EIO when they write. Files, the session and the node
 * each hold a reference.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

const struct lx_termios2 tty_default_termios = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc = { [VINTR] = CTRL('C'),
              [VQUIT] = CTRL('\\'),
              [VERASE] = 127,
              [VKILL] = CTRL('U'),
              [VEOF] = CTRL('D'),
              [VMIN] = 1,
              [VSTART] = CTRL('Q'),
              [VSTOP] = CTRL('S'),
              [VSUSP] = CTRL('Z'),
              [VREPRINT] = CTRL('R'),
              [VDISCARD] = CTRL('O'),
              [VWERASE] = CTRL('W'),
              [VLNEXT] = CTRL('V') },
    .c_ispeed = 38400,
    .c_ospeed = 38400,
};

struct tty *tty_ref(struct tty *tty)
{
    atomic_fetch_add(&tty->refs, 1);
    return tty;
}

static void tty_free(struct tty *tty)
{
    wq_done(&tty->slave_rd);
    wq_done(&tty->slave_wr);
    wq_done(&tty->master_rd);
    wq_done(&tty->master_wr);
    lock_done(&tty->lock);
    kfree(tty->out);
    kfree(tty);
}

void tty_put(struct tty *tty)
{
    if (tty && atomic_fetch_sub(&tty->refs, 1) == 1)
        tty_free(tty);
}

struct tty *tty_new(struct task *t)
{
    struct tty *tty = kzalloc(sizeof *tty);
    if (!tty)
        return ERR_PTR(-ENOMEM);
    atomic_init(&tty->refs, 1);
    lock_init(&tty->lock, LOCK_TTY);
    wq_init(&tty->slave_rd);
    wq_init(&tty->slave_wr);
    wq_init(&tty->master_rd);
    wq_init(&tty->master_wr);
    tty->tio = tty_default_termios;
    tty->master_open = tty->locked = true;
    tty->out = krealloc(NULL, TTY_OUT_SIZE);
    int r = tty->out ? devpts_add(t, tty) : -ENOMEM;
    if (r) {
        tty_put(tty);
        return ERR_PTR(r);
    }
    return tty;
}

int tty_open_slave(struct task *t, struct tty *tty, struct file *f)
{
    LOCK_SCOPE(&tty->lock);
    if (!tty->master_open || tty->locked)
        return -EIO;
    if (tty->excl && !(t && task_capable(t, CAP_SYS_ADMIN)))
        return -EBUSY;
    tty->nslaves++;
    tty->slave_closed = false;
    f->ops = &tty_slave_ops;
    f->priv = tty_ref(tty);
    f->mode |= FMODE_STREAM;
    return 0;
}

static void wake_everybody(struct tty *tty)
{
    const uint32_t all = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP | POLLERR;
    wq_wake_all(&tty->slave_rd, all);
    wq_wake_all(&tty->slave_wr, all);
    wq_wake_all(&tty->master_rd, all);
    wq_wake_all(&tty->master_wr, all);
}

void tty_master_closed(struct tty *tty)
{
    devpts_remove(tty);
    lock(&tty->lock);
    tty->master_open = false;
    tty_flush_input_locked(tty);
    wake_everybody(tty);
    unlock(&tty->lock);
    tty_hangup_session(tty);
}

void tty_hangup(struct task *t)
{
    struct tty *tty = tty_controlling(t);
    if (!tty)
        return;
    lock(&tty->lock);
    tty->hung = file_next_id();
    tty_flush_input_locked(tty);
    wake_everybody(tty);
    unlock(&tty->lock);
    tty_hangup_session(tty);
    tty_put(tty);
}

static int open_ptmx(struct task *t, struct file *f)
{
    struct tty *tty = tty_new(t);
    if (IS_ERR(tty))
        return PTR_ERR(tty);
    f->ops = &tty_master_ops;
    f->priv = tty;
    f->mode |= FMODE_STREAM;
    return 0;
}

static int open_current(struct task *t, struct file *f)
{
    struct tty *tty = tty_controlling(t);
    if (!tty)
        return -ENXIO;
    int r = tty_open_slave(t, tty, f);
    tty_put(tty);
    return r;
}

int tty_chrdev_open(struct task *t, struct inode *inode, struct file *f)
{
    if (inode->rdev == makedev(5, 0))
        return t ? open_current(t, f) : -ENXIO;
    if (inode->rdev == makedev(5, 2))
        return open_ptmx(t, f);
    if (major(inode->rdev) != 136 || !inode->priv)
        return -ENXIO;
    struct tty *tty = inode->priv;
    int r = tty_open_slave(t, tty, f);
    if (r == 0 && t && !(atomic_load(&f->flags) & O_NOCTTY))
        tty_open_controls(t, tty, f);
    return r;
}

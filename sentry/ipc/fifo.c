/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a FIFO: reader and writer wait for each other, as records.
 *
 * fifo_open may be run several times for one open; f->priv says that f is attached already. While
 * it waits for a partner f->pos holds how often the other side had been opened when it came; a
 * partner that has come and gone since counts too. Afterwards f->pos is 0, but for a reader that
 * did not wait (O_NONBLOCK): there it says which openings by writers are none of its own, so that
 * poll reports no hang-up before the first writer.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>

#include "sentry/ipc/pipe_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

/* The inode's pipe, made where there is none, with one count for the caller. */
static struct pipe *fifo_pipe_get(struct inode *inode)
{
    struct pipe *made = pipe_alloc();
    if (!made)
        return NULL;
    made->files = 1;
    lock(&inode->lock);
    struct pipe *p = inode->sock;
    if (p)
        p->files++;
    else
        inode->sock = made;
    unlock(&inode->lock);
    if (!p)
        return made;
    /* not inode's: goes at once */
    pipe_put(made, inode);
    return p;
}

static void fifo_attach(struct pipe *p, struct file *f)
{
    if (f->mode & FMODE_READ) {
        if (p->readers++ == 0)
            wq_wake_all(&p->wr_wq, 0);
        p->r_counter++;
    }
    if (f->mode & FMODE_WRITE) {
        if (p->writers++ == 0)
            wq_wake_all(&p->rd_wq, 0);
        p->w_counter++;
    }
}

/* First run: attaches, or refuses. 0: open; 1: has to wait for a partner. The end of a pipe that is
 * opened through /proc/PID/fd (named: false) waits for nobody. */
static int fifo_first(struct pipe *p, struct file *f, bool named)
{
    bool rd = f->mode & FMODE_READ, wr = f->mode & FMODE_WRITE;
    if (named && wr && !rd && file_nonblock(f) && !p->readers)
        return -ENXIO;
    fifo_attach(p, f);
    f->pos = 0;
    if (!named)
        return 0;
    if (rd && !wr && !p->writers) {
        f->pos = p->w_counter;
        return file_nonblock(f) ? 0 : 1;
    }
    if (wr && !rd && !p->readers) {
        f->pos = p->r_counter;
        return 1;
    }
    return 0;
}

int fifo_open(struct task *t, struct inode *inode, struct file *f)
{
    struct pipe *p = f->ops == &pipe_ops ? f->priv : NULL;
    if (!p) {
        p = fifo_pipe_get(inode);
        if (!p)
            return -ENOMEM;
        lock(&p->lock);
        int r = fifo_first(p, f, inode->sb->magic != ANON_INODE_FS_MAGIC);
        if (r < 0) {
            unlock(&p->lock);
            pipe_put(p, inode);
            return r;
        }
        f->ops = &pipe_ops;
        f->priv = p;
        f->mode |= FMODE_STREAM;
        if (r == 0) {
            unlock(&p->lock);
            return 0;
        }
    } else {
        lock(&p->lock);
    }
    bool rd = f->mode & FMODE_READ;
    int r = 0;
    if (f->pos == (loff_t)(rd ? p->w_counter : p->r_counter))
        r = task_wait(t, rd ? &p->rd_wq : &p->wr_wq, 0);
    else
        f->pos = 0;
    unlock(&p->lock);
    if (r < 0 && r != -EWAITING) {
        pipe_detach(p, f);
        f->priv = NULL;
        pipe_put(p, inode);
    }
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes: the object and its file operations. FIFO opens stand in fifo.c, splices in splice.c.
 *
 * Life cycle: pipe_new or the first fifo_open makes it and hangs it into inode->sock; each file on
 * it counts in pipe->files; the last release frees it.
 *
 * Locks: pipe->lock (LOCK_OBJECT) for everything, held while copying from and to the guest;
 * inode->lock for pipe->files and inode->sock only.
 *
 * Atomicity is the slots': a write first fills up the newest slot if its odd part fits there whole,
 * and then takes whole slots; so what is no larger than PIPE_BUF lies in one slot or not at all.
 * Not here: page sharing by vmsplice (pages are copied), notification pipes.
 */
#include "sentry/ipc/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sentry/ipc/pipe_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

uint8_t *pipe_page_get(struct pipe *p)
{
    assert_locked(&p->lock);
    uint8_t *page = p->spare;
    p->spare = NULL;
    return page ? page : krealloc(NULL, PAGE_SIZE_4K);
}

void pipe_page_put(struct pipe *p, uint8_t *page)
{
    assert_locked(&p->lock);
    if (!p->spare)
        p->spare = page;
    else
        kfree(page);
}

void pipe_pop(struct pipe *p)
{
    struct pipe_buf *b = pipe_slot(p, p->tail);
    pipe_page_put(p, b->page);
    b->page = NULL;
    p->tail++;
}

int pipe_broken(struct task *t)
{
    struct lx_siginfo info;
    siginfo_user(&info, SIGPIPE, SI_USER, t);
    (void)signal_send_task(t, SIGPIPE, &info);
    return -EPIPE;
}

struct pipe *pipe_of(struct file *f)
{
    return f->ops == &pipe_ops ? f->priv : NULL;
}

/* What a read may take at once: up to a packet's end. */
static unsigned pipe_pieces(struct pipe *p, size_t left, struct iovec *v)
{
    unsigned n = 0;
    for (unsigned i = p->tail; i != p->head && left > 0 && n < ITER_PIECES; i++) {
        struct pipe_buf *b = pipe_slot(p, i);
        size_t len = MIN(b->len, left);
        v[n++] = (struct iovec){ b->page + b->off, len };
        left -= len;
        if (b->packet)
            break;
    }
    return n;
}

/* n bytes from the oldest slots on have gone. True: a packet ended. */
static bool pipe_consume(struct pipe *p, size_t n, bool fault)
{
    while (n > 0) {
        struct pipe_buf *b = pipe_slot(p, p->tail);
        size_t step = MIN(b->len, n);
        bool packet = b->packet && !fault;
        n -= step;
        b->off += (unsigned)step;
        b->len -= (unsigned)step;
        if (packet || b->len == 0)
            pipe_pop(p);
        if (packet)
            return true;
    }
    return false;
}

/* Moves what is there. Bytes of this run, or -EFAULT when there were none. */
static ssize_t pipe_take(struct pipe *p, struct iter *it)
{
    struct iovec v[ITER_PIECES];
    ssize_t sum = 0;
    while (it->left > 0 && !pipe_empty(p)) {
        unsigned count = pipe_pieces(p, it->left, v);
        ssize_t n = count == 1 ? iter_put(it, v->iov_base, v->iov_len) : iter_putv(it, v, count);
        if (n < 0)
            return sum ? sum : n;
        sum += n;
        if (pipe_consume(p, (size_t)n, it->fault) || it->fault)
            break;
    }
    return sum;
}

/* One that was woken alone passes on what it leaves; nobody else, or each read were an edge for
 * those who watch. */
static bool waited(const struct task *t)
{
    return t->call.runs > 1;
}

static ssize_t pipe_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct pipe *p = f->priv;
    if (it->left == 0)
        return 0;
    LOCK_SCOPE(&p->lock);
    if (!pipe_empty(p)) {
        bool was_full = pipe_full(p);
        ssize_t n = pipe_take(p, it);
        if (was_full && !pipe_full(p))
            wq_wake(&p->wr_wq, POLLOUT | POLLWRNORM);
        if (waited(t) && !pipe_empty(p))
            wq_wake(&p->rd_wq, POLLIN | POLLRDNORM);
        return n;
    }
    if (!p->writers)
        return 0;
    if (file_nonblock(f))
        return -EAGAIN;
    return task_wait(t, &p->rd_wq, WAIT_EXCL);
}

/* The odd part of a write goes into the newest slot when it fits there as a whole. */
static ssize_t pipe_merge(struct pipe *p, struct iter *it)
{
    size_t odd = it->left & (PAGE_SIZE_4K - 1);
    if (odd == 0 || pipe_empty(p))
        return 0;
    struct pipe_buf *b = pipe_slot(p, p->head - 1);
    if (b->packet || b->off + b->len + odd > PAGE_SIZE_4K)
        return 0;
    ssize_t n = iter_get(it, b->page + b->off + b->len, odd);
    if (n > 0)
        b->len += (unsigned)n;
    return n;
}

/* Pages for at most n bytes, as many as there are slots for them; their number. */
static unsigned pipe_pages(struct pipe *p, size_t n, struct iovec *v)
{
    unsigned room = p->nslots - p->reserved - (p->head - p->tail), k = 0;
    for (; n > 0 && k < MIN(room, (unsigned)ITER_PIECES); k++) {
        uint8_t *page = pipe_page_get(p);
        if (!page)
            break;
        v[k] = (struct iovec){ page, MIN(n, PAGE_SIZE_4K) };
        n -= v[k].iov_len;
    }
    return k;
}

/* Fills free slots once. As pipe_fill; 0: there is no memory. */
static ssize_t pipe_fill_once(struct pipe *p, struct iter *it, bool packet)
{
    struct iovec v[ITER_PIECES];
    unsigned count = pipe_pages(p, it->left, v);
    if (!count)
        return 0;
    ssize_t n = count == 1 ? iter_get(it, v->iov_base, v->iov_len) : iter_getv(it, v, count);
    size_t left = n > 0 ? (size_t)n : 0;
    for (unsigned i = 0; i < count; i++) {
        size_t len = MIN(left, v[i].iov_len);
        left -= len;
        if (!len) {
            pipe_page_put(p, v[i].iov_base);
            continue;
        }
        *pipe_slot(p, p->head) = (struct pipe_buf){ v[i].iov_base, 0, (unsigned)len, packet };
        p->head++;
    }
    return n;
}

/* Moves what fits. Bytes of this run; an error only when none could be moved. */
static ssize_t pipe_fill(struct pipe *p, struct file *f, struct iter *it)
{
    bool packet = atomic_load(&f->flags) & O_DIRECT;
    ssize_t sum = packet ? 0 : pipe_merge(p, it);
    while (sum >= 0 && it->left > 0 && !it->fault && !pipe_full(p)) {
        ssize_t n = pipe_fill_once(p, it, packet);
        if (n <= 0)
            return sum ? sum : n ? n : -ENOMEM;
        sum += n;
    }
    return sum;
}

static ssize_t pipe_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    (void)pos;
    struct pipe *p = f->priv;
    uint64_t *done = &t->call.done;
    if (it->left == 0)
        return (ssize_t)*done;
    LOCK_SCOPE(&p->lock);
    if (!p->readers)
        return *done ? (pipe_broken(t), (ssize_t)*done) : pipe_broken(t);
    ssize_t n = pipe_fill(p, f, it);
    if (n > 0) {
        *done += (uint64_t)n;
        wq_wake(&p->rd_wq, POLLIN | POLLRDNORM);
    }
    if (it->left == 0 || n < 0 || it->fault) {
        if (waited(t) && !pipe_full(p))
            wq_wake(&p->wr_wq, POLLOUT | POLLWRNORM);
        return *done ? (ssize_t)*done : n;
    }
    if (!pipe_full(p)) /* no memory for more */
        return *done ? (ssize_t)*done : -ENOMEM;
    if (file_nonblock(f))
        return *done ? (ssize_t)*done : -EAGAIN;
    int r = task_wait(t, &p->wr_wq, WAIT_EXCL);
    return r == -EWAITING || !*done ? r : (ssize_t)*done;
}

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = f->priv;
    uint32_t mask = 0;
    if (f->mode & FMODE_READ)
        poll_wait(pt, &p->rd_wq);
    if (f->mode & FMODE_WRITE)
        poll_wait(pt, &p->wr_wq);
    LOCK_SCOPE(&p->lock);
    if (f->mode & FMODE_READ) {
        if (!pipe_empty(p))
            mask |= POLLIN | POLLRDNORM;
        /* f->pos: a FIFO opened without a writer has not lost one yet (fifo.c) */
        if (!p->writers && f->pos != (loff_t)p->w_counter)
            mask |= POLLHUP;
    }
    if (f->mode & FMODE_WRITE) {
        if (!pipe_full(p))
            mask |= POLLOUT | POLLWRNORM;
        if (!p->readers)
            mask |= POLLERR;
    }
    return mask;
}

static long pipe_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct pipe *p = f->priv;
    if (cmd != FIONREAD)
        return -ENOIOCTLCMD;
    int sum = 0;
    lock(&p->lock);
    for (unsigned i = p->tail; i != p->head; i++)
        sum += (int)pipe_slot(p, i)->len;
    unlock(&p->lock);
    return put_guest(t, arg, &sum);
}

struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof *p);
    if (!p)
        return NULL;
    p->nslots = PIPE_DEF_SLOTS;
    p->bufs = kzalloc(p->nslots * sizeof *p->bufs);
    if (!p->bufs) {
        kfree(p);
        return NULL;
    }
    lock_init(&p->lock, LOCK_OBJECT);
    wq_init(&p->rd_wq);
    wq_init(&p->wr_wq);
    return p;
}

static void pipe_free(struct pipe *p)
{
    for (; !pipe_empty(p); p->tail++)
        kfree(pipe_slot(p, p->tail)->page);
    kfree(p->spare);
    kfree(p->bufs);
    wq_done(&p->rd_wq);
    wq_done(&p->wr_wq);
    lock_done(&p->lock);
    kfree(p);
}

void pipe_put(struct pipe *p, struct inode *inode)
{
    lock(&inode->lock);
    bool last = --p->files == 0;
    if (last && inode->sock == p)
        inode->sock = NULL;
    unlock(&inode->lock);
    if (last)
        pipe_free(p);
}

void pipe_detach(struct pipe *p, struct file *f)
{
    lock(&p->lock);
    if (f->mode & FMODE_READ)
        p->readers--;
    if (f->mode & FMODE_WRITE)
        p->writers--;
    if (!p->readers != !p->writers) { /* one side went, the other is to know */
        wq_wake_all(&p->rd_wq, POLLIN | POLLRDNORM | POLLHUP | POLLERR);
        wq_wake_all(&p->wr_wq, POLLOUT | POLLWRNORM | POLLHUP | POLLERR);
    }
    unlock(&p->lock);
}

static void pipe_release(struct file *f)
{
    struct pipe *p = f->priv;
    if (!p)
        return;
    pipe_detach(p, f);
    f->priv = NULL;
    pipe_put(p, f->inode);
}

static struct file *pipe_end(struct pipe *p, struct inode *inode, unsigned flags)
{
    struct file *f = file_new_sized(sizeof *f, &pipe_ops, flags);
    if (IS_ERR(f))
        return f;
    f->inode = inode_ref(inode);
    f->mode |= FMODE_STREAM;
    f->priv = p;
    lock(&inode->lock);
    p->files++;
    unlock(&inode->lock);
    lock(&p->lock);
    if (f->mode & FMODE_READ)
        p->readers++, p->r_counter++;
    if (f->mode & FMODE_WRITE)
        p->writers++, p->w_counter++;
    unlock(&p->lock);
    return f;
}

int pipe_new(struct task *t, unsigned flags, struct file **ret_read, struct file **ret_write)
{
    struct file *r = NULL, *w = NULL;
    struct inode *inode = anon_inode_new("pipe");
    if (!inode)
        return -ENOMEM;
    inode->mode = S_IFIFO | 0600;
    inode->uid = t->cred->fsuid;
    inode->gid = t->cred->fsgid;
    struct pipe *p = pipe_alloc();
    if (!p) {
        inode_put(inode);
        return -ENOMEM;
    }
    p->files = 1; /* ours, until both ends stand */
    inode->sock = p;
    flags &= O_NONBLOCK | O_DIRECT;
    int err = 0;
    r = pipe_end(p, inode, O_RDONLY | (flags & O_NONBLOCK));
    if (IS_ERR(r)) {
        err = PTR_ERR(r);
        goto out;
    }
    w = pipe_end(p, inode, O_WRONLY | flags);
    if (IS_ERR(w)) {
        err = PTR_ERR(w);
        file_put(r);
        goto out;
    }
    *ret_read = r;
    *ret_write = w;
out:
    pipe_put(p, inode);
    inode_put(inode);
    return err;
}

long pipe_get_size(struct file *f)
{
    struct pipe *p = pipe_of(f);
    if (!p)
        return -EBADF;
    LOCK_SCOPE(&p->lock);
    return (long)(p->nslots * PAGE_SIZE_4K);
}

long pipe_set_size(struct task *t, struct file *f, unsigned long size)
{
    struct pipe *p = pipe_of(f);
    if (!p)
        return -EBADF;
    if (size > 1ul << 31)
        return -EINVAL;
    unsigned n = 1;
    while (n * PAGE_SIZE_4K < size)
        n *= 2;
    LOCK_SCOPE(&p->lock);
    if (n > p->nslots && n * PAGE_SIZE_4K > sysctl_ulong(SYSCTL_PIPE_MAX_SIZE) &&
        !task_capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    unsigned used = p->head - p->tail;
    if (used + p->reserved > n)
        return -EBUSY;
    struct pipe_buf *bufs = kzalloc(n * sizeof *bufs);
    if (!bufs)
        return -ENOMEM;
    for (unsigned i = 0; i < used; i++)
        bufs[i] = *pipe_slot(p, p->tail + i);
    kfree(p->bufs);
    p->bufs = bufs;
    p->tail = 0;
    p->head = used;
    bool grown = n > p->nslots;
    p->nslots = n;
    if (grown)
        wq_wake_all(&p->wr_wq, POLLOUT | POLLWRNORM);
    return (long)(n * PAGE_SIZE_4K);
}

const struct file_ops pipe_ops = {
    .name = "pipe",
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};

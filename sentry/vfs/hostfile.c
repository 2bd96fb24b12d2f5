/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's standard input, output and error: files over host descriptors.
 *
 * A regular file is read and written at the host's own position, which others outside share, so
 * that output interleaves as natively; opened again by way of /proc it has a position of its own. Pipes,
 * sockets and other streams must never block a worker: RWF_NOWAIT where the host knows it for that kind, else
 * poll first and move at most PIPE_BUF. A
 * record that has to wait hangs on the object's queue; the event thread watches the descriptor
 * edge-triggered from the first wait on and wakes the queue at each change.
 *
 *      handler                                    event thread
 *      -------                                    ------------
 *      try: EAGAIN
 *      lock; watch (reports what is ready now)    change: lock
 *      poll: still not ready
 *      task_wait; unlock                          wq_wake; unlock
 *
 * Life: the object belongs to an inode with a file system of its own, so that /proc/self/fd/1 can
 * be opened again; the descriptor is closed with the last open file of it.
 *
 * Host calls made: read, write, preadv2, pwritev2, poll, lseek, fstat, ftruncate, fsync, fdatasync,
 * ioctl FIONREAD, close; by the event thread epoll_ctl.
 *
 * Not there: terminals of the host (the sandbox has a pty of its own; a terminal given here behaves
 * as a plain stream).
 */
#include "sentry/vfs/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "sentry/ipc/pipe.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/spent.h"
#include "sentry/kernel/scratch.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

struct host_file {
    int fd;
    bool regular;           /* [I] always ready */
    _Atomic bool no_nowait; /* the host does not know RWF_NOWAIT here */
    _Atomic int opens;      /* open files */
    unsigned mode;          /* [I] FMODE_READ, FMODE_WRITE */
    struct lock lock;       /* LOCK_OBJECT; makes test and wait one step */
    struct waitqueue wq;
    bool watched, unwatchable;
};

#define buffer (scratch()->host) /* between guest and host; nothing stays in it over a wait */

static void block_begin(void)
{
    if (kernel.platform)
        kernel.platform->worker_block_begin();
}

static void block_end(void)
{
    if (kernel.platform)
        kernel.platform->worker_block_end();
}

static uint32_t host_poll_now(const struct host_file *h)
{
    struct pollfd p = { .fd = h->fd, .events = 0 };

    if (h->mode & FMODE_READ)
        p.events |= POLLIN | POLLPRI | POLLRDHUP;
    if (h->mode & FMODE_WRITE)
        p.events |= POLLOUT;
    if (hostio_poll(&p, 1, 0) < 0)
        return 0;
    return host_ready((uint32_t)p.revents & 0xffff);
}

static void host_event(void *arg, uint32_t events)
{
    struct host_file *h = arg;

    LOCK_SCOPE(&h->lock);
    wq_wake(&h->wq, host_ready(events));
}

/* 0, or why nobody would be woken: the host has no memory, or no watch of its epoll's, left. */
static int watch_locked(struct host_file *h)
{
    int r;

    assert_locked(&h->lock);
    if (h->watched || h->unwatchable)
        return 0;
    r = event_watch(h->fd, EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI, host_event, h);
    if (r == 0)
        h->watched = true;
    else if (r == -EPERM)
        h->unwatchable = true; /* a device that is always ready */
    else
        return -ENOMEM;
    return 0;
}

/*
 * Moves at most n bytes between buffer and the host; -EAGAIN where it would wait. A stream without
 * RWF_NOWAIT: after poll, so little that it does not block.
 */
static ssize_t host_move(struct host_file *h, size_t n, loff_t off, bool write_it)
{
    struct iovec iov = { buffer, n };
    int flags = h->regular || atomic_load(&h->no_nowait) ? 0 : RWF_NOWAIT;
    ssize_t r;

    if (!h->regular && !flags) {
        uint32_t ready = host_poll_now(h);

        if (!(ready & ((write_it ? POLLOUT : POLLIN) | POLLHUP | POLLERR)))
            return -EAGAIN;
        iov.iov_len = write_it ? MIN(n, PIPE_BUF) : n;
    }
    do {
        r = write_it ? pwritev2(h->fd, &iov, 1, off, flags) : preadv2(h->fd, &iov, 1, off, flags);
    } while (r < 0 && errno == EINTR);
    if (r < 0 && errno == EOPNOTSUPP && flags) {
        atomic_store(&h->no_nowait, true);
        return host_move(h, n, off, write_it);
    }
    return r < 0 ? -errno : r;
}

/* Regular files: bounded, in a stretch where the worker may block. */
static ssize_t regular_move(struct host_file *h, size_t n, loff_t off, bool write_it)
{
    ssize_t r;

    block_begin();
    r = host_move(h, n, off, write_it);
    block_end();
    return r;
}

/* 0: it is ready by now, try again; else what task_wait says. */
static int host_wait(struct task *t, struct file *f, struct host_file *h, uint32_t events)
{
    if (file_nonblock(f))
        return -EAGAIN;
    LOCK_SCOPE(&h->lock);
    int r = watch_locked(h);
    if (host_poll_now(h) & (events | POLLHUP | POLLERR))
        return 0;
    return r < 0 ? r : task_wait(t, &h->wq, 0);
}

static ssize_t host_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct host_file *h = f->inode->priv;
    uint64_t *done = &t->call.done;
    ssize_t r, moved;

    for (;;) {
        size_t n = MIN(it->left, sizeof buffer);

        if (n == 0)
            return (ssize_t)*done;
        r = h->regular ? regular_move(h, n, pos ? *pos : -1, /* write_it= */ false)
                       : host_move(h, n, -1, /* write_it= */ false);
        if (r == -EAGAIN) {
            r = host_wait(t, f, h, POLLIN);
            if (r == 0)
                continue;
        }
        if (r <= 0)
            return *done && r != -EWAITING ? (ssize_t)*done : r;
        moved = iter_put(it, buffer, (size_t)r);
        if (moved < 0)
            return *done ? (ssize_t)*done : moved;
        *done += (uint64_t)moved;
        if (pos)
            *pos += moved;
        if (!h->regular || (size_t)r < n || it->fault)
            return (ssize_t)*done;
    }
}

static ssize_t host_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct host_file *h = f->inode->priv;
    uint64_t *done = &t->call.done;
    ssize_t r = 0, got;
    struct stat st;

    if (pos && file_appends(t, f) && fstat(h->fd, &st) == 0)
        *pos = st.st_size;

    while (it->left) {
        got = (ssize_t)spent_room(MIN(it->left, sizeof buffer));
        if (got == 0)
            return *done ? (ssize_t)*done : -EFBIG;
        got = iter_get(it, buffer, (size_t)got);
        if (got <= 0)
            return *done ? (ssize_t)*done : got;
        r = h->regular ? regular_move(h, (size_t)got, pos ? *pos : -1, /* write_it= */ true)
                       : host_move(h, (size_t)got, -1, /* write_it= */ true);
        if (r < got)
            iter_revert(it, (size_t)(got - MAX(r, 0)));
        if (r == -EAGAIN) {
            r = host_wait(t, f, h, POLLOUT);
            if (r == 0)
                continue;
        }
        if (r == -EPIPE)
            (void)pipe_broken(t);
        if (r < 0)
            return *done && r != -EWAITING ? (ssize_t)*done : r;
        spent_output((size_t)r);
        *done += (uint64_t)r;
        if (pos)
            *pos += r;
        if (r == 0)
            break;
    }
    return (ssize_t)*done;
}

static uint32_t host_poll(struct file *f, struct poll_table *pt)
{
    struct host_file *h = f->inode->priv;

    if (h->regular)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    poll_wait(pt, &h->wq);
    LOCK_SCOPE(&h->lock);
    if (pt && watch_locked(h) < 0)
        return host_poll_now(h) | POLLERR; /* who waited would not be woken */
    return host_poll_now(h);
}

static loff_t host_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    struct host_file *h = f->inode->priv;
    struct stat st;
    loff_t r;

    (void)t;
    if (f->mode & FMODE_OWN_POS) {
        r = lseek(h->fd, off, whence);
        return r < 0 ? -errno : r;
    }
    if (whence > SEEK_END || fstat(h->fd, &st) < 0) /* opened again: a position of its own */
        return -EINVAL;
    if (__builtin_add_overflow(off, whence == SEEK_END ? st.st_size : whence ? f->pos : 0, &r))
        return -EOVERFLOW;
    return r < 0 ? -EINVAL : r;
}

static long host_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct host_file *h = f->inode->priv;
    int n;

    if (cmd != FIONREAD)
        return -ENOIOCTLCMD;
    if (ioctl(h->fd, FIONREAD, &n) < 0)
        return -errno;
    return put_guest(t, arg, &n);
}

/* Only what cannot be written: the descriptor is lent with all its rights. */
static int host_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct host_file *h = f->inode->priv;

    (void)t;
    if (!h->regular || h->mode & FMODE_WRITE)
        return -ENODEV;
    req->ret_fd = h->fd;
    req->ret_offset = req->offset;
    return 0;
}

static int host_fsync(struct task *t, struct file *f, bool datasync)
{
    struct host_file *h = f->inode->priv;
    int r;

    (void)t;
    block_begin();
    (void)datasync; /* one host call less to allow */
    r = fsync(h->fd) < 0 ? -errno : 0;
    block_end();
    return r;
}

static void host_release(struct file *f)
{
    struct host_file *h = f->inode->priv;

    if (atomic_fetch_sub(&h->opens, 1) != 1)
        return;
    if (h->watched)
        event_unwatch(h->fd);
    close(h->fd);
    h->fd = -1;
}

static const struct file_ops host_ops = {
    .name = "host",
    .read = host_read,
    .write = host_write,
    .llseek = host_llseek,
    .poll = host_poll,
    .ioctl = host_ioctl,
    .mmap = host_mmap,
    .fsync = host_fsync,
    .release = host_release,
};

/* ---- the inode ---- */

static int host_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    struct host_file *h = i->priv;
    struct stat st;

    (void)t;
    if (fstat(h->fd, &st) < 0)
        return -errno;
    *ret = (struct kstat){
        .dev = i->sb->dev,
        .ino = st.st_ino,
        .nlink = st.st_nlink,
        .rdev = st.st_rdev,
        .size = (uint64_t)st.st_size,
        .blocks = (uint64_t)st.st_blocks,
        .mode = st.st_mode,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .blksize = (uint32_t)st.st_blksize,
        .atime = st.st_atim,
        .mtime = st.st_mtim,
        .ctime = st.st_ctim,
    };
    return 0;
}

/* O_TRUNC of one opened again; nothing else can be changed. */
static int host_setattr(struct task *t, struct inode *i, const struct setattr *a)
{
    struct host_file *h = i->priv;

    (void)t;
    if (!(a->valid & ATTR_SIZE))
        return -EPERM;
    return ftruncate(h->fd, (off_t)a->size) < 0 ? -errno : 0;
}

static void set_file_mode(struct file *f, const struct host_file *h)
{
    f->ops = &host_ops;
    f->mode &= ~(unsigned)FMODE_WRITER;
    f->mode |= h->regular ? FMODE_OWN_POS : FMODE_STREAM;
    f->no_notify = true;
    /* Its path outside is nobody's business inside; the null device is the same in both. */
    if (h->regular)
        f->anon_name = "/[host file]";
    else if (S_ISCHR(f->inode->mode) && f->inode->rdev == makedev(1, 3))
        f->anon_name = "/dev/null";
}

/* Opened again by way of /proc: no more rights than the descriptor has. */
static int host_open(struct task *t, struct inode *i, struct file *f)
{
    struct host_file *h = i->priv;

    (void)t;
    if (f->mode & (FMODE_READ | FMODE_WRITE) & ~h->mode)
        return -EACCES;
    atomic_fetch_add(&h->opens, 1);
    file_uncount_writer(f);
    set_file_mode(f, h);
    f->mode &= ~(unsigned)FMODE_OWN_POS;
    return 0;
}

static int host_permission(struct task *t, struct inode *i, int mask)
{
    (void)t;
    (void)i;
    return mask & X_OK ? -EACCES : 0; /* what the descriptor may do is tested by open */
}

static const struct inode_ops host_inode_ops = {
    .getattr = host_getattr,
    .setattr = host_setattr,
    .permission = host_permission,
    .open = host_open,
};

static const struct super_ops host_super_ops;

static struct inode *make_inode(struct host_file *h, const struct stat *st, struct dentry **ret)
{
    struct super *sb = super_new("host", &host_super_ops, 0x09041934);
    struct inode *i;

    if (!sb)
        return NULL;
    i = inode_new(sb, &host_inode_ops, &host_ops, st->st_mode, st->st_ino);
    if (!i)
        return NULL;
    i->uid = st->st_uid;
    i->gid = st->st_gid;
    i->rdev = st->st_rdev;
    i->priv = h;
    *ret = dentry_make_root(sb, inode_ref(i));
    if (!*ret)
        return NULL;
    return i;
}

struct file *host_file_new(int fd, unsigned flags)
{
    struct host_file *h = kzalloc(sizeof *h);
    int has = fcntl(fd, F_GETFL);
    struct file *f = file_new_sized(sizeof *f, &host_ops,
                                    (has < 0 ? flags : (unsigned)has) & (LX_O_ACCMODE | O_APPEND));
    struct dentry *root = NULL;
    struct stat st;

    if (!h || IS_ERR(f) || fstat(fd, &st) < 0)
        goto fail;
    h->fd = fd;
    h->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
    h->mode = f->mode;
    atomic_init(&h->opens, 1);
    lock_init(&h->lock, LOCK_OBJECT);
    wq_init(&h->wq);
    f->inode = make_inode(h, &st, &root);
    if (!f->inode)
        goto fail;
    f->path.dentry = dentry_ref(root);
    set_file_mode(f, h);
    return f;
fail:
    /* At start-up only: what is left of a half-made one ends with the sandbox. */
    close(fd);
    kfree(h);
    return ERR_PTR(-ENOMEM);
}

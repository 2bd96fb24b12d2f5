/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files: each is an open file of the host's, with a descriptor here. Bytes go straight
 * to and from the host's page cache, so both sides see each other's at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/scratch.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/notify.h"

#define CHUNK sizeof(scratch()->gofer)
#define APPEND_MAX (1u << 20) /* one write of the host's, and so one step for all who append */

/* Opened when it was made, if that serves an open with these flags. */
static struct live_handle *take_made(struct live_fs *fs, struct inode *i, int access)
{
    struct live_inode *li = live_of(i);
    struct live_handle *h;

    LOCK_SCOPE(&fs->lock);
    h = li->made;
    if (!h ||
        ((h->flags & O_ACCMODE) != (access & O_ACCMODE) && (h->flags & O_ACCMODE) != O_RDWR) ||
        access & O_NOATIME)
        return NULL;
    li->made = NULL;
    return h;
}

/* What an open says of a name that has gone, or is another thing's, since it was looked up. */
static bool replaced(int r)
{
    return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EISDIR || r == -ENXIO;
}

/* -ESTALE where the name was another's meanwhile: the whole open is done again (vfs_open_how). */
int live_open(struct task *t, struct inode *i, struct file *f)
{
    struct live_fs *fs = live_fs_of(i);
    unsigned flags = atomic_load(&f->flags);
    int access = (int)(flags & (LX_O_ACCMODE | O_NOATIME)), r;
    struct live_handle *h = take_made(fs, i, access);
    struct gofer_opened o;

    (void)t;
    if (!h) {
        struct live_addr *a = live_addr(i, NULL, 0);

        if (IS_ERR(a))
            return PTR_ERR(a);
        gofer_trip_begin();
        r = gofer_openat(fs->g, a->node, a->path, access, &o);
        gofer_trip_end();
        live_addr_put(i, a);
        if (r < 0)
            return replaced(r) ? -ESTALE : r;
        if (!live_same(i, &o.attr)) { /* the host has put another in its place meanwhile */
            close(o.fd);
            gofer_close(fs->g, o.node);
            return -ESTALE;
        }
        live_fill(i, &o.attr);
        h = live_handle_new(i, &o, access);
        if (!h)
            return -ENOMEM;
    }
    f->priv = h;
    return 0;
}

static void live_release(struct file *f)
{
    if (f->priv)
        live_handle_put(live_fs_of(f->inode), f->priv);
}

static int fd_of(const struct file *f)
{
    return ((const struct live_handle *)f->priv)->fd;
}

static ssize_t live_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    ssize_t done = 0;

    (void)t;
    while (it->left) {
        size_t want = MIN(it->left, CHUNK);
        ssize_t n, moved;

        gofer_trip_begin();
        do
            n = pread(fd_of(f), scratch()->gofer, want, *pos);
        while (n < 0 && errno == EINTR);
        n = n < 0 ? -errno : n;
        gofer_trip_end();
        if (n <= 0)
            return done ? done : n;
        moved = iter_put(it, scratch()->gofer, (size_t)n);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
        *pos += moved;
        if (moved < n || (size_t)n < want)
            break;
    }
    return done;
}

static void grown(struct inode *i, loff_t end)
{
    LOCK_SCOPE(&i->lock);

    i->size = MAX(i->size, (uint64_t)end);
}

/* n bytes, at *pos or behind all there is; *pos moves. What the host took, or -errno. */
static ssize_t write_host(struct file *f, const void *from, size_t n, loff_t *pos, bool append)
{
    const struct iovec iov = { (void *)(uintptr_t)from, n };
    ssize_t r;

    gofer_trip_begin();
    do /* the position is the host file's own, where it appends: it tells where that was */
        r = append ? pwritev2(fd_of(f), &iov, 1, -1, RWF_APPEND) : pwrite(fd_of(f), from, n, *pos);
    while (r < 0 && errno == EINTR);
    r = r < 0 ? -errno : r;
    if (r > 0)
        *pos = append ? lseek(fd_of(f), 0, SEEK_CUR) : *pos + r;
    gofer_trip_end();
    if (r > 0)
        grown(f->inode, *pos);
    return r;
}

static ssize_t live_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    bool append = file_appends(t, f);
    char *big = append && it->left > CHUNK ? kzalloc(MIN(it->left, APPEND_MAX)) : NULL;
    char *buf = big ? big : scratch()->gofer;
    size_t cap = big ? APPEND_MAX : CHUNK;
    ssize_t done = 0;

    while (it->left) {
        size_t want = MIN(it->left, cap);
        ssize_t n = iter_get(it, buf, want), r;

        if (n <= 0) {
            done = done ? done : n;
            break;
        }
        r = write_host(f, buf, (size_t)n, pos, append);
        if (r < n)
            iter_revert(it, (size_t)(n - MAX(r, 0)));
        if (r > 0)
            done += r;
        if (r < 0 && !done)
            done = r;
        if (r < n || (size_t)n < want)
            break;
    }
    kfree(big);
    return done;
}

static loff_t live_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    loff_t base = 0;
    struct stat st;

    (void)t;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = f->pos;
        break;
    case SEEK_END:
        if (fstat(fd_of(f), &st) < 0)
            return -errno;
        base = st.st_size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        off = lseek(fd_of(f), off, whence); /* its position there is nobody's */
        if (off < 0)
            return -errno;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, off, &base) || base < 0)
        return -EINVAL;
    return f->pos = base;
}

static int live_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    (void)t;
    req->ret_fd = fd_of(f); /* opened with the rights that the guest has by it */
    req->ret_fd_owned = false;
    req->ret_offset = req->offset;
    return 0;
}

static int live_fsync(struct task *t, struct file *f, bool datasync)
{
    (void)t;
    (void)datasync; /* one host call less to allow */
    gofer_trip_begin();
    int r = fsync(fd_of(f)) < 0 ? -errno : 0;
    gofer_trip_end();
    return r;
}

static int live_truncate(struct task *t, struct file *f, loff_t size)
{
    int r = vfs_check_size(t, (uint64_t)size);

    if (r < 0)
        return r;
    gofer_trip_begin();
    r = ftruncate(fd_of(f), size) < 0 ? -errno : 0;
    gofer_trip_end();
    if (r < 0)
        return r;
    lock(&f->inode->lock);
    f->inode->size = (uint64_t)size;
    unlock(&f->inode->lock);
    fsnotify_file(f, LX_IN_MODIFY);
    return 0;
}

static int live_fallocate(struct task *t, struct file *f, int mode, loff_t off, loff_t len)
{
    int r = mode & FALLOC_FL_KEEP_SIZE ? 0 : vfs_check_size(t, (uint64_t)(off + len));

    if (r < 0)
        return r;
    gofer_trip_begin();
    do
        r = fallocate(fd_of(f), mode, off, len);
    while (r < 0 && errno == EINTR);
    r = r < 0 ? -errno : 0;
    gofer_trip_end();
    if (r == 0)
        fsnotify_file(f, LX_IN_MODIFY);
    return r;
}

static int live_fadvise(struct task *t, struct file *f, loff_t off, loff_t len, int advice)
{
    (void)t, (void)f, (void)off, (void)len, (void)advice;
    return 0; /* the host reads ahead as it sees fit */
}

const struct file_ops live_file_fops = {
    .name = "file",
    .read = live_read,
    .write = live_write,
    .llseek = live_llseek,
    .mmap = live_mmap,
    .fsync = live_fsync,
    .truncate = live_truncate,
    .fallocate = live_fallocate,
    .fadvise = live_fadvise,
    .release = live_release,
};

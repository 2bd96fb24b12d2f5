/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files of the gofer file system. f->priv is the handle, got at the first use and put
 * when the file is released. Reads come from the bytes that came with the open where they reach,
 * else from the host's page cache; nothing is kept here beside them.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/scratch.h"

#define CHUNK sizeof(scratch()->gofer)

#define buffer (scratch()->gofer)

static int handle_of(struct file *f, struct ghandle **ret)
{
    struct ghandle *h = __atomic_load_n((struct ghandle **)&f->priv, __ATOMIC_ACQUIRE),
                   *none = NULL;
    struct gofer_fs *fs = gofer_fs_of(f->inode);

    if (!h) {
        int r = ghandle_get(fs, gname_of(f->inode), &h);
        if (r < 0)
            return r;
        if (!__atomic_compare_exchange_n((struct ghandle **)&f->priv, &none, h, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            ghandle_put(fs, h);
            h = none;
        }
    }
    *ret = h;
    return 0;
}

/*
 * What can be had without waiting. *ret_all: that is all; a short read is known to end at the end of
 * the file only where the file is still as long as it was when it was opened.
 */
static ssize_t read_now(struct ghandle *h, const struct gofer_file *f, void *buf, size_t n,
                        loff_t pos, bool *ret_all)
{
    ssize_t r = -EOPNOTSUPP;

    if (!atomic_load_explicit(&h->must_wait, memory_order_relaxed))
        r = gofer_file_read_now(f, buf, n, pos);
    if (r == -EOPNOTSUPP || r == -EINVAL)
        atomic_store_explicit(&h->must_wait, true, memory_order_relaxed);
    *ret_all = r >= 0 &&
               (r == 0 || (size_t)r == n || (uint64_t)pos + (uint64_t)r == h->file.attr.size);
    return MAX(r, 0);
}

/*
 * From the host. A small file that came whole is opened for this: it may have grown since. To wait for a
 * disk means to give the lead away, where others share it, which costs as much as three calls.
 */
static ssize_t read_host(struct gofer_fs *fs, struct ghandle *h, void *buf, size_t n, loff_t pos)
{
    struct gofer_file f = h->file;

    if (f.fd < 0 && f.slot < 0)
        f.fd = ghandle_map_fd(fs, h);
    if (f.fd < 0 && f.slot < 0)
        return f.fd;
    bool all;
    ssize_t now = read_now(h, &f, buf, n, pos, &all);
    if (all)
        return now;
    gofer_trip_begin();
    ssize_t r = gofer_file_read(&f, (char *)buf + now, n - (size_t)now, pos + now);
    gofer_trip_end();
    return now && r < 0 ? now : now + r;
}

/* At most one chunk at pos, into *ret_from. Bytes, 0 at the end. */
static ssize_t read_chunk(struct gofer_fs *fs, struct ghandle *h, loff_t pos, size_t n,
                          const char **ret_from)
{
    if ((h->file.whole || (uint64_t)pos + n <= h->file.nfirst) && ghandle_fresh(fs, h)) {
        if ((uint64_t)pos >= h->file.nfirst)
            return 0;
        *ret_from = (const char *)h->first + pos;
        return MIN(n, h->file.nfirst - pos);
    }
    *ret_from = buffer;
    return read_host(fs, h, buffer, MIN(n, (size_t)CHUNK), pos);
}

/*
 * A large read, copied once: straight from the host's page cache. What it could not read, for the
 * file may have been cut, is left for the chunks. How much there is is asked for first, since a
 * mapping shows zeros up to its last page's end.
 */
static ssize_t read_large(struct gofer_fs *fs, struct ghandle *h, struct iter *it, loff_t pos)
{
    const char *from;
    struct stat st;
    ssize_t n;
    int fd;

    if (!it->task || h->file.attr.size < (uint64_t)pos + GHANDLE_MAP_WORTH ||
        !ghandle_map(fs, h, pos, 0))
        return 0;
    fd = ghandle_map_fd(fs, h); /* has been asked for */
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= pos)
        return 0;
    n = MIN(it->left, (uint64_t)(st.st_size - pos));
    from = ghandle_map(fs, h, pos, n);
    n = from ? iter_putv(it, &(struct iovec){ (void *)(uintptr_t)from, n }, 1) : 0;
    it->fault = false;
    return MAX(n, 0);
}

static ssize_t gofer_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct ghandle *h;
    ssize_t done = 0;

    (void)t;
    int r = handle_of(f, &h);
    if (r < 0)
        return r;
    if (it->left >= GHANDLE_MAP_WORTH) {
        gofer_trip_begin();
        done = read_large(gofer_fs_of(f->inode), h, it, *pos);
        gofer_trip_end();
        *pos += done;
    }
    while (it->left) {
        const char *from;
        size_t want = it->left;
        ssize_t n = read_chunk(gofer_fs_of(f->inode), h, *pos, want, &from);

        if (n < 0 && !done)
            return n;
        if (n <= 0)
            break;
        ssize_t moved = iter_put(it, from, n);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
        *pos += moved;
        if (moved < n || (size_t)n < MIN(want, (size_t)CHUNK))
            break;
    }
    return done;
}

static loff_t seek_data(struct file *f, loff_t off, int whence)
{
    struct ghandle *h;
    struct gofer_fs *fs = gofer_fs_of(f->inode);

    int r = handle_of(f, &h);
    if (r < 0)
        return r;
    if (off < 0 || (uint64_t)off >= f->inode->size)
        return -ENXIO;
    int fd = ghandle_map_fd(fs, h);
    if (fd < 0)
        return fd;
    off_t to = lseek(fd, off, whence); /* the host position is nobody's: reads name theirs */
    return to < 0 ? -errno : to;
}

static loff_t gofer_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    struct kstat st;
    loff_t base = 0;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = f->pos;
        break;
    case SEEK_END:
        if (inode_getattr(t, f->inode, &st) < 0)
            inode_fill_stat(f->inode, &st);
        base = st.size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        off = seek_data(f, off, whence);
        if (off < 0)
            return off;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, off, &base) || base < 0)
        return -EINVAL;
    return f->pos = base;
}

static int gofer_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct ghandle *h;

    (void)t;
    int r = handle_of(f, &h);
    if (r < 0)
        return r;
    r = ghandle_map_fd(gofer_fs_of(f->inode), h);
    if (r < 0)
        return r;
    req->ret_fd = r;
    req->ret_fd_owned = false;
    req->ret_offset = req->offset;
    return 0;
}

static int gofer_fsync(struct task *t, struct file *f, bool datasync)
{
    (void)t;
    (void)f;
    (void)datasync;
    return 0; /* nothing is ever written */
}

static int gofer_fadvise(struct task *t, struct file *f, loff_t off, loff_t len, int advice)
{
    (void)t;
    (void)f;
    (void)off;
    (void)len;
    (void)advice;
    return 0;
}

static void gofer_release(struct file *f)
{
    if (f->priv)
        ghandle_put(gofer_fs_of(f->inode), f->priv);
}

const struct file_ops gofer_file_fops = {
    .name = "file",
    .read = gofer_read,
    .llseek = gofer_llseek,
    .mmap = gofer_mmap,
    .fsync = gofer_fsync,
    .fadvise = gofer_fadvise,
    .release = gofer_release,
};

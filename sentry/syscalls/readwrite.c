/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read, write and their family. A later run builds the iterator anew and skips what is done, so a
 * plain read keeps nothing but its file in the record; a vector lies in the scratch block.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/syscalls/rw.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#define RWF_ALL (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)

#define USER_END 0x7ffffffff000ul

enum direction { READ, WRITE };

bool rw_range_ok(gaddr_t buf, size_t count)
{
    return count <= USER_END && buf <= USER_END - count;
}

int rw_flags_check(int flags, bool write)
{
    if (flags & ~RWF_ALL)
        return -EOPNOTSUPP;
    if (flags & RWF_APPEND && flags & RWF_NOAPPEND)
        return -EINVAL;
    return !write && flags & RWF_APPEND ? -EOPNOTSUPP : 0;
}

static long run(struct task *t, struct file *f, struct iter *it, loff_t *off, enum direction dir)
{
    iter_skip(it, t->call.done);
    return dir == READ ? file_read(t, f, it, off) : file_write(t, f, it, off);
}

static long rw_flat(struct task *t, int fd, gaddr_t buf, size_t count, loff_t *off,
                    enum direction dir)
{
    struct file *f = call_file(t, 0, fd);
    struct iter it;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (off && *off < 0)
        return -EINVAL;
    if (!rw_range_ok(buf, count) && f->mode & (dir == READ ? FMODE_READ : FMODE_WRITE))
        return -EFAULT; /* before anything is looked at, as any range that no program can have */
    iter_guest(&it, t, buf, MIN(count, MAX_RW_COUNT));
    return run(t, f, &it, off, dir);
}

long sys_read(struct task *t, int fd, gaddr_t buf, size_t count)
{
    return rw_flat(t, fd, buf, count, NULL, READ);
}

long sys_write(struct task *t, int fd, gaddr_t buf, size_t count)
{
    return rw_flat(t, fd, buf, count, NULL, WRITE);
}

long sys_pread64(struct task *t, int fd, gaddr_t buf, size_t count, loff_t pos)
{
    return rw_flat(t, fd, buf, count, &pos, READ);
}

long sys_pwrite64(struct task *t, int fd, gaddr_t buf, size_t count, loff_t pos)
{
    return rw_flat(t, fd, buf, count, &pos, WRITE);
}

struct vector { /* in the record */
    struct seg *segs;
};

static void vector_free(void *scratch)
{
    kfree(((struct vector *)scratch)->segs);
}

static long rw_vector(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t *off,
                      enum direction dir)
{
    struct file *f = call_file(t, 0, fd);
    struct vector *v;
    struct iter it;
    ssize_t r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (off && f->mode & FMODE_STREAM)
        return -ESPIPE;
    if (!(f->mode & (dir == READ ? FMODE_READ : FMODE_WRITE)))
        return -EBADF;
    if (vlen > 1024)
        return -EINVAL;
    v = call_scratch(t, sizeof *v);
    if (!v)
        return -ENOMEM;
    if (!v->segs) {
        r = copy_in_iovec(t, iov, (unsigned)vlen, &v->segs);
        if (r < 0)
            return r;
        t->call.scratch_free = vector_free;
    }
    iter_segs(&it, t, v->segs, (unsigned)vlen);
    return run(t, f, &it, off, dir);
}

long sys_readv(struct task *t, int fd, gaddr_t iov, unsigned long vlen)
{
    return rw_vector(t, fd, iov, vlen, NULL, READ);
}

long sys_writev(struct task *t, int fd, gaddr_t iov, unsigned long vlen)
{
    return rw_vector(t, fd, iov, vlen, NULL, WRITE);
}

/* The halves of the position: on a 64-bit kernel the low one holds all. */
static long rw_vector_at(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos,
                         int flags, enum direction dir)
{
    int r = rw_flags_check(flags, dir == WRITE);

    if (r < 0)
        return r;
    t->call.rwf = flags;
    return rw_vector(t, fd, iov, vlen, &pos, dir);
}

long sys_preadv(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos_l,
                unsigned long pos_h)
{
    (void)pos_h;
    if (pos_l < 0)
        return -EINVAL;
    return rw_vector_at(t, fd, iov, vlen, pos_l, /* flags= */ 0, READ);
}

long sys_pwritev(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos_l,
                 unsigned long pos_h)
{
    (void)pos_h;
    if (pos_l < 0)
        return -EINVAL;
    return rw_vector_at(t, fd, iov, vlen, pos_l, /* flags= */ 0, WRITE);
}

static long rw_vector2(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos,
                       int flags, enum direction dir)
{
    if (pos != -1)
        return pos < 0 ? -EINVAL : rw_vector_at(t, fd, iov, vlen, pos, flags, dir);
    if (flags & ~RWF_ALL)
        return -EOPNOTSUPP;
    t->call.rwf = flags;
    return rw_vector(t, fd, iov, vlen, NULL, dir);
}

long sys_preadv2(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos_l,
                 unsigned long pos_h, int flags)
{
    (void)pos_h;
    return rw_vector2(t, fd, iov, vlen, pos_l, flags, READ);
}

long sys_pwritev2(struct task *t, int fd, gaddr_t iov, unsigned long vlen, loff_t pos_l,
                  unsigned long pos_h, int flags)
{
    (void)pos_h;
    return rw_vector2(t, fd, iov, vlen, pos_l, flags, WRITE);
}

long sys_lseek(struct task *t, int fd, loff_t offset, unsigned whence)
{
    struct file *f = call_file(t, 0, fd);
    loff_t r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (whence > SEEK_HOLE)
        return -EINVAL;
    if (f->mode & FMODE_STREAM || !f->ops->llseek)
        return -ESPIPE;
    r = file_pos_lock(t, f);
    if (r < 0)
        return r;
    r = f->ops->llseek(t, f, offset, (int)whence);
    if (r >= 0)
        f->pos = r;
    if (r != -EWAITING)
        file_pos_unlock(t, f);
    return r;
}

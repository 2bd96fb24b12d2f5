/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands around every read and write, whatever the file: rights, the shared position, limits
 * of size, set-id bits, O_SYNC, inotify. The operation itself only moves bytes.
 *
 * The lock on a shared position is kept while the record waits (a task lock), and dropped in the
 * run that ends the call.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif

bool file_appends(const struct task *t, const struct file *f)
{
    int rwf = t ? t->call.rwf : 0;

    if (rwf & RWF_NOAPPEND)
        return false;
    return rwf & RWF_APPEND || atomic_load(&f->flags) & O_APPEND;
}

#define LX_O_SYNC_BIT 04000000 /* O_SYNC beyond O_DSYNC */

typedef ssize_t (*rw_op)(struct task *t, struct file *f, struct iter *it, loff_t *pos);

/* No file goes beyond the largest position; what would is refused before anything is moved. */
static bool beyond_all(const struct iter *it, loff_t pos)
{
    return pos < 0 || it->left > (uint64_t)(INT64_MAX - pos);
}

/* The operation at the right place; *off or f->pos moves behind what was moved. */
static ssize_t run_at(struct task *t, struct file *f, struct iter *it, loff_t *off, rw_op op)
{
    loff_t start, pos;
    ssize_t n;

    if (f->mode & FMODE_STREAM || (!off && f->mode & FMODE_OWN_POS))
        return op(t, f, it, NULL);
    pos = off ? *off : f->pos;
    if (pos < 0 || __builtin_add_overflow(pos, (loff_t)t->call.done, &pos) || beyond_all(it, pos))
        return -EINVAL;
    start = pos;
    n = op(t, f, it, &pos);
    if (n <= 0)
        return n;
    if (pos == start)
        pos += n - (loff_t)t->call.done;
    if (off)
        *off = pos;
    else
        f->pos = pos;
    return n;
}

static ssize_t run_locked(struct task *t, struct file *f, struct iter *it, loff_t *off, rw_op op)
{
    ssize_t n;

    if (off)
        return run_at(t, f, it, off, op);
    n = file_pos_lock(t, f);
    if (n < 0)
        return n;
    n = run_at(t, f, it, off, op);
    if (n != -EWAITING)
        file_pos_unlock(t, f);
    return n;
}

/* RWF_NOWAIT: not where it would wait for another's doing. */
static bool must_not_wait(struct task *t, struct file *f, uint32_t events)
{
    return t->call.rwf & RWF_NOWAIT && !(file_poll(f, NULL) & (events | POLLHUP | POLLERR));
}

ssize_t file_read(struct task *t, struct file *f, struct iter *it, loff_t *off)
{
    ssize_t n;

    if (off && f->mode & FMODE_STREAM)
        return -ESPIPE;
    if (!(f->mode & FMODE_READ))
        return -EBADF;
    if (!f->ops->read)
        return f->mode & FMODE_DIR_OPEN ? -EISDIR : -EINVAL;
    if (must_not_wait(t, f, POLLIN))
        return -EAGAIN;
    n = fsnotify_perm(t, f, LX_FS_ACCESS_PERM);
    if (n < 0)
        return n;
    n = run_locked(t, f, it, off, f->ops->read);
    if (n > 0)
        fsnotify_file(f, LX_IN_ACCESS);
    return n;
}

/* Where a write to a regular file may end: cuts it, or -EFBIG with SIGXFSZ. */
static int limit_write(struct task *t, struct file *f, struct iter *it, loff_t at)
{
    rlim_t max = __atomic_load_n(&task_rlimit(t, RLIMIT_FSIZE)->rlim_cur, __ATOMIC_RELAXED);
    uint64_t pos;

    if (file_appends(t, f))
        pos = atomic_load_explicit(&f->inode->size, memory_order_relaxed);
    else
        pos = (uint64_t)at;
    if (it->left == 0)
        return 0;
    if (pos >= max) {
        (void)signal_send_task(t, SIGXFSZ, NULL);
        return -EFBIG;
    }
    it->left = MIN(it->left, MIN(max, INT64_MAX) - pos);
    return 0;
}

/* Run by run_at: where the position is shared, it does not move between this and the write. */
static ssize_t checked_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    if (pos && f->inode && S_ISREG(f->inode->mode) && !t->call.done && !(f->mode & FMODE_OWN_POS)) {
        int r = limit_write(t, f, it, *pos);

        if (r < 0)
            return r;
        if (it->left && (f->inode->mode & (S_ISUID | S_ISGID) || f->inode->has_caps))
            inode_remove_privs(t, f->inode);
    }
    return f->ops->write(t, f, it, pos);
}

ssize_t file_write(struct task *t, struct file *f, struct iter *it, loff_t *off)
{
    ssize_t n;
    int r;

    if (off && f->mode & FMODE_STREAM)
        return -ESPIPE;
    if (!(f->mode & FMODE_WRITE))
        return -EBADF;
    if (!f->ops->write)
        return -EINVAL;
    if (must_not_wait(t, f, POLLOUT))
        return -EAGAIN;
    n = run_locked(t, f, it, off, checked_write);
    if (n <= 0)
        return n;
    fsnotify_file(f, LX_IN_MODIFY);
    if ((atomic_load(&f->flags) & O_DSYNC || t->call.rwf & (RWF_DSYNC | RWF_SYNC)) &&
        f->ops->fsync) {
        r = f->ops->fsync(t, f, /* datasync= */ !(atomic_load(&f->flags) & LX_O_SYNC_BIT));
        if (r < 0 && r != -EWAITING)
            return r;
    }
    return n;
}

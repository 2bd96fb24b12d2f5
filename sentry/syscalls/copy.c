/* SPDX-License-Identifier: Apache-2.0 */
/* Between files: sendfile, copy_file_range; and advice about their pages. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/transfer.h"
#include "sentry/vfs/vfs.h"

static void end_transfer(void *scratch)
{
    transfer_end(scratch);
}

/* The record's transfer between two descriptors; ERR_PTR. */
static struct transfer *get_transfer(struct task *t, int fd_in, int fd_out)
{
    struct transfer *x;
    struct file *in = call_file(t, 0, fd_in), *out;

    if (IS_ERR(in))
        return (void *)in;
    out = call_file(t, 1, fd_out);
    if (IS_ERR(out))
        return (void *)out;
    x = call_scratch(t, sizeof *x);
    if (!x)
        return ERR_PTR(-ENOMEM);
    t->call.scratch_free = end_transfer;
    x->in = in;
    x->out = out;
    return x;
}

static int take_offset(struct task *t, gaddr_t at, loff_t *val, loff_t **ret)
{
    if (!at)
        return 0;
    if (get_guest(t, val, at) < 0)
        return -EFAULT;
    *ret = val;
    return *val < 0 ? -EINVAL : 0;
}

static int sendfile_check(struct transfer *x)
{
    if (!(x->in->mode & FMODE_READ) || !(x->out->mode & FMODE_WRITE))
        return -EBADF;
    if (x->in->mode & FMODE_STREAM)
        return x->in_off ? -ESPIPE : -EINVAL;
    if (!x->in->ops->read || !x->out->ops->write || atomic_load(&x->out->flags) & O_APPEND)
        return -EINVAL;
    return 0;
}

long sys_sendfile(struct task *t, int out_fd, int in_fd, gaddr_t offset, size_t count)
{
    struct transfer *x = get_transfer(t, in_fd, out_fd);
    ssize_t n;
    int r;

    if (IS_ERR(x))
        return PTR_ERR(x);
    if (!x->ready) {
        r = take_offset(t, offset, &x->in_pos, &x->in_off);
        if (r == 0)
            r = sendfile_check(x);
        if (r < 0)
            return r;
        x->left = MIN(count, MAX_RW_COUNT);
        x->ready = true;
    }
    n = transfer_run(t, x);
    if (n != -EWAITING && offset && put_guest(t, offset, &x->in_pos) < 0)
        return -EFAULT;
    return n;
}

static int copy_range_check(struct task *t, struct transfer *x, unsigned flags)
{
    struct inode *a = x->in->inode, *b = x->out->inode;
    uint64_t from, to; /* as Linux: only what wraps at 64 bits is too much */

    (void)t;
    if (flags)
        return -EINVAL;
    if (!a || !b)
        return -EINVAL;
    if (S_ISDIR(a->mode) || S_ISDIR(b->mode))
        return -EISDIR;
    if (!S_ISREG(a->mode) || !S_ISREG(b->mode))
        return -EINVAL;
    if (!(x->in->mode & FMODE_READ) || !(x->out->mode & FMODE_WRITE) ||
        atomic_load(&x->out->flags) & O_APPEND)
        return -EBADF;
    if (a->sb != b->sb)
        return -EXDEV;
    if (inode_is_immutable(b))
        return -EPERM;
    from = (uint64_t)(x->in_off ? x->in_pos : x->in->pos);
    to = (uint64_t)(x->out_off ? x->out_pos : x->out->pos);
    if (from + x->left < from || to + x->left < to)
        return -EOVERFLOW;
    if (a == b && to < from + x->left && from < to + x->left)
        return -EINVAL;
    return 0;
}

/* At most what there is to read: the ranges that overlap count only as far as the file goes. */
static int clip_to_end(struct task *t, struct transfer *x)
{
    struct kstat st;
    loff_t from = x->in_off ? x->in_pos : x->in->pos;
    int r;

    if (!x->in->inode || !S_ISREG(x->in->inode->mode) || !x->in->path.dentry)
        return 0;
    r = vfs_getattr(t, &x->in->path, &st);
    if (r < 0)
        return r;
    x->left = (uint64_t)from >= st.size ? 0 : MIN(x->left, st.size - (uint64_t)from);
    return 0;
}

long sys_copy_file_range(struct task *t, int fd_in, gaddr_t off_in, int fd_out, gaddr_t off_out,
                         size_t len, unsigned flags)
{
    struct transfer *x = get_transfer(t, fd_in, fd_out);
    ssize_t n;
    int r;

    if (IS_ERR(x))
        return PTR_ERR(x);
    if (!x->ready) {
        r = take_offset(t, off_in, &x->in_pos, &x->in_off);
        if (r == 0)
            r = take_offset(t, off_out, &x->out_pos, &x->out_off);
        x->left = MIN(len, MAX_RW_COUNT);
        if (r == 0)
            r = clip_to_end(t, x);
        if (r == 0)
            r = copy_range_check(t, x, flags);
        if (r < 0)
            return r;
        x->ready = true;
    }
    n = transfer_run(t, x);
    if (n < 0)
        return n;
    if ((off_in && put_guest(t, off_in, &x->in_pos) < 0) ||
        (off_out && put_guest(t, off_out, &x->out_pos) < 0))
        return -EFAULT;
    return n;
}

long sys_fadvise64(struct task *t, int fd, loff_t offset, size_t len, int advice)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (f->inode && S_ISFIFO(f->inode->mode))
        return -ESPIPE;
    if ((loff_t)len < 0)
        return -EINVAL;
    if (f->ops->fadvise)
        return f->ops->fadvise(t, f, offset, (loff_t)len, advice);
    return advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE ? -EINVAL : 0;
}

long sys_readahead(struct task *t, int fd, loff_t offset, size_t count)
{
    struct file *f = call_file(t, 0, fd);

    if (IS_ERR(f) || !(f->mode & FMODE_READ))
        return -EBADF;
    if (!f->inode || !S_ISREG(f->inode->mode))
        return -EINVAL;
    if (f->ops->fadvise)
        (void)f->ops->fadvise(t, f, offset, (loff_t)count, POSIX_FADV_WILLNEED);
    return 0;
}

long sys_sync_file_range(struct task *t, int fd, loff_t offset, loff_t nbytes, unsigned flags)
{
    struct file *f = call_file(t, 0, fd);
    uint32_t kind;

    if (IS_ERR(f))
        return PTR_ERR(f);
    if (flags & ~7u || offset < 0 || nbytes < 0 || nbytes > INT64_MAX - offset)
        return -EINVAL;
    kind = f->inode ? f->inode->mode & S_IFMT : 0;
    if (kind != S_IFREG && kind != S_IFBLK && kind != S_IFDIR && kind != S_IFLNK)
        return -ESPIPE;
    return f->ops->fsync ? f->ops->fsync(t, f, /* datasync= */ true) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular files in memory: read, write, seek, map, allocate. Contents lie under inode->lock, which
 * makes each read and write one step, as on Linux; copying to the guest under it is allowed.
 *
 * A file of a lower layer is read there (f->priv is the lower's open file) until somebody writes:
 * then its data is copied up once, and every open file sees ours from then on; mappings made before
 * stay with the lower's pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/notify.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#define SEALS_ALL                                                                                  \
    (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

static bool ours(struct inode *i)
{
    struct mem_node *n = mem_node(i);

    return !n->lower || __atomic_load_n(&n->copied, __ATOMIC_ACQUIRE);
}

static ssize_t read_lower(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct file *low = overlay_lower_file(t, f);

    if (IS_ERR(low))
        return PTR_ERR(low);
    return low->ops->read ? low->ops->read(t, low, it, pos) : -EINVAL;
}

static ssize_t mem_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct inode *i = f->inode;
    ssize_t r = 0;

    if (!ours(i))
        return read_lower(t, f, it, pos);
    lock(&i->lock);
    if ((uint64_t)*pos < i->size)
        r = data_read(&mem_node(i)->data, it, *pos, MIN(it->left, i->size - *pos));
    unlock(&i->lock);
    if (r > 0)
        *pos += r;
    file_accessed(f);
    return r;
}

/* How much of n may be written at pos: RLIMIT_FSIZE, seals. */
static ssize_t write_limit(struct task *t, struct inode *i, uint64_t pos, size_t n)
{
    struct mem_node *node = mem_node(i);
    uint64_t max = t ? task_rlimit(t, RLIMIT_FSIZE)->rlim_cur : RLIM_INFINITY;

    if (node->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if (node->seals & F_SEAL_GROW && pos + n > i->size)
        return -EPERM;
    if (pos >= max) {
        signal_send_task(t, SIGXFSZ, NULL);
        return -EFBIG;
    }
    if (pos >= INT64_MAX)
        return -EFBIG;
    return MIN(n, MIN(max, (uint64_t)INT64_MAX) - pos);
}

static ssize_t mem_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct inode *i = f->inode;
    struct mem_node *node = mem_node(i);
    ssize_t r = 0;

    if (!ours(i)) {
        r = overlay_copy_up(t, i, UINT64_MAX);
        if (r < 0)
            return r;
    }
    if (!it->left)
        return 0;
    inode_remove_privs(t, i);
    lock(&i->lock);
    if (file_appends(t, f))
        *pos = i->size;
    r = write_limit(t, i, *pos, it->left);
    if (r > 0)
        r = data_write(&node->data, it, *pos, r, i->size);
    if (r > 0) {
        *pos += r;
        i->size = MAX(i->size, (uint64_t)*pos);
    }
    unlock(&i->lock);
    if (r > 0)
        inode_touch(i, ATTR_MTIME | ATTR_CTIME);
    return r;
}

static loff_t seek_hole(struct task *t, struct file *f, loff_t off, int whence)
{
    struct inode *i = f->inode;

    if (!ours(i)) {
        struct file *low = overlay_lower_file(t, f);

        if (IS_ERR(low))
            return PTR_ERR(low);
        return low->ops->llseek ? low->ops->llseek(t, low, off, whence) : -EINVAL;
    }
    LOCK_SCOPE(&i->lock);
    return data_seek(&mem_node(i)->data, off, whence == SEEK_HOLE, i->size);
}

uint64_t mem_pages_held(struct inode *i, uint64_t first, uint64_t last)
{
    struct mem_node *n = mem_node(i);
    uint64_t sum = 0, size, at, end;

    if (!ours(i))
        return 0;
    LOCK_SCOPE(&i->lock);
    size = i->size;
    end = last < size / PAGE_SIZE_4K ? (last + 1) * PAGE_SIZE_4K : size;
    for (at = first < size / PAGE_SIZE_4K + 1 ? first * PAGE_SIZE_4K : end; at < end;) {
        loff_t from = data_seek(&n->data, (loff_t)at, /* hole= */ false, size), to;

        if (from < 0 || (uint64_t)from >= end)
            break;
        to = data_seek(&n->data, from, /* hole= */ true, size);
        at = to < 0 ? end : MIN((uint64_t)to, end);
        sum += (at + PAGE_SIZE_4K - 1) / PAGE_SIZE_4K - (uint64_t)from / PAGE_SIZE_4K;
    }
    return sum;
}

static loff_t mem_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    loff_t base = 0;

    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = f->pos;
        break;
    case SEEK_END:
        if (!ours(f->inode) && !mem_node(f->inode)->changed)
            (void)overlay_refresh(t, f->inode);
        base = f->inode->size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        off = seek_hole(t, f, off, whence);
        break;
    default:
        return -EINVAL;
    }
    if (whence >= SEEK_DATA && off < 0)
        return off;
    if (__builtin_add_overflow(base, off, &base) || base < 0)
        return -EINVAL;
    return f->pos = base;
}

static int map_ours(struct task *t, struct file *f, struct mmap_request *req)
{
    struct inode *i = f->inode;
    struct mem_node *n = mem_node(i);
    bool shared = (req->flags & MAP_TYPE) != MAP_PRIVATE;
    bool writable = shared && f->mode & FMODE_WRITE;
    int r;

    LOCK_SCOPE(&i->lock);
    if (n->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) && shared) {
        if (req->prot & PROT_WRITE)
            return -EPERM;
        writable = false;
    }
    r = data_to_fd(&n->data, i->size);
    if (r == 0)
        r = data_map_fd(&n->data, writable, t ? t->group->pid : 0, &req->ret_fd,
                        &req->ret_fd_owned);
    req->ret_offset = req->offset;
    return r;
}

static int mem_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    bool shared = (req->flags & MAP_TYPE) != MAP_PRIVATE;

    if (!ours(f->inode)) {
        struct file *low;
        int r;

        if (shared && f->mode & FMODE_WRITE) {
            r = overlay_copy_up(t, f->inode, UINT64_MAX);
            return r < 0 ? r : map_ours(t, f, req);
        }
        low = overlay_lower_file(t, f);
        if (IS_ERR(low))
            return PTR_ERR(low);
        return low->ops->mmap ? low->ops->mmap(t, low, req) : -ENODEV;
    }
    return map_ours(t, f, req);
}

static int mem_fsync(struct task *t, struct file *f, bool datasync)
{
    (void)t;
    (void)f;
    (void)datasync;
    return 0;
}

static int mem_truncate(struct task *t, struct file *f, loff_t size)
{
    return vfs_setattr(
        t, &f->path,
        &(struct setattr){ .valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME, .size = size });
}

static int alloc_locked(struct inode *i, int mode, uint64_t off, uint64_t len)
{
    struct mem_node *n = mem_node(i);
    uint64_t end = off + len;
    int r;

    if (mode & FALLOC_FL_PUNCH_HOLE)
        return n->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
                   ? -EPERM
                   : data_punch(&n->data, off, len, i->size);
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > i->size && n->seals & F_SEAL_GROW)
        return -EPERM;
    r = data_alloc(&n->data, off, len, i->size);
    if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && end > i->size) {
        r = data_truncate(&n->data, i->size, end);
        if (r == 0)
            i->size = end;
    }
    return r;
}

static int mem_fallocate(struct task *t, struct file *f, int mode, loff_t off, loff_t len)
{
    struct inode *i = f->inode;
    int r;

    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
        return -EOPNOTSUPP;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && (uint64_t)off + len > i->size) {
        r = vfs_check_size(t, (uint64_t)off + len);
        if (r < 0)
            return r;
    }
    r = ours(i) ? 0 : overlay_copy_up(t, i, UINT64_MAX);
    if (r < 0)
        return r;
    lock(&i->lock);
    r = alloc_locked(i, mode, off, len);
    unlock(&i->lock);
    if (r == 0) {
        inode_remove_privs(t, i);
        inode_touch(i, ATTR_MTIME | ATTR_CTIME);
    }
    return r;
}

/* Files of an overlay cannot be sealed. */
static int mem_get_seals(struct file *f)
{
    if (mem_super(f->inode->sb)->lower)
        return -EINVAL;
    LOCK_SCOPE(&f->inode->lock);
    return mem_node(f->inode)->seals;
}

static int mem_add_seals(struct task *t, struct file *f, unsigned seals)
{
    struct mem_node *n = mem_node(f->inode);

    (void)t;
    if (!(f->mode & FMODE_WRITE))
        return -EPERM;
    if (seals & ~SEALS_ALL || mem_super(f->inode->sb)->lower)
        return -EINVAL;
    LOCK_SCOPE(&f->inode->lock);
    if (n->seals & F_SEAL_SEAL)
        return -EPERM;
    /* Only the host knows whether a writable mapping is still there. */
    if (seals & F_SEAL_WRITE && !(n->seals & F_SEAL_WRITE) && n->data.fd >= 0 &&
        !data_fd_seal_write(&n->data))
        return -EBUSY;
    if (seals & F_SEAL_EXEC && f->inode->mode & 0111)
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    n->seals |= seals;
    return 0;
}

static void mem_release(struct file *f)
{
    if (f->priv)
        file_put(f->priv);
}

const struct file_ops mem_file_fops = {
    .name = "file",
    .read = mem_read,
    .write = mem_write,
    .llseek = mem_llseek,
    .mmap = mem_mmap,
    .fsync = mem_fsync,
    .truncate = mem_truncate,
    .fallocate = mem_fallocate,
    .add_seals = mem_add_seals,
    .get_seals = mem_get_seals,
    .release = mem_release,
};

const struct inode_ops mem_file_iops = { MEM_COMMON_OPS };

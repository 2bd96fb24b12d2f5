/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files and directories of an image. Positions of a directory are the places of its names: 0 ".",
 * 1 "..", then one after the other. What is mapped of a file is mapped from a copy of it in memory,
 * which is made at the first map and lives as long as the inode.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sentry/fs/image/image.h"
#include "sentry/fs/mem/mem.h"
#include "sentry/kernel/call.h"

#define MAPPED_MAX                                                                                 \
    (64ull << 30) /* the largest file that is mapped: a copy passes over all its holes */

static ssize_t file_read_op(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct image *im = image_of(f->inode->sb);
    struct image_node *n = f->inode->priv;
    ssize_t done = 0;

    (void)t;
    while (it->left && *pos >= 0 && (uint64_t)*pos < n->size) {
        struct image_piece p = {};
        int r = im->ops->piece(im, n, (uint64_t)*pos, &p);
        size_t want = MIN(MIN(it->left, p.n), n->size - (uint64_t)*pos);
        ssize_t moved;

        if (r < 0)
            return done ? done : r;
        moved = p.p ? iter_put(it, p.p, want) : iter_put_zero(it, want);
        image_put(im, p.block);
        if (moved < 0)
            return done ? done : moved;
        done += moved;
        *pos += moved;
        if ((size_t)moved < want || !want)
            break;
    }
    file_accessed(f);
    return done;
}

static loff_t file_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    loff_t size = (loff_t)f->inode->size, base = 0;

    (void)t;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = f->pos;
        break;
    case SEEK_END:
        base = size;
        break;
    case SEEK_DATA:
    case SEEK_HOLE: /* data everywhere */
        if (off < 0 || off >= size)
            return -ENXIO;
        off = whence == SEEK_HOLE ? size : off;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, off, &base) || base < 0)
        return -EINVAL;
    return f->pos = base;
}

static int put_piece(struct file *copy, uint64_t pos, const struct image_piece *p, uint64_t n)
{
    struct inode *i = copy->inode;
    struct iter it;
    ssize_t r;

    iter_kernel(&it, (void *)(uintptr_t)p->p, n);
    LOCK_SCOPE(&i->lock);
    r = data_write(&mem_node(i)->data, &it, pos, n, i->size);
    return r == (ssize_t)n ? 0 : r < 0 ? (int)r : -ENOMEM;
}

static struct file *copy_new(struct image *im, struct image_node *n)
{
    struct file *copy = n->size > MAPPED_MAX ? ERR_PTR(-ENOMEM)
                                             : shmem_file_new(im->ops->type, n->size, O_RDWR);
    int r = 0;

    if (IS_ERR(copy))
        return copy;
    for (uint64_t pos = 0; r == 0 && pos < n->size;) {
        struct image_piece p = {};

        r = im->ops->piece(im, n, pos, &p);
        if (r == 0 && p.p)
            r = put_piece(copy, pos, &p, MIN(p.n, n->size - pos));
        if (r == 0 && !p.n)
            r = -EUCLEAN;
        image_put(im, p.block);
        pos += p.n;
    }
    if (r < 0) {
        file_put(copy);
        return ERR_PTR(r == -ENOSPC ? -ENOMEM : r);
    }
    copy->mode &= ~(unsigned)FMODE_WRITE; /* nobody is to write to it by way of a mapping */
    return copy;
}

static int file_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct image_node *n = f->inode->priv;
    struct file *copy = atomic_load(&n->copy), *none = NULL;

    if (!copy) {
        copy = copy_new(image_of(f->inode->sb), n);
        if (IS_ERR(copy))
            return PTR_ERR(copy);
        if (!atomic_compare_exchange_strong(&n->copy, &none, copy)) {
            file_put(copy);
            copy = none;
        }
    }
    return mem_file_fops.mmap(t, copy, req);
}

static int file_fadvise(struct task *t, struct file *f, loff_t off, loff_t len, int advice)
{
    (void)t, (void)f, (void)off, (void)len, (void)advice;
    return 0;
}

const struct file_ops image_file_fops = {
    .name = "file",
    .read = file_read_op,
    .llseek = file_llseek,
    .mmap = file_mmap,
    .fadvise = file_fadvise,
};

/* ---- directories ---- */

struct listing {
    struct file *f;
    struct dirent_sink *sink;
    loff_t at; /* of the name that comes */
};

static int emit_name(void *arg, const char *name, size_t len, uint64_t ref, unsigned dtype,
                     uint64_t ino)
{
    struct listing *l = arg;
    loff_t here = l->at++;

    (void)ref;
    if (here < l->f->pos)
        return 0;
    if (!l->sink->emit(l->sink, name, len, ino, dtype, here + 1))
        return 1;
    l->f->pos = here + 1;
    return 0;
}

static uint64_t parent_number(const struct file *f)
{
    LOCK_SCOPE(&vfs.dcache_lock);
    return f->path.dentry ? dentry_inode(f->path.dentry->parent)->ino : f->inode->ino;
}

static int dir_read(struct task *t, struct file *f, struct dirent_sink *s)
{
    struct image *im = image_of(f->inode->sb);
    struct listing l = { f, s, 2 };
    int r;

    (void)t;
    if (f->pos == 0 && s->emit(s, ".", 1, f->inode->ino, DT_DIR, 1))
        f->pos = 1;
    if (f->pos == 1 && s->emit(s, "..", 2, parent_number(f), DT_DIR, 2))
        f->pos = 2;
    if (f->pos < 2)
        return 0;
    r = im->ops->names(im, f->inode->priv, emit_name, &l);
    file_accessed(f);
    return r < 0 ? r : 0;
}

const struct file_ops image_dir_fops = {
    .name = "directory",
    .readdir = dir_read,
    .llseek = vfs_dir_llseek,
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of a guest's overlay hand all on to the file of the layer that they were opened in.
 * A directory is listed whole when it is read from its start: the upper layer's names, then of each
 * lower one those that nothing above it hides.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/union/union.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/notify.h"

/* ---- listings ---- */

typedef int (*name_fn)(void *arg, const char *name, size_t len, uint64_t ino, unsigned dtype);

/* Is the name decided above layer k (lower ones by number; -1: the upper)? 1, 0 or an error. */
static int hidden(struct task *t, struct inode *dir, int k, const char *name, size_t len)
{
    struct union_node *n = union_node(dir);

    for (int above = -1; above < k; above++) {
        struct dentry *parent = above < 0 ? union_upper(dir) : n->lower[above], *d;
        bool there;

        if (!parent)
            continue;
        d = vfs_lookup(t, parent, name, len);
        if (IS_ERR(d))
            return PTR_ERR(d);
        there = dentry_inode(d);
        dentry_put(d);
        if (there)
            return 1;
    }
    return 0;
}

static int is_whiteout(struct task *t, struct dentry *parent, const struct lower_name *e)
{
    struct dentry *d;
    int r;

    if (e->dtype != DT_CHR && e->dtype != DT_UNKNOWN)
        return 0;
    d = vfs_lookup(t, parent, e->name, e->len);
    if (IS_ERR(d))
        return PTR_ERR(d);
    r = dentry_inode(d) && union_is_whiteout(dentry_inode(d));
    dentry_put(d);
    return r;
}

static int each_of_layer(struct task *t, struct inode *dir, int k, name_fn fn, void *arg)
{
    struct dentry *layer = k < 0 ? union_upper(dir) : union_node(dir)->lower[k];
    struct lower_list *l;
    struct lower_name *e;
    size_t at = 0;
    int r = overlay_list_of(t, layer, &l);

    if (r < 0)
        return r;
    while (r == 0 && (e = lower_next(l, &at))) {
        r = hidden(t, dir, k, e->name, e->len);
        if (r == 0)
            r = is_whiteout(t, layer, e);
        r = r < 0   ? r
            : r > 0 ? 0
                    : fn(arg, e->name, e->len, union_number(dir->sb, layer, e->ino), e->dtype);
    }
    overlay_list_free(l);
    return r;
}

int union_each_name(struct task *t, struct inode *dir, name_fn fn, void *arg)
{
    int r = union_upper(dir) ? each_of_layer(t, dir, -1, fn, arg) : 0;

    for (int k = 0; r == 0 && k < (int)union_node(dir)->nlower; k++)
        r = each_of_layer(t, dir, k, fn, arg);
    return r;
}

int union_drop_whiteouts(struct task *t, struct dentry *up)
{
    struct inode *dir = dentry_inode(up);
    struct lower_list *l;
    struct lower_name *e;
    size_t at = 0;
    int r = overlay_list_of(t, up, &l);

    if (r < 0)
        return r;
    while (r == 0 && (e = lower_next(l, &at))) {
        struct dentry *d = vfs_lookup(t, up, e->name, e->len);

        if (IS_ERR(d)) {
            r = PTR_ERR(d);
            break;
        }
        if (dentry_inode(d) && union_is_whiteout(dentry_inode(d)))
            r = dir->ops->unlink ? dir->ops->unlink(t, dir, d) : -EPERM;
        if (r == 0 && dentry_inode(d))
            dentry_drop(d);
        dentry_put(d);
    }
    overlay_list_free(l);
    return r;
}

static int collect(void *arg, const char *name, size_t len, uint64_t ino, unsigned dtype)
{
    return overlay_list_add(arg, name, len, ino, dtype) ? 0 : -ENOMEM;
}

struct open_dir { /* f->priv */
    struct lower_list *names;
    struct file *real; /* of the highest layer, for who watches that */
};

static int dir_open(struct task *t, struct inode *i, struct file *f)
{
    struct path p = { .dentry = union_top(i) };
    struct open_dir *o = kzalloc(sizeof *o);

    (void)t;
    if (!o)
        return -ENOMEM;
    o->real = vfs_open_inode(NULL, &p, O_RDONLY | O_DIRECTORY | LX_O_LOUD);
    if (IS_ERR(o->real)) {
        int r = PTR_ERR(o->real);

        kfree(o);
        return r;
    }
    f->ops = &union_dir_fops;
    f->priv = o;
    return 0;
}

const struct inode_ops union_dir_ops = {
    .lookup = union_lookup,
    .create = union_create,
    .mknod = union_mknod,
    .mkdir = union_mkdir,
    .symlink = union_symlink,
    .link = union_link,
    .unlink = union_unlink,
    .rmdir = union_rmdir,
    .rename = union_rename,
    .tmpfile = union_tmpfile,
    .open = dir_open,
    UNION_COMMON_OPS,
};

static int take_listing(struct task *t, struct file *f)
{
    struct open_dir *o = f->priv;
    struct lower_list *l = kzalloc(sizeof *l);
    int r = l ? union_each_name(t, f->inode, collect, l) : -ENOMEM;

    if (r < 0) {
        overlay_list_free(l);
        return r;
    }
    overlay_list_free(o->names);
    o->names = l;
    return 0;
}

static uint64_t parent_number(const struct file *f)
{
    LOCK_SCOPE(&vfs.dcache_lock);
    return dentry_inode(f->path.dentry->parent)->ino;
}

static int union_readdir(struct task *t, struct file *f, struct dirent_sink *s)
{
    struct open_dir *o = f->priv;
    struct lower_list *l;
    struct lower_name *e;
    loff_t pos = 2;
    size_t at = 0;
    int r = f->pos == 0 || !o->names ? take_listing(t, f) : 0;

    if (r < 0)
        return r;
    l = o->names;
    if (f->pos == 0 && s->emit(s, ".", 1, f->inode->ino, DT_DIR, 1))
        f->pos = 1;
    if (f->pos == 1 && s->emit(s, "..", 2, parent_number(f), DT_DIR, 2))
        f->pos = 2;
    if (f->pos < 2)
        return 0;
    if (l->mark && l->mark_pos == f->pos) {
        at = l->mark;
        pos = f->pos;
    }
    for (size_t before = at; (e = lower_next(l, &at)); before = at) {
        loff_t here = pos++;

        if (here < f->pos)
            continue;
        if (!s->emit(s, e->name, e->len, e->ino, e->dtype, pos)) {
            l->mark = before;
            l->mark_pos = here;
            return 0;
        }
        f->pos = pos;
    }
    return 0;
}

static void dir_release(struct file *f)
{
    struct open_dir *o = f->priv;

    if (!o)
        return;
    overlay_list_free(o->names);
    file_put(o->real);
    kfree(o);
}

const struct file_ops union_dir_fops = {
    .name = "dir",
    .llseek = vfs_dir_llseek,
    .readdir = union_readdir,
    .fsync = vfs_dir_fsync,
    .release = dir_release,
};

/* ---- files ---- */

static int union_open(struct task *t, struct inode *i, struct file *f)
{
    unsigned flags = atomic_load(&f->flags);
    struct path p = {};
    struct file *real;
    int r = flags & LX_O_ACCMODE ? union_copy_up(t, i, true) : 0;

    if (r < 0)
        return r;
    p.dentry = union_top(i);
    /* Of nobody, so that it waits for nothing; who watches the layer is told of it. */
    real = vfs_open_inode(NULL, &p, (flags & ~(unsigned)O_NOFOLLOW) | LX_O_LOUD);
    if (IS_ERR(real))
        return PTR_ERR(real);
    f->priv = real;
    return 0;
}

const struct inode_ops union_file_iops = { .open = union_open, UNION_COMMON_OPS };

static ssize_t union_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct file *real = f->priv;
    ssize_t n = real->ops->read ? real->ops->read(t, real, it, pos) : -EINVAL;

    if (n > 0)
        fsnotify_file(real, LX_IN_ACCESS);
    return n;
}

static void size_changed(struct file *f)
{
    struct file *real = f->priv;

    f->inode->size = real->inode->size;
}

static ssize_t union_write(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct file *real = f->priv;
    ssize_t n = real->ops->write ? real->ops->write(t, real, it, pos) : -EINVAL;

    if (n > 0) {
        size_changed(f);
        fsnotify_file(real, LX_IN_MODIFY);
    }
    return n;
}

static loff_t union_llseek(struct task *t, struct file *f, loff_t off, int whence)
{
    struct file *real = f->priv;
    loff_t r;

    real->pos = f->pos;
    r = real->ops->llseek ? real->ops->llseek(t, real, off, whence) : -ESPIPE;
    f->pos = real->pos;
    return r;
}

static int union_mmap(struct task *t, struct file *f, struct mmap_request *req)
{
    struct file *real = f->priv;

    return real->ops->mmap ? real->ops->mmap(t, real, req) : -ENODEV;
}

static int union_fsync(struct task *t, struct file *f, bool datasync)
{
    struct file *real = f->priv;

    return real->ops->fsync ? real->ops->fsync(t, real, datasync) : -EINVAL;
}

static int union_truncate(struct task *t, struct file *f, loff_t size)
{
    struct file *real = f->priv;
    int r = real->ops->truncate ? real->ops->truncate(t, real, size) : -EINVAL;

    if (r == 0)
        size_changed(f);
    return r;
}

static int union_fallocate(struct task *t, struct file *f, int mode, loff_t off, loff_t len)
{
    struct file *real = f->priv;
    int r = real->ops->fallocate ? real->ops->fallocate(t, real, mode, off, len) : -EOPNOTSUPP;

    if (r == 0)
        size_changed(f);
    return r;
}

static int union_set_flags(struct task *t, struct file *f, unsigned flags)
{
    struct file *real = f->priv;
    int r = real->ops->set_flags ? real->ops->set_flags(t, real, flags) : 0;

    if (r == 0)
        atomic_store(&real->flags, flags);
    return r;
}

static void union_release(struct file *f)
{
    file_put(f->priv);
}

const struct file_ops union_file_fops = {
    .name = "file",
    .read = union_read,
    .write = union_write,
    .llseek = union_llseek,
    .mmap = union_mmap,
    .fsync = union_fsync,
    .truncate = union_truncate,
    .fallocate = union_fallocate,
    .set_flags = union_set_flags,
    .release = union_release,
};

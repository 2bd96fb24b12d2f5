/* SPDX-License-Identifier: Apache-2.0 */
/* Superblock and inodes of a guest's overlay; what a name leads to in all of its layers. */
#include <errno.h>
#include <string.h>

#include "abi/stat.h"
#include "sentry/fs/union/union.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"

#define OVERLAY_MAGIC 0x794c7630

bool union_is_whiteout(const struct inode *i)
{
    return S_ISCHR(i->mode) && i->rdev == 0;
}

bool union_is_opaque(struct task *t, struct inode *i)
{
    char v = 0;

    return i->ops->getxattr && i->ops->getxattr(t, i, UNION_OPAQUE, &v, 1) == 1 && v == 'y';
}

int union_refresh(struct task *t, struct inode *i)
{
    struct kstat st;
    int r = inode_getattr(t, dentry_inode(union_top(i)), &st);

    if (r < 0)
        return r;
    LOCK_SCOPE(&i->lock);
    if (S_ISDIR(i->mode) && i->nlink && st.nlink)
        st.nlink = 1;
    inode_take_stat_locked(i, &st);
    return 0;
}

int union_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    int r = union_refresh(t, i);

    if (r == 0)
        inode_fill_stat(i, ret);
    return r;
}

/* ---- inodes ---- */

/* An inode holds its parent, and a guest nests as deep as it likes: this is no recursion. */
static void put_parents(struct union_node *n)
{
    static _Thread_local struct union_node *pending;
    static _Thread_local bool busy;

    n->pending = pending;
    pending = n;
    if (busy)
        return;
    busy = true;
    while (pending) {
        n = pending;
        pending = n->pending;
        inode_put(n->parent);
        kfree(n);
    }
    busy = false;
}

static void union_evict(struct inode *i)
{
    struct union_node *n = union_node(i);

    if (!n)
        return;
    dentry_put(n->upper);
    for (unsigned k = 0; n->lower && k < n->nlower; k++)
        dentry_put(n->lower[k]);
    kfree(n->lower);
    kfree(n->name);
    put_parents(n);
}

static struct inode *inode_of(struct super *sb, uint32_t mode, uint64_t ino)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return inode_new(sb, &union_dir_ops, &union_dir_fops, mode, ino);
    case S_IFREG:
        return inode_new(sb, &union_file_iops, &union_file_fops, mode, ino);
    case S_IFLNK:
        return inode_new(sb, &union_link_iops, NULL, mode, ino);
    default:
        return inode_new(sb, &union_special_iops, NULL, mode, ino);
    }
}

/* What a look-up found: references, given to the inode that is made of them. */
struct found {
    struct dentry *upper, *lower[UNION_LAYERS];
    unsigned nlower;
};

static void found_put(struct found *f)
{
    dentry_put(f->upper);
    for (unsigned k = 0; k < f->nlower; k++)
        dentry_put(f->lower[k]);
}

/* One inode for one object: by the object's number, and the file system whose that is. */
uint64_t union_number(const struct super *sb, const struct dentry *in, uint64_t ino)
{
    const struct union_super *us = union_super(sb);
    unsigned k = 0;

    if (us->upper && us->upper->sb == in->sb)
        return ino;
    while (k < us->nlower && us->lower[k]->sb != in->sb)
        k++;
    return ino | (uint64_t)(k + 1) << 56;
}

static int wrap(struct task *t, struct super *sb, struct found *f, struct inode *parent,
                const char *name, size_t len, struct inode **ret)
{
    struct dentry *top = f->upper ? f->upper : f->lower[0];
    uint64_t ino = union_number(sb, top, dentry_inode(top)->ino);
    uint32_t mode = dentry_inode(top)->mode;
    struct inode *i = S_ISDIR(mode) ? NULL : inode_find(sb, ino);
    struct union_node *n;
    int r;

    if (i && !((i->mode ^ mode) & S_IFMT) && !union_node(i)->gone) {
        found_put(f);
        *ret = i;
        return union_refresh(t, i);
    }
    if (i) {
        inode_leave(i);
        inode_put(i);
    }
    n = kzalloc(sizeof *n);
    i = n ? inode_of(sb, mode, ino) : NULL;
    if (i)
        i->priv = n;
    else
        kfree(n);
    if (i && f->nlower) {
        n->lower = kmemdup(f->lower, f->nlower * sizeof *f->lower);
        n->name = kzalloc(len + 1);
    }
    if (!i || (f->nlower && (!n->lower || !n->name))) {
        inode_put(i);
        found_put(f);
        return -ENOMEM;
    }
    n->upper = f->upper;
    n->nlower = f->nlower;
    if (n->name)
        memcpy(n->name, name, len);
    n->parent = parent ? inode_ref(parent) : NULL;
    r = union_refresh(t, i);
    if (r < 0) {
        inode_put(i);
        return r;
    }
    *ret = S_ISDIR(mode) ? i : inode_enter(i);
    return 0;
}

int union_wrap_upper(struct task *t, struct super *sb, struct dentry *d, struct inode **ret)
{
    struct found f = { .upper = d };

    return wrap(t, sb, &f, NULL, "", 0, ret);
}

/* d (taken over) joins what was found. 1: nothing below it counts. */
static int join(struct task *t, struct found *f, struct dentry *d, bool upper)
{
    struct inode *i = dentry_inode(d);
    bool first = !f->upper && !f->nlower;

    if (!i || union_is_whiteout(i) || (!first && !S_ISDIR(i->mode))) {
        dentry_put(d);
        return i != NULL;
    }
    if (upper)
        f->upper = d;
    else
        f->lower[f->nlower++] = d;
    return !S_ISDIR(i->mode) || union_is_opaque(t, i);
}

int union_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                 struct inode **ret)
{
    struct union_node *dn = union_node(dir);
    struct dentry *up = union_upper(dir), *d;
    struct found f = {};
    int r = 0;

    if (up) {
        d = vfs_lookup(t, up, name, len);
        r = IS_ERR(d) ? PTR_ERR(d) : join(t, &f, d, /* upper= */ true);
    }
    for (unsigned k = 0; r == 0 && k < dn->nlower; k++) {
        d = vfs_lookup(t, dn->lower[k], name, len);
        r = IS_ERR(d) ? PTR_ERR(d) : join(t, &f, d, /* upper= */ false);
    }
    if (r < 0) {
        found_put(&f);
        return r;
    }
    if (!f.upper && !f.nlower)
        return -ENOENT;
    return wrap(t, dir->sb, &f, dir, name, len, ret);
}

int union_below(struct task *t, struct inode *dir, const char *name, size_t len)
{
    struct union_node *dn = union_node(dir);

    for (unsigned k = 0; k < dn->nlower; k++) {
        struct dentry *d = vfs_lookup(t, dn->lower[k], name, len);
        struct inode *i;
        bool there;

        if (IS_ERR(d))
            return PTR_ERR(d);
        i = dentry_inode(d);
        there = i && !union_is_whiteout(i);
        dentry_put(d);
        if (i)
            return there;
    }
    return 0;
}

/* ---- superblock ---- */

static int union_statfs(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    struct union_super *us = union_super(sb);
    struct super *real = us->upper ? us->upper->sb : us->lower[0]->sb;
    int r = real->ops->statfs ? real->ops->statfs(t, real, ret) : 0;

    ret->f_type = OVERLAY_MAGIC;
    return r;
}

static void union_put_super(struct super *sb)
{
    struct union_super *us = union_super(sb);
    struct super *layer;

    for (unsigned k = 0; k <= us->nlower; k++) {
        struct dentry *d = k < us->nlower ? us->lower[k] : us->upper;

        if (!d)
            continue;
        layer = d->sb;
        dentry_put(d);
        super_put(layer);
    }
    kfree(us);
}

/* The layers are seen as they are found: what changes them behind our back is seen late, if at all. */
static const struct super_ops union_super_ops = {
    .statfs = union_statfs,
    .evict = union_evict,
    .put_super = union_put_super,
};

static struct dentry *layer_ref(const struct path *p)
{
    super_ref(p->dentry->sb);
    return dentry_ref(p->dentry);
}

struct super *union_new(const struct path *upper, const struct path *lower, unsigned nlower)
{
    struct super *sb = super_new("overlay", &union_super_ops, OVERLAY_MAGIC);
    struct union_super *us = kzalloc(sizeof *us);
    struct found f = {};
    struct inode *root;

    if (!sb || !us) {
        kfree(sb);
        kfree(us);
        return NULL;
    }
    sb->priv = us;
    sb->readonly = !upper;
    us->upper = upper ? layer_ref(upper) : NULL;
    sb->depth = upper ? upper->dentry->sb->depth : 0;
    for (unsigned k = 0; k < nlower; k++) {
        us->lower[us->nlower++] = layer_ref(&lower[k]);
        sb->depth = MAX(sb->depth, lower[k].dentry->sb->depth);
    }
    f.upper = upper ? dentry_ref(us->upper) : NULL;
    for (unsigned k = 0; k < nlower; k++)
        f.lower[f.nlower++] = dentry_ref(us->lower[k]);
    if (wrap(NULL, sb, &f, NULL, "", 0, &root) < 0 || (!dentry_make_root(sb, root) && root)) {
        super_put(sb);
        return NULL;
    }
    return sb;
}

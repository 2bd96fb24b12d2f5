/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of names in a guest's overlay: made in the upper layer, with a whiteout where a lower one
 * would show through. The VFS holds the locks of our directories; those of the upper layer's are
 * taken here, after them, and held until the call ends.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "sentry/fs/union/union.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"

struct place { /* a name in the upper layer, whose directory is locked */
    struct inode *dir;
    struct dentry *parent, *d; /* d: a reference */
    bool below;                /* a lower layer has the name */
};

static int place_of(struct task *t, struct inode *dir, const struct dentry *name, struct place *ret)
{
    int r = union_copy_up(t, dir, true);

    if (r < 0)
        return r;
    ret->parent = union_upper(dir);
    ret->dir = dentry_inode(ret->parent);
    r = callpath_lock(t, ret->dir);
    if (r == 0)
        r = union_below(t, dir, name->name, name->namelen);
    if (r < 0)
        return r;
    ret->below = r;
    ret->d = vfs_lookup(t, ret->parent, name->name, name->namelen);
    return IS_ERR(ret->d) ? PTR_ERR(ret->d) : 0;
}

static int take_off(struct task *t, struct place *p)
{
    int r = p->dir->ops->unlink ? p->dir->ops->unlink(t, p->dir, p->d) : -EPERM;

    if (r == 0)
        dentry_drop(p->d);
    return r;
}

/* The name is free in the upper layer afterwards: p->d is negative. */
static int clear_whiteout(struct task *t, struct place *p)
{
    struct inode *i = dentry_inode(p->d);
    struct dentry *d;
    int r;

    if (!i)
        return 0;
    if (!union_is_whiteout(i))
        return -EEXIST;
    r = take_off(t, p);
    if (r < 0)
        return r;
    d = vfs_lookup(t, p->parent, p->d->name, p->d->namelen);
    if (IS_ERR(d))
        return PTR_ERR(d);
    dentry_put(p->d);
    p->d = d;
    return 0;
}

static int put_whiteout(struct task *t, struct inode *dir, struct dentry *parent, const char *name,
                        size_t len)
{
    struct dentry *d = vfs_lookup(t, parent, name, len);
    struct inode *i;
    int r;

    if (IS_ERR(d))
        return PTR_ERR(d);
    r = dentry_inode(d)   ? -EEXIST
        : dir->ops->mknod ? dir->ops->mknod(t, dir, d, S_IFCHR, 0, &i)
                          : -EPERM;
    if (r == 0)
        dentry_instantiate(d, i);
    dentry_put(d);
    return r;
}

static int make_opaque(struct task *t, struct inode *i)
{
    return i->ops->setxattr ? i->ops->setxattr(t, i, UNION_OPAQUE, "y", 1, 0) : -EOPNOTSUPP;
}

/* The upper layer has made i at p->d (or failed): ours is made of it. */
static int made(struct task *t, struct inode *dir, struct place *p, struct inode *i, int r,
                struct inode **ret)
{
    if (r == 0 && S_ISDIR(i->mode) && p->below)
        r = make_opaque(t, i);
    if (r == 0) {
        dentry_instantiate(p->d, i);
        r = union_wrap_upper(t, dir->sb, dentry_ref(p->d), ret);
    }
    dentry_put(p->d);
    return r < 0 ? r : union_refresh(t, dir);
}

static int begin(struct task *t, struct inode *dir, struct dentry *d, struct place *p)
{
    int r = place_of(t, dir, d, p);

    if (r < 0)
        return r;
    r = clear_whiteout(t, p);
    if (r < 0)
        dentry_put(p->d);
    return r;
}

int union_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                 struct inode **ret)
{
    struct inode *i = NULL;
    struct place p;
    int r = begin(t, dir, d, &p);

    if (r < 0)
        return r;
    r = p.dir->ops->create ? p.dir->ops->create(t, p.dir, p.d, mode, &i) : -EACCES;
    return made(t, dir, &p, i, r, ret);
}

int union_mknod(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev,
                struct inode **ret)
{
    struct inode *i = NULL;
    struct place p;
    int r = S_ISCHR(mode) && rdev == 0 ? -EPERM : begin(t, dir, d, &p);

    if (r < 0)
        return r;
    r = p.dir->ops->mknod ? p.dir->ops->mknod(t, p.dir, p.d, mode, rdev, &i) : -EPERM;
    return made(t, dir, &p, i, r, ret);
}

int union_mkdir(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                struct inode **ret)
{
    struct inode *i = NULL;
    struct place p;
    int r = begin(t, dir, d, &p);

    if (r < 0)
        return r;
    r = p.dir->ops->mkdir ? p.dir->ops->mkdir(t, p.dir, p.d, mode, &i) : -EPERM;
    return made(t, dir, &p, i, r, ret);
}

int union_symlink(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                  struct inode **ret)
{
    struct inode *i = NULL;
    struct place p;
    int r = begin(t, dir, d, &p);

    if (r < 0)
        return r;
    r = p.dir->ops->symlink ? p.dir->ops->symlink(t, p.dir, p.d, target, &i) : -EPERM;
    return made(t, dir, &p, i, r, ret);
}

int union_link(struct task *t, struct inode *old, struct inode *dir, struct dentry *d)
{
    struct inode *up;
    struct place p;
    int r = union_copy_up(t, old, true);

    if (r == 0)
        r = begin(t, dir, d, &p);
    if (r < 0)
        return r;
    up = dentry_inode(union_upper(old));
    r = p.dir->ops->link ? p.dir->ops->link(t, up, p.dir, p.d) : -EPERM;
    if (r == 0)
        dentry_instantiate(p.d, inode_ref(up));
    dentry_put(p.d);
    return r < 0 ? r : union_refresh(t, old);
}

int union_unlink(struct task *t, struct inode *dir, struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    struct place p;
    int r = place_of(t, dir, d, &p);

    if (r < 0)
        return r;
    if (dentry_inode(p.d))
        r = take_off(t, &p);
    if (r == 0 && p.below)
        r = put_whiteout(t, p.dir, p.parent, d->name, d->namelen);
    dentry_put(p.d);
    if (r < 0)
        return r;
    union_node(i)->gone = !union_upper(i);
    if (union_upper(i))
        (void)union_refresh(t, i);
    else
        i->nlink = 0;
    return union_refresh(t, dir);
}

/* ---- directories that go ---- */

static int any_name(void *arg, const char *name, size_t len, uint64_t ino, unsigned dtype)
{
    (void)arg, (void)name, (void)len, (void)ino, (void)dtype;
    return -ENOTEMPTY;
}

int union_rmdir(struct task *t, struct inode *dir, struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    struct place p;
    int r = union_each_name(t, i, any_name, NULL);

    if (r == 0)
        r = place_of(t, dir, d, &p);
    if (r < 0)
        return r;
    if (dentry_inode(p.d)) {
        r = callpath_lock(t, dentry_inode(p.d));
        if (r == 0)
            r = union_drop_whiteouts(t, p.d);
        if (r == 0)
            r = p.dir->ops->rmdir ? p.dir->ops->rmdir(t, p.dir, p.d) : -EPERM;
        if (r == 0)
            dentry_drop(p.d);
    }
    if (r == 0 && p.below)
        r = put_whiteout(t, p.dir, p.parent, d->name, d->namelen);
    dentry_put(p.d);
    if (r < 0)
        return r;
    union_node(i)->gone = true;
    i->nlink = 0;
    return union_refresh(t, dir);
}

/* ---- rename ---- */

/* A directory that a lower layer has stays: programs copy it, as on Linux without redirect_dir. */
static int may_move(struct task *t, struct inode *i)
{
    if (S_ISDIR(i->mode) && union_node(i)->nlower)
        return -EXDEV;
    return union_copy_up(t, i, true);
}

static int rename_upper(struct task *t, struct place *from, struct place *to, struct inode *oi,
                        struct inode *ni, unsigned flags)
{
    bool exchange = flags & RENAME_EXCHANGE;
    int r = 0;

    if (ni && S_ISDIR(ni->mode) && !exchange && dentry_inode(to->d)) {
        r = callpath_lock(t, dentry_inode(to->d));
        if (r == 0)
            r = union_drop_whiteouts(t, to->d);
    }
    if (r == 0 && to->below && S_ISDIR(oi->mode))
        r = make_opaque(t, dentry_inode(from->d));
    if (r == 0 && exchange && from->below && S_ISDIR(ni->mode))
        r = make_opaque(t, dentry_inode(to->d));
    if (r == 0)
        r = from->dir->ops->rename
                ? from->dir->ops->rename(t, from->dir, from->d, to->dir, to->d, flags)
                : -EPERM;
    return r < 0 ? r : dentry_move(from->d, to->d, exchange);
}

int union_rename(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                 struct dentry *nd, unsigned flags)
{
    struct inode *oi = dentry_inode(od), *ni = dentry_inode(nd);
    bool exchange = flags & RENAME_EXCHANGE;
    struct place from, to;
    int r = flags & RENAME_WHITEOUT ? -EINVAL : may_move(t, oi);

    if (r == 0 && exchange)
        r = may_move(t, ni);
    if (r == 0 && ni && S_ISDIR(ni->mode) && !exchange)
        r = union_each_name(t, ni, any_name, NULL);
    if (r == 0)
        r = place_of(t, odir, od, &from);
    if (r < 0)
        return r;
    r = place_of(t, ndir, nd, &to);
    if (r == 0) {
        if (!ni || (dentry_inode(to.d) && union_is_whiteout(dentry_inode(to.d))))
            r = clear_whiteout(t, &to);
        if (r == 0)
            r = rename_upper(t, &from, &to, oi, ni, flags);
        dentry_put(to.d);
    }
    if (r == 0 && from.below && !exchange)
        r = put_whiteout(t, from.dir, from.parent, od->name, od->namelen);
    dentry_put(from.d);
    if (r < 0)
        return r;
    if (ni && !exchange) {
        union_node(ni)->gone = true;
        ni->nlink = S_ISDIR(ni->mode) ? 0 : ni->nlink - (ni->nlink > 0);
    }
    (void)union_refresh(t, ndir);
    return union_refresh(t, odir);
}

static int union_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    return (int)vfs_readlink(t, dentry_inode(union_top(i)), buf, cap);
}

int union_tmpfile(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret)
{
    struct inode *up, *i = NULL;
    struct dentry *d;
    int r = union_copy_up(t, dir, true);

    if (r < 0)
        return r;
    up = dentry_inode(union_upper(dir));
    r = up->ops->tmpfile ? up->ops->tmpfile(t, up, mode, &i) : -EOPNOTSUPP;
    if (r < 0)
        return r;
    d = dentry_new_anon(i);
    r = d ? union_wrap_upper(t, dir->sb, d, ret) : -ENOMEM;
    if (r == 0)
        (*ret)->tmpfile = true;
    return r;
}

const struct inode_ops union_link_iops = { .readlink = union_readlink, UNION_COMMON_OPS };
const struct inode_ops union_special_iops = { UNION_COMMON_OPS };

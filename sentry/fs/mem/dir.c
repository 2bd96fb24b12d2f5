/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of names in the file system in memory. The VFS has checked rights and kinds and holds the
 * locks of the directories that change; the names themselves lie under inode->lock.
 *
 * A change has two halves: prepare may fail (memory, a lower layer that must be asked), commit does
 * not. A name that a lower layer has too is not removed but becomes a whiteout.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/alloc.h"

/* bytes that a name adds to the size of its directory, as Linux's tmpfs has it */
#define NAME_COST 20

struct change { /* of one name */
    struct inode *dir;
    const char *name;
    size_t len;
    struct mem_name *spare;
    bool lower; /* the lower layer has it */
};

static int prepare(struct task *t, struct inode *dir, struct dentry *d, struct change *c)
{
    int r = overlay_shows(t, dir, d->name, d->namelen);

    if (r < 0)
        return r;
    *c = (struct change){ .dir = dir, .name = d->name, .len = d->namelen, .lower = r };
    c->spare = mem_name_new(c->name, c->len, NULL);
    if (!c->spare)
        return -ENOMEM;
    lock(&dir->lock);
    r = names_reserve(&mem_node(dir)->names);
    unlock(&dir->lock);
    if (r < 0)
        mem_name_free(c->spare);
    return r;
}

/* The name leads to i (reference taken over; NULL: nowhere). Frees what it replaces. */
static void commit(struct change *c, struct inode *i)
{
    struct names *n = &mem_node(c->dir)->names;
    struct inode *old = NULL;
    struct mem_name *e;

    lock(&c->dir->lock);
    e = names_find(n, c->name, c->len);
    if (!e && (i || c->lower)) {
        e = c->spare;
        e->inode = i;
        c->spare = NULL;
        names_enter(n, e);
    } else if (e && !i && !c->lower) {
        names_remove(n, e);
        c->dir->size -= MIN(c->dir->size, (uint64_t)NAME_COST);
    } else if (e) {
        old = e->inode;
        n->whiteouts += !i - !old;
        e->inode = i;
        e = NULL;
    }
    if (e && i)
        c->dir->size += NAME_COST;
    if (e && !i && c->lower)
        e = NULL; /* entered as a whiteout: not ours any more */
    unlock(&c->dir->lock);
    overlay_changed(c->dir, /* keep= */ true);
    inode_touch(c->dir, ATTR_MTIME | ATTR_CTIME);
    if (e && !i)
        mem_name_free(e);
    if (old)
        inode_put(old);
    mem_name_free(c->spare);
}

static void add_links(struct inode *i, int n)
{
    lock(&i->lock);
    i->nlink += n;
    unlock(&i->lock);
}

/* A name of i is gone. */
static void lost_name(struct inode *i)
{
    overlay_changed(i, /* keep= */ false);
    lock(&i->lock);
    if (S_ISDIR(i->mode))
        i->nlink = 0;
    else if (i->nlink)
        i->nlink--;
    if (mem_node(i)->more_names) {
        mem_node(i)->more_names--;
        mem_count_give(1);
    }
    unlock(&i->lock);
    inode_touch(i, ATTR_CTIME);
    if (i->nlink)
        overlay_changed(i, /* keep= */ true);
    else
        overlay_unkeep(i);
}

static int mem_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                      struct inode **ret)
{
    struct mem_node *n = mem_node(dir);
    struct mem_name *e;
    bool known;

    *ret = NULL;
    lock(&dir->lock);
    e = names_find(&n->names, name, len);
    known = e;
    if (e && e->inode)
        *ret = inode_ref(e->inode);
    unlock(&dir->lock);
    if (known)
        return *ret ? 0 : -ENOENT;
    return n->lower ? overlay_lookup(t, dir, name, len, ret) : -ENOENT;
}

/* A new inode at a new name. */
static int make(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                struct inode **ret)
{
    struct change c;
    int r = prepare(t, dir, d, &c);

    if (r < 0)
        return r;
    r = mem_inode_new(t, dir->sb, dir, mode, ret);
    if (r < 0) {
        mem_name_free(c.spare);
        return r;
    }
    commit(&c, inode_ref(*ret));
    return 0;
}

static int mem_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                      struct inode **ret)
{
    return make(t, dir, d, S_IFREG | (mode & 07777), ret);
}

static int mem_mknod(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                     uint64_t rdev, struct inode **ret)
{
    int r = make(t, dir, d, mode, ret);

    if (r == 0)
        (*ret)->rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0;
    return r;
}

static int mem_mkdir(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                     struct inode **ret)
{
    int r = make(t, dir, d, S_IFDIR | mode, ret);

    if (r == 0)
        add_links(dir, 1);
    return r;
}

static int mem_symlink(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                       struct inode **ret)
{
    char *copy = kstrdup(target);
    int r = copy ? make(t, dir, d, S_IFLNK | 0777, ret) : -ENOMEM;

    if (r < 0) {
        kfree(copy);
        return r;
    }
    mem_node(*ret)->target = copy;
    (*ret)->size = strlen(copy);
    return 0;
}

static int mem_link(struct task *t, struct inode *old, struct inode *dir, struct dentry *d)
{
    struct change c;
    int r;

    if (old->sb != dir->sb)
        return -EXDEV;
    if (!mem_count_take())
        return -ENOSPC;
    r = prepare(t, dir, d, &c);
    if (r < 0) {
        mem_count_give(1);
        return r;
    }
    overlay_changed(old, /* keep= */ true);
    lock(&old->lock);
    old->nlink++;
    mem_node(old)->more_names++;
    unlock(&old->lock);
    inode_touch(old, ATTR_CTIME);
    commit(&c, inode_ref(old));
    return 0;
}

static int mem_unlink(struct task *t, struct inode *dir, struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    struct change c;
    int r = prepare(t, dir, d, &c);

    if (r < 0)
        return r;
    commit(&c, NULL);
    lost_name(i);
    return 0;
}

static int check_empty(struct task *t, struct inode *dir)
{
    struct mem_node *n = mem_node(dir);
    bool empty;
    int r;

    lock(&dir->lock);
    empty = n->names.count == n->names.whiteouts;
    unlock(&dir->lock);
    if (!empty)
        return -ENOTEMPTY;
    r = n->lower ? overlay_any_visible(t, dir) : 0;
    return r > 0 ? -ENOTEMPTY : r;
}

static int mem_rmdir(struct task *t, struct inode *dir, struct dentry *d)
{
    struct inode *i = dentry_inode(d);
    int r = check_empty(t, i);

    if (r == 0)
        r = mem_unlink(t, dir, d);
    if (r == 0)
        add_links(dir, -1);
    return r;
}

static void moved(struct inode *i, struct inode *odir, struct inode *ndir)
{
    overlay_changed(i, /* keep= */ true);
    inode_touch(i, ATTR_CTIME);
    if (!S_ISDIR(i->mode) || odir == ndir)
        return;
    add_links(odir, -1);
    add_links(ndir, 1);
    mem_node(i)->parent_ino = ndir->ino;
}

static int mem_rename(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                      struct dentry *nd, unsigned flags)
{
    struct inode *oi = dentry_inode(od), *ni = dentry_inode(nd);
    bool exchange = flags & RENAME_EXCHANGE;
    struct inode *whiteout = NULL;
    struct change oc, nc;
    int r = 0;

    if (flags & RENAME_WHITEOUT && mem_super(odir->sb)->lower)
        return -EINVAL; /* our own whiteouts are no objects, as an overlay of Linux has it */
    if (ni && S_ISDIR(ni->mode) && !exchange)
        r = check_empty(t, ni);
    if (r == 0)
        r = prepare(t, odir, od, &oc);
    if (r < 0)
        return r;
    r = prepare(t, ndir, nd, &nc);
    if (r < 0) {
        mem_name_free(oc.spare);
        return r;
    }
    if (flags & RENAME_WHITEOUT)
        r = mem_inode_new(t, odir->sb, odir, S_IFCHR, &whiteout);
    if (r < 0) {
        mem_name_free(oc.spare);
        mem_name_free(nc.spare);
        return r;
    }
    commit(&nc, inode_ref(oi));
    commit(&oc, exchange ? inode_ref(ni) : whiteout);
    moved(oi, odir, ndir);
    if (exchange) {
        moved(ni, ndir, odir);
    } else if (ni) {
        lost_name(ni);
        if (S_ISDIR(ni->mode))
            add_links(ndir, -1);
    }
    return 0;
}

static int mem_tmpfile(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret)
{
    int r = mem_inode_new(t, dir->sb, dir, S_IFREG | (mode & 07777), ret);

    if (r == 0) {
        (*ret)->nlink = 0;
        (*ret)->tmpfile = true;
    }
    return r;
}

static int mem_readlink(struct task *t, struct inode *i, char *buf, size_t cap)
{
    struct mem_node *n = mem_node(i);
    size_t len;

    if (n->lower)
        return vfs_readlink(t, dentry_inode(n->lower), buf, cap);
    len = MIN(strlen(n->target), cap);
    memcpy(buf, n->target, len);
    return len;
}

const struct inode_ops mem_dir_ops = {
    .lookup = mem_lookup,
    .create = mem_create,
    .mknod = mem_mknod,
    .mkdir = mem_mkdir,
    .symlink = mem_symlink,
    .link = mem_link,
    .unlink = mem_unlink,
    .rmdir = mem_rmdir,
    .rename = mem_rename,
    .tmpfile = mem_tmpfile,
    MEM_COMMON_OPS,
};

static size_t mem_link_cached(const struct inode *i, char *buf, size_t cap)
{
    const struct mem_node *n = mem_node(i);
    const struct inode *low = n->lower ? dentry_inode(n->lower) : NULL;
    size_t len;

    if (n->lower)
        return low->ops->link_cached ? low->ops->link_cached(low, buf, cap) : 0;
    len = MIN(strlen(n->target), cap);
    memcpy(buf, n->target, len);
    return len;
}

const struct inode_ops mem_link_iops = {
    .readlink = mem_readlink,
    .link_cached = mem_link_cached,
    MEM_COMMON_OPS,
};

const struct inode_ops mem_special_iops = { MEM_COMMON_OPS };

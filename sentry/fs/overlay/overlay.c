/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay: a file system in memory over a lower one that is never changed. See overlay.h for
 * what is shown, and sentry/fs/mem/ for all that does not concern the lower.
 *
 * The lower is reached through its own dentries (vfs_lookup), so what it knows of whole directories
 * and of missing names saves trips here too.
 */
#include "sentry/fs/overlay/overlay.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"

#define OVERLAY_MAGIC 0x794c7630

struct super *overlay_new(struct super *lower)
{
    struct super *sb = mem_super_new("overlay", OVERLAY_MAGIC, 0, 0, lower, lower->root);

    if (!sb)
        return NULL;
    if (overlay_refresh(NULL, sb->root->inode) < 0) {
        super_put(sb);
        return NULL;
    }
    return sb;
}

int overlay_refresh(struct task *t, struct inode *i)
{
    struct mem_node *n = mem_node(i);
    struct kstat st;
    int r = inode_getattr(t, dentry_inode(n->lower), &st);

    if (r < 0)
        return r;
    LOCK_SCOPE(&i->lock);
    if (n->changed)
        return 0;
    inode_take_stat_locked(i, &st);
    return 0;
}

/* The lower's dentry of that name (reference): negative, or ERR_PTR. */
static struct dentry *lower_child(struct task *t, struct inode *dir, const char *name, size_t len)
{
    return vfs_lookup(t, mem_node(dir)->lower, name, len);
}

int overlay_shows(struct task *t, struct inode *dir, const char *name, size_t len)
{
    struct dentry *d;
    int r;

    if (!mem_node(dir)->lower)
        return 0;
    d = lower_child(t, dir, name, len);
    if (IS_ERR(d))
        return PTR_ERR(d);
    r = dentry_inode(d) != NULL;
    dentry_put(d);
    return r;
}

/*
 * Does i, which has the number of low, show another object? That one is gone then, and its number in
 * use again. Other names of the same object are no reason: they are still there.
 */
static bool shows_another(struct task *t, const struct inode *i, const struct dentry *low)
{
    struct dentry *had = mem_node(i)->lower;
    const struct super_ops *ops = low->sb->ops;

    if ((i->mode ^ dentry_inode(low)->mode) & S_IFMT)
        return true;
    return had && had != low && ops->revalidate && ops->revalidate(t, had) == 0;
}

/* The inode that shows low; takes over low. */
static int wrap(struct task *t, struct super *sb, struct inode *dir, struct dentry *low,
                struct inode **ret)
{
    struct inode *li = dentry_inode(low), *i = inode_find(sb, li->ino);
    int r;

    if (i && !shows_another(t, i, low)) {
        dentry_put(low);
        *ret = i;
        return 0;
    }
    if (i) {
        inode_leave(i);
        inode_put(i);
    }
    r = mem_inode_wrap(sb, low, li->ino, li->mode, &i);
    if (r < 0)
        return r;
    if (S_ISDIR(i->mode))
        mem_node(i)->parent_ino = dir->ino;
    r = overlay_refresh(t, i);
    if (r < 0) {
        inode_put(i);
        return r;
    }
    *ret = inode_enter(i);
    return 0;
}

int overlay_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                   struct inode **ret)
{
    struct dentry *d = lower_child(t, dir, name, len);

    if (IS_ERR(d))
        return PTR_ERR(d);
    if (!dentry_inode(d)) {
        dentry_put(d);
        return -ENOENT;
    }
    return wrap(t, dir->sb, dir, d, ret);
}

void overlay_changed(struct inode *i, bool keep)
{
    struct mem_node *n = mem_node(i);
    struct mem_super *ms = mem_super(i->sb);

    if (!n->lower)
        return;
    lock(&i->lock);
    n->changed = true;
    unlock(&i->lock);
    if (!keep || i->nlink == 0)
        return;
    LOCK_SCOPE(&ms->lock);
    if (list_empty(&n->changed_link)) {
        inode_ref(i);
        list_add_tail(&ms->changed, &n->changed_link);
    }
}

void overlay_unkeep(struct inode *i)
{
    struct mem_node *n = mem_node(i);
    struct mem_super *ms = mem_super(i->sb);
    bool kept;

    lock(&ms->lock);
    kept = !list_empty(&n->changed_link);
    list_del(&n->changed_link);
    unlock(&ms->lock);
    if (kept)
        inode_put(i);
}

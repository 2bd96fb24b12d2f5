/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename, renameat2. vfs.rename is taken first when two directories change, so that the tree above
 * both stands still; then the directories' locks, an ancestor before what lies in it, else by
 * address; then that of a directory that is replaced.
 */
#include <errno.h>
#include <linux/fs.h>
#include <linux/capability.h>
#include <unistd.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/notify.h"

#define RENAME_ALL (RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)

struct renaming {
    struct task *t;
    struct nameidata_last *from, *to;
    struct inode *odir, *ndir;
    struct dentry *od, *nd;
    unsigned flags;
};

/* Is a above b (or b itself)? */
static bool is_ancestor(struct dentry *a, struct dentry *b)
{
    LOCK_SCOPE(&vfs.dcache_lock);

    for (; b != a; b = b->parent)
        if (b->parent == b)
            return false;
    return true;
}

static int lock_dirs(struct renaming *rn)
{
    struct dentry *a = rn->from->parent.dentry, *b = rn->to->parent.dentry, *tmp;
    int r;

    if (a == b)
        return callpath_lock(rn->t, rn->odir);
    r = callpath_lock_rename(rn->t);
    if (r < 0)
        return r;
    if (is_ancestor(b, a) || (!is_ancestor(a, b) && a > b)) {
        tmp = a;
        a = b;
        b = tmp;
    }
    r = callpath_lock(rn->t, dentry_inode(a));
    return r < 0 ? r : callpath_lock(rn->t, dentry_inode(b));
}

static int lookup_both(struct renaming *rn)
{
    rn->od = vfs_lookup(rn->t, rn->from->parent.dentry, rn->from->name, rn->from->len);
    if (IS_ERR(rn->od))
        return PTR_ERR(rn->od);
    rn->nd = vfs_lookup(rn->t, rn->to->parent.dentry, rn->to->name, rn->to->len);
    return IS_ERR(rn->nd) ? PTR_ERR(rn->nd) : 0;
}

/* Names, kinds and slashes, in the order of Linux's errors. */
static int check_names(struct renaming *rn)
{
    struct inode *oi = dentry_inode(rn->od), *ni = dentry_inode(rn->nd);

    if (!oi)
        return -ENOENT;
    if (rn->flags & RENAME_NOREPLACE && ni)
        return -EEXIST;
    if (rn->flags & RENAME_EXCHANGE) {
        if (!ni)
            return -ENOENT;
        if (!is_dir(ni) && rn->to->trailing_slash)
            return -ENOTDIR;
    }
    if (!is_dir(oi)) {
        if (rn->from->trailing_slash || (rn->to->trailing_slash && !(rn->flags & RENAME_EXCHANGE)))
            return -ENOTDIR;
    }
    if (is_ancestor(rn->od, rn->to->parent.dentry))
        return -EINVAL;
    if (ni && is_ancestor(rn->nd, rn->from->parent.dentry))
        return rn->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int check_rights(struct renaming *rn)
{
    struct inode *oi = dentry_inode(rn->od), *ni = dentry_inode(rn->nd);
    int r = may_delete(rn->t, rn->odir, rn->od, is_dir(oi));

    if (r < 0)
        return r;
    if (!ni)
        r = may_create(rn->t, rn->ndir);
    else if (rn->flags & RENAME_EXCHANGE)
        r = may_delete(rn->t, rn->ndir, rn->nd, is_dir(ni));
    else
        r = may_delete(rn->t, rn->ndir, rn->nd, is_dir(oi));
    if (r < 0 || rn->odir == rn->ndir)
        return r;
    /* '..' of a directory that moves is written. */
    if (is_dir(oi))
        r = inode_permission(rn->t, oi, W_OK);
    if (r == 0 && rn->flags & RENAME_EXCHANGE && is_dir(ni))
        r = inode_permission(rn->t, ni, W_OK);
    return r;
}

static void tell(struct renaming *rn, struct inode *moved, struct inode *replaced)
{
    fsnotify_move(rn->odir, rn->from->name, rn->ndir, rn->to->name, moved);
    if (!replaced)
        return;
    if (rn->flags & RENAME_EXCHANGE)
        fsnotify_move(rn->ndir, rn->to->name, rn->odir, rn->from->name, replaced);
    else
        fsnotify_inode(replaced, LX_IN_ATTRIB);
}

static int rename_locked(struct renaming *rn)
{
    struct inode *oi, *ni;
    int r = check_names(rn);

    if (r < 0)
        return r;
    oi = dentry_inode(rn->od);
    ni = dentry_inode(rn->nd);
    r = mnt_want_write(&rn->from->parent);
    if (r == 0)
        r = oi == ni ? 1 : check_rights(rn); /* two names of one file: nothing happens */
    if (r != 0)
        return r < 0 ? r : 0;
    if (ni && is_dir(ni) && !(rn->flags & RENAME_EXCHANGE))
        r = callpath_lock(rn->t, ni);
    if (r == 0)
        r = rn->odir->ops->rename
                ? rn->odir->ops->rename(rn->t, rn->odir, rn->od, rn->ndir, rn->nd, rn->flags)
                : -EPERM;
    if (r < 0)
        return r;
    dentry_move(rn->od, rn->nd, rn->flags & RENAME_EXCHANGE);
    tell(rn, oi, ni);
    return 0;
}

static int check_flags(struct task *t, unsigned flags)
{
    if (flags & ~RENAME_ALL)
        return -EINVAL;
    if (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) && flags & RENAME_EXCHANGE)
        return -EINVAL;
    if (flags & RENAME_WHITEOUT && !task_capable(t, CAP_MKNOD))
        return -EPERM;
    return 0;
}

static int resolve(struct renaming *rn, int odfd, const char *old, int ndfd, const char *new)
{
    int r = callpath_parent(rn->t, 0, odfd, old, 0, &rn->from);

    if (r == 0)
        r = callpath_parent(rn->t, 1, ndfd, new, 0, &rn->to);
    if (r < 0)
        return r;
    if (rn->from->parent.mnt != rn->to->parent.mnt)
        return -EXDEV;
    if (rn->from->type != LAST_NORM)
        return -EBUSY;
    if (rn->to->type != LAST_NORM)
        return rn->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    rn->odir = dentry_inode(rn->from->parent.dentry);
    rn->ndir = dentry_inode(rn->to->parent.dentry);
    return 0;
}

int vfs_rename_at(struct task *t, int odfd, const char *old, int ndfd, const char *new,
                  unsigned flags)
{
    struct renaming rn = { .t = t, .flags = flags };
    int r = check_flags(t, flags);

    if (r == 0)
        r = resolve(&rn, odfd, old, ndfd, new);
    if (r == 0)
        r = lock_dirs(&rn);
    if (r == 0)
        r = lookup_both(&rn);
    if (r == 0)
        r = rename_locked(&rn);
    if (rn.nd && !IS_ERR(rn.nd))
        dentry_put(rn.nd);
    if (rn.od && !IS_ERR(rn.od))
        dentry_put(rn.od);
    return callpath_done(t, r);
}

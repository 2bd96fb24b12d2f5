/* SPDX-License-Identifier: Apache-2.0 */
/* Names that go: unlink and rmdir. */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/notify.h"

/* The name to remove: its parent is locked, *ret_d (a reference) is there. */
static int begin(struct task *t, struct nameidata_last *last, struct dentry **ret_d)
{
    struct dentry *d;
    int r = callpath_lock(t, dentry_inode(last->parent.dentry));

    if (r < 0)
        return r;
    d = vfs_lookup(t, last->parent.dentry, last->name, last->len);
    if (IS_ERR(d))
        return PTR_ERR(d);
    r = dentry_inode(d) ? mnt_want_write(&last->parent) : -ENOENT;
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *ret_d = d;
    return 0;
}

/* What unlink says to a name with a slash behind it. */
static int slash_error(const struct dentry *d)
{
    return is_dir(dentry_inode(d)) ? -EISDIR : -ENOTDIR;
}

int vfs_unlink_at(struct task *t, int dfd, const char *path)
{
    struct nameidata_last *last;
    struct inode *dir, *i;
    struct dentry *d;
    int r = callpath_parent(t, 0, dfd, path, 0, &last);

    if (r == 0 && last->type != LAST_NORM)
        r = -EISDIR;
    if (r == 0)
        r = begin(t, last, &d);
    if (r < 0)
        return callpath_done(t, r);
    dir = dentry_inode(last->parent.dentry);
    i = inode_ref(dentry_inode(d));
    r = last->trailing_slash ? slash_error(d) : may_delete(t, dir, d, /* isdir= */ false);
    if (r == 0)
        r = dir->ops->unlink ? dir->ops->unlink(t, dir, d) : -EPERM;
    if (r == 0) {
        dentry_drop(d);
        fsnotify_inode(i, LX_IN_ATTRIB);
        fsnotify_dirent(dir, last->name, LX_IN_DELETE, i);
    }
    dentry_put(d);
    r = callpath_done(t, r);
    inode_put(i); /* its data goes after the directory's lock */
    return r;
}

int vfs_rmdir_at(struct task *t, int dfd, const char *path)
{
    struct nameidata_last *last;
    struct inode *dir;
    struct dentry *d;
    int r = callpath_parent(t, 0, dfd, path, 0, &last);

    if (r == 0 && last->type != LAST_NORM)
        r = last->type == LAST_DOT ? -EINVAL : last->type == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
    if (r == 0)
        r = begin(t, last, &d);
    if (r < 0)
        return callpath_done(t, r);
    dir = dentry_inode(last->parent.dentry);
    r = may_delete(t, dir, d, /* isdir= */ true);
    if (r == 0) /* nobody makes a name in it while it goes */
        r = callpath_lock(t, dentry_inode(d));
    if (r == 0)
        r = dir->ops->rmdir ? dir->ops->rmdir(t, dir, d) : -EPERM;
    if (r == 0) {
        dentry_drop(d);
        fsnotify_dirent(dir, last->name, LX_IN_DELETE, dentry_inode(d));
    }
    dentry_put(d);
    return callpath_done(t, r);
}

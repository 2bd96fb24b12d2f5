/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New names: mknod, mkdir, symlink, link. Each walks to the parent (once; the record keeps it),
 * locks it, looks whether the name is free, and has the file system make it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/notify.h"

/* A place for a new name: its parent is locked, and *ret_d (a reference) negative. */
static int begin(struct task *t, unsigned slot, int dfd, const char *path, bool isdir,
                 struct path *ret_dir, struct dentry **ret_d)
{
    struct nameidata_last *last;
    struct dentry *d;
    int r = callpath_parent(t, slot, dfd, path, 0, &last);

    if (r < 0)
        return r;
    if (last->type != LAST_NORM)
        return -EEXIST;
    r = callpath_lock(t, dentry_inode(last->parent.dentry));
    if (r < 0)
        return r;
    d = vfs_lookup(t, last->parent.dentry, last->name, last->len);
    if (IS_ERR(d))
        return PTR_ERR(d);
    if (dentry_inode(d))
        r = -EEXIST;
    else if (last->trailing_slash && !isdir)
        r = -ENOENT;
    else
        r = mnt_want_write(&last->parent);
    if (r == 0)
        r = may_create(t, dentry_inode(last->parent.dentry));
    if (r < 0) {
        dentry_put(d);
        return r;
    }
    *ret_dir = last->parent; /* the record's */
    *ret_d = d;
    return 0;
}

/* The file system made i for d (or failed): publishes it. d's reference goes. */
static int finish(struct path *dir, struct dentry *d, struct inode *i, int r, struct path *ret)
{
    if (r == 0) {
        dentry_instantiate(d, i);
        fsnotify_dirent(dentry_inode(dir->dentry), d->name, LX_IN_CREATE, i);
        if (ret)
            *ret = path_ref((struct path){ dir->mnt, d });
    }
    dentry_put(d);
    return r;
}

int vfs_mknod_at(struct task *t, int dfd, const char *path, uint32_t mode, uint64_t rdev,
                 struct path *ret)
{
    struct inode *i = NULL, *di;
    struct path dir;
    struct dentry *d;
    int r = begin(t, 0, dfd, path, /* isdir= */ false, &dir, &d);

    if (r < 0)
        return callpath_done(t, r);
    di = dentry_inode(dir.dentry);
    mode = acl_umask(t, di, mode);
    if ((S_ISBLK(mode) || (S_ISCHR(mode) && rdev)) && !task_capable(t, CAP_MKNOD))
        r = -EPERM;
    else if (S_ISREG(mode))
        r = di->ops->create ? di->ops->create(t, di, d, mode, &i) : -EACCES;
    else
        r = di->ops->mknod ? di->ops->mknod(t, di, d, mode, rdev, &i) : -EPERM;
    return callpath_done(t, finish(&dir, d, i, r, ret));
}

int vfs_mkdir_at(struct task *t, int dfd, const char *path, uint32_t mode)
{
    struct inode *i = NULL, *di;
    struct path dir;
    struct dentry *d;
    int r = begin(t, 0, dfd, path, /* isdir= */ true, &dir, &d);

    if (r < 0)
        return callpath_done(t, r);
    di = dentry_inode(dir.dentry);
    mode = S_IFDIR | acl_umask(t, di, mode & 01777);
    r = di->ops->mkdir ? di->ops->mkdir(t, di, d, mode, &i) : -EPERM;
    return callpath_done(t, finish(&dir, d, i, r, NULL));
}

int vfs_symlink_at(struct task *t, const char *target, int dfd, const char *path)
{
    struct inode *i = NULL, *di;
    struct path dir;
    struct dentry *d;
    int r = *target ? begin(t, 0, dfd, path, /* isdir= */ false, &dir, &d) : -ENOENT;

    if (r < 0)
        return callpath_done(t, r);
    di = dentry_inode(dir.dentry);
    r = di->ops->symlink ? di->ops->symlink(t, di, d, target, &i) : -EPERM;
    return callpath_done(t, finish(&dir, d, i, r, NULL));
}

/* old is resolved; the new name's parent is locked and d is free. */
static int link_locked(struct task *t, const struct path *old, const struct path *dir,
                       struct dentry *d)
{
    struct inode *i = dentry_inode(old->dentry), *di = dentry_inode(dir->dentry);
    int r;

    if (old->mnt != dir->mnt)
        return -EXDEV;
    if (is_dir(i))
        return -EPERM;
    /* A file without names gets none, but for O_TMPFILE's (which is not linked to yet, not dead). */
    if (i->nlink == 0 && !i->tmpfile)
        return -ENOENT;
    r = may_link_to(t, i);
    if (r == 0 && inode_is_bound(i))
        r = -EPERM;
    if (r == 0)
        r = di->ops->link ? di->ops->link(t, i, di, d) : -EPERM;
    if (r < 0)
        return r;
    i->tmpfile = false;
    dentry_instantiate(d, inode_ref(i));
    if (fsnotify_active()) {
        fsnotify_inode(i, LX_IN_ATTRIB);
        fsnotify_dirent(di, d->name, LX_IN_CREATE, i);
    }
    return 0;
}

int vfs_link_at(struct task *t, int odfd, const char *old, int ndfd, const char *new, int flags)
{
    unsigned walk = flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0;
    struct path from, dir;
    struct dentry *d;
    int r;

    if (flags & AT_EMPTY_PATH) {
        if (!*old && !task_capable(t, CAP_DAC_READ_SEARCH))
            return -ENOENT;
        walk |= WALK_EMPTY;
    }
    r = callpath_path(t, 0, odfd, old, walk, &from);
    if (r == 0)
        r = begin(t, 1, ndfd, new, /* isdir= */ false, &dir, &d);
    if (r < 0)
        return callpath_done(t, r);
    r = link_locked(t, &from, &dir, d);
    dentry_put(d);
    return callpath_done(t, r);
}

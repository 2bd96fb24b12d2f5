/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that come, go and move. The host decides; what the cache is to think of it follows from the
 * next look-up, but for the inode of what was made, which its caller wants now.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"

/* The owner as the guest's user would have it; the gofer heeds it where it may. */
static struct gw_make making(struct task *t, const struct inode *dir, uint32_t mode)
{
    const struct cred *c = vfs_cred(t);
    bool inherit = dir->mode & S_ISGID;
    struct gw_make m = { .mode = mode, .open = GW_MAKE_CLOSED };

    m.uid = c ? c->fsuid : dir->uid;
    m.gid = inherit || !c ? dir->gid : c->fsgid;
    if (S_ISDIR(mode) && inherit)
        m.mode |= S_ISGID;
    return m;
}

static int make(struct inode *dir, const char *name, size_t len, const struct gw_make *m,
                const char *target, struct inode **ret)
{
    struct live_fs *fs = live_fs_of(dir);
    struct live_addr *a = live_addr(dir, name, len);
    struct gofer_opened o;
    int r;

    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = gofer_make(fs->g, a->node, a->path, m, target, &o);
    gofer_trip_end();
    live_addr_put(dir, a);
    if (r < 0)
        return r;
    r = live_inode_get(dir, name, len, &o.attr, S_ISDIR(m->mode) ? o.node : 0, ret);
    if (o.fd < 0)
        return r;
    if (r < 0) {
        close(o.fd);
        gofer_close(fs->g, o.node);
        return r;
    }
    live_made(*ret, &o, (int)m->open);
    return 0;
}

int live_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                struct inode **ret)
{
    struct gw_make m = making(t, dir, mode);

    if (vfs_creating >= 0)
        m.open = (uint32_t)vfs_creating;
    return make(dir, d->name, d->namelen, &m, NULL, ret);
}

int live_mknod(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev,
               struct inode **ret)
{
    struct gw_make m = making(t, dir, mode);

    (void)rdev;
    if (!S_ISFIFO(mode) && !S_ISSOCK(mode))
        return -EPERM;
    return make(dir, d->name, d->namelen, &m, NULL, ret);
}

int live_mkdir(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
               struct inode **ret)
{
    struct gw_make m = making(t, dir, mode);

    return make(dir, d->name, d->namelen, &m, NULL, ret);
}

int live_symlink(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                 struct inode **ret)
{
    struct gw_make m = making(t, dir, S_IFLNK | 0777);

    return make(dir, d->name, d->namelen, &m, target, ret);
}

int live_tmpfile(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret)
{
    struct gw_make m = making(t, dir, S_IFREG | (mode & 07777));
    struct live_fs *fs = live_fs_of(dir);
    struct live_addr *a = live_addr(dir, NULL, 0);
    struct live_handle *h;
    struct gofer_opened o;
    int r;

    if (IS_ERR(a))
        return PTR_ERR(a);
    m.temporary = 1;
    m.open = O_RDWR;
    /* A directory without a node cannot be named so; none is, but for a full table. */
    r = a->path[0] ? -ENFILE : 0;
    gofer_trip_begin();
    if (r == 0)
        r = gofer_make(fs->g, a->node, "", &m, NULL, &o);
    gofer_trip_end();
    live_addr_put(dir, a);
    if (r < 0)
        return r;
    r = live_inode_get(dir, "", 0, &o.attr, 0, ret);
    if (r < 0) {
        close(o.fd);
        gofer_close(fs->g, o.node);
        return r;
    }
    h = live_handle_new(*ret, &o, O_RDWR);
    if (!h) {
        inode_put(*ret);
        return -ENOMEM;
    }
    live_of(*ret)->made = h;
    (*ret)->tmpfile = true;
    return 0;
}

int live_link(struct task *t, struct inode *old, struct inode *dir, struct dentry *d)
{
    struct live_fs *fs = live_fs_of(dir);
    struct live_addr *from = old->tmpfile ? live_addr_file(old, O_RDONLY) : live_addr(old, NULL, 0),
                     *to;
    int r;

    (void)t;
    if (IS_ERR(from))
        return PTR_ERR(from);
    to = live_addr(dir, d->name, d->namelen);
    r = IS_ERR(to) ? PTR_ERR(to) : 0;
    gofer_trip_begin();
    if (r == 0)
        r = gofer_link(fs->g, from->node, from->path, to->node, to->path);
    gofer_trip_end();
    if (!IS_ERR(to))
        live_addr_put(dir, to);
    live_addr_put(old, from);
    if (r < 0)
        return r;
    old->nlink++;
    return live_named(old, dir, d->name, d->namelen);
}

static int remove_name(struct inode *dir, struct dentry *d, bool isdir)
{
    struct live_fs *fs = live_fs_of(dir);
    struct live_addr *a = live_addr(dir, d->name, d->namelen);
    struct inode *i = dentry_inode(d);
    int r;

    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    r = gofer_remove(fs->g, a->node, a->path, isdir);
    gofer_trip_end();
    live_addr_put(dir, a);
    if (r < 0)
        return r;
    LOCK_SCOPE(&i->lock);
    i->nlink = isdir ? 0 : MAX(i->nlink, 1u) - 1;
    return 0;
}

int live_unlink(struct task *t, struct inode *dir, struct dentry *d)
{
    (void)t;
    return remove_name(dir, d, /* isdir= */ false);
}

int live_rmdir(struct task *t, struct inode *dir, struct dentry *d)
{
    (void)t;
    return remove_name(dir, d, /* isdir= */ true);
}

int live_rename(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                struct dentry *nd, unsigned flags)
{
    struct live_fs *fs = live_fs_of(odir);
    struct inode *oi = dentry_inode(od), *ni = dentry_inode(nd);
    struct live_addr *from, *to;
    int r;

    (void)t;
    if (flags & RENAME_WHITEOUT)
        return -EINVAL;
    from = live_addr(odir, od->name, od->namelen);
    if (IS_ERR(from))
        return PTR_ERR(from);
    to = live_addr(ndir, nd->name, nd->namelen);
    r = IS_ERR(to) ? PTR_ERR(to) : 0;
    gofer_trip_begin();
    if (r == 0)
        r = gofer_rename(fs->g, from->node, from->path, to->node, to->path, flags);
    gofer_trip_end();
    if (!IS_ERR(to))
        live_addr_put(ndir, to);
    live_addr_put(odir, from);
    if (r < 0)
        return r;
    /* Done on the host: without memory for the new name the next look-up finds it. */
    (void)live_named(oi, ndir, nd->name, nd->namelen);
    if (ni && flags & RENAME_EXCHANGE)
        (void)live_named(ni, odir, od->name, od->namelen);
    else if (ni) {
        LOCK_SCOPE(&ni->lock);
        ni->nlink = is_dir(ni) ? 0 : MAX(ni->nlink, 1u) - 1;
    }
    return 0;
}

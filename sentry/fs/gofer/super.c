/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer file system: an export of the gofer, read-only. It is the lower layer of the overlay,
 * and what read-only binds show. Everything that changes answers EROFS before it gets here
 * (sb->readonly). Devices, FIFOs and sockets of the host show in listings and cannot be opened.
 */
#include <errno.h>
#include <string.h>

#include "abi/stat.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/gofer/told.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"

#define GOFER_MAGIC 0x01021997 /* as 9p, which is what comes nearest */

void gofer_trip_begin(void)
{
    if (kernel.platform)
        kernel.platform->worker_block_begin();
}

void gofer_trip_end(void)
{
    if (kernel.platform)
        kernel.platform->worker_block_end();
}

static int gofer_statfs_op(struct task *t, struct super *sb, struct lx_statfs *ret)
{
    struct gofer_fs *fs = sb->priv;
    struct gofer_statfs st;

    (void)t;
    gofer_trip_begin();
    int r = gofer_statfs(fs->g, fs->root->node, "", &st);
    gofer_trip_end();
    if (r < 0)
        return r;
    *ret = statfs_told(sb, &st);
    return 0;
}

static void gofer_evict(struct inode *i)
{
    struct gofer_fs *fs = gofer_fs_of(i);
    struct gname *n = gname_of(i);

    LOCK_SCOPE(&fs->lock);
    if (n->inode == i)
        n->inode = NULL;
    n->inodes--;
    gnames_prune_locked(fs, n);
}

static void gofer_put_super(struct super *sb)
{
    struct gofer_fs *fs = sb->priv;

    if (!fs)
        return;
    gnames_free(fs);
    gofer_client_put(fs->g);
    lock_done(&fs->lock);
    kfree(fs);
}

/*
 * Where the host may have changed names since: missing ones are looked up again, of others it is asked
 * whether they are what they were, at most once in FRESH_FOR each.
 */
static int gofer_revalidate(struct task *t, struct dentry *d)
{
    struct gofer_fs *fs = d->sb->priv;
    struct inode *i = dentry_inode(d);

    (void)t;
    if (fs->stable || !i)
        return fs->stable;
    if (!gname_of(i)->parent)
        return 1;
    int r = gofer_refresh(fs, gname_of(i));
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    LOCK_SCOPE(&fs->lock);
    return gname_of(i)->inode == i;
}

static bool gofer_fresh(const struct dentry *d)
{
    struct gofer_fs *fs = d->sb->priv;
    struct inode *i = dentry_inode(d);

    if (!i || !gname_of(i)->parent)
        return i;
    LOCK_SCOPE(&fs->lock);
    return gname_of(i)->inode == i && !gname_of(i)->gone && gname_fresh_locked(fs, gname_of(i));
}

static const struct super_ops gofer_super_ops = {
    .revalidate = gofer_revalidate,
    .fresh = gofer_fresh,
    .statfs = gofer_statfs_op,
    .evict = gofer_evict,
    .put_super = gofer_put_super,
};

struct super *gofer_fs_new(unsigned export_id)
{
    struct gofer *g = container_here()->gofer;
    struct gofer_node_reply root;
    struct inode *i;
    bool stable;

    if (!g || gofer_root(g, export_id, &root, &stable) < 0)
        return NULL;
    struct super *sb = super_new("gofer", &gofer_super_ops, GOFER_MAGIC);
    if (!sb)
        return NULL;
    struct gofer_fs *fs = kzalloc(sizeof *fs);
    if (!fs)
        goto fail;
    sb->priv = fs;
    sb->readonly = true;
    fs->g = gofer_client_ref(g);
    fs->sb = sb;
    fs->stable = sb->stable = stable;
    lock_init(&fs->lock, LOCK_LEAF);
    list_init(&fs->idle);
    fs->root = gname_new_root(fs, &root);
    if (!fs->root || gofer_inode_get(fs, fs->root, &i) < 0)
        goto fail;
    sb->root = dentry_make_root(sb, i);
    if (sb->root)
        return sb;
fail:
    super_put(sb);
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One name in one directory: from the cache where its file system still stands by what is there, from
 * the file system otherwise. What that says is cached unless the directory changed meanwhile
 * (dcache.c).
 */
#include <errno.h>

#include "sentry/kernel/call.h"
#include "sentry/vfs/dcache.h"

static struct dentry *lookup_slow(struct task *t, struct dentry *parent, const char *name,
                                  size_t len)
{
    struct inode *dir = dentry_inode(parent), *found;
    struct dentry *d;
    bool stale;

    do {
        uint32_t seq = atomic_load(&dir->changes);
        int r = dir->ops->lookup ? dir->ops->lookup(t, dir, name, len, &found) : -ENOTDIR;

        if (r == -ENOENT)
            found = NULL;
        else if (r < 0)
            return ERR_PTR(r);
        if (!found && parent->sb->ops->no_negative_cache) {
            d = dentry_new_unhashed(parent, name, len);
            return d ? d : ERR_PTR(-ENOMEM);
        }
        d = dentry_add_checked(parent, name, len, found, &seq, &stale);
    } while (!d && stale);
    return d ? d : ERR_PTR(-ENOMEM);
}

struct dentry *vfs_lookup(struct task *t, struct dentry *parent, const char *name, size_t len)
{
    struct dentry *d = dentry_cached(parent, name, len);
    int r = 1;

    if (d && d->sb->ops->revalidate && !d->nmounts)
        r = d->sb->ops->revalidate(t, d);
    if (d && r > 0)
        return d;
    if (d) {
        if (r == 0)
            dentry_drop(d);
        dentry_put(d);
        if (r < 0)
            return ERR_PTR(r);
    }
    return lookup_slow(t, parent, name, len);
}

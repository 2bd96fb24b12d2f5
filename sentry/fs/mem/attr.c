/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of files in memory, extended ones too. What is not changed yet is the lower layer's. */
#include <errno.h>
#include <fcntl.h>

#include "sentry/fs/mem/mem.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/xattr.h"

int mem_getattr(struct task *t, struct inode *i, struct kstat *ret)
{
    struct mem_node *n = mem_node(i);
    int r = n->lower && !n->changed ? overlay_refresh(t, i) : 0;

    if (r < 0)
        return r;
    inode_fill_stat(i, ret);
    if (S_ISREG(i->mode) && (!n->lower || n->copied)) {
        lock(&i->lock);
        ret->blocks = data_blocks(&n->data);
        unlock(&i->lock);
    }
    return 0;
}

static int set_size(struct task *t, struct inode *i, uint64_t size)
{
    struct mem_node *n = mem_node(i);
    int r;

    if (!S_ISREG(i->mode))
        return -EINVAL;
    r = n->lower ? overlay_copy_up(t, i, size) : 0;
    if (r < 0)
        return r;
    LOCK_SCOPE(&i->lock);
    if ((n->seals & F_SEAL_SHRINK && size < i->size) || (n->seals & F_SEAL_GROW && size > i->size))
        return -EPERM;
    r = data_truncate(&n->data, i->size, size);
    if (r == 0)
        i->size = size;
    return r;
}

int mem_setattr(struct task *t, struct inode *i, const struct setattr *a)
{
    int r = a->valid & ATTR_SIZE ? set_size(t, i, a->size) : 0;

    if (r < 0)
        return r;
    overlay_changed(i, /* keep= */ true);
    inode_apply_attr(i, a);
    return 0;
}

/* The inode whose extended attributes these are, when they are not ours yet. */
static struct inode *lower_xattrs(struct inode *i)
{
    struct mem_node *n = mem_node(i);

    return n->lower && !n->xattrs_copied ? dentry_inode(n->lower) : NULL;
}

ssize_t mem_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n)
{
    struct inode *low = lower_xattrs(i);

    if (low)
        return low->ops->getxattr ? low->ops->getxattr(t, low, name, buf, n) : -ENODATA;
    return simple_xattr_get(i, name, buf, n);
}

ssize_t mem_listxattr(struct task *t, struct inode *i, char *buf, size_t n)
{
    struct inode *low = lower_xattrs(i);

    if (low)
        return low->ops->listxattr ? low->ops->listxattr(t, low, buf, n) : 0;
    return simple_xattr_list(i, buf, n);
}

int mem_setxattr(struct task *t, struct inode *i, const char *name, const void *v, size_t n,
                 int flags)
{
    int r = lower_xattrs(i) ? overlay_copy_xattrs(t, i) : 0;

    return r < 0 ? r : simple_xattr_set(i, name, v, n, flags);
}

int mem_removexattr(struct task *t, struct inode *i, const char *name)
{
    int r = lower_xattrs(i) ? overlay_copy_xattrs(t, i) : 0;

    return r < 0 ? r : simple_xattr_remove(i, name);
}

int mem_set_flags(struct task *t, struct inode *i, uint32_t flags)
{
    (void)t;
    overlay_changed(i, /* keep= */ true);
    i->fsflags = flags;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up: the data (and, apart from it, the extended attributes) of a lower file become ours. The
 * inode's task lock is held meanwhile and until the call ends, so two writers copy once; readers go
 * on below until node->copied is set, then see ours, which is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/xattr.h"

#define CHUNK 65536

static struct file *open_lower(struct task *t, struct dentry *low)
{
    struct path p = { .dentry = low };

    return vfs_open_inode(t, &p, O_RDONLY | O_LARGEFILE);
}

struct file *overlay_lower_file(struct task *t, struct file *f)
{
    struct file *low = __atomic_load_n((struct file **)&f->priv, __ATOMIC_ACQUIRE), *none = NULL;

    if (low)
        return low;
    low = open_lower(t, mem_node(f->inode)->lower);
    if (IS_ERR(low))
        return low;
    if (!__atomic_compare_exchange_n((struct file **)&f->priv, &none, low, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        file_put(low); /* another thread was faster */
        return none;
    }
    return low;
}

/* Copies up to size bytes into d, which nobody else sees yet. Bytes, or an error. */
static int64_t copy_data(struct task *t, struct file *low, struct data *d, uint64_t size)
{
    char *buf = kzalloc(CHUNK);
    loff_t pos = 0;
    int64_t r = buf ? 0 : -ENOMEM;

    while (r == 0 && (uint64_t)pos < size) {
        loff_t at = pos;
        struct iter in, out;
        ssize_t n;

        iter_kernel(&in, buf, MIN((uint64_t)CHUNK, size - pos));
        n = low->ops->read ? low->ops->read(t, low, &in, &at) : -EINVAL;
        if (n <= 0) {
            r = n;
            break;
        }
        iter_kernel(&out, buf, n);
        r = data_write(d, &out, pos, n, pos);
        if (r > 0)
            r = r == n ? 0 : -ENOSPC;
        pos += n;
    }
    kfree(buf);
    return r < 0 ? r : pos;
}

/* What is written to has no file capabilities any more: our attributes, without, cover the lower's. */
static bool lower_has_caps(struct task *t, struct inode *i)
{
    struct inode *low = dentry_inode(mem_node(i)->lower);

    return !mem_node(i)->xattrs_copied && low->ops->getxattr &&
           low->ops->getxattr(t, low, "security.capability", NULL, 0) > 0;
}

int overlay_copy_up(struct task *t, struct inode *i, uint64_t size)
{
    struct mem_node *n = mem_node(i);
    struct data d;
    struct file *low;
    int64_t got = 0;
    int r;

    if (n->copied)
        return 0;
    r = callpath_lock(t, i);
    if (r < 0 || n->copied)
        return r;
    data_init(&d, &mem_super(i->sb)->quota);
    if (size) {
        low = open_lower(t, n->lower);
        if (IS_ERR(low))
            return PTR_ERR(low);
        got = copy_data(t, low, &d, size);
        file_put(low);
    }
    if (got < 0) {
        data_free(&d);
        return got;
    }
    overlay_changed(i, /* keep= */ true);
    lock(&i->lock);
    n->data = d;
    i->size = got;
    __atomic_store_n(&n->copied, true, __ATOMIC_RELEASE);
    unlock(&i->lock);
    return lower_has_caps(t, i) ? overlay_copy_xattrs(t, i) : 0;
}

int overlay_copy_xattrs(struct task *t, struct inode *i)
{
    struct mem_node *n = mem_node(i);
    struct inode *low = dentry_inode(n->lower);
    char *names, *value;
    ssize_t len;
    int r = callpath_lock(t, i);

    if (r < 0 || n->xattrs_copied)
        return r;
    names = kzalloc(XATTR_LIST_MAX);
    value = kzalloc(XATTR_SIZE_MAX);
    len = names && value ? 0 : -ENOMEM;
    if (len == 0 && low->ops->listxattr)
        len = low->ops->listxattr(t, low, names, XATTR_LIST_MAX);
    if (len == -EOPNOTSUPP)
        len = 0;
    r = len < 0 ? len : 0;
    for (char *p = names; r == 0 && p < names + len; p += strlen(p) + 1) {
        if (strncmp(p, "system.", 7) == 0) /* lists of the host's users */
            continue;
        ssize_t v = low->ops->getxattr(t, low, p, value, XATTR_SIZE_MAX);

        if (v >= 0)
            r = simple_xattr_set(i, p, value, v, 0);
    }
    kfree(names);
    kfree(value);
    if (r == 0) {
        overlay_changed(i, /* keep= */ true);
        n->xattrs_copied = true;
    }
    return r;
}

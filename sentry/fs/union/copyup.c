/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up: an object of a lower layer comes to be in the upper one, with the directories above it,
 * its attributes and its extended attributes; a file's data is there before its name is. The inode's
 * task lock is held until the call ends, so two copy once; files that were opened before go on below.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>

#include "sentry/fs/union/union.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/dcache.h"

#define CHUNK 65536

static int copy_loop(struct task *t, struct file *from, struct file *to, char *buf)
{
    for (loff_t pos = 0;;) {
        loff_t in_pos = pos, out_pos = pos;
        struct iter in, out;
        ssize_t n, w;

        iter_kernel(&in, buf, CHUNK);
        n = from->ops->read ? from->ops->read(t, from, &in, &in_pos) : -EINVAL;
        if (n <= 0)
            return (int)n;
        iter_kernel(&out, buf, (size_t)n);
        w = to->ops->write ? to->ops->write(NULL, to, &out, &out_pos) : -EINVAL;
        if (w != n)
            return w < 0 ? (int)w : -ENOSPC;
        pos += n;
    }
}

static int copy_data(struct task *t, struct dentry *low, struct inode *to)
{
    struct path in = { .dentry = low }, out = { .dentry = dentry_new_anon(inode_ref(to)) };
    char *buf = kzalloc(CHUNK);
    struct file *from, *f;
    int r = buf && out.dentry ? 0 : -ENOMEM;

    if (r == 0) {
        from = vfs_open_inode(NULL, &in, O_RDONLY);
        f = IS_ERR(from) ? from : vfs_open_inode(NULL, &out, O_WRONLY);
        r = IS_ERR(f) ? PTR_ERR(f) : copy_loop(t, from, f, buf);
        if (!IS_ERR(f))
            file_put(f);
        if (!IS_ERR(from))
            file_put(from);
    }
    path_put(&out);
    kfree(buf);
    return r;
}

static int copy_xattrs(struct task *t, struct inode *from, struct inode *to)
{
    char *names, *value;
    ssize_t len = 0;
    int r = 0;

    if (!from->ops->listxattr || !to->ops->setxattr)
        return 0;
    names = kzalloc(XATTR_LIST_MAX);
    value = kzalloc(XATTR_SIZE_MAX);
    len = names && value ? from->ops->listxattr(t, from, names, XATTR_LIST_MAX) : -ENOMEM;
    if (len == -EOPNOTSUPP)
        len = 0;
    r = len < 0 ? (int)len : 0;
    for (char *p = names; r == 0 && p < names + len; p += strlen(p) + 1) {
        ssize_t v = -ENODATA;

        if (strncmp(p, "system.", 7) != 0 && strncmp(p, "trusted.overlay.", 16) != 0)
            v = from->ops->getxattr(t, from, p, value, XATTR_SIZE_MAX);
        if (v >= 0)
            r = to->ops->setxattr(t, to, p, value, (size_t)v, 0);
    }
    kfree(names);
    kfree(value);
    return r;
}

static int copy_attr(struct task *t, struct inode *from, struct inode *to)
{
    struct kstat st;
    int r = inode_getattr(t, from, &st);

    if (r < 0 || !to->ops->setattr)
        return r;
    return to->ops->setattr(
        t, to,
        &(struct setattr){ .valid = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME,
                           .mode = st.mode,
                           .uid = st.uid,
                           .gid = st.gid,
                           .atime = st.atime,
                           .mtime = st.mtime });
}

/* Makes the object at d in dir, whole but for a directory's names. */
static int make_copy(struct task *t, struct dentry *low, struct inode *dir, struct dentry *d,
                     bool data, struct inode **ret)
{
    struct inode *li = dentry_inode(low);
    char target[PATH_MAX];
    ssize_t n;
    int r;

    switch (li->mode & S_IFMT) {
    case S_IFDIR:
        r = dir->ops->mkdir ? dir->ops->mkdir(t, dir, d, S_IFDIR | 0700, ret) : -EPERM;
        break;
    case S_IFLNK:
        n = vfs_readlink(t, li, target, sizeof target - 1);
        if (n < 0)
            return (int)n;
        target[n] = 0;
        return dir->ops->symlink ? dir->ops->symlink(t, dir, d, target, ret) : -EPERM;
    case S_IFREG:
        if (!dir->ops->tmpfile || !dir->ops->link)
            return -EOPNOTSUPP;
        r = dir->ops->tmpfile(t, dir, 0600, ret);
        if (r == 0 && data)
            r = copy_data(t, low, *ret);
        break;
    default:
        r = dir->ops->mknod ? dir->ops->mknod(t, dir, d, li->mode, li->rdev, ret) : -EPERM;
    }
    if (r == 0)
        r = copy_xattrs(t, li, *ret);
    if (r == 0)
        r = copy_attr(t, li, *ret);
    if (r == 0 && S_ISREG(li->mode))
        r = dir->ops->link(t, *ret, dir, d);
    if (r == 0)
        (*ret)->tmpfile = false;
    return r;
}

static int copy_to(struct task *t, struct inode *i, struct inode *updir, struct dentry *up,
                   bool data)
{
    struct union_node *n = union_node(i);
    struct dentry *d = vfs_lookup(t, up, n->name, strlen(n->name));
    struct inode *made = NULL;
    int r;

    if (IS_ERR(d))
        return PTR_ERR(d);
    r = dentry_inode(d) ? -EEXIST : make_copy(t, n->lower[0], updir, d, data, &made);
    if (r < 0) {
        inode_put(made);
        dentry_put(d);
        return r;
    }
    dentry_instantiate(d, made);
    __atomic_store_n(&n->upper, d, __ATOMIC_RELEASE);
    return 0;
}

/* i's parent is up already. What is locked here for the first time is free again afterwards. */
static int copy_one(struct task *t, struct inode *i, bool data)
{
    struct dentry *up = union_upper(union_node(i)->parent);
    struct inode *updir = dentry_inode(up);
    bool had_i = callpath_holds(t, i), had_dir = callpath_holds(t, updir);
    int r = callpath_lock(t, i);

    if (r == 0 && !union_upper(i)) {
        r = callpath_lock(t, updir);
        if (r == 0)
            r = copy_to(t, i, updir, up, data);
        if (r != -EWAITING && !had_dir)
            callpath_unlock(t, updir);
    }
    if (r != -EWAITING && !had_i)
        callpath_unlock(t, i);
    return r;
}

/* From the highest that is not up yet down to i: no recursion, a guest nests as deep as it likes. */
int union_copy_up(struct task *t, struct inode *i, bool data)
{
    int r = 0;

    if (!union_upper(i) && !union_super(i->sb)->upper)
        return -EROFS;
    while (r == 0 && !union_upper(i)) {
        struct inode *at = i;

        for (;; at = union_node(at)->parent) {
            if (union_node(at)->gone || !union_node(at)->parent)
                return -ENOENT;
            if (union_upper(union_node(at)->parent))
                break;
        }
        r = copy_one(t, at, at != i || data);
    }
    return r;
}

int union_setattr(struct task *t, struct inode *i, const struct setattr *a)
{
    struct inode *up;
    int r = union_copy_up(t, i, !(a->valid & ATTR_SIZE) || a->size > 0);

    if (r < 0)
        return r;
    up = dentry_inode(union_upper(i));
    r = up->ops->setattr ? up->ops->setattr(t, up, a) : -EPERM;
    return r < 0 ? r : union_refresh(t, i);
}

/* ---- extended attributes; the layers' own marks are not shown ---- */

static bool own(const char *name)
{
    return strncmp(name, "trusted.overlay.", 16) == 0;
}

ssize_t union_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n)
{
    struct inode *top = dentry_inode(union_top(i));

    if (own(name) || !top->ops->getxattr)
        return own(name) ? -ENODATA : -EOPNOTSUPP;
    return top->ops->getxattr(t, top, name, buf, n);
}

int union_setxattr(struct task *t, struct inode *i, const char *name, const void *v, size_t n,
                   int flags)
{
    struct inode *up;
    int r = own(name) ? -EPERM : union_copy_up(t, i, true);

    if (r < 0)
        return r;
    up = dentry_inode(union_upper(i));
    return up->ops->setxattr ? up->ops->setxattr(t, up, name, v, n, flags) : -EOPNOTSUPP;
}

int union_removexattr(struct task *t, struct inode *i, const char *name)
{
    struct inode *up;
    int r = own(name) ? -EPERM : union_copy_up(t, i, true);

    if (r < 0)
        return r;
    up = dentry_inode(union_upper(i));
    return up->ops->removexattr ? up->ops->removexattr(t, up, name) : -EOPNOTSUPP;
}

ssize_t union_listxattr(struct task *t, struct inode *i, char *buf, size_t n)
{
    struct inode *top = dentry_inode(union_top(i));
    ssize_t r = top->ops->listxattr ? top->ops->listxattr(t, top, buf, n) : 0;
    char *to = buf;

    if (r <= 0 || n == 0)
        return r;
    for (char *p = buf; p < buf + r;) {
        size_t len = strlen(p) + 1;

        if (!own(p)) {
            memmove(to, p, len);
            to += len;
        }
        p += len;
    }
    return to - buf;
}

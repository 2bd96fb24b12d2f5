/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: who may use which name (as Linux has it for user., trusted. and security.),
 * and a list of them on the inode for file systems in memory. Of system. names there are those of
 * ACLs (acl.h).
 *
 * The list lies under inode->lock. What all inodes keep is bounded by the memory charge; what one
 * keeps by XATTRS_MAX.
 */
#include "sentry/vfs/xattr.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "abi/acl.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/fsflags.h"
#include "sentry/vfs/notify.h"

#define FILE_CAPS "security.capability"
#define XATTRS_MAX 1024 /* on one inode: ENOSPC beyond */

struct simple_xattr {
    struct simple_xattr *next;
    char *name;
    size_t len;
    char value[];
};

void simple_xattrs_free(struct inode *i)
{
    while (i->xattrs) {
        struct simple_xattr *x = i->xattrs;

        i->xattrs = x->next;
        kfree(x->name);
        kfree(x);
    }
}

/* Where the attribute of that name hangs, or the end of the list. */
static struct simple_xattr **find_locked(struct inode *i, const char *name, unsigned *ret_count)
{
    struct simple_xattr **p = &i->xattrs;

    assert_locked(&i->lock);
    for (*ret_count = 0; *p && strcmp((*p)->name, name) != 0; p = &(*p)->next)
        ++*ret_count;
    return p;
}

ssize_t simple_xattr_get(struct inode *i, const char *name, void *buf, size_t n)
{
    struct simple_xattr *x;
    unsigned count;

    LOCK_SCOPE(&i->lock);
    x = *find_locked(i, name, &count);
    if (!x)
        return -ENODATA;
    if (n == 0)
        return x->len;
    if (n < x->len)
        return -ERANGE;
    memcpy(buf, x->value, x->len);
    return x->len;
}

int simple_xattr_set(struct inode *i, const char *name, const void *v, size_t n, int flags)
{
    struct simple_xattr *x = kzalloc(sizeof *x + n), **p, *old;
    unsigned count;
    int r = 0;

    if (!x)
        return -ENOMEM;
    x->name = kstrdup(name);
    if (!x->name) {
        kfree(x);
        return -ENOMEM;
    }
    x->len = n;
    if (n)
        memcpy(x->value, v, n);
    lock(&i->lock);
    p = find_locked(i, name, &count);
    old = *p;
    if (old && flags & XATTR_CREATE)
        r = -EEXIST;
    else if (!old && flags & XATTR_REPLACE)
        r = -ENODATA;
    else if (!old && count >= XATTRS_MAX)
        r = -ENOSPC;
    if (r == 0) {
        x->next = old ? old->next : NULL;
        *p = x;
        if (!strcmp(name, FILE_CAPS))
            atomic_store_explicit(&i->has_caps, true, memory_order_relaxed);
    }
    unlock(&i->lock);
    if (r < 0)
        old = x;
    if (old) {
        kfree(old->name);
        kfree(old);
    }
    return r;
}

ssize_t simple_xattr_list(struct inode *i, char *buf, size_t n)
{
    size_t total = 0;

    LOCK_SCOPE(&i->lock);
    for (struct simple_xattr *x = i->xattrs; x; x = x->next) {
        size_t len = strlen(x->name) + 1;

        if (n) {
            if (total + len > n)
                return -ERANGE;
            memcpy(buf + total, x->name, len);
        }
        total += len;
    }
    return total;
}

int simple_xattr_remove(struct inode *i, const char *name)
{
    struct simple_xattr **p, *old;
    unsigned count;

    lock(&i->lock);
    p = find_locked(i, name, &count);
    old = *p;
    if (old)
        *p = old->next;
    unlock(&i->lock);
    if (!old)
        return -ENODATA;
    kfree(old->name);
    kfree(old);
    return 0;
}

void inode_drop_caps(struct inode *i)
{
    /* Looked at first: every write comes by, and hardly any finds one. */
    if (!atomic_load_explicit(&i->has_caps, memory_order_relaxed) ||
        !atomic_exchange(&i->has_caps, false))
        return;
    (void)simple_xattr_remove(i, FILE_CAPS);
}

static bool starts(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int check_name(const char *name)
{
    if (starts(name, "system."))
        return -EOPNOTSUPP;
    for (const char *const *p = (const char *const[]){ "user.", "trusted.", "security.", NULL }; *p;
         p++)
        if (starts(name, *p))
            return name[strlen(*p)] ? 0 : -EINVAL;
    return -EOPNOTSUPP;
}

/* mask: R_OK or W_OK, as getting or changing asks for. */
static int may_xattr(struct task *t, struct inode *i, const char *name, int mask)
{
    const struct cred *c = vfs_cred(t);
    bool write = mask & W_OK;

    if (write && inode_is_bound(i))
        return -EPERM;
    if (!strcmp(name, FILE_CAPS))
        return write && c && !cred_capable(c, CAP_SETFCAP) ? -EPERM : 0;
    if (starts(name, "security."))
        return write && c && !cred_capable(c, CAP_SYS_ADMIN) ? -EPERM : 0;
    if (starts(name, "trusted."))
        return !c || cred_capable(c, CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
    if (starts(name, "user.")) {
        if (!S_ISREG(i->mode) && !is_dir(i))
            return write ? -EPERM : -ENODATA;
        if (is_dir(i) && i->mode & S_ISVTX && write && !inode_owner_or_capable(t, i))
            return -EPERM;
    }
    return inode_permission(t, i, mask);
}

ssize_t vfs_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n)
{
    enum acl_type acl = acl_of_name(name);
    int r;

    if (acl != ACL_NONE)
        return i->sb->exports && !S_ISLNK(i->mode) ? acl_get(i, acl, buf, n) : -EOPNOTSUPP;
    r = may_xattr(t, i, name, R_OK);

    if (r == 0)
        r = check_name(name);
    if (r < 0)
        return r;
    return i->ops->getxattr ? i->ops->getxattr(t, i, name, buf, n) : -EOPNOTSUPP;
}

static int told(const struct path *p, int r)
{
    if (r == 0)
        fsnotify_dentry(p->dentry, LX_IN_ATTRIB);
    return r;
}

/* A value of security.capability whose size is that of its revision. */
static bool caps_ok(const void *v, size_t n)
{
    uint32_t magic;

    if (n < sizeof magic)
        return false;
    memcpy(&magic, v, sizeof magic);
    switch (magic & LX_VFS_CAP_REVISION_MASK) {
    case LX_VFS_CAP_REVISION_2:
        return n == LX_VFS_CAP_SIZE_2;
    case LX_VFS_CAP_REVISION_3:
        return n == LX_VFS_CAP_SIZE_3;
    default:
        return false;
    }
}

int vfs_setxattr(struct task *t, const struct path *p, const char *name, const void *v, size_t n,
                 int flags)
{
    struct inode *i = dentry_inode(p->dentry);
    enum acl_type acl = acl_of_name(name);
    int r = mnt_want_write(p);

    if (acl != ACL_NONE)
        return r < 0 ? r : told(p, acl_set(t, i, acl, v, n));
    if (r == 0)
        r = may_xattr(t, i, name, W_OK);
    if (r == 0)
        r = check_name(name);
    if (r == 0 && !strcmp(name, FILE_CAPS) && !caps_ok(v, n))
        r = -EINVAL;
    if (r == 0)
        r = i->ops->setxattr ? i->ops->setxattr(t, i, name, v, n, flags) : -EOPNOTSUPP;
    if (r == 0)
        inode_touch(i, ATTR_CTIME);
    return told(p, r);
}

/*
 * Takes out of a list the trusted. names, for who may not see them, and the system. names of a host's
 * file, whose lists do not count here.
 */
static ssize_t hide(struct task *t, char *buf, ssize_t n)
{
    const struct cred *c = vfs_cred(t);
    bool all = !c || cred_capable(c, CAP_SYS_ADMIN);
    char *to = buf;

    for (char *p = buf; p < buf + n;) {
        size_t len = strlen(p) + 1;

        if (!starts(p, "system.") && (all || !starts(p, "trusted."))) {
            memmove(to, p, len);
            to += len;
        }
        p += len;
    }
    return to - buf;
}

ssize_t vfs_listxattr(struct task *t, struct inode *i, char *buf, size_t n)
{
    char *all;
    ssize_t r, acls;

    if (!i->ops->listxattr)
        return 0;
    all = kzalloc(XATTR_LIST_MAX);
    if (!all)
        return -ENOMEM;
    acls = acl_list(i, all, XATTR_LIST_MAX);
    r = i->ops->listxattr(t, i, all + acls, XATTR_LIST_MAX - (size_t)acls);
    if (r > 0)
        r = hide(t, all + acls, r);
    if (r >= 0)
        r += acls;
    if (r == -ERANGE)
        r = -E2BIG;
    if (r > 0 && n) {
        if ((size_t)r > n)
            r = -ERANGE;
        else
            memcpy(buf, all, r);
    }
    kfree(all);
    return r;
}

int vfs_removexattr(struct task *t, const struct path *p, const char *name)
{
    struct inode *i = dentry_inode(p->dentry);
    enum acl_type acl = acl_of_name(name);
    int r = mnt_want_write(p);

    if (acl != ACL_NONE)
        return r < 0 ? r : told(p, acl_set(t, i, acl, NULL, 0));
    if (r == 0)
        r = may_xattr(t, i, name, W_OK);
    if (r == 0)
        r = check_name(name);
    if (r == 0)
        r = i->ops->removexattr ? i->ops->removexattr(t, i, name) : -EOPNOTSUPP;
    if (r == 0)
        inode_touch(i, ATTR_CTIME);
    return told(p, r);
}

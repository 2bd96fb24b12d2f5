/* SPDX-License-Identifier: Apache-2.0 */
/* See acl.h; the rules are those of acl(5) and of the withdrawn POSIX 1003.1e. */
#include "sentry/vfs/acl.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "abi/acl.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"

struct acl {
    unsigned n;
    struct lx_acl_entry e[]; /* in the order that valid() asks for */
};

static const char *const names[] = { "system.posix_acl_access", "system.posix_acl_default" };

enum acl_type acl_of_name(const char *name)
{
    return !strcmp(name, names[0]) ? ACL_ACCESS : !strcmp(name, names[1]) ? ACL_DEFAULT : ACL_NONE;
}

static struct acl **slot(struct inode *i, enum acl_type type)
{
    return type == ACL_ACCESS ? &i->acl_access : &i->acl_default;
}

static struct acl *acl_new(unsigned n)
{
    struct acl *a = kzalloc(sizeof *a + n * sizeof a->e[0]);

    if (a)
        a->n = n;
    return a;
}

static struct acl *acl_copy(const struct acl *a)
{
    struct acl *c = acl_new(a->n);

    if (c)
        memcpy(c->e, a->e, a->n * sizeof a->e[0]);
    return c;
}

void acl_inode_gone(struct inode *i)
{
    kfree(i->acl_access);
    kfree(i->acl_default);
}

/* Owner, users, group, groups, mask, others: in this order, the mask where it has a meaning. */
static bool valid(const struct acl *a)
{
    enum { OWNER, USERS, GROUPS, OTHERS, END } at = OWNER;
    bool mask_needed = false;

    for (unsigned k = 0; k < a->n; k++) {
        const struct lx_acl_entry *e = &a->e[k];

        if (e->perm & ~7u)
            return false;
        switch (e->tag) {
        case LX_ACL_USER_OBJ:
            if (at != OWNER)
                return false;
            at = USERS;
            break;
        case LX_ACL_USER:
            if (at != USERS || e->id == UINT32_MAX)
                return false;
            mask_needed = true;
            break;
        case LX_ACL_GROUP_OBJ:
            if (at != USERS)
                return false;
            at = GROUPS;
            break;
        case LX_ACL_GROUP:
            if (at != GROUPS || e->id == UINT32_MAX)
                return false;
            mask_needed = true;
            break;
        case LX_ACL_MASK:
            if (at != GROUPS)
                return false;
            at = OTHERS;
            break;
        case LX_ACL_OTHER:
            if (at != OTHERS && (at != GROUPS || mask_needed))
                return false;
            at = END;
            break;
        default:
            return false;
        }
    }
    return at == END;
}

/* NULL with *ret_error 0: an empty list. */
static struct acl *parse(const void *v, size_t n, int *ret_error)
{
    struct lx_acl_header h;
    struct acl *a;

    *ret_error = -EINVAL;
    if (n < sizeof h)
        return NULL;
    memcpy(&h, v, sizeof h);
    n -= sizeof h;
    if (h.version != LX_ACL_VERSION) {
        *ret_error = -EOPNOTSUPP;
        return NULL;
    }
    if (n % sizeof a->e[0])
        return NULL;
    *ret_error = 0;
    if (n == 0)
        return NULL;
    a = acl_new((unsigned)(n / sizeof a->e[0]));
    *ret_error = a ? 0 : -ENOMEM;
    if (!a)
        return NULL;
    memcpy(a->e, (const char *)v + sizeof h, n);
    if (valid(a))
        return a;
    *ret_error = -EINVAL;
    kfree(a);
    return NULL;
}

static struct lx_acl_entry *find(struct acl *a, unsigned tag)
{
    for (unsigned k = 0; k < a->n; k++)
        if (a->e[k].tag == tag)
            return &a->e[k];
    return NULL;
}

/* The entry that the mode's group bits stand for. */
static struct lx_acl_entry *group_class(struct acl *a)
{
    struct lx_acl_entry *mask = find(a, LX_ACL_MASK);

    return mask ? mask : find(a, LX_ACL_GROUP_OBJ);
}

static uint32_t mode_of(struct acl *a)
{
    return (uint32_t)find(a, LX_ACL_USER_OBJ)->perm << 6 | (uint32_t)group_class(a)->perm << 3 |
           find(a, LX_ACL_OTHER)->perm;
}

/* Does the list say more than a mode can? */
static bool says_more(const struct acl *a)
{
    return a->n > 3;
}

ssize_t acl_get(struct inode *i, enum acl_type type, void *buf, size_t n)
{
    struct lx_acl_header h = { LX_ACL_VERSION };
    struct acl *a;
    size_t size;

    LOCK_SCOPE(&i->lock);
    a = *slot(i, type);
    if (!a)
        return -ENODATA;
    size = sizeof h + a->n * sizeof a->e[0];
    if (n == 0)
        return (ssize_t)size;
    if (n < size)
        return -ERANGE;
    memcpy(buf, &h, sizeof h);
    memcpy((char *)buf + sizeof h, a->e, size - sizeof h);
    return (ssize_t)size;
}

ssize_t acl_list(struct inode *i, char *buf, size_t n)
{
    size_t total = 0;

    LOCK_SCOPE(&i->lock);
    for (enum acl_type type = ACL_ACCESS; type < ACL_NONE; type++) {
        size_t len = strlen(names[type]) + 1;

        if (!*slot(i, type))
            continue;
        if (n && total + len > n)
            return -ERANGE;
        if (n)
            memcpy(buf + total, names[type], len);
        total += len;
    }
    return (ssize_t)total;
}

/* The mode that an access list brings with it is set by the file system, as chmod would. */
static int set_mode(struct task *t, struct inode *i, struct acl *a)
{
    const struct cred *c = vfs_cred(t);
    uint32_t mode = (i->mode & 07000) | mode_of(a);

    if (c && !cred_in_group(c, i->gid) && !cred_capable(c, CAP_FSETID))
        mode &= ~(uint32_t)S_ISGID;
    return inode_setattr(t, i, &(struct setattr){ .valid = ATTR_MODE, .mode = mode });
}

int acl_set(struct task *t, struct inode *i, enum acl_type type, const void *v, size_t n)
{
    struct acl *a = NULL, *old;
    int r = 0;

    if (!i->sb->exports || S_ISLNK(i->mode))
        return -EOPNOTSUPP;
    if (v && n)
        a = parse(v, n, &r);
    if (r < 0)
        return r;
    if (!inode_owner_or_capable(t, i))
        r = -EPERM;
    else if (type == ACL_DEFAULT && !S_ISDIR(i->mode))
        r = a ? -EACCES : 0;
    else if (type == ACL_ACCESS && a)
        r = set_mode(t, i, a);
    else /* as a change of attributes, where the file system keeps those apart */
        r = inode_setattr(t, i, &(struct setattr){ .valid = ATTR_CTIME });
    if (r < 0 || (a && type == ACL_ACCESS && !says_more(a))) {
        kfree(a);
        a = NULL;
    }
    if (r < 0)
        return r;
    lock(&i->lock);
    old = *slot(i, type);
    __atomic_store_n(slot(i, type), a, __ATOMIC_RELEASE);
    unlock(&i->lock);
    kfree(old);
    return 0;
}

int acl_permission_locked(struct inode *i, const struct cred *c, int mask)
{
    const struct acl *a = i->acl_access;
    const struct lx_acl_entry *e = NULL, *hit = NULL;
    bool in_a_group = false;
    unsigned want = (unsigned)mask & 7;

    assert_locked(&i->lock);
    if (!a || !(i->mode & S_IRWXG))
        return -EAGAIN;
    for (unsigned k = 0; k < a->n && !hit; k++) {
        e = &a->e[k];
        if (e->tag == LX_ACL_USER && e->id == c->fsuid)
            hit = e;
        if ((e->tag == LX_ACL_GROUP_OBJ && cred_in_group(c, i->gid)) ||
            (e->tag == LX_ACL_GROUP && cred_in_group(c, e->id))) {
            in_a_group = true;
            if ((e->perm & want) == want)
                hit = e;
        }
    }
    if (!hit) { /* e is the last one: others */
        if (in_a_group)
            return -EACCES;
        return (e->perm & want) == want ? 0 : -EACCES;
    }
    for (unsigned k = 0; k < a->n; k++)
        if (a->e[k].tag == LX_ACL_MASK)
            return (hit->perm & a->e[k].perm & want) == want ? 0 : -EACCES;
    return (hit->perm & want) == want ? 0 : -EACCES;
}

void acl_chmod_locked(struct inode *i)
{
    struct acl *a = i->acl_access;

    assert_locked(&i->lock);
    if (!a)
        return;
    find(a, LX_ACL_USER_OBJ)->perm = i->mode >> 6 & 7;
    group_class(a)->perm = i->mode >> 3 & 7;
    find(a, LX_ACL_OTHER)->perm = i->mode & 7;
}

static struct acl *default_of(struct inode *dir, bool *ret_failed)
{
    struct acl *a = NULL;

    *ret_failed = false;
    if (!dir || !__atomic_load_n(&dir->acl_default, __ATOMIC_ACQUIRE))
        return NULL;
    LOCK_SCOPE(&dir->lock);
    if (dir->acl_default) {
        a = acl_copy(dir->acl_default);
        *ret_failed = !a;
    }
    return a;
}

int acl_inherit(struct inode *i, struct inode *dir)
{
    struct lx_acl_entry *u, *g, *o;
    struct acl *a;
    bool failed;

    if (S_ISLNK(i->mode))
        return 0;
    a = default_of(dir, &failed);
    if (!a)
        return failed ? -ENOMEM : 0;
    if (S_ISDIR(i->mode)) {
        i->acl_default = acl_copy(a);
        if (!i->acl_default) {
            kfree(a);
            return -ENOMEM;
        }
    }
    u = find(a, LX_ACL_USER_OBJ);
    g = group_class(a);
    o = find(a, LX_ACL_OTHER);
    u->perm &= i->mode >> 6;
    g->perm &= i->mode >> 3;
    o->perm &= i->mode;
    i->mode = (i->mode & ~0777u) | mode_of(a);
    if (says_more(a))
        i->acl_access = a;
    else
        kfree(a);
    return 0;
}

uint32_t acl_umask(struct task *t, const struct inode *dir, uint32_t mode)
{
    const struct cred *c = vfs_cred(t);

    /* A program that would run as a group that its maker is not in; looked at before the umask. */
    if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && dir->mode & S_ISGID && c &&
        !cred_in_group(c, dir->gid) && !cred_capable(c, CAP_FSETID))
        mode &= ~(uint32_t)S_ISGID;
    if (!t || !t->fs || __atomic_load_n(&dir->acl_default, __ATOMIC_ACQUIRE))
        return mode;
    return mode & ~t->fs->umask;
}

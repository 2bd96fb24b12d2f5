/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: the tree that joins file systems. One mount namespace for the sandbox.
 *
 * A mount holds its superblock, its root dentry, its parent mount and its mountpoint. The tree holds
 * each attached mount; paths (open files, cwd) hold those they stand in, so a detached one lives as
 * long as it is used. Only dentries with nmounts are looked up at all, in a hash table.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/notify.h"

struct vfs vfs;

static struct list mounts = LIST_INIT(mounts); /* all attached, in order; LOCK_MOUNTS */
static struct mount *table[1024];              /* the same, hashed; newest first */
static int next_id = 20;
static _Atomic uint64_t nmounts; /* detached ones that are used, too */

void vfs_init(void)
{
    lock_init(&vfs.mounts_lock, LOCK_MOUNTS);
    lock_init(&vfs.dcache_lock, LOCK_DCACHE);
    tlock_init(&vfs.rename);
    dcache_init();
}

struct mount *mount_ref(struct mount *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void mount_put(struct mount *m)
{
    while (m && atomic_fetch_sub(&m->refs, 1) == 1) {
        struct mount *parent = m->parent;

        dentry_put(m->mountpoint);
        dentry_put(m->root);
        super_put(m->sb);
        kfree(m->source);
        kfree(m);
        limit_give(&nmounts);
        m = parent;
    }
}

static struct mount **bucket(const struct mount *parent, const struct dentry *at)
{
    uint64_t h = ((uintptr_t)parent ^ ((uintptr_t)at >> 4)) * 0x9e3779b97f4a7c15ull;

    return &table[h >> 54];
}

struct mount *mount_find_locked(const struct mount *parent, const struct dentry *at)
{
    struct mount *m;

    assert_locked(&vfs.mounts_lock);
    for (m = *bucket(parent, at); m; m = m->hash_next)
        if (m->parent == parent && m->mountpoint == at)
            return m;
    return NULL;
}

void path_descend(struct path *p)
{
    while (__atomic_load_n(&p->dentry->nmounts, __ATOMIC_RELAXED)) {
        struct path into = {};
        struct mount *m;

        lock(&vfs.mounts_lock);
        m = mount_find_locked(p->mnt, p->dentry);
        if (m)
            into = (struct path){ mount_ref(m), dentry_ref(m->root) };
        unlock(&vfs.mounts_lock);
        if (!m)
            return;
        path_put(p);
        *p = into;
    }
}

bool path_ascend_mount(struct path *p)
{
    struct path up = {};

    lock(&vfs.mounts_lock);
    if (p->mnt->parent)
        up = (struct path){ mount_ref(p->mnt->parent), dentry_ref(p->mnt->mountpoint) };
    unlock(&vfs.mounts_lock);
    if (!up.mnt)
        return false;
    path_put(p);
    *p = up;
    return true;
}

static struct mount *mount_new(struct super *sb, struct dentry *root, unsigned flags,
                               const char *source)
{
    struct mount *m;

    if (!limit_take(LIMIT_MOUNTS, &nmounts))
        return ERR_PTR(-ENOSPC);
    m = kzalloc(sizeof *m);
    if (m)
        m->source = kstrdup(source ? source : sb->type);
    if (!m || !m->source) {
        kfree(m);
        limit_give(&nmounts);
        return ERR_PTR(-ENOMEM);
    }
    atomic_init(&m->refs, 1);
    m->sb = sb;
    m->root = dentry_ref(root);
    m->flags = flags;
    list_init(&m->link);
    list_init(&m->children);
    list_init(&m->sibling);
    return m;
}

static int attach(struct mount *m, const struct path *at)
{
    LOCK_SCOPE(&vfs.mounts_lock);

    if (at) {
        if (is_dir(dentry_inode(at->dentry)) != is_dir(dentry_inode(m->root)))
            return -ENOTDIR;
        m->parent = mount_ref(at->mnt);
        m->mountpoint = dentry_ref(at->dentry);
        list_add_tail(&at->mnt->children, &m->sibling);
        m->hash_next = *bucket(m->parent, m->mountpoint);
        *bucket(m->parent, m->mountpoint) = m;
        __atomic_fetch_add(&at->dentry->nmounts, 1, __ATOMIC_RELAXED);
    } else {
        vfs.root = m;
    }
    m->id = next_id++;
    list_add_tail(&mounts, &m->link);
    return 0;
}

static int mount_dentry(struct super *sb, struct dentry *root, const struct path *at,
                        unsigned flags, const char *source, struct mount **ret)
{
    struct path to = {};
    struct mount *m = mount_new(sb, root, flags, source);
    int r;

    if (IS_ERR(m)) {
        super_put(sb);
        return PTR_ERR(m);
    }
    if (at) { /* on top of what is mounted there already */
        to = path_ref(*at);
        path_descend(&to);
    }
    r = attach(m, at ? &to : NULL);
    path_put(&to);
    if (r < 0)
        mount_put(m);
    else if (ret)
        *ret = m;
    return r;
}

int vfs_mount(struct super *sb, const struct path *at, unsigned flags, const char *source,
              struct mount **ret)
{
    return mount_dentry(sb, sb->root, at, flags, source, ret);
}

int vfs_bind(const struct path *from, const struct path *at, unsigned flags)
{
    return mount_dentry(super_ref(from->dentry->sb), from->dentry, at,
                        flags ? flags : from->mnt->flags, from->mnt->source, NULL);
}

/* Takes m off the tree; its reference is the caller's. */
static void detach_locked(struct mount *m)
{
    struct mount **p = bucket(m->parent, m->mountpoint);

    while (*p != m)
        p = &(*p)->hash_next;
    *p = m->hash_next;
    list_del(&m->link);
    list_del(&m->sibling);
    __atomic_fetch_sub(&m->mountpoint->nmounts, 1, __ATOMIC_RELAXED);
}

int vfs_umount(struct mount *m)
{
    lock(&vfs.mounts_lock);
    if (!m->parent || list_empty(&m->link)) {
        unlock(&vfs.mounts_lock);
        return -EINVAL;
    }
    if (!list_empty(&m->children)) {
        unlock(&vfs.mounts_lock);
        return -EBUSY;
    }
    detach_locked(m);
    unlock(&vfs.mounts_lock);
    mount_put(m);
    return 0;
}

int vfs_each_mount(int (*fn)(struct mount *m, void *arg), void *arg)
{
    struct mount *m;
    int r;

    LOCK_SCOPE(&vfs.mounts_lock);
    list_for_each(m, &mounts, link) {
        r = fn(m, arg);
        if (r)
            return r;
    }
    return 0;
}

int mnt_want_write(const struct path *p)
{
    if ((p->mnt && p->mnt->flags & MS_RDONLY) || p->dentry->sb->readonly)
        return -EROFS;
    return 0;
}

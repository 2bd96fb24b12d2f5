/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: the tree that joins file systems. One mount namespace for the sandbox, and detached trees
 * beside it that open files hold.
 *
 * A mount holds its superblock, its root dentry, its parent mount and its mountpoint. The tree holds
 * each mount that hangs in it; paths (open files, cwd) hold those they stand in, so one that was taken
 * off lives as long as it is used, without a parent. Only dentries with nmounts are looked up at all,
 * in a hash table.
 *
 * Putting a reference may do I/O, so it waits until mounts_lock has been dropped: what is taken off
 * collects in a list, with what it held (drop_parent, drop_at), and goes by mounts_drop.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/notify.h"

struct vfs vfs;

static struct list mounts = LIST_INIT(mounts); /* all attached, in order; LOCK_MOUNTS */
static struct mount *table[1024];              /* the same, hashed; newest first */
static _Atomic int next_id = 20;
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

/* One that hangs somewhere is held by that: what goes here has neither parent nor mountpoint. */
void mount_put_unused(struct mount *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    fsnotify_mount_gone(m);
    dentry_put(m->root);
    super_put(m->sb);
    kfree(m->source);
    kfree(m);
    limit_give(&nmounts);
}

void mount_put(struct mount *m)
{
    if (m && atomic_load_explicit(&m->expiring, memory_order_relaxed))
        atomic_store(&m->expiring, false);
    mount_put_unused(m);
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

struct mount *mount_new(struct super *sb, struct dentry *root, unsigned flags, const char *source)
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
    list_init(&m->peers);
    list_init(&m->slaves);
    list_init(&m->slave_link);
    m->id = atomic_fetch_add(&next_id, 1);
    return m;
}

struct mount *mount_next_locked(const struct mount *m, const struct mount *top)
{
    assert_locked(&vfs.mounts_lock);
    if (!list_empty(&m->children))
        return list_first(&m->children, struct mount, sibling);
    for (; m != top; m = m->parent)
        if (m->sibling.next != &m->parent->children)
            return list_entry(m->sibling.next, struct mount, sibling);
    return NULL;
}

bool mount_below_locked(const struct mount *a, const struct mount *top)
{
    assert_locked(&vfs.mounts_lock);
    while (a && a != top)
        a = a->parent;
    return a;
}

bool mount_reachable_locked(const struct mount *m, const struct dentry *d, const struct path *root)
{
    assert_locked(&vfs.mounts_lock);
    while (m != root->mnt) {
        if (!m->parent)
            return false;
        d = m->mountpoint;
        m = m->parent;
    }
    return dentry_below(d, root->dentry);
}

bool mount_owned_locked(const struct mount *m)
{
    assert_locked(&vfs.mounts_lock);
    while (m->parent)
        m = m->parent;
    return m->held || (m->attached && m == container_here()->root);
}

bool mount_ours_locked(const struct mount *m)
{
    assert_locked(&vfs.mounts_lock);
    while (m && m->parent)
        m = m->parent;
    return m && m->attached && m == container_here()->root;
}

void mount_hang_locked(struct mount *m, struct mount *parent, struct dentry *at)
{
    struct mount **b = bucket(parent, at);

    assert_locked(&vfs.mounts_lock);
    m->parent = mount_ref(parent);
    m->mountpoint = dentry_ref(at);
    list_add_tail(&parent->children, &m->sibling);
    m->hash_next = *b;
    *b = m;
    __atomic_fetch_add(&at->nmounts, 1, __ATOMIC_RELAXED);
}

void mount_unhang_locked(struct mount *m)
{
    struct mount **p;

    assert_locked(&vfs.mounts_lock);
    if (!m->parent)
        return;
    for (p = bucket(m->parent, m->mountpoint); *p != m; p = &(*p)->hash_next)
        ;
    *p = m->hash_next;
    list_del(&m->sibling);
    __atomic_fetch_sub(&m->mountpoint->nmounts, 1, __ATOMIC_RELAXED);
    m->drop_parent = m->parent;
    m->drop_at = m->mountpoint;
    m->parent = NULL;
    m->mountpoint = NULL;
}

void mount_set_attached_locked(struct mount *top, bool attached)
{
    for (struct mount *m = top; m; m = mount_next_locked(m, top)) {
        m->attached = attached;
        m->held = false;
        list_del(&m->link);
        if (attached)
            list_add_tail(&mounts, &m->link);
    }
}

static void take_off(struct mount *m, struct list *gone)
{
    mount_unhang_locked(m);
    mount_leave_groups_locked(m);
    m->attached = m->held = false;
    list_del(&m->link);
    list_add_tail(gone, &m->link);
}

/* What propagation mounted together with m goes with it, but where something is mounted on it. */
static void remove_elsewhere(struct mount *m, struct list *gone)
{
    struct mount *next;

    if (!m->parent)
        return;
    for (struct mount *t = mount_targets_locked(m->parent, m->mountpoint); t; t = next) {
        struct mount *c = mount_find_locked(t, m->mountpoint);

        next = t->next;
        if (c && c != m && list_empty(&c->children))
            take_off(c, gone);
    }
}

/* Children first: what nothing is mounted on any more can go elsewhere, too. */
void mount_remove_locked(struct mount *top, bool propagate, struct list *gone)
{
    struct mount *m;

    do {
        for (m = top; !list_empty(&m->children);)
            m = list_first(&m->children, struct mount, sibling);
        if (propagate)
            remove_elsewhere(m, gone);
        take_off(m, gone);
    } while (m != top);
}

void mounts_drop(struct list *gone)
{
    while (!list_empty(gone)) {
        struct mount *m = list_first(gone, struct mount, link);

        list_del(&m->link);
        fsnotify_mount_gone(m);
        mount_put(m->drop_parent);
        dentry_put(m->drop_at);
        m->drop_parent = NULL;
        m->drop_at = NULL;
        mount_put(m);
    }
}

struct mount *mount_detached(struct super *sb, unsigned flags, const char *source)
{
    struct mount *m = mount_new(sb, sb->root, flags, source);

    if (IS_ERR(m))
        super_put(sb);
    return m;
}

void mount_dissolve(struct mount *m)
{
    struct list gone = LIST_INIT(gone);

    lock(&vfs.mounts_lock);
    if (m->held && !m->attached && !m->parent)
        mount_remove_locked(m, /* propagate= */ false, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
}

/* m, which is nowhere, comes to `at`, on top of what is mounted there; on failure it goes. */
static int mount_new_at(struct mount *m, const struct path *at)
{
    struct list gone = LIST_INIT(gone);
    struct path to = path_ref(*at);
    int r;

    path_descend(&to);
    lock(&vfs.mounts_lock);
    r = mount_attach_locked(m, &to, &gone);
    if (r < 0)
        mount_remove_locked(m, /* propagate= */ false, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    path_put(&to);
    return r;
}

int vfs_mount(struct super *sb, const struct path *at, unsigned flags, const char *source,
              struct mount **ret)
{
    struct mount *m = mount_detached(sb, flags & MS_NOATIME ? flags : flags | MS_RELATIME, source);
    int r = 0;

    if (IS_ERR(m))
        return PTR_ERR(m);
    if (at) {
        r = mount_new_at(m, at);
    } else {
        LOCK_SCOPE(&vfs.mounts_lock);
        container_here()->root = m;
        mount_set_attached_locked(m, true);
    }
    if (r == 0 && ret)
        *ret = m;
    return r;
}

int vfs_bind(const struct path *from, const struct path *at, unsigned flags)
{
    struct list gone = LIST_INIT(gone);
    struct mount *m;

    lock(&vfs.mounts_lock);
    m = mount_clone_locked(from->mnt, from->dentry, flags & MS_REC ? CLONE_TREE : 0, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    if (IS_ERR(m))
        return PTR_ERR(m);
    if (flags & ~MS_REC)
        m->flags = flags & MOUNT_FLAGS;
    return mount_new_at(m, at);
}

int vfs_umount(struct mount *m)
{
    struct list gone = LIST_INIT(gone);
    int r = 0;

    lock(&vfs.mounts_lock);
    if (!m->parent)
        r = -EINVAL;
    else if (!list_empty(&m->children))
        r = -EBUSY;
    else
        mount_remove_locked(m, /* propagate= */ true, &gone);
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    return r;
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

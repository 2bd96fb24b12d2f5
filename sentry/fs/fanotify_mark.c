/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: what a group wants to know of one inode, mount or file system. They hang in their group's
 * list and in a table by object, where events look for them.
 *
 * A mark on an inode holds it; those on mounts and file systems hold nothing and end with them.
 */
#include <errno.h>

#include "sentry/fs/fanotify_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/vfs/mount.h"

#define BUCKETS 1024

static struct list table[BUCKETS];

__attribute__((constructor)) static void table_init(void)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&table[i]);
}

static struct list *bucket(const void *object)
{
    return &table[((uintptr_t)object * 0x9e3779b97f4a7c15ull) >> 54];
}

struct fan_mark *fan_find_locked(const struct fan_group *g, enum mark_type type, const void *object)
{
    struct fan_mark *m;

    assert_locked(&fan_lock);
    if (object)
        list_for_each(m, bucket(object), hash_link)
            if (m->object == object && m->group == g && m->type == type)
                return m;
    return NULL;
}

static bool asks(const struct fan_mark *m)
{
    return m->mask & FAN_PERM_EVENTS;
}

/* Off all lists. The caller frees it, and puts the inode that it held. */
static void take_off_locked(struct fan_mark *m)
{
    list_del(&m->group_link);
    list_del(&m->hash_link);
    m->group->nmarks--;
    atomic_fetch_sub(&fsnotify_watches, 1);
    if (asks(m))
        atomic_fetch_sub(&fsnotify_perm_marks, 1);
}

static void mark_free(struct fan_mark *m)
{
    if (m && m->type == MARK_INODE)
        inode_put((struct inode *)(uintptr_t)m->object);
    kfree(m);
}

static void end_all(struct list *gone)
{
    while (!list_empty(gone)) {
        struct fan_mark *m = list_first(gone, struct fan_mark, group_link);

        list_del(&m->group_link);
        mark_free(m);
    }
}

void fan_marks_end(struct fan_group *g, unsigned types)
{
    struct list gone = LIST_INIT(gone);
    struct fan_mark *m, *tmp;

    lock(&fan_lock);
    list_for_each_safe(m, tmp, &g->marks, group_link) {
        if (!(types & 1u << m->type))
            continue;
        take_off_locked(m);
        list_add_tail(&gone, &m->group_link);
    }
    unlock(&fan_lock);
    end_all(&gone);
}

void fan_object_gone(enum mark_type type, const void *object)
{
    struct list gone = LIST_INIT(gone);
    struct fan_mark *m, *tmp;

    lock(&fan_lock);
    list_for_each_safe(m, tmp, bucket(object), hash_link) {
        if (m->object != object || m->type != type)
            continue;
        take_off_locked(m);
        list_add_tail(&gone, &m->group_link);
    }
    unlock(&fan_lock);
    end_all(&gone);
}

static enum mark_type type_of(unsigned flags)
{
    return flags & LX_FAN_MARK_MOUNT        ? MARK_MOUNT
           : flags & LX_FAN_MARK_FILESYSTEM ? MARK_SUPER
                                            : MARK_INODE;
}

static const void *object_of(enum mark_type type, const struct path *p)
{
    return type == MARK_MOUNT   ? (const void *)p->mnt
           : type == MARK_SUPER ? (const void *)p->dentry->sb
                                : (const void *)dentry_inode(p->dentry);
}

static unsigned marks_of_user_locked(uid_t uid)
{
    struct fan_group *g;
    unsigned n = 0;

    list_for_each(g, &fan_groups, link)
        if (g->uid == uid)
            n += g->nmarks;
    return n;
}

/* An existing mark is not made to keep less than it does. */
static int may_change(const struct fan_mark *m, unsigned flags)
{
    if (flags & LX_FAN_MARK_EVICTABLE && !m->evictable)
        return -EEXIST;
    if (flags & LX_FAN_MARK_IGNORED_MASK && m->ignores)
        return -EEXIST;
    if (flags & LX_FAN_MARK_IGNORE && !(flags & LX_FAN_MARK_IGNORED_SURV_MODIFY) && m->survives)
        return -EEXIST;
    return 0;
}

static void change_locked(struct fan_mark *m, unsigned flags, uint32_t mask)
{
    bool asked = asks(m);

    if (flags & (LX_FAN_MARK_IGNORED_MASK | LX_FAN_MARK_IGNORE)) {
        m->ignored |= mask;
        m->survives |= (flags & LX_FAN_MARK_IGNORED_SURV_MODIFY) != 0;
        m->ignores |= (flags & LX_FAN_MARK_IGNORE) != 0;
    } else {
        m->mask |= mask;
    }
    if (!(flags & LX_FAN_MARK_EVICTABLE))
        m->evictable = false;
    if (asks(m) && !asked)
        atomic_fetch_add(&fsnotify_perm_marks, 1);
}

int fanotify_mark_add(struct file *f, const struct path *p, unsigned flags, uint32_t mask)
{
    enum mark_type type = type_of(flags);
    const void *object = object_of(type, p);
    struct fan_group *g = f->priv;
    struct fan_mark *spare = kzalloc(sizeof *spare), *m;
    int r = 0;

    if (!spare)
        return -ENOMEM;
    lock(&fan_lock);
    m = fan_find_locked(g, type, object);
    if (m) {
        r = may_change(m, flags);
    } else if (!(g->flags & LX_FAN_UNLIMITED_MARKS) &&
               marks_of_user_locked(g->uid) >= FANOTIFY_MAX_MARKS) {
        r = -ENOSPC;
    } else {
        m = spare;
        spare = NULL;
        *m = (struct fan_mark){ .group = g, .type = type, .object = object, .evictable = true };
        if (type == MARK_INODE)
            inode_ref(dentry_inode(p->dentry));
        list_add_tail(&g->marks, &m->group_link);
        list_add_tail(bucket(object), &m->hash_link);
        g->nmarks++;
        atomic_fetch_add(&fsnotify_watches, 1);
    }
    if (r == 0)
        change_locked(m, flags, mask);
    unlock(&fan_lock);
    kfree(spare);
    return r;
}

int fanotify_mark_remove(struct file *f, const struct path *p, unsigned flags, uint32_t mask,
                         uint32_t keep)
{
    enum mark_type type = type_of(flags);
    struct fan_group *g = f->priv;
    struct fan_mark *m;
    bool asked;

    lock(&fan_lock);
    m = fan_find_locked(g, type, object_of(type, p));
    if (!m) {
        unlock(&fan_lock);
        return -ENOENT;
    }
    asked = asks(m);
    if (flags & (LX_FAN_MARK_IGNORED_MASK | LX_FAN_MARK_IGNORE))
        m->ignored &= ~mask;
    else
        m->mask &= ~mask;
    if (asked && !asks(m))
        atomic_fetch_sub(&fsnotify_perm_marks, 1);
    if ((m->mask | m->ignored) & ~keep)
        m = NULL;
    else
        take_off_locked(m);
    unlock(&fan_lock);
    mark_free(m);
    return 0;
}

void fanotify_mark_flush(struct file *f, unsigned flags)
{
    fan_marks_end(f->priv, 1u << type_of(flags));
}

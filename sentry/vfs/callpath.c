/* SPDX-License-Identifier: Apache-2.0 */
/* The paths and inode locks in the record of a call; see callpath.h. */
#include "sentry/vfs/callpath.h"

#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"

static struct callpath *get(struct task *t)
{
    if (!t->call.paths)
        t->call.paths = kzalloc(sizeof *t->call.paths);
    return t->call.paths;
}

/* NULL: no memory. */
static struct callpath_slot *get_slot(struct task *t, unsigned slot)
{
    struct callpath *cp = get(t);

    return cp ? &cp->slot[slot] : NULL;
}

int callpath_parent(struct task *t, unsigned slot, int dfd, const char *path, unsigned flags,
                    struct nameidata_last **ret)
{
    struct callpath_slot *s = get_slot(t, slot);

    if (!s)
        return -ENOMEM;
    if (s->state == SLOT_EMPTY) {
        int r = walk_parent(t, dfd, path, flags, &s->last);

        if (r < 0)
            return r;
        s->state = SLOT_PARENT;
    }
    *ret = &s->last;
    return 0;
}

int callpath_path(struct task *t, unsigned slot, int dfd, const char *path, unsigned flags,
                  struct path *ret)
{
    struct callpath_slot *s = get_slot(t, slot);

    if (!s)
        return -ENOMEM;
    if (s->state == SLOT_EMPTY) {
        int r = walk_path(t, dfd, path, flags, &s->path);

        if (r < 0)
            return r;
        s->state = SLOT_PATH;
    }
    *ret = s->path;
    return 0;
}

int callpath_lock(struct task *t, struct inode *i)
{
    struct callpath *cp;
    unsigned n;

    if (!t)
        return 0;
    cp = get(t);
    if (!cp)
        return -ENOMEM;
    for (n = 0; n < cp->nlocked && cp->locked[n] != i; n++)
        ;
    if (n == cp->nlocked) {
        if (n == CALLPATH_LOCKS)
            return -EDEADLK;
        cp->locked[cp->nlocked++] = inode_ref(i);
    }
    return tlock(t, &i->rw);
}

int callpath_lock_rename(struct task *t)
{
    struct callpath *cp;

    if (!t)
        return 0;
    cp = get(t);
    if (!cp)
        return -ENOMEM;
    cp->rename = true;
    return tlock(t, &vfs.rename);
}

int callpath_keep_opening(struct task *t, struct file *f)
{
    struct callpath *cp = get(t);

    if (!cp)
        return -ENOMEM;
    cp->opening = f;
    return 0;
}

struct file *callpath_opening(struct task *t)
{
    struct file *f = t && t->call.paths ? t->call.paths->opening : NULL;

    if (f)
        t->call.paths->opening = NULL;
    return f;
}

static void release(struct task *t, struct tlock *l)
{
    /* Only t itself makes itself the owner, or ends that. */
    if (atomic_load_explicit(&l->owner, memory_order_relaxed) == t)
        tunlock(t, l);
}

bool callpath_holds(struct task *t, const struct inode *i)
{
    struct callpath *cp = t ? t->call.paths : NULL;

    for (unsigned n = 0; cp && n < cp->nlocked; n++)
        if (cp->locked[n] == i)
            return atomic_load(&i->rw.owner) == t;
    return false;
}

void callpath_unlock(struct task *t, struct inode *i)
{
    struct callpath *cp = t ? t->call.paths : NULL;

    for (unsigned n = 0; cp && n < cp->nlocked; n++) {
        if (cp->locked[n] != i)
            continue;
        cp->locked[n] = cp->locked[--cp->nlocked];
        release(t, &i->rw);
        inode_put(i);
        return;
    }
}

void callpath_end(struct task *t)
{
    struct callpath *cp = t->call.paths;

    if (!cp)
        return;
    t->call.paths = NULL;
    while (cp->nlocked) {
        struct inode *i = cp->locked[--cp->nlocked];

        release(t, &i->rw);
        inode_put(i);
    }
    if (cp->rename)
        release(t, &vfs.rename);
    for (unsigned n = 0; n < ARRAY_SIZE(cp->slot); n++) {
        path_put(&cp->slot[n].last.parent);
        path_put(&cp->slot[n].path);
    }
    file_put(cp->opening);
    kfree(cp);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Propagation of mounts, as in the kernel's sharedsubtree.rst: peers tell one another what is
 * mounted and taken off, a master tells its slaves. mounts_lock is held everywhere.
 *
 * Peers form a ring; all of a ring have one group number and one master. Slaves hang in their
 * master's list. Nothing of this holds a reference: a mount leaves both when it is taken off.
 */
#include <errno.h>
#include <sys/mount.h>

#include "sentry/kernel/call.h"
#include "sentry/vfs/dcache.h"
#include "sentry/vfs/mount.h"

static int last_group;

bool dentry_below(const struct dentry *d, const struct dentry *root)
{
    LOCK_SCOPE(&vfs.dcache_lock);
    while (d != root && d->parent != d)
        d = d->parent;
    return d == root;
}

static struct mount *next_peer(const struct mount *m)
{
    return list_entry(m->peers.next, struct mount, peers);
}

/* m is no peer any more; its slaves get another master: a peer of it, or its own. */
static void become_slave(struct mount *m)
{
    struct mount *heir = list_empty(&m->peers) ? m->master : next_peer(m), *s, *tmp;

    list_del(&m->peers);
    m->group = 0;
    list_for_each_safe(s, tmp, &m->slaves, slave_link) {
        list_del(&s->slave_link);
        s->master = heir;
        if (heir)
            list_add_tail(&heir->slaves, &s->slave_link);
    }
    list_del(&m->slave_link);
    m->master = heir;
    if (heir)
        list_add_tail(&heir->slaves, &m->slave_link);
}

void mount_leave_groups_locked(struct mount *m)
{
    assert_locked(&vfs.mounts_lock);
    become_slave(m);
    list_del(&m->slave_link);
    m->master = NULL;
}

void mount_set_propagation_locked(struct mount *m, unsigned long type)
{
    assert_locked(&vfs.mounts_lock);
    if (type == MS_SHARED) {
        if (!m->group)
            m->group = ++last_group;
        m->unbindable = false;
        return;
    }
    if (type == MS_SLAVE)
        become_slave(m);
    else
        mount_leave_groups_locked(m);
    m->unbindable = type == MS_UNBINDABLE;
}

void mount_join_locked(struct mount *n, struct mount *old)
{
    assert_locked(&vfs.mounts_lock);
    if (old->group) {
        n->group = old->group;
        list_add_tail(&old->peers, &n->peers);
    }
    if (old->master) {
        n->master = old->master;
        list_add_tail(&old->master->slaves, &n->slave_link);
    }
}

struct targets {
    struct mount *first, **end;
    const struct dentry *at;
};

static void add(struct targets *ts, struct mount *m, struct mount *from, bool as_slave)
{
    m->marked = true;
    m->from = from;
    m->as_slave = as_slave;
    m->next = NULL;
    *ts->end = m;
    ts->end = &m->next;
}

static void add_peers(struct targets *ts, struct mount *m)
{
    for (struct mount *p = next_peer(m); p != m; p = next_peer(p))
        if (!p->marked)
            add(ts, p, m, /* as_slave= */ false);
}

static void add_slaves(struct targets *ts, struct mount *m)
{
    struct mount *s;

    list_for_each(s, &m->slaves, slave_link) {
        if (s->marked)
            continue;
        add(ts, s, m, /* as_slave= */ true);
        add_peers(ts, s);
    }
}

/*
 * All of a group are added before the slaves of any, so a slave's peers follow it and not the master.
 * Targets that do not show the place, and those in no tree, are left out in the end; what would come
 * from one comes from where that itself came from.
 */
struct mount *mount_targets_locked(struct mount *m, struct dentry *at)
{
    struct targets ts = { .end = &ts.first, .at = at };
    struct mount **p;

    assert_locked(&vfs.mounts_lock);
    if (!m->group)
        return NULL; /* a slave alone tells nobody */
    m->marked = true;
    add_peers(&ts, m);
    add_slaves(&ts, m);
    for (struct mount *x = ts.first; x; x = x->next)
        add_slaves(&ts, x);
    m->marked = false;
    for (struct mount *x = ts.first; x; x = x->next)
        x->marked = false;
    for (p = &ts.first; *p;) {
        struct mount *x = *p;

        if (x->attached && dentry_below(at, x->root)) {
            p = &x->next;
            continue;
        }
        for (struct mount *y = x->next; y; y = y->next)
            if (y->from == x) {
                y->from = x->from;
                y->as_slave = y->as_slave || x->as_slave;
            }
        *p = x->next;
    }
    return ts.first;
}

/* A slave's closest master that somebody with that root can see; 0. */
int mount_dominating_locked(const struct mount *m, const struct path *root)
{
    assert_locked(&vfs.mounts_lock);
    for (const struct mount *x = m->master; x; x = x->master) {
        const struct mount *p = x;

        do {
            if (p->attached && mount_reachable_locked(p, p->root, root))
                return x->group;
            p = next_peer(p);
        } while (p != x);
    }
    return 0;
}

/* ---- trees: copied, and mounted wherever that propagates ---- */

static struct mount *clone_one(struct mount *m, struct dentry *root)
{
    struct mount *c = mount_new(m->sb, root, m->flags, m->source);

    if (IS_ERR(c))
        return c;
    super_ref(m->sb);
    c->unbindable = m->unbindable;
    mount_join_locked(c, m);
    m->copy = c;
    return c;
}

/* The last one of the tree below m, in the order of mount_next_locked. */
static struct mount *last_below(struct mount *m)
{
    while (!list_empty(&m->children))
        m = list_entry(m->children.prev, struct mount, sibling);
    return m;
}

struct mount *mount_clone_locked(struct mount *top, struct dentry *root, unsigned how,
                                 struct list *gone)
{
    struct mount *first = clone_one(top, root), *c;

    if (IS_ERR(first) || !(how & CLONE_TREE))
        return first;
    for (struct mount *m = mount_next_locked(top, top); m; m = mount_next_locked(m, top)) {
        bool skip = (m->unbindable && !(how & CLONE_UNBINDABLE)) ||
                    (m->parent == top && !dentry_below(m->mountpoint, root));

        if (skip) {
            m = last_below(m);
            continue;
        }
        c = clone_one(m, m->root);
        if (IS_ERR(c)) {
            mount_remove_locked(first, /* propagate= */ false, gone);
            return c;
        }
        mount_hang_locked(c, m->parent->copy, m->mountpoint);
    }
    return first;
}

/* The copies are slaves of what they were made from, and peers among themselves where slave is. */
static void make_slaves(struct mount *src, const struct mount *slave)
{
    for (struct mount *m = src; m; m = mount_next_locked(m, src)) {
        struct mount *c = m->copy;

        mount_leave_groups_locked(c);
        c->master = m;
        list_add_tail(&m->slaves, &c->slave_link);
        if (slave->group)
            mount_set_propagation_locked(c, MS_SHARED);
    }
}

/* A copy of the tree for each target, in target->copy. */
static int make_copies(struct mount *top, struct mount *dest, struct mount *targets,
                       struct list *gone)
{
    for (struct mount *t = targets; t; t = t->next) {
        struct mount *src = t->from == dest ? top : t->from->copy;
        struct mount *c = mount_clone_locked(src, src->root, CLONE_TREE | CLONE_UNBINDABLE, gone);

        if (IS_ERR(c)) {
            for (struct mount *u = targets; u != t; u = u->next)
                mount_remove_locked(u->copy, /* propagate= */ false, gone);
            return PTR_ERR(c);
        }
        if (t->as_slave)
            make_slaves(src, t);
        t->copy = c;
    }
    return 0;
}

void mount_hang_beneath_locked(struct mount *m, struct mount *parent, struct dentry *at)
{
    struct mount *there = mount_find_locked(parent, at);

    if (there)
        mount_unhang_locked(there);
    mount_hang_locked(m, parent, at);
    if (there) {
        mount_put(there->drop_parent); /* neither is the last reference: m has taken one, too */
        dentry_put(there->drop_at);
        there->drop_parent = NULL;
        there->drop_at = NULL;
        mount_hang_locked(there, m, m->root);
    }
    mount_set_attached_locked(m, parent->attached);
}

int mount_attach_locked(struct mount *top, const struct path *at, struct list *gone)
{
    struct mount *dest = at->mnt, *targets;
    int r;

    if (is_dir(dentry_inode(at->dentry)) != is_dir(dentry_inode(top->root)))
        return -ENOTDIR;
    if (atomic_load(&at->dentry->unhashed) || dentry_inode(at->dentry)->ops->follow)
        return -ENOENT; /* nor on what only looks like a name: /proc/PID/fd/N */
    targets = mount_targets_locked(dest, at->dentry);
    for (struct mount *m = dest->group ? top : NULL; m; m = mount_next_locked(m, top))
        if (!m->group)
            mount_set_propagation_locked(m, MS_SHARED);
    r = make_copies(top, dest, targets, gone);
    if (r < 0)
        return r;
    mount_hang_locked(top, dest, at->dentry);
    mount_set_attached_locked(top, dest->attached);
    for (struct mount *t = targets; t; t = t->next)
        mount_hang_beneath_locked(t->copy, t, at->dentry);
    return 0;
}

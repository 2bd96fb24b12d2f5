/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Propagation of mounts, as in the kernel's sharedsubtree.rst: peers tell one another what is
 * mounted and taken off, a master tells its slaves. mounts_lock is held everywhere.
 *
 * Peers form a ring; all of a ring have one group number and one master. Slaves hang in their
 * master's list. Nothing of this holds a reference: a mount leaves both when it is taken off.
 */
#include <sys/mount.h>

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

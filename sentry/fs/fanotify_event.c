/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what happened to events in the queues of the groups that want to know: which marks meet it,
 * what they ignore, and what an event has to tell in each kind of group.
 */
#include <errno.h>
#include <string.h>

#include "sentry/fs/fanotify_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"

/* So many of the newest are looked at for one that says the same. */
#define MERGE_DEPTH 128

/* ---- who wants to know ---- */

struct match {
    uint32_t wanted, ignored;
};

/* Do a mark's bits count for an event of a directory, or of a child? */
static bool applies(uint32_t bits, bool is_dir, bool child)
{
    return (!is_dir || bits & LX_FAN_ONDIR) && (!child || bits & LX_FAN_EVENT_ON_CHILD);
}

static bool look(struct match *w, struct fan_mark *m, uint32_t event, bool child)
{
    bool is_dir = event & LX_IN_ISDIR;
    uint32_t ignored;

    if (!m)
        return false;
    if (event & LX_IN_MODIFY && !m->survives && !child)
        m->ignored = 0; /* it was ignored as it was */
    ignored = m->ignored;
    if (!m->ignores)
        ignored |= LX_FAN_ONDIR | (m->mask & LX_FAN_EVENT_ON_CHILD);
    if (m->ignored && applies(ignored, is_dir, child))
        w->ignored |= m->ignored;
    if (!applies(m->mask, is_dir, child))
        return false;
    w->wanted |= m->mask;
    return m->mask & event & ~FAN_EVENT_FLAGS;
}

uint32_t fan_wanted_locked(const struct fan_group *g, const struct fsnotify_event *e, bool *ret_old,
                           bool *ret_new)
{
    struct inode *any = e->inode ? e->inode : e->dir;
    struct match w = {};
    bool super, old = false, new = false;
    uint32_t r;

    if (e->path)
        look(&w, fan_find_locked(g, MARK_MOUNT, e->path->mnt), e->mask, false);
    super = look(&w, fan_find_locked(g, MARK_SUPER, any->sb), e->mask, false);
    if (e->dirent) {
        old = look(&w, fan_find_locked(g, MARK_INODE, e->dir), e->mask, false);
        if (e->ndir)
            new = look(&w, fan_find_locked(g, MARK_INODE, e->ndir), e->mask, false);
    } else {
        look(&w, fan_find_locked(g, MARK_INODE, e->inode), e->mask, false);
        if (e->dir)
            look(&w, fan_find_locked(g, MARK_INODE, e->dir), e->mask, true);
    }
    *ret_old = old || super;
    *ret_new = new || super;
    r = e->mask & w.wanted & ~w.ignored & ~LX_FAN_EVENT_ON_CHILD;
    return r & ~FAN_EVENT_FLAGS ? r : 0;
}

/* ---- events ---- */

void fan_event_free(struct fan_event *e)
{
    if (!e)
        return;
    path_put(&e->path);
    kfree(e->name);
    kfree(e->nname);
    kfree(e);
}

pid_t fan_pid_of(const struct fan_group *g, const struct task *t)
{
    return !t ? 0 : g->flags & LX_FAN_REPORT_TID ? t->tid : t->group->pid;
}

static size_t record_len(const struct fan_id *id, size_t name)
{
    size_t n = sizeof(struct lx_fan_info_fid) + id->id.len + (name ? name + 1 : 0);

    return (n + 3) & ~3ul;
}

/* "." stands for a directory itself, in groups that report names. */
static size_t own_name(const struct fan_group *g, const struct fan_event *e)
{
    return !e->dir.known && !e->ndir.known && g->flags & LX_FAN_REPORT_NAME &&
           e->mask & LX_FAN_ONDIR;
}

size_t fan_event_len(const struct fan_group *g, const struct fan_event *e)
{
    size_t n = sizeof(struct lx_fan_metadata);

    if (e->mask & LX_IN_Q_OVERFLOW)
        return n;
    if (e->dir.known)
        n += record_len(&e->dir, e->name ? strlen(e->name) : 0);
    if (e->ndir.known)
        n += record_len(&e->ndir, e->nname ? strlen(e->nname) : 0);
    if (e->object.known)
        n += record_len(&e->object, own_name(g, e));
    if (g->flags & LX_FAN_REPORT_PIDFD)
        n += sizeof(struct lx_fan_info_pidfd);
    return n;
}

void fan_queue_locked(struct fan_group *g, struct fan_event *e)
{
    e->group = g;
    list_add_tail(&g->events, &e->link);
    g->nevents++;
    g->bytes += fan_event_len(g, e);
    wq_wake(&g->wq, POLLIN | POLLRDNORM);
}

static bool same_id(const struct fan_id *a, const struct fan_id *b)
{
    return a->known == b->known && (!a->known || !memcmp(&a->id, &b->id, sizeof a->id));
}

static bool same_name(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same(const struct fan_event *a, const struct fan_event *b)
{
    return !((a->mask ^ b->mask) & (LX_IN_ISDIR | LX_FS_RENAME)) && !(a->mask & FAN_PERM_EVENTS) &&
           a->pid == b->pid && a->path.mnt == b->path.mnt && a->path.dentry == b->path.dentry &&
           a->fsid == b->fsid && same_id(&a->dir, &b->dir) && same_id(&a->ndir, &b->ndir) &&
           same_id(&a->object, &b->object) && same_name(a->name, b->name) &&
           same_name(a->nname, b->nname);
}

static bool merge_locked(struct fan_group *g, const struct fan_event *e)
{
    unsigned n = 0;

    for (struct list *l = g->events.prev; l != &g->events && n < MERGE_DEPTH; l = l->prev, n++) {
        struct fan_event *old = list_entry(l, struct fan_event, link);

        if (old->mask & LX_IN_Q_OVERFLOW || !same(old, e))
            continue;
        old->mask |= e->mask;
        return true;
    }
    return false;
}

static void overflow_locked(struct fan_group *g)
{
    struct fan_event *e = g->overflowed ? NULL : kzalloc(sizeof *e);

    if (!e)
        return;
    e->mask = LX_IN_Q_OVERFLOW;
    g->overflowed = true;
    fan_queue_locked(g, e);
}

static void set_id(struct fan_id *id, struct inode *i)
{
    id->known = i && file_id_of(i, /* fid= */ true, &id->id) == 0;
}

static bool set_name(char **to, const char *name)
{
    *to = name ? kstrdup(name) : NULL;
    return !name || *to;
}

/* What a group that reports ids is told. False: no memory. */
static bool fill_ids(const struct fan_group *g, struct fan_event *ev,
                     const struct fsnotify_event *e, bool old, bool new)
{
    bool names = g->flags & LX_FAN_REPORT_NAME, ondir = ev->mask & LX_IN_ISDIR;
    struct inode *object = e->dirent && !(g->flags & LX_FAN_REPORT_TARGET_FID) ? e->dir : e->inode;
    struct inode *dir = e->dirent                             ? e->dir
                        : e->inode && S_ISDIR(e->inode->mode) ? e->inode
                                                              : e->dir;
    bool ok = true;

    ev->fsid = (e->inode ? e->inode : e->dir)->sb->dev;
    if (!(g->flags & LX_FAN_REPORT_DIR_FID) || !dir) {
        set_id(&ev->object, object);
        return true;
    }
    if (e->mask & LX_FS_RENAME) {
        set_id(&ev->dir, old ? e->dir : NULL);
        set_id(&ev->ndir, new ? e->ndir : NULL);
        ok = set_name(&ev->name, old ? e->name : NULL) &&
             set_name(&ev->nname, new ? e->nname : NULL);
    } else if (names && e->name && (e->dirent || !ondir)) {
        set_id(&ev->dir, dir);
        ok = set_name(&ev->name, e->name);
    }
    if (g->flags & LX_FAN_REPORT_FID && object && object != dir) {
        set_id(&ev->object, object);
        if (!ev->dir.known && !(e->mask & LX_FS_RENAME))
            set_id(&ev->dir, dir);
    } else if (!ev->dir.known && !ev->ndir.known) {
        set_id(&ev->object, dir); /* a record of the directory alone */
    }
    return ok;
}

static struct fan_event *event_new(struct fan_group *g, const struct fsnotify_event *e,
                                   uint32_t mask, bool old, bool new)
{
    struct fan_event *ev = kzalloc(sizeof *ev);

    if (!ev)
        return NULL;
    list_init(&ev->link);
    ev->mask = mask;
    ev->fd = -1;
    ev->pid = fan_pid_of(g, task_running);
    if (g->flags & LX_FAN_FID_BITS) {
        if (fill_ids(g, ev, e, old, new))
            return ev;
        fan_event_free(ev);
        return NULL;
    }
    ev->path = path_ref(*e->path);
    ev->mask &= ~LX_IN_ISDIR;
    return ev;
}

static void deliver_locked(struct fan_group *g, const struct fsnotify_event *e, struct list *drop)
{
    bool old, new;
    uint32_t mask = fan_wanted_locked(g, e, &old, &new) & ~FAN_PERM_EVENTS;
    struct fan_event *ev;

    if (!(mask & ~LX_IN_ISDIR))
        return;
    if (!(g->flags & LX_FAN_FID_BITS) &&
        (!e->path || !(S_ISREG(e->inode->mode) || S_ISDIR(e->inode->mode))))
        return;
    if ((g->flags & LX_FAN_FID_BITS) && !(g->flags & LX_FAN_REPORT_FID) && !e->dir &&
        !(e->mask & LX_IN_ISDIR))
        return; /* there is no directory to tell of */
    ev = event_new(g, e, mask, old, new);
    if (ev && merge_locked(g, ev)) {
        list_add_tail(drop, &ev->link);
    } else if (!ev || (!(g->flags & LX_FAN_UNLIMITED_QUEUE) && g->nevents >= FANOTIFY_MAX_QUEUED)) {
        if (ev)
            list_add_tail(drop, &ev->link);
        overflow_locked(g);
    } else {
        fan_queue_locked(g, ev);
    }
}

void fan_tell(const struct fsnotify_event *e)
{
    struct list drop = LIST_INIT(drop);
    struct fan_event *ev, *tmp;
    struct fan_group *g;

    if (e->gone_mount)
        fan_object_gone(MARK_MOUNT, e->gone_mount);
    if (e->gone_super)
        fan_object_gone(MARK_SUPER, e->gone_super);
    if (!e->inode && !e->dir)
        return;
    if (atomic_load(&fan_id_groups)) {
        file_id_publish(e->inode);
        file_id_publish(e->dir);
        file_id_publish(e->ndir);
    }
    lock(&fan_lock);
    list_for_each(g, &fan_groups, link)
        deliver_locked(g, e, &drop);
    unlock(&fan_lock);
    list_for_each_safe(ev, tmp, &drop, link) {
        list_del(&ev->link);
        fan_event_free(ev);
    }
    if (e->mask & LX_IN_DELETE_SELF)
        fan_object_gone(MARK_INODE, e->inode);
}

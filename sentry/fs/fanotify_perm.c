/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permission events. A call that opens or reads asks the groups one after the other, those of the
 * higher class first; its record (struct fan_perm) says how far it has come, and waits for the answer
 * of one group at a time.
 *
 *   caller: queue the event of a group --> wait --> answered --> next group, or the end
 *   reader: read it (queue -> asked, with a descriptor) --> write FAN_ALLOW or FAN_DENY
 *
 * The event is the record's while it is in a group's lists; who withdraws the question (a killed
 * task), or ends the group, takes it off under fan_lock.
 */
#include <errno.h>

#include "sentry/fs/fanotify_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

void fan_answer_locked(struct fan_event *e, bool allow)
{
    struct fan_perm *p = e->perm;

    assert_locked(&fan_lock);
    list_del(&e->link);
    p->answered = true;
    p->denied = !allow;
    wq_wake_all(&fan_answers, 0);
}

static struct fan_perm *perm_of(struct task *t, struct file *f, uint32_t mask)
{
    struct fan_perm *p = t->call.perm;

    if (p && (p->f != f || p->mask != mask) &&
        p->event == NULL) { /* another question of this call */
        kfree(p);
        p = NULL;
    }
    if (!p) {
        p = kzalloc(sizeof *p);
        if (p) {
            p->f = f;
            p->mask = mask;
        }
        t->call.perm = p;
    }
    return p;
}

/* The event for g; in order of the list of groups, those that have answered left out. */
static struct fan_group *next_group_locked(const struct fan_perm *p, const struct fsnotify_event *e,
                                           uint32_t *ret_mask)
{
    bool past = !p->asked_any, old, new;
    struct fan_group *g;

    list_for_each(g, &fan_groups, link) {
        if (past) {
            *ret_mask = fan_wanted_locked(g, e, &old, &new) & FAN_PERM_EVENTS;
            if (*ret_mask)
                return g;
        }
        past = past || g->id == p->after_id;
    }
    return NULL;
}

/* 1: queued; 0: nobody is left to ask. */
static int ask_next_locked(struct task *t, struct fan_perm *p, struct fan_event **spare)
{
    struct dentry *d = p->f->path.dentry;
    struct fsnotify_event e = { .mask = p->mask | (S_ISDIR(p->f->inode->mode) ? LX_IN_ISDIR : 0),
                                .path = &p->f->path,
                                .inode = p->f->inode };
    struct inode *dir = NULL;
    struct fan_group *g;
    uint32_t mask;

    if (d->parent &&
        d->parent != d) /* a name that is changed right now: either directory will do */
        dir = dentry_inode(d->parent);
    e.dir = dir;
    g = next_group_locked(p, &e, &mask);
    if (!g)
        return 0;
    p->asked_any = true;
    p->after_id = g->id;
    p->answered = p->denied = false;
    p->event = *spare;
    *spare = NULL;
    p->event->mask = mask;
    p->event->pid = fan_pid_of(g, t);
    p->event->path = path_ref(p->f->path);
    p->event->perm = p;
    fan_queue_locked(g, p->event);
    return 1;
}

/* -EWAITING, or what came. */
static int step(struct task *t, struct fan_perm *p, struct fan_event **spare,
                struct fan_event **ret_old)
{
    LOCK_SCOPE(&fan_lock);
    if (p->event && !p->answered)
        return task_wait(t, &fan_answers, WAIT_KILL);
    if (p->event) {
        *ret_old = p->event;
        p->event = NULL;
        if (p->denied)
            return -EPERM;
    }
    if (ask_next_locked(t, p, spare))
        return task_wait(t, &fan_answers, WAIT_KILL);
    return 0;
}

int fan_ask(struct task *t, struct file *f, uint32_t mask)
{
    struct fan_event *spare, *old = NULL;
    struct fan_perm *p;
    int r;

    if (!f->path.dentry || !f->inode || f->no_notify)
        return 0;
    p = perm_of(t, f, mask);
    spare = kzalloc(sizeof *spare);
    if (!p || !spare) {
        kfree(spare);
        return -ENOMEM;
    }
    if (p->done) {
        kfree(spare);
        return p->denied ? -EPERM : 0;
    }
    list_init(&spare->link);
    spare->fd = -1;
    r = step(t, p, &spare, &old);
    if (r != -EWAITING)
        p->done = true;
    kfree(spare);
    fan_event_free(old);
    return r;
}

void fanotify_call_end(struct task *t)
{
    struct fan_perm *p = t->call.perm;
    struct fan_event *e;

    if (!p)
        return;
    t->call.perm = NULL;
    lock(&fan_lock);
    e = p->event;
    if (e && !p->answered && e->group && !list_empty(&e->link) && !e->read) {
        e->group->nevents--;
        e->group->bytes -= fan_event_len(e->group, e);
    }
    if (e)
        list_del(&e->link);
    unlock(&fan_lock);
    fan_event_free(e);
    kfree(p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process groups and sessions: who is in which, and what job control asks of them. A process group
 * has no object of its own; it is the list of its members at its number's pid_entry.
 *
 * Everything under kernel.tasks_lock.
 */
#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"

struct session *session_new(pid_t sid)
{
    struct session *s = kzalloc(sizeof *s);
    if (s) {
        atomic_init(&s->refs, 1);
        s->sid = sid;
    }
    return s;
}

struct session *session_ref(struct session *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

/* The terminal is gone from a session before its last member is: the leader's exit takes it away. */
void session_put(struct session *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1)
        kfree(s);
}

void group_set_pgrp_locked(struct tgroup *g, struct pid_entry *e)
{
    assert_locked(&kernel.tasks_lock);
    struct pid_entry *old = g->pgrp;
    if (old == e)
        return;
    list_del(&g->pgrp_link);
    g->pgrp = e ? pid_ref_locked(e) : NULL;
    if (e)
        list_add_tail(&e->pgrp, &g->pgrp_link);
    pid_put_locked(old);
}

void group_set_session_locked(struct tgroup *g, struct pid_entry *e, struct session *s)
{
    assert_locked(&kernel.tasks_lock);
    struct pid_entry *old = g->sess_entry;
    struct session *old_session = g->session;
    list_del(&g->sess_link);
    g->sess_entry = e ? pid_ref_locked(e) : NULL;
    g->session = s ? session_ref(s) : NULL;
    if (e)
        list_add_tail(&e->session, &g->sess_link);
    pid_put_locked(old);
    session_put(old_session);
}

bool pgrp_orphaned_locked(const struct pid_entry *pgrp, const struct tgroup *ignored)
{
    assert_locked(&kernel.tasks_lock);
    struct tgroup *g;
    list_for_each(g, &pgrp->pgrp, pgrp_link) {
        const struct tgroup *parent = g->parent;
        if (g == ignored || g->nlive == 0 || !parent)
            continue;
        if (parent->is_sentry && g->pid == 2 && kernel.first == 2)
            return false; /* the front end plays its shell: it stops too, and continues it */
        if (parent->is_sentry)
            continue;
        if (parent->pgrp != pgrp && parent->session == g->session)
            return false;
    }
    return true;
}

bool pgrp_has_stopped_locked(const struct pid_entry *pgrp)
{
    assert_locked(&kernel.tasks_lock);
    struct tgroup *g;
    list_for_each(g, &pgrp->pgrp, pgrp_link) {
        if (g->stopped)
            return true;
    }
    return false;
}

bool pgrp_in_session_locked(const struct pid_entry *e, pid_t sid)
{
    if (!e || list_empty(&e->pgrp))
        return false;
    return group_sid(list_first(&e->pgrp, struct tgroup, pgrp_link)) == sid;
}

int do_setpgid(struct task *t, pid_t pid, pid_t pgid)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *self = t->group;
    if (pid == 0)
        pid = self->pid;
    if (pgid == 0)
        pgid = pid;
    if (pgid < 0)
        return -EINVAL;
    struct task *named = task_find_locked(t->group->pidns, pid);
    if (!named)
        return -ESRCH;
    if (named != named->group->leader)
        return -EINVAL;
    struct tgroup *g = named->group;
    if (g->parent == self) {
        if (g->session != self->session)
            return -EPERM;
        if (g->did_exec)
            return -EACCES;
    } else if (g != self) {
        return -ESRCH;
    }
    if (group_sid(g) == g->pid)
        return -EPERM; /* a session leader stays */
    struct pid_entry *to = pid_find_locked(self->pidns, pgid);
    if (pgid != pid && !pgrp_in_session_locked(to, group_sid(self)))
        return -EPERM;
    group_set_pgrp_locked(g, to);
    return 0;
}

long do_setsid(struct task *t)
{
    struct tgroup *g = t->group;
    struct session *s = session_new(g->pid);
    if (!s)
        return -ENOMEM;
    s->ns = g->pidns->id;
    long r = -EPERM;
    lock(&kernel.tasks_lock);
    struct pid_entry *e = g->pid_entry;
    if (group_sid(g) != g->pid && list_empty(&e->pgrp)) {
        group_set_session_locked(g, e, s);
        group_set_pgrp_locked(g, e);
        r = g->pid;
    }
    unlock(&kernel.tasks_lock);
    session_put(s);
    return r;
}

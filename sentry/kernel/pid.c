/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id tables. A number is one pid_entry however many things it names: a thread, the process that
 * the thread leads, a process group, a session. Each of these holds a reference, and the number is
 * free again when the last goes, so a process group's id is never handed out while it has members.
 *
 * Numbers are given in rising order and wrap to RESERVED_PIDS, as Linux does. A table is an array:
 * 256 KiB of which only the pages with numbers in use are ever touched.
 *
 * Everything under kernel.tasks_lock.
 */
#include "sentry/kernel/pid.h"

#include <errno.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sysctl.h"

#define RESERVED_PIDS 300

struct pidns first_pidns = { .refs = 1, .id = 1, .link = LIST_INIT(first_pidns.link) };
static struct list further = LIST_INIT(further); /* all but the first */
static uint32_t last_id = 1;

/* ---- namespaces ---- */

struct pidns *pidns_new(void)
{
    struct pidns *ns = kzalloc(sizeof *ns);

    if (!ns)
        return NULL;
    atomic_init(&ns->refs, 1);
    LOCK_SCOPE(&kernel.tasks_lock);
    ns->id = ++last_id;
    list_add_tail(&further, &ns->link);
    return ns;
}

struct pidns *pidns_ref(struct pidns *ns)
{
    atomic_fetch_add(&ns->refs, 1);
    return ns;
}

void pidns_put(struct pidns *ns)
{
    if (ns && atomic_fetch_sub(&ns->refs, 1) == 1)
        kfree(ns);
}

void pidns_end(struct pidns *ns)
{
    lock(&kernel.tasks_lock);
    list_del(&ns->link);
    unlock(&kernel.tasks_lock);
    pidns_put(ns);
}

struct pidns *pidns_find_locked(uint32_t id)
{
    struct pidns *ns;

    assert_locked(&kernel.tasks_lock);
    if (id == first_pidns.id)
        return &first_pidns;
    list_for_each(ns, &further, link) {
        if (ns->id == id)
            return ns;
    }
    return NULL;
}

/* ---- numbers ---- */
static pid_t find_free(const struct pidns *ns, pid_t from, pid_t to)
{
    for (pid_t nr = from; nr < to; nr++) {
        if (!ns->table[nr])
            return nr;
    }
    return 0;
}

int pid_new_locked(struct pidns *ns, pid_t wanted, struct pid_entry **ret)
{
    assert_locked(&kernel.tasks_lock);
    pid_t limit = (pid_t)sysctl_of(SYSCTL_PID_MAX);
    pid_t nr = wanted ? wanted : find_free(ns, ns->last + 1, limit);
    if (!nr)
        nr = find_free(ns, ns->last > RESERVED_PIDS ? RESERVED_PIDS : 1, MIN(ns->last + 1, limit));
    if (!nr)
        return -EAGAIN;
    if (wanted == PID_NONE)
        nr = 0;
    else if (nr < 1 || nr >= PID_LIMIT)
        return -EINVAL;
    else if (ns->table[nr])
        return -EEXIST;
    struct pid_entry *e = kzalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    e->nr = nr;
    e->ns = ns; /* outlived by it: each entry is a thread group's, which has a reference */
    e->refs = 1;
    list_init(&e->pgrp);
    list_init(&e->session);
    if (nr)
        ns->table[nr] = e;
    if (!wanted)
        ns->last = nr;
    return *ret = e, 0;
}

struct pid_entry *pid_ref_locked(struct pid_entry *e)
{
    assert_locked(&kernel.tasks_lock);
    e->refs++;
    return e;
}

void pid_put_locked(struct pid_entry *e)
{
    assert_locked(&kernel.tasks_lock);
    if (!e || --e->refs)
        return;
    if (e->nr)
        e->ns->table[e->nr] = NULL;
    kfree(e);
}

struct pid_entry *pid_find_locked(const struct pidns *ns, pid_t nr)
{
    assert_locked(&kernel.tasks_lock);
    return nr > 0 && nr < PID_LIMIT ? ns->table[nr] : NULL;
}

pid_t pid_last(uint32_t id)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(id);
    return ns ? ns->last : 0;
}

void pid_set_last(struct pidns *ns, pid_t nr)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    ns->last = nr;
}

struct task *task_find_locked(const struct pidns *ns, pid_t tid)
{
    struct pid_entry *e = pid_find_locked(ns, tid);
    return e ? e->task : NULL;
}

struct tgroup *tgroup_find_locked(const struct pidns *ns, pid_t pid)
{
    struct pid_entry *e = pid_find_locked(ns, pid);
    return e ? e->group : NULL;
}

static int each_of(const struct pidns *ns, int (*fn)(struct tgroup *g, void *arg), void *arg)
{
    for (pid_t nr = 1; nr < PID_LIMIT; nr++) {
        if (!ns->table[nr] || !ns->table[nr]->group)
            continue;
        int r = fn(ns->table[nr]->group, arg);
        if (r)
            return r;
    }
    return 0;
}

int tgroup_each_locked(const struct pidns *ns, int (*fn)(struct tgroup *g, void *arg), void *arg)
{
    const struct pidns *one;
    assert_locked(&kernel.tasks_lock);
    int r = each_of(ns ? ns : &first_pidns, fn, arg);
    if (ns)
        return r;
    list_for_each(one, &further, link) {
        if (r)
            break;
        r = each_of(one, fn, arg);
    }
    return r;
}

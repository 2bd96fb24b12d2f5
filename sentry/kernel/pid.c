/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id table. A number is one pid_entry however many things it names: a thread, the process that
 * the thread leads, a process group, a session. Each of these holds a reference, and the number is
 * free again when the last goes, so a process group's id is never handed out while it has members.
 *
 * Numbers are given in rising order and wrap to RESERVED_PIDS, as Linux does. The table is an array:
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

static struct pid_entry *table[PID_LIMIT];
static pid_t last;

static pid_t find_free(pid_t from, pid_t to)
{
    for (pid_t nr = from; nr < to; nr++) {
        if (!table[nr])
            return nr;
    }
    return 0;
}

int pid_new_locked(pid_t wanted, struct pid_entry **ret)
{
    assert_locked(&kernel.tasks_lock);
    pid_t limit = (pid_t)sysctl_of(SYSCTL_PID_MAX);
    pid_t nr = wanted ? wanted : find_free(last + 1, limit);
    if (!nr)
        nr = find_free(last > RESERVED_PIDS ? RESERVED_PIDS : 1, MIN(last + 1, limit));
    if (!nr)
        return -EAGAIN;
    if (wanted == PID_NONE)
        nr = 0;
    else if (nr < 1 || nr >= PID_LIMIT)
        return -EINVAL;
    else if (table[nr])
        return -EEXIST;
    struct pid_entry *e = kzalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    e->nr = nr;
    e->refs = 1;
    list_init(&e->pgrp);
    list_init(&e->session);
    if (nr)
        table[nr] = e;
    if (!wanted)
        last = nr;
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
        table[e->nr] = NULL;
    kfree(e);
}

struct pid_entry *pid_find_locked(pid_t nr)
{
    assert_locked(&kernel.tasks_lock);
    return nr > 0 && nr < PID_LIMIT ? table[nr] : NULL;
}

pid_t pid_last(void)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return last;
}

void pid_set_last(pid_t nr)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    last = nr;
}

struct task *task_find_locked(pid_t tid)
{
    struct pid_entry *e = pid_find_locked(tid);
    return e ? e->task : NULL;
}

struct tgroup *tgroup_find_locked(pid_t pid)
{
    struct pid_entry *e = pid_find_locked(pid);
    return e ? e->group : NULL;
}

int tgroup_each_locked(int (*fn)(struct tgroup *g, void *arg), void *arg)
{
    assert_locked(&kernel.tasks_lock);
    for (pid_t nr = 1; nr < PID_LIMIT; nr++) {
        if (!table[nr] || !table[nr]->group)
            continue;
        int r = fn(table[nr]->group, arg);
        if (r)
            return r;
    }
    return 0;
}

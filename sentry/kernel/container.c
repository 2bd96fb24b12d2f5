/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/kernel/container.h"

#include <unistd.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"

struct container first_container = { .refs = 1, .control = -1, .pidns = &first_pidns };

static struct list further = LIST_INIT(further); /* tasks_lock: all but the first */
static _Thread_local struct container *entered;

struct container *container_here(void)
{
    return entered ? entered : task_running ? task_running->group->container : &first_container;
}

void container_enter(struct container *c)
{
    entered = c;
}

struct container *container_new(struct pidns *ns)
{
    struct container *c = kzalloc(sizeof *c);

    ns = !c ? NULL : ns ? pidns_ref(ns) : pidns_new();
    if (!ns) {
        kfree(c);
        return NULL;
    }
    atomic_init(&c->refs, 1);
    c->control = -1;
    c->pidns = ns;
    LOCK_SCOPE(&kernel.tasks_lock);
    list_add_tail(&further, &c->link);
    return c;
}

struct container *container_ref(struct container *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void container_put(struct container *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->control >= 0)
        close(c->control);
    cgroup_view_free(c->view);
    kfree(c);
}

bool container_take_task(struct container *c)
{
    const uint64_t max = atomic_load(&c->tasks_max);

    if (atomic_fetch_add(&kernel.ntasks, 1) >= limit_of(LIMIT_TASKS)) {
        atomic_fetch_sub(&kernel.ntasks, 1);
        return false;
    }
    if (atomic_fetch_add(&c->ntasks, 1) < max || !max)
        return true;
    container_give_task(c);
    return false;
}

void container_give_task(struct container *c)
{
    atomic_fetch_sub(&c->ntasks, 1);
    atomic_fetch_sub(&kernel.ntasks, 1);
}

int container_each_locked(int (*fn)(struct container *c, void *arg), void *arg)
{
    struct container *c;
    int r = fn(&first_container, arg);

    assert_locked(&kernel.tasks_lock);
    list_for_each(c, &further, link) {
        if (r)
            break;
        r = fn(c, arg);
    }
    return r;
}

struct of_container {
    struct container *c;
    int (*fn)(struct tgroup *g, void *arg);
    void *arg;
};

static int of_container(struct tgroup *g, void *arg)
{
    const struct of_container *o = arg;

    return g->container == o->c ? o->fn(g, o->arg) : 0;
}

int container_groups_locked(struct container *c, int (*fn)(struct tgroup *g, void *arg), void *arg)
{
    struct of_container o = { c, fn, arg };

    return tgroup_each_locked(c->pidns, of_container, &o);
}

/* ---- its end ---- */

static int kill_group(struct tgroup *g, void *arg)
{
    (void)arg;
    group_kill_locked(g, SIGKILL);
    return 0;
}

void container_end_locked(struct container *c, int status)
{
    assert_locked(&kernel.tasks_lock);
    if (c->ending || container_is_first(c))
        return;
    c->ending = true;
    c->status = status;
    container_groups_locked(c, kill_group, NULL);
    if (c->ngroups == 0)
        ktimer_arm(&c->over, 0);
}

void container_group_gone_locked(struct container *c)
{
    assert_locked(&kernel.tasks_lock);
    if (--c->ngroups == 0 && c->ending && !container_is_first(c))
        ktimer_arm(&c->over, 0);
}

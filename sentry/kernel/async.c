/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls without a thread; see async.h.
 *
 * async_lock guards who works for whom: task.async_calls and task.async_link. A call on such a list
 * holds a reference on the task it works for.
 *
 *      async_cancel, async_end                   task_wait (of the call)
 *      -----------------------                   ---------
 *      sigpending = true            (A)          rec = QUEUED              (C)
 *      claim: QUEUED or WAITING?    (B)          test sigpending           (D)
 *
 * All are sequentially consistent, as for signals (wait.c): if D misses A, B comes after C and claims.
 */
#include "sentry/kernel/async.h"

#include <errno.h>
#include <sys/syscall.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

static struct lock async_lock; /* LOCK_LEAF */

__attribute__((constructor)) static void async_lock_init(void)
{
    lock_init(&async_lock, LOCK_LEAF);
}

void async_init(struct task *t, const struct async_ops *ops, struct task *of)
{
    task_init(t);
    t->async = ops;
    t->async_for = of;
    t->group = of->group;
    t->cred = of->cred;
    t->mm = of->mm;
    t->files = of->files;
    t->fs = of->fs;
    t->tid = of->tid;
    t->sched = of->sched;
    t->personality = of->personality;
    call_begin(t, SYS_io_uring_enter, (const uint64_t[6]){ 0 });
}

void async_own(struct task *t)
{
    if (t->async_owns)
        return;
    t->async_owns = true;
    tgroup_ref(t->group);
    cred_ref(t->cred);
    if (t->mm)
        mm_ref(t->mm);
    if (t->files)
        files_ref(t->files);
    if (t->fs)
        fs_ctx_ref(t->fs);
    if (!t->async_for)
        return;
    task_ref(t->async_for);
    LOCK_SCOPE(&async_lock);
    list_add_tail(&t->async_for->async_calls, &t->async_link);
}

/* What it borrowed is forgotten, what it owned given back. */
static void drop(struct task *t)
{
    struct task *of = t->async_for;
    bool owned = t->async_owns;

    if (owned && of) {
        lock(&async_lock);
        list_del(&t->async_link);
        unlock(&async_lock);
    }
    if (owned) {
        files_put(t->files);
        if (t->fs)
            fs_ctx_put(t->fs);
        mm_put(t->mm);
        cred_put(t->cred);
        tgroup_put(t->group);
        task_put(of);
    }
    t->async_owns = false;
    t->async_for = NULL;
    t->group = NULL;
    t->cred = NULL;
    t->mm = NULL;
    t->files = NULL;
    t->fs = NULL;
}

void async_abandon(struct task *t)
{
    drop(t);
    task_put(t);
}

long async_run(struct task *t)
{
    long r = t->async->run(t);

    if (r == -EWAITING && !t->async_waited) {
        t->async_waited = true;
        async_own(t);
        if (t->async->waits)
            t->async->waits(t);
    }
    return r;
}

void async_finish(struct task *t, long ret)
{
    call_end(t);
    t->async->done(t, ret);
    drop(t); /* last: what done takes off may hang on the task it works for */
    task_put(t);
}

void async_start(struct task *t)
{
    dispatch_call(t);
}

/* Waits that only a fatal signal would end are short, and go on to their end. */
static bool ask(struct task *t)
{
    if (atomic_exchange(&t->async_cancelled, true))
        return false;
    atomic_store(&t->sigpending, true);
    return true;
}

bool async_cancel(struct task *t)
{
    bool first = ask(t);

    if (first)
        task_interrupt(t);
    return first;
}

bool async_end(struct task *t)
{
    bool first = ask(t);

    if (task_take(t))
        dispatch_record(t);
    else
        task_interrupt(t);
    return first;
}

/* The first that was not asked yet; a reference. left: what goes on alone is let go. */
static struct task *next_of(struct task *t, bool left)
{
    struct task *c, *tmp;

    LOCK_SCOPE(&async_lock);
    list_for_each_safe(c, tmp, &t->async_calls, async_link) {
        if (left && c->async_alone)
            list_del(&c->async_link);
        else if (!async_cancelled(c))
            return task_ref(c);
    }
    return NULL;
}

static void end_all(struct task *t, bool left)
{
    struct task *c;

    while ((c = next_of(t, left))) {
        async_end(c);
        task_put(c);
    }
}

void async_end_all(struct task *t)
{
    end_all(t, /* left= */ false);
}

/* They keep t, which is dead then; only who ends them changes. */
static bool hand_over(struct task *t)
{
    struct task *o;

    LOCK_SCOPE(&kernel.tasks_lock);
    list_for_each(o, &t->group->tasks, group_link) {
        if (o == t || o->dead || atomic_load(&o->leaving))
            continue;
        lock(&async_lock);
        list_splice_tail(&o->async_calls, &t->async_calls);
        unlock(&async_lock);
        return true;
    }
    return false;
}

void async_leave(struct task *t)
{
    if (!hand_over(t))
        end_all(t, /* left= */ true);
}

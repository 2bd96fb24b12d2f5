/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a thread, and of its process when it is the last one.
 *
 *   do_exit: begin (no signal finds it any more) -> words (robust list, clear_child_tid: operations
 *   of its context, over several runs) -> resources put -> context ended -> out of the tree, or a
 *   zombie when it led the group
 *
 * From outside a process is ended by group_kill_locked: every thread is interrupted with fatal set
 * and comes by signal_deliver, which calls do_exit.
 */
#include <errno.h>

#include "sentry/ipc/sysv/sem.h"
#include "sentry/job.h"
#include "sentry/net/host.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/async.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/core.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/jobctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/robust.h"
#include "sentry/kernel/sigset.h"
#include "sentry/kernel/spent.h"
#include "sentry/strace/strace.h"
#include "sentry/keys/key.h"
#include "sentry/mm/mm.h"
#include "sentry/strace/strace.h"
#include "sentry/uring/uring.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

enum { LEAVE_BEGIN, LEAVE_BASES, LEAVE_WORDS, LEAVE_FINISH };

/* ---- killing ---- */

static void kill_task_locked(struct task *t)
{
    if (t->dead || atomic_load(&t->leaving))
        return;
    t->pending.set |= SIGBIT(SIGKILL);
    atomic_store(&t->fatal, true);
    task_wake_signal_locked(t);
}

/*
 * A thread that is to leave is kicked out of guest code, or finishes what its context is doing. A
 * hostile stub can block the kick and never finish: after a second its host process is ended, and
 * EV_GONE does the rest.
 */
#define PATIENCE 1000000000ll

static void last_word(struct ktimer *tm)
{
    struct tgroup *g = container_of(tm, struct tgroup, last_word);
    struct task *t;

    lock(&kernel.tasks_lock);
    list_for_each(t, &g->tasks, group_link) {
        if (!t->dead && t->ctx)
            kernel.platform->ctx_kill(t->ctx);
    }
    unlock(&kernel.tasks_lock);
    tgroup_put(g);
}

void group_last_word_init(struct tgroup *g)
{
    ktimer_init(&g->last_word, last_word);
}

void group_kill_locked(struct tgroup *g, int code)
{
    assert_locked(&kernel.tasks_lock);
    if (g->exiting || g->is_sentry || g->zombie)
        return;
    g->exiting = true;
    g->exit_code = code;
    tgroup_ref(g);
    ktimer_arm(&g->last_word, ktime_now() + PATIENCE);
    jobctl_cancel_locked(g);
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        kill_task_locked(t);
}

void group_kill_others_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    struct task *o;
    jobctl_cancel_locked(t->group);
    list_for_each(o, &t->group->tasks, group_link) {
        if (o != t)
            kill_task_locked(o);
    }
}

static int kill_one(struct tgroup *g, void *arg)
{
    (void)arg;
    if (!g->is_sentry)
        group_kill_locked(g, SIGKILL);
    return 0;
}

void kernel_kill_all_locked(void)
{
    tgroup_each_locked(NULL, kill_one, NULL);
}

void task_become_leader_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    struct tgroup *g = t->group;
    struct task *old = g->leader;
    t->exit_signal = SIGCHLD;
    if (old == t)
        return;
    struct pid_entry *mine = t->pid;
    t->pid = old->pid;
    old->pid = mine;
    t->pid->task = t;
    mine->task = old;
    old->tid = mine->nr;
    t->tid = t->pid->nr;
    g->leader = task_ref(t);
    struct tgroup *child;
    list_for_each(child, &g->children, sibling) {
        if (child->parent_task == old)
            child->parent_task = t;
    }
    task_unlink_locked(old);
    task_put(old); /* the group's reference */
}

/* ---- leaving ---- */

static void begin(struct task *t, int code)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    atomic_store(&t->leaving, true);
    t->exit_code = code;
    signal_pull_mask_locked(t);
    signal_retarget_locked(t, ~t->blocked);
    jobctl_leave_locked(t);
    if (t->group->exec_task == t)
        t->group->exec_task = NULL;
}

void task_drop_resources(struct task *t)
{
    sem_exit(t);
    keys_exit(t);
    lock(&kernel.tasks_lock); /* others look at them (procfs, pidfds) */
    struct files *files = t->files;
    struct fs_ctx *fs = t->fs;
    struct mm *mm = t->mm;
    t->files = NULL;
    t->fs = NULL;
    t->mm = NULL;
    unlock(&kernel.tasks_lock);
    if (files)
        files_put(files);
    if (fs)
        fs_ctx_put(fs);
    if (mm)
        mm_put(mm);
}

/* Whether t is the last of its group to get here; the others then only have to be unlinked. */
static bool last_to_finish(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    t->finishing = true;
    struct task *o;
    list_for_each(o, &t->group->tasks, group_link) {
        if (!o->finishing)
            return false;
    }
    return true;
}

static void finish_process(struct task *t)
{
    struct tgroup *g = t->group;
    group_timers_free(g);
    keys_group_exit(g);
    if (group_sid(g) == g->pid)
        tty_session_leader_exit(t);
    lock(&kernel.tasks_lock);
    struct file *exe = g->exe;
    g->exe = NULL;
    unlock(&kernel.tasks_lock);
    file_put(exe);
}

/* For --stats: the largest process, sampled at its end. */
static void note_peak(struct mm *mm)
{
    struct as_usage u;

    if (kernel.platform->as_usage(mm->as, &u) < 0)
        return;
    lock(&kernel.tasks_lock);
    kernel.guest_peak_rss = MAX(kernel.guest_peak_rss, u.rss);
    unlock(&kernel.tasks_lock);
}

/* What getrusage says of its memory: sampled here, in getrusage and in exec. */
void group_note_rss(struct tgroup *g, struct mm *mm)
{
    struct as_usage u;

    if (kernel.platform->as_usage(mm->as, &u) < 0)
        return;
    LOCK_SCOPE(&kernel.tasks_lock);
    g->maxrss = MAX(g->maxrss, u.rss >> 10);
}

/* The time of threads that left before is in that of the process. */
static void end_context(struct task *t, bool last)
{
    lock(&kernel.tasks_lock);
    struct ctx *c = t->ctx;
    if (c && last)
        kernel.platform->ctx_process_cputime(c, &t->utime_ns, &t->stime_ns);
    t->ctx = NULL;
    unlock(&kernel.tasks_lock);
    if (!c)
        return;
    host_lent_over(c);
    if (atomic_load(&t->ctx_gone))
        kernel.platform->ctx_free(c);
    else
        kernel.platform->ctx_exit(c);
}

static struct mm *take_mm(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct mm *mm = t->mm;
    t->mm = NULL;
    return mm;
}

/* Out of the tree. true: the whole sandbox ends with *ret_status. */
static bool unlink_task(struct task *t, int *ret_status, uint32_t *ret_job)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *g = t->group;
    struct container *c = g->container;
    t->dead = true;
    g->nlive--;
    g->utime_ns += t->utime_ns;
    g->stime_ns += t->stime_ns;
    kernel.guest_utime_ns += t->utime_ns;
    kernel.guest_stime_ns += t->stime_ns;
    sigpending_flush_locked(&t->pending);
    task_orphan_children_locked(t);
    if (g->nlive) {
        wq_wake_all(&g->exit_wq, 0); /* an exec that is to be alone; pidfds of t */
        if (g->leader != t)
            task_unlink_locked(t);
        return false;
    }
    if (!g->exiting)
        g->exit_code = t->exit_code;
    g->exiting = true;
    if (g->leader != t)
        task_unlink_locked(t);
    bool ends = container_is_first(c) &&
                (g->is_init || (g->parent && g->parent->is_sentry && g->pid == kernel.first));
    *ret_status = group_wait_status_locked(g);
    *ret_job = g->job;
    if (g == c->program) {
        c->program = NULL;
        container_end_locked(c, *ret_status);
    }
    if (group_became_zombie_locked(g) && !(g->is_init && container_is_first(c)))
        group_release_locked(g);
    return ends;
}

/* Does all that has t's memory end? */
static bool nobody_stays(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct tgroup *g = t->group;
    return g->exiting && t->mm && atomic_load(&t->mm->refs) <= (int)g->nlive;
}

long do_exit(struct task *t, int code)
{
    if (t->leave_phase == LEAVE_BEGIN) {
        if (kernel.strace)
            strace_exit(t, code);
        begin(t, code);
        async_leave(t);
        uring_task_free(t);
        core_note(t);
        t->leave_phase = LEAVE_BASES;
        t->leave_ops = robust_leave(t, nobody_stays(t));
    }
    if (t->leave_phase == LEAVE_BASES) {
        unsigned n;
        struct as_op *ops = core_bases(t, &n);

        t->leave_phase = LEAVE_WORDS;
        if (ops && t->ctx && !atomic_load(&t->ctx_gone))
            return call_ops(t, ops, n);
    }
    struct leave_ops *l = t->leave_ops;
    if (t->leave_phase == LEAVE_WORDS && l && t->ctx && !atomic_load(&t->ctx_gone) &&
        l->pos < l->n) {
        unsigned n = MIN(l->n - l->pos, (unsigned)AS_OPS_MAX);
        l->pos += n;
        return call_ops(t, &l->ops[l->pos - n], n);
    }
    t->leave_phase = LEAVE_FINISH;
    futex_leave(t, /* dies= */ true);
    bool last = last_to_finish(t);
    if (last && core_write(t) == -EWAITING)
        return -EWAITING;
    if (last)
        core_end(t->group);
    vfork_release(t);
    struct mm *mm = take_mm(t);
    task_drop_resources(t);
    if (last)
        finish_process(t);
    if (last && mm)
        group_note_rss(t->group, mm);
    if (last && mm && kernel.stats)
        note_peak(mm);
    end_context(t, last);
    if (mm)
        mm_put(mm);
    int status;
    uint32_t job = 0;
    if (unlink_task(t, &status, &job)) {
        if (!spent_ends())
            sandbox_end(status);
    } else if (job) {
        job_ended(t->group->container, job, status);
    }
    return -EDETACHED;
}

long do_exit_group(struct task *t, int code)
{
    lock(&kernel.tasks_lock);
    struct tgroup *g = t->group;
    if (!g->exiting && !g->exec_task)
        group_kill_locked(g, code);
    if (g->exiting)
        code = g->exit_code;
    else
        code = SIGKILL; /* another thread's exec ends this one */
    unlock(&kernel.tasks_lock);
    return do_exit(t, code);
}

void vfork_release(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    if (!t->vfork_pending)
        return;
    t->vfork_pending = false;
    wq_wake_all(&t->vfork_wq, 0);
}

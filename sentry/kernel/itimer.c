/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setitimer and alarm: three timers a process, by the wall, by user time and by all its processor
 * time. Made when the first is set; they outlive an exec.
 */
#include <errno.h>
#include <sys/time.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/posix_timer.h"

struct itimers {
    struct sigtimer t[3];
};

static void set_cpu(struct sigtimer *st, struct tgroup *g, enum cpu_kind kind)
{
    st->is_cpu = true;
    st->cpu = (struct cpuclock){ .group = tgroup_ref(g), .kind = kind };
}

static struct itimers *itimers_new(struct tgroup *g)
{
    struct itimers *it = kzalloc(sizeof *it);
    if (!it)
        return NULL;
    sigtimer_init(&it->t[ITIMER_REAL], g, CLOCK_MONOTONIC, SIGALRM);
    sigtimer_init(&it->t[ITIMER_VIRTUAL], g, CLOCK_PROCESS_CPUTIME_ID, SIGVTALRM);
    sigtimer_init(&it->t[ITIMER_PROF], g, CLOCK_PROCESS_CPUTIME_ID, SIGPROF);
    set_cpu(&it->t[ITIMER_VIRTUAL], g, CPU_VIRT);
    set_cpu(&it->t[ITIMER_PROF], g, CPU_PROF);
    return it;
}

static void itimers_free(struct itimers *it)
{
    if (!it)
        return;
    for (int i = 0; i < 3; i++)
        sigtimer_done(&it->t[i]);
    kfree(it);
}

/* Another thread may be faster; then its set is the one. */
static int make(struct tgroup *g)
{
    struct itimers *it = itimers_new(g);
    if (!it)
        return -ENOMEM;
    lock(&kernel.tasks_lock);
    if (!g->itimers) {
        g->itimers = it;
        it = NULL;
    }
    unlock(&kernel.tasks_lock);
    itimers_free(it);
    return 0;
}

int itimer_swap(struct task *t, int which, const struct sigtimer_spec *new,
                struct sigtimer_spec *old)
{
    struct tgroup *g = t->group;
    if (which < ITIMER_REAL || which > ITIMER_PROF)
        return -EINVAL;
    lock(&kernel.tasks_lock);
    bool missing = !g->itimers;
    unlock(&kernel.tasks_lock);
    if (missing && new &&new->value) {
        int r = make(g);
        if (r)
            return r;
        missing = false;
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    if (old)
        *old = (struct sigtimer_spec){ 0 };
    if (missing || !g->itimers)
        return 0;
    struct sigtimer *st = &g->itimers->t[which];
    if (old)
        *old = (struct sigtimer_spec){ sigtimer_left_locked(st), st->armed ? st->interval : 0 };
    if (new &&new->value)
        sigtimer_set_locked(st, ktime_add(sigtimer_now_locked(st), new->value), new->interval);
    else if (new)
        sigtimer_set_locked(st, 0, 0);
    return 0;
}

void group_timers_free(struct tgroup *g)
{
    lock(&kernel.tasks_lock);
    struct itimers *it = g->itimers;
    g->itimers = NULL;
    unlock(&kernel.tasks_lock);
    itimers_free(it);
    posix_timers_free(g);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processor time: of live threads and processes it is asked of the platform, that of waited-for
 * children stands in cutime and cstime.
 */
#include "sentry/kernel/cputime.h"

#include <string.h>
#include <sys/resource.h>

#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"

void task_cputime_locked(struct task *t, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    assert_locked(&kernel.tasks_lock);
    uint64_t u = 0, s = 0;
    if (!t->ctx || kernel.platform->ctx_cputime(t->ctx, &u, &s) < 0) {
        u = t->utime_ns;
        s = t->stime_ns;
    }
    *ret_user_ns = u;
    *ret_sys_ns = s;
}

bool task_runs_locked(struct task *t)
{
    assert_locked(&kernel.tasks_lock);
    if (t->dead || atomic_load(&t->where) != IN_GUEST)
        return false;
    return !(t->ctx && kernel.platform->ctx_sleeps && kernel.platform->ctx_sleeps(t->ctx));
}

/* How much of a sum is whose is an estimate that may move back; what was told does not. */
static void never_less(struct tgroup *g, uint64_t *u, uint64_t *s)
{
    uint64_t sum = *u + *s;

    *s = MIN(MAX(*s, g->told_stime_ns), sum);
    *u = sum - *s;
    if (*u < g->told_utime_ns) {
        *u = g->told_utime_ns;
        *s = MAX(sum - MIN(*u, sum), g->told_stime_ns);
    }
    g->told_utime_ns = *u;
    g->told_stime_ns = *s;
}

/* What stands in the group is of images before an exec, and of its end. */
void group_cputime_locked(struct tgroup *g, uint64_t *ret_user_ns, uint64_t *ret_sys_ns)
{
    uint64_t u = g->utime_ns, s = g->stime_ns;
    struct task *t;
    list_for_each(t, &g->tasks, group_link) {
        uint64_t tu, ts;
        if (t->ctx && kernel.platform->ctx_process_cputime(t->ctx, &tu, &ts) == 0) {
            u += tu;
            s += ts;
            break;
        }
    }
    never_less(g, &u, &s);
    *ret_user_ns = u;
    *ret_sys_ns = s;
}

static struct timeval to_timeval(uint64_t ns)
{
    return (struct timeval){ .tv_sec = (time_t)(ns / 1000000000),
                             .tv_usec = (long)(ns / 1000 % 1000000) };
}

struct sum {
    uint64_t u, s, maxrss;
    struct rusage_extra x;
};

static void add_extra(struct sum *sum, const struct rusage_extra *x)
{
    sum->x.minflt += x->minflt;
    sum->x.majflt += x->majflt;
    sum->x.nvcsw += x->nvcsw;
    sum->x.nivcsw += x->nivcsw;
    sum->x.inblock += x->inblock;
    sum->x.oublock += x->oublock;
}

static void add_children(struct sum *sum, const struct tgroup *g)
{
    sum->u += g->cutime_ns;
    sum->s += g->cstime_ns;
    sum->maxrss = MAX(sum->maxrss, g->cmaxrss);
    add_extra(sum, &g->cru);
}

static void add_self(struct sum *sum, struct tgroup *g)
{
    uint64_t u, s;
    group_cputime_locked(g, &u, &s);
    sum->u += u;
    sum->s += s;
    sum->maxrss = MAX(sum->maxrss, g->maxrss);
    add_extra(sum, &g->ru);
    struct task *t;
    list_for_each(t, &g->tasks, group_link) {
        if (!t->dead)
            add_extra(sum, &t->ru);
    }
}

static void to_rusage(const struct sum *sum, struct lx_rusage *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->ru_utime = to_timeval(sum->u);
    ret->ru_stime = to_timeval(sum->s);
    ret->ru_maxrss = (int64_t)sum->maxrss;
    ret->ru_minflt = (int64_t)sum->x.minflt;
    ret->ru_majflt = (int64_t)sum->x.majflt;
    ret->ru_nvcsw = (int64_t)sum->x.nvcsw;
    ret->ru_nivcsw = (int64_t)sum->x.nivcsw;
    ret->ru_inblock = (int64_t)sum->x.inblock;
    ret->ru_oublock = (int64_t)sum->x.oublock;
}

void group_rusage_locked(struct tgroup *g, struct task *t, int who, struct lx_rusage *ret)
{
    struct sum sum = { 0 };
    if (who == RUSAGE_CHILDREN) {
        add_children(&sum, g);
    } else if (who == RUSAGE_THREAD) {
        task_cputime_locked(t, &sum.u, &sum.s);
        sum.maxrss = g->maxrss;
        add_extra(&sum, &t->ru);
    } else {
        add_self(&sum, g);
    }
    to_rusage(&sum, ret);
}

void group_rusage_both_locked(struct tgroup *g, struct lx_rusage *ret)
{
    struct sum sum = { 0 };
    add_self(&sum, g);
    add_children(&sum, g);
    to_rusage(&sum, ret);
}

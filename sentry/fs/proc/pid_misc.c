/* SPDX-License-Identifier: Apache-2.0 */
/* The small files of /proc/PID: comm, limits, io, oom, sched, children, id maps. */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/core.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/ids.h"
#include "sentry/mm/mm.h"

PROC_SHOW(proc_show_text)
{
    (void)t, (void)o;
    if (n->arg)
        pt_puts(out, (const char *)(uintptr_t)n->arg);
    return 0;
}

PROC_SHOW(proc_show_cgroup)
{
    (void)t, (void)n, (void)o;
    if (!cgroup_view_put(CGROUP_SELF, out))
        pt_puts(out, "0::/\n");
    return 0;
}

PROC_SHOW(proc_show_comm)
{
    char comm[17] = "";

    (void)t, (void)n;
    lock(&kernel.tasks_lock);
    struct task *target = proc_task_locked(o);
    if (target)
        memcpy(comm, target->comm, 16);
    unlock(&kernel.tasks_lock);
    if (!target)
        return -ESRCH;
    pt_printf(out, "%s\n", comm);
    return 0;
}

/* Threads of one process may name each other. */
PROC_STORE(proc_store_comm)
{
    char comm[16] = "";

    (void)n;
    memcpy(comm, buf, MIN(len, sizeof comm - 1));
    comm[strcspn(comm, "\n")] = 0;
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *target = proc_task_locked(o);
    if (!target)
        return -ESRCH;
    if (t && target->group != t->group)
        return -EINVAL;
    memcpy(target->comm, comm, sizeof comm);
    return (ssize_t)len;
}

PROC_SHOW(proc_show_limits)
{
    static const struct {
        int res;
        const char *name, *unit;
    } rows[] = {
        { RLIMIT_CPU, "Max cpu time", "seconds" },
        { RLIMIT_FSIZE, "Max file size", "bytes" },
        { RLIMIT_DATA, "Max data size", "bytes" },
        { RLIMIT_STACK, "Max stack size", "bytes" },
        { RLIMIT_CORE, "Max core file size", "bytes" },
        { RLIMIT_RSS, "Max resident set", "bytes" },
        { RLIMIT_NPROC, "Max processes", "processes" },
        { RLIMIT_NOFILE, "Max open files", "files" },
        { RLIMIT_MEMLOCK, "Max locked memory", "bytes" },
        { RLIMIT_AS, "Max address space", "bytes" },
        { RLIMIT_LOCKS, "Max file locks", "locks" },
        { RLIMIT_SIGPENDING, "Max pending signals", "signals" },
        { RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes" },
        { RLIMIT_NICE, "Max nice priority", "" },
        { RLIMIT_RTPRIO, "Max realtime priority", "" },
        { RLIMIT_RTTIME, "Max realtime timeout", "us" },
    };
    struct rlimit lim[RLIM_NLIMITS];

    (void)t, (void)n;
    lock(&kernel.tasks_lock);
    memcpy(lim, o->group->rlim, sizeof lim);
    unlock(&kernel.tasks_lock);
    pt_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned k = 0; k < ARRAY_SIZE(rows); k++) {
        const struct rlimit *l = &lim[rows[k].res];
        pt_printf(out, "%-25s ", rows[k].name);
        for (int hard = 0; hard < 2; hard++) {
            rlim_t v = hard ? l->rlim_max : l->rlim_cur;
            if (v == RLIM_INFINITY)
                pt_printf(out, "%-20s ", "unlimited");
            else
                pt_printf(out, "%-20lu ", (unsigned long)v);
        }
        pt_printf(out, rows[k].unit[0] ? "%-10s\n" : "%s\n", rows[k].unit);
    }
    return 0;
}

PROC_SHOW(proc_show_io)
{
    uint64_t in = 0, outb = 0;
    struct task *c;

    (void)t, (void)n;
    lock(&kernel.tasks_lock);
    list_for_each(c, &o->group->tasks, group_link) {
        if (o->task && c != o->task)
            continue;
        in += c->ru.inblock;
        outb += c->ru.oublock;
    }
    unlock(&kernel.tasks_lock);
    pt_printf(out,
              "rchar: %lu\nwchar: %lu\nsyscr: 0\nsyscw: 0\nread_bytes: %lu\nwrite_bytes: %lu\n"
              "cancelled_write_bytes: 0\n",
              (unsigned long)in * 512, (unsigned long)outb * 512, (unsigned long)in * 512,
              (unsigned long)outb * 512);
    return 0;
}

/* arg: 0 oom_score, 1 oom_adj (-17 to 15), 2 oom_score_adj. */
PROC_SHOW(proc_show_oom)
{
    int adj;

    (void)t;
    lock(&kernel.tasks_lock);
    adj = o->group->oom_score_adj;
    unlock(&kernel.tasks_lock);
    if (n->arg == 0)
        adj = MAX(0, (1000 + adj) * 2 / 3);
    else if (n->arg == 1)
        adj = adj == 1000 ? 15 : adj * 17 / 1000;
    pt_printf(out, "%d\n", adj);
    return 0;
}

PROC_STORE(proc_store_oom)
{
    bool old = n->arg == 1;
    int64_t v;
    int r = pseudo_parse(buf, len, old ? -17 : -1000, old ? 15 : 1000, &v);

    if (r < 0)
        return r;
    if (old)
        v = v == 15 ? 1000 : v * 1000 / 17;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (v < o->group->oom_score_adj && t && !task_capable(t, CAP_SYS_RESOURCE))
        return -EACCES;
    o->group->oom_score_adj = (int)v;
    return (ssize_t)len;
}

PROC_SHOW(proc_show_core_filter)
{
    (void)t, (void)n;
    LOCK_SCOPE(&kernel.tasks_lock);
    pt_printf(out, "%08x\n", o->group->core_filter);
    return 0;
}

/* As C writes numbers: 0x and octal ones, too. */
PROC_STORE(proc_store_core_filter)
{
    char *end;
    unsigned long v;

    (void)t, (void)n;
    errno = 0;
    v = strtoul(buf, &end, 0);
    if (end == buf || (*end && *end != '\n') || errno || v > UINT_MAX)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    o->group->core_filter = (unsigned)v & CORE_FILTER_ALL;
    return (ssize_t)len;
}

struct times {
    char comm[17];
    struct task_sched sched;
    pid_t tid;
    unsigned threads;
    uint64_t run, calls, nvcsw, nivcsw;
};

static int take_times(const struct pobj *o, struct times *s)
{
    uint64_t u, y;

    *s = (struct times){ .tid = 0 };
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *target = proc_task_locked(o);
    if (!target)
        return -ESRCH;
    task_cputime_locked(target, &u, &y);
    memcpy(s->comm, target->comm, 16);
    s->tid = target->tid;
    s->sched = target->sched;
    s->threads = o->group->nlive;
    s->run = u + y;
    s->calls = target->ncalls;
    s->nvcsw = target->ru.nvcsw;
    s->nivcsw = target->ru.nivcsw;
    return 0;
}

PROC_SHOW(proc_show_sched)
{
    struct times s;
    int r = take_times(o, &s);

    (void)t, (void)n;
    if (r < 0)
        return r;
    pt_printf(out, "%s (%d, #threads: %u)\n", s.comm, s.tid, s.threads);
    pt_puts(out, "-------------------------------------------------------------------\n");
    pt_printf(out, "%-45s:%21.6f\n", "se.sum_exec_runtime", (double)s.run / 1e6);
    pt_printf(out, "%-45s:%21lu\n", "nr_switches", (unsigned long)(s.nvcsw + s.nivcsw));
    pt_printf(out, "%-45s:%21lu\n", "nr_voluntary_switches", (unsigned long)s.nvcsw);
    pt_printf(out, "%-45s:%21lu\n", "nr_involuntary_switches", (unsigned long)s.nivcsw);
    pt_printf(out, "%-45s:%21d\n%-45s:%21d\n", "policy", s.sched.policy, "prio",
              s.sched.priority ? 99 - s.sched.priority : 120 + s.sched.nice);
    return 0;
}

PROC_SHOW(proc_show_slack)
{
    struct task *of;
    uint64_t ns = 0;

    (void)t, (void)n;
    lock(&kernel.tasks_lock);
    of = proc_task_locked(o);
    if (of)
        ns = task_timer_slack(of);
    unlock(&kernel.tasks_lock);
    if (!of)
        return -ESRCH;
    pt_printf(out, "%lu\n", (unsigned long)ns);
    return 0;
}

PROC_STORE(proc_store_slack)
{
    struct task *of;
    int64_t v;
    int r = pseudo_parse(buf, len, 0, INT64_MAX, &v);

    (void)t, (void)n;
    if (r < 0)
        return r;
    LOCK_SCOPE(&kernel.tasks_lock);
    of = proc_task_locked(o);
    if (!of)
        return -ESRCH;
    of->sched.slack_ns = (uint64_t)v;
    return (ssize_t)len;
}

PROC_SHOW(proc_show_schedstat)
{
    struct times s;
    int r = take_times(o, &s);

    (void)t, (void)n;
    if (r == 0)
        pt_printf(out, "%lu 0 %lu\n", (unsigned long)s.run, (unsigned long)(s.nvcsw + s.nivcsw));
    return r;
}

PROC_SHOW(proc_show_children)
{
    struct tgroup *c;

    (void)t, (void)n;
    LOCK_SCOPE(&kernel.tasks_lock); /* the text is short: made in place */
    list_for_each(c, &o->group->children, sibling)
        if (c->parent_task == o->task)
            pt_printf(out, "%d ", c->pid);
    return 0;
}

PROC_SHOW(proc_show_idmap)
{
    static const struct idmap projects = { .n = 1, .ranges = { { 0, 0, UINT32_MAX } } };
    const struct idmap *m = n->arg == 0   ? ids_of_users()
                            : n->arg == 1 ? ids_of_groups()
                                          : &projects;

    (void)t, (void)o;
    for (unsigned i = 0; i < m->n; i++)
        pt_printf(out, "%10u %10u %10u\n", m->ranges[i].inside, m->ranges[i].outside,
                  m->ranges[i].count);
    return 0;
}

PROC_SHOW(proc_show_setgroups)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, groups_denied() ? "deny\n" : "allow\n");
    return 0;
}

PROC_SHOW(proc_show_personality)
{
    unsigned long p = 0;

    (void)t, (void)n;
    lock(&kernel.tasks_lock);
    struct task *target = proc_task_locked(o);
    if (target)
        p = target->personality;
    unlock(&kernel.tasks_lock);
    pt_printf(out, "%08lx\n", p);
    return 0;
}

/* Registers of another thread are not to be had while it runs: what Linux says then, too. */
PROC_SHOW(proc_show_syscall)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, "running\n");
    return 0;
}

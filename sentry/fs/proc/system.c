/* SPDX-License-Identifier: Apache-2.0 */
/* Files of /proc that are about the machine: stat, uptime, loadavg, version. */
#include "abi/resource.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/timer.h"

struct totals {
    uint64_t user, sys, switches;
    unsigned threads, running;
};

static int add_group(struct tgroup *g, void *arg)
{
    struct totals *s = arg;
    uint64_t u, y;
    struct task *c;

    group_cputime_locked(g, &u, &y);
    s->user += u + g->cutime_ns;
    s->sys += y + g->cstime_ns;
    list_for_each(c, &g->tasks, group_link) {
        if (c->dead)
            continue;
        s->threads++;
        s->running += atomic_load(&c->where) == IN_GUEST;
        s->switches += c->ru.nvcsw + c->ru.nivcsw;
    }
    return 0;
}

static void take_totals(struct totals *s)
{
    *s = (struct totals){ .user = 0 };
    lock(&kernel.tasks_lock);
    tgroup_each_locked(NULL, add_group, s);
    unlock(&kernel.tasks_lock);
    s->running = MAX(s->running, 1u); /* who reads this runs */
}

static uint64_t idle_ns(const struct totals *s)
{
    uint64_t all = (uint64_t)ktime_boot() * kernel.ncpus, busy = s->user + s->sys;

    return all > busy ? all - busy : 0;
}

PROC_SHOW(proc_show_cpustat)
{
    struct totals s;
    unsigned n_cpus = MAX(kernel.ncpus, 1u);

    (void)t, (void)n, (void)o;
    take_totals(&s);
    for (int cpu = -1; cpu < (int)n_cpus; cpu++) {
        unsigned share = cpu < 0 ? 1 : n_cpus;
        if (cpu < 0)
            pt_puts(out, "cpu  ");
        else
            pt_printf(out, "cpu%d ", cpu);
        pt_printf(out, "%lu 0 %lu %lu 0 0 0 0 0 0\n", (unsigned long)proc_ticks(s.user / share),
                  (unsigned long)proc_ticks(s.sys / share),
                  (unsigned long)proc_ticks(idle_ns(&s) / share));
    }
    pt_printf(out,
              "intr 0\nctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked 0\n"
              "softirq 0 0 0 0 0 0 0 0 0 0 0\n",
              (unsigned long)s.switches, (unsigned long)(kernel.boot_real / 1000000000),
              (unsigned long)atomic_load(&kernel.forks_total), s.running);
    return 0;
}

PROC_SHOW(proc_show_uptime)
{
    struct totals s;
    uint64_t up = (uint64_t)ktime_boot() / 10000000, idle;

    (void)t, (void)n, (void)o;
    take_totals(&s);
    idle = idle_ns(&s) / 10000000;
    pt_printf(out, "%lu.%02lu %lu.%02lu\n", (unsigned long)up / 100, (unsigned long)up % 100,
              (unsigned long)idle / 100, (unsigned long)idle % 100);
    return 0;
}

PROC_SHOW(proc_show_loadavg)
{
    struct totals s;

    (void)t, (void)n, (void)o;
    take_totals(&s);
    pt_printf(out, "0.00 0.00 0.00 %u/%u %d\n", s.running, s.threads, pid_last(o->ns));
    return 0;
}

PROC_SHOW(proc_show_version)
{
    (void)t, (void)n, (void)o;
    pt_puts(out, SBX_UTS_SYSNAME " version " SBX_UTS_RELEASE " (sbx) (gcc) " SBX_UTS_VERSION "\n");
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a control group: a table for version 2 and one for each controller of version 1. What limits says is
 * the front end's word (view.c), or what an unlimited group has; what is in use is measured here.
 */
#include "sentry/fs/cgroup/cgroup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/spent.h"

/* ---- what is in use ---- */

struct members {
    pid_t *of;
    size_t n, cap;
    bool threads;
};

static void add(struct members *m, pid_t pid)
{
    if (m->n < m->cap)
        m->of[m->n++] = pid;
}

static int add_group(struct tgroup *g, void *arg)
{
    struct members *m = arg;
    struct task *t;

    if (g->is_sentry || g->zombie)
        return 0;
    if (!m->threads) {
        add(m, g->pid);
        return 0;
    }
    list_for_each(t, &g->tasks, group_link) {
        add(m, t->tid);
    }
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

    return x < y ? -1 : x > y;
}

static PROC_SHOW(show_members)
{
    struct members m = { .cap = (size_t)atomic_load(&kernel.ntasks) + 8, .threads = n->arg };

    (void)o;
    m.of = kzalloc(m.cap * sizeof *m.of);
    if (!m.of)
        return -ENOMEM;
    lock(&kernel.tasks_lock);
    container_groups_locked(t ? t->group->container : container_here(), add_group, &m);
    unlock(&kernel.tasks_lock);
    if (m.n)
        qsort(m.of, m.n, sizeof *m.of, by_number);
    for (size_t i = 0; i < m.n; i++)
        pt_printf(out, "%d\n", m.of[i]);
    kfree(m.of);
    return 0;
}

static uint64_t memory_now(void)
{
    return proc_rss_of(container_here()) + kcharged();
}

enum { MEMORY, TASKS, CPU_NS };

static PROC_SHOW(show_now)
{
    (void)t, (void)o;
    pt_printf(out, "%lu\n",
              n->arg == MEMORY  ? memory_now()
              : n->arg == TASKS ? atomic_load(&container_here()->ntasks) - 1 /* the sentry */
                                : spent_cpu());
    return 0;
}

static PROC_SHOW(show_cpu_stat)
{
    const uint64_t us = spent_cpu() / 1000;

    (void)t, (void)n, (void)o;
    pt_printf(out,
              "usage_usec %lu\nuser_usec %lu\nsystem_usec 0\nnr_periods 0\nnr_throttled 0\n"
              "throttled_usec 0\n",
              us, us);
    return 0;
}

static PROC_SHOW(show_cpuacct_stat)
{
    (void)t, (void)n, (void)o;
    pt_printf(out, "user %lu\nsystem 0\n", proc_ticks(spent_cpu()));
    return 0;
}

static PROC_SHOW(show_memory_stat)
{
    const uint64_t rss = proc_rss_of(container_here()), own = kcharged();

    (void)t, (void)o;
    if (n->arg == 2) {
        pt_printf(out, "anon %lu\nfile 0\nkernel %lu\nslab %lu\nsock 0\nshmem 0\n", rss, own, own);
        pt_puts(out, "inactive_anon 0\nactive_anon 0\ninactive_file 0\nactive_file 0\n"
                     "unevictable 0\npgfault 0\npgmajfault 0\n");
        return 0;
    }
    pt_printf(out, "cache 0\nrss %lu\nmapped_file 0\nswap 0\n", rss);
    pt_puts(out, "hierarchical_memory_limit ");
    if (!cgroup_view_put("memory.limit_in_bytes", out))
        pt_puts(out, "9223372036854771712\n");
    pt_printf(out, "total_cache 0\ntotal_rss %lu\ntotal_inactive_file 0\ntotal_active_file 0\n",
              rss);
    return 0;
}

static PROC_SHOW(show_cpus)
{
    (void)t, (void)n, (void)o;
    if (cgroup_view_put(n->name, out))
        return 0;
    pt_printf(out, kernel.ncpus > 1 ? "0-%u\n" : "0\n", kernel.ncpus - 1);
    return 0;
}

/* ---- what was told ---- */

static PROC_SHOW(show_told)
{
    (void)t, (void)o;
    if (!cgroup_view_put(n->name, out) && n->arg)
        pt_puts(out, (const char *)(uintptr_t)n->arg);
    return 0;
}

/* text NULL: it is there where the host has it. */
#define TOLD(n, text) PFILE_ARG(n, 0444, show_told, (long)(uintptr_t)(text))
#define NOW(n, what) PFILE_ARG(n, 0444, show_now, what)
#define PIDS(n, threads) PFILE_ARG(n, 0444, show_members, threads)

static const struct pnode v2[] = {
    TOLD("cgroup.controllers", "cpuset cpu memory pids\n"),
    TOLD("cgroup.events", "populated 1\nfrozen 0\n"),
    TOLD("cgroup.freeze", "0\n"),
    TOLD("cgroup.max.depth", "max\n"),
    TOLD("cgroup.max.descendants", "max\n"),
    PIDS("cgroup.procs", 0),
    TOLD("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    TOLD("cgroup.subtree_control", ""),
    PIDS("cgroup.threads", 1),
    TOLD("cgroup.type", "domain\n"),
    TOLD("cpu.idle", NULL),
    TOLD("cpu.max", "max 100000\n"),
    TOLD("cpu.max.burst", NULL),
    PFILE("cpu.stat", 0444, show_cpu_stat),
    TOLD("cpu.weight", "100\n"),
    TOLD("cpu.weight.nice", NULL),
    TOLD("cpuset.cpus", "\n"),
    PFILE("cpuset.cpus.effective", 0444, show_cpus),
    TOLD("cpuset.mems", "\n"),
    TOLD("cpuset.mems.effective", "0\n"),
    TOLD("io.max", NULL),
    TOLD("io.weight", NULL),
    NOW("memory.current", MEMORY),
    TOLD("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    TOLD("memory.high", "max\n"),
    TOLD("memory.low", "0\n"),
    TOLD("memory.max", "max\n"),
    TOLD("memory.min", "0\n"),
    TOLD("memory.oom.group", "0\n"),
    PFILE_ARG("memory.stat", 0444, show_memory_stat, 2),
    TOLD("memory.swap.current", "0\n"),
    TOLD("memory.swap.high", "max\n"),
    TOLD("memory.swap.max", "max\n"),
    NOW("pids.current", TASKS),
    TOLD("pids.events", "max 0\n"),
    TOLD("pids.max", "max\n"),
};

static const struct pnode v1_all[] = {
    TOLD("cgroup.clone_children", "0\n"),
    PIDS("cgroup.procs", 0),
    TOLD("cgroup.sane_behavior", "0\n"),
    TOLD("notify_on_release", "0\n"),
    TOLD("release_agent", ""),
    PIDS("tasks", 1),
};
static const struct pnode v1_memory[] = {
    TOLD("memory.failcnt", "0\n"),
    TOLD("memory.kmem.limit_in_bytes", NULL),
    TOLD("memory.kmem.tcp.limit_in_bytes", NULL),
    TOLD("memory.limit_in_bytes", "9223372036854771712\n"),
    NOW("memory.max_usage_in_bytes", MEMORY),
    TOLD("memory.memsw.limit_in_bytes", NULL),
    TOLD("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"),
    TOLD("memory.soft_limit_in_bytes", "9223372036854771712\n"),
    PFILE_ARG("memory.stat", 0444, show_memory_stat, 1),
    TOLD("memory.swappiness", "60\n"),
    NOW("memory.usage_in_bytes", MEMORY),
    TOLD("memory.use_hierarchy", "1\n"),
};
static const struct pnode v1_cpu[] = {
    TOLD("cpu.cfs_period_us", "100000\n"),
    TOLD("cpu.cfs_quota_us", "-1\n"),
    TOLD("cpu.idle", NULL),
    TOLD("cpu.rt_period_us", NULL),
    TOLD("cpu.rt_runtime_us", NULL),
    TOLD("cpu.shares", "1024\n"),
    TOLD("cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"),
};
static const struct pnode v1_cpuacct[] = {
    PFILE("cpuacct.stat", 0444, show_cpuacct_stat),
    NOW("cpuacct.usage", CPU_NS),
    NOW("cpuacct.usage_user", CPU_NS),
};
static const struct pnode v1_cpuset[] = {
    TOLD("cpuset.cpu_exclusive", "0\n"),
    PFILE("cpuset.cpus", 0444, show_cpus),
    PFILE("cpuset.effective_cpus", 0444, show_cpus),
    TOLD("cpuset.effective_mems", "0\n"),
    TOLD("cpuset.mem_exclusive", "0\n"),
    TOLD("cpuset.mems", "0\n"),
    TOLD("cpuset.sched_load_balance", "1\n"),
};
static const struct pnode v1_pids[] = {
    NOW("pids.current", TASKS),
    TOLD("pids.events", "max 0\n"),
    TOLD("pids.max", "max\n"),
};
static const struct pnode v1_blkio[] = {
    TOLD("blkio.throttle.read_bps_device", NULL),
    TOLD("blkio.throttle.read_iops_device", NULL),
    TOLD("blkio.throttle.write_bps_device", NULL),
    TOLD("blkio.throttle.write_iops_device", NULL),
    TOLD("blkio.weight", NULL),
};
static const struct pnode v1_devices[] = { TOLD("devices.list", "a *:* rwm\n") };
static const struct pnode v1_freezer[] = { TOLD("freezer.state", "THAWED\n") };

static const struct {
    const char *name;
    const struct pnode *nodes;
    unsigned n;
} controllers[] = {
#define OF(c)                                                                                      \
    {                                                                                              \
#c, v1_##c, ARRAY_SIZE(v1_##c)                                                             \
    }
    OF(memory), OF(cpu), OF(cpuacct), OF(cpuset), OF(pids), OF(blkio), OF(devices), OF(freezer),
#undef OF
};

/* ---- a file system ---- */

#define NODES_MAX 64

struct hierarchy {
    struct pseudo_fs fs;
    struct pdir root;
    char *options;
    struct pnode nodes[NODES_MAX];
};

static void add_nodes(struct hierarchy *h, const struct pnode *from, unsigned n)
{
    for (; n > 0 && h->root.nnodes < NODES_MAX; n--, from++) {
        if (from->show == show_told && !from->arg && !cgroup_view_has(from->name))
            continue;
        h->nodes[h->root.nnodes++] = *from;
    }
}

static void add_controllers(struct hierarchy *h, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");

        for (unsigned i = 0; i < ARRAY_SIZE(controllers); i++)
            if (strlen(controllers[i].name) == n && memcmp(controllers[i].name, list, n) == 0)
                add_nodes(h, controllers[i].nodes, controllers[i].n);
        list += n + (list[n] == ',');
    }
}

/* At the start only: what it is made of stays. */
struct super *cgroup_fs_new(const char *hierarchy)
{
    struct hierarchy *h = kzalloc(sizeof *h);
    struct super *sb;

    if (!h)
        return NULL;
    h->fs.type = *hierarchy ? "cgroup" : "cgroup2";
    h->fs.magic = *hierarchy ? 0x27e0eb : 0x63677270;
    h->fs.root = &h->root;
    h->root.nodes = h->nodes;
    if (*hierarchy) {
        add_nodes(h, v1_all, ARRAY_SIZE(v1_all));
        add_controllers(h, hierarchy);
        h->options = kstrdup(hierarchy);
    } else {
        add_nodes(h, v2, ARRAY_SIZE(v2));
    }
    sb = pseudo_super_new(&h->fs);
    if (sb)
        sb->options = h->options;
    return sb;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysfs: as much of it as programs ask for: processors, the one memory node, the loopback, huge
 * pages. All made from tables (sentry/fs/pseudo).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/fs/sysfs/sysfs.h"

#define STEXT(n, text) PFILE_ARG(n, 0444, proc_show_text, (long)(uintptr_t)(text))

static const struct pdir empty_dir = { .nodes = NULL };

static unsigned cpus(void)
{
    return MAX(kernel.ncpus, 1u);
}

static void put_list(struct ptext *out)
{
    if (cpus() == 1)
        pt_puts(out, "0\n");
    else
        pt_printf(out, "0-%u\n", cpus() - 1);
}

/* "f", or "ffffffff,ffffffff" */
static void put_mask(struct ptext *out, unsigned first, unsigned n)
{
    unsigned words = (cpus() + 31) / 32;

    for (unsigned w = words; w-- > 0;) {
        uint32_t v = 0;
        for (unsigned bit = 0; bit < 32; bit++)
            if (32 * w + bit >= first && 32 * w + bit < first + n)
                v |= 1u << bit;
        pt_printf(out, w == words - 1 ? "%x" : ",%08x", v);
    }
    pt_puts(out, "\n");
}

enum { LIST, MASK, ONE, ONE_MASK, CORE, KERNEL_MAX };

static PROC_SHOW(show_cpus)
{
    unsigned cpu = (unsigned)o->num;

    (void)t;
    switch (n->arg) {
    case LIST:
        put_list(out);
        break;
    case MASK:
        put_mask(out, 0, cpus());
        break;
    case ONE:
    case CORE:
        pt_printf(out, "%u\n", cpu);
        break;
    case ONE_MASK:
        put_mask(out, cpu, 1);
        break;
    case KERNEL_MAX:
        pt_puts(out, "8191\n");
        break;
    }
    return 0;
}

/* ---- /sys/devices/system/cpu ---- */

/* Level, type, size in KiB, ways, sets: plausible ones, the same everywhere. */
static const struct cache {
    int level, kib, ways, sets;
    const char *type;
    bool shared;
} caches[] = {
    { 1, 32, 8, 64, "Data", false },
    { 1, 32, 8, 64, "Instruction", false },
    { 2, 1024, 16, 1024, "Unified", false },
    { 3, 32768, 16, 32768, "Unified", true },
};

enum { C_LEVEL, C_TYPE, C_SIZE, C_WAYS, C_SETS, C_LINE, C_LIST, C_MASK, C_ID };

/* num: cpu * 4 + index */
static PROC_SHOW(show_cache)
{
    const struct cache *c = &caches[o->num % 4];
    unsigned cpu = (unsigned)(o->num / 4);

    (void)t;
    switch (n->arg) {
    case C_LEVEL:
        pt_printf(out, "%d\n", c->level);
        break;
    case C_TYPE:
        pt_printf(out, "%s\n", c->type);
        break;
    case C_SIZE:
        pt_printf(out, "%dK\n", c->kib);
        break;
    case C_WAYS:
        pt_printf(out, "%d\n", c->ways);
        break;
    case C_SETS:
        pt_printf(out, "%d\n", c->sets);
        break;
    case C_LINE:
        pt_puts(out, "64\n");
        break;
    case C_LIST:
        if (c->shared)
            put_list(out);
        else
            pt_printf(out, "%u\n", cpu);
        break;
    case C_MASK:
        put_mask(out, c->shared ? 0 : cpu, c->shared ? cpus() : 1);
        break;
    case C_ID:
        pt_printf(out, "%u\n", c->shared ? 0 : cpu);
        break;
    }
    return 0;
}

static const struct pnode index_nodes[] = {
    PFILE_ARG("coherency_line_size", 0444, show_cache, C_LINE),
    PFILE_ARG("id", 0444, show_cache, C_ID),
    PFILE_ARG("level", 0444, show_cache, C_LEVEL),
    PFILE_ARG("number_of_sets", 0444, show_cache, C_SETS),
    STEXT("physical_line_partition", "1\n"),
    PFILE_ARG("shared_cpu_list", 0444, show_cache, C_LIST),
    PFILE_ARG("shared_cpu_map", 0444, show_cache, C_MASK),
    PFILE_ARG("size", 0444, show_cache, C_SIZE),
    PFILE_ARG("type", 0444, show_cache, C_TYPE),
    PFILE_ARG("ways_of_associativity", 0444, show_cache, C_WAYS),
};
static const struct pdir index_dir = { PNODES(index_nodes) };
static const struct pnode index_child = { .mode = S_IFDIR | 0755, .dir = &index_dir };

static int64_t next_index(struct task *t, const struct pobj *o, int64_t min)
{
    (void)t, (void)o;
    return min < (int64_t)ARRAY_SIZE(caches) ? min : -ENOENT;
}

static int index_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    (void)t;
    if (num >= (int64_t)ARRAY_SIZE(caches))
        return -ENOENT;
    ret->num = o->num * 4 + num;
    return 0;
}

static const struct pdir cache_dir = {
    .prefix = "index", .child = &index_child, .next = next_index, .object = index_object
};

static const struct pnode topology_nodes[] = {
    PFILE_ARG("core_cpus", 0444, show_cpus, ONE_MASK),
    PFILE_ARG("core_cpus_list", 0444, show_cpus, ONE),
    PFILE_ARG("core_id", 0444, show_cpus, CORE),
    PFILE_ARG("core_siblings", 0444, show_cpus, MASK),
    PFILE_ARG("core_siblings_list", 0444, show_cpus, LIST),
    STEXT("die_id", "0\n"),
    PFILE_ARG("package_cpus", 0444, show_cpus, MASK),
    PFILE_ARG("package_cpus_list", 0444, show_cpus, LIST),
    STEXT("physical_package_id", "0\n"),
    PFILE_ARG("thread_siblings", 0444, show_cpus, ONE_MASK),
    PFILE_ARG("thread_siblings_list", 0444, show_cpus, ONE),
};
static const struct pdir topology_dir = { PNODES(topology_nodes) };

static const struct pnode cpu_nodes[] = {
    PDIR("cache", &cache_dir),
    STEXT("online", "1\n"),
    PDIR("topology", &topology_dir),
};
static const struct pdir cpu_dir = { PNODES(cpu_nodes) };
static const struct pnode cpu_child = { .mode = S_IFDIR | 0755, .dir = &cpu_dir };

static int64_t next_cpu(struct task *t, const struct pobj *o, int64_t min)
{
    (void)t, (void)o;
    return min < cpus() ? min : -ENOENT;
}

static int cpu_object(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret)
{
    (void)t, (void)o;
    if (num >= cpus())
        return -ENOENT;
    ret->num = num;
    return 0;
}

static const struct pnode smt_nodes[] = { STEXT("active", "0\n"),
                                          STEXT("control", "notsupported\n") };
static const struct pdir smt_dir = { PNODES(smt_nodes) };

static const struct pnode cpus_nodes[] = {
    STEXT("isolated", "\n"),
    PFILE_ARG("kernel_max", 0444, show_cpus, KERNEL_MAX),
    STEXT("offline", "\n"),
    PFILE_ARG("online", 0444, show_cpus, LIST),
    PFILE_ARG("possible", 0444, show_cpus, LIST),
    PFILE_ARG("present", 0444, show_cpus, LIST),
    PDIR("smt", &smt_dir),
};
static const struct pdir cpus_dir = { PNODES(cpus_nodes), .prefix = "cpu", .child = &cpu_child,
                                      .next = next_cpu, .object = cpu_object };

/* ---- /sys/devices/system/node ---- */

static PROC_SHOW(show_node_meminfo)
{
    const unsigned long total = kernel.mem_total / 1024;
    const unsigned long avail = MIN(proc_mem_free() / 1024, total);

    (void)t, (void)n, (void)o;
    pt_printf(out,
              "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\n"
              "Node 0 MemUsed:        %8lu kB\nNode 0 HugePages_Total:     0\n"
              "Node 0 HugePages_Free:      0\nNode 0 HugePages_Surp:      0\n",
              total, avail, total - avail);
    return 0;
}

static const struct pnode node0_nodes[] = {
    PFILE_ARG("cpulist", 0444, show_cpus, LIST),
    PFILE_ARG("cpumap", 0444, show_cpus, MASK),
    STEXT("distance", "10\n"),
    PFILE("meminfo", 0444, show_node_meminfo),
    STEXT("numastat", "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\n"
                      "other_node 0\n"),
};
static const struct pdir node0_dir = { PNODES(node0_nodes) };

static const struct pnode node_nodes[] = {
    STEXT("has_cpu", "0\n"),   STEXT("has_memory", "0\n"), STEXT("has_normal_memory", "0\n"),
    PDIR("node0", &node0_dir), STEXT("online", "0\n"),     STEXT("possible", "0\n"),
};
static const struct pdir node_dir = { PNODES(node_nodes) };

/* ---- the rest ---- */

static const struct pnode thp_nodes[] = {
    STEXT("defrag", "always defer defer+madvise [madvise] never\n"),
    STEXT("enabled", "always [madvise] never\n"),
    STEXT("hpage_pmd_size", "2097152\n"),
    STEXT("shmem_enabled", "always within_size advise [never] deny force\n"),
    STEXT("use_zero_page", "1\n"),
};
static const struct pdir thp_dir = { PNODES(thp_nodes) };
static const struct pnode mm_nodes[] = { PDIR("hugepages", &empty_dir),
                                         PDIR("transparent_hugepage", &thp_dir) };
static const struct pdir mm_dir = { PNODES(mm_nodes) };
static const struct pnode security_nodes[] = { STEXT("lsm", "capability") };
static const struct pdir security_dir = { PNODES(security_nodes) };
static const struct pnode kernel_nodes[] = {
    PDIR("debug", &empty_dir),
    PDIR("mm", &mm_dir),
    PDIR("security", &security_dir),
    PDIR("tracing", &empty_dir),
};
static const struct pdir kernel_dir = { PNODES(kernel_nodes) };

static const struct pnode system_nodes[] = { PDIR("cpu", &cpus_dir), PDIR("node", &node_dir) };
static const struct pdir system_dir = { PNODES(system_nodes) };
static const struct pnode virtual_nodes[] = { PDIR("net", &sysfs_virtual_net_dir) };
static const struct pdir virtual_dir = { PNODES(virtual_nodes) };
static const struct pnode devices_nodes[] = { PDIR("system", &system_dir),
                                              PDIR("virtual", &virtual_dir) };
static const struct pdir devices_dir = { PNODES(devices_nodes) };

static const struct pnode bus_nodes[] = { PDIR("cpu", &empty_dir), PDIR("node", &empty_dir) };
static const struct pdir bus_dir = { PNODES(bus_nodes) };
static const struct pnode class_nodes[] = { PDIR("block", &empty_dir),
                                            PDIR("net", &sysfs_class_net_dir) };
static const struct pdir class_dir = { PNODES(class_nodes) };
static const struct pnode dev_nodes[] = { PDIR("block", &empty_dir), PDIR("char", &empty_dir) };
static const struct pdir dev_dir = { PNODES(dev_nodes) };
static const struct pnode fs_nodes[] = { PDIR("cgroup", &empty_dir) };
static const struct pdir fs_dir = { PNODES(fs_nodes) };

static const struct pnode root_nodes[] = {
    PDIR("block", &empty_dir), PDIR("bus", &bus_dir),         PDIR("class", &class_dir),
    PDIR("dev", &dev_dir),     PDIR("devices", &devices_dir), PDIR("firmware", &empty_dir),
    PDIR("fs", &fs_dir),       PDIR("kernel", &kernel_dir),   PDIR("module", &empty_dir),
    PDIR("power", &empty_dir),
};
static const struct pdir root_dir = { PNODES(root_nodes) };

struct super *sysfs_new(void)
{
    static const struct pseudo_fs fs = {
        .type = "sysfs",
        .magic = 0x62656572,
        .file_size = 4096,
        .root = &root_dir,
    };

    return pseudo_super_new(&fs);
}

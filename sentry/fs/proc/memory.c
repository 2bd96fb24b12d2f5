/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/{meminfo,vmstat}. The machine that the guest sees has the memory of the sandbox; what is in
 * use is what the stubs have resident and what the sentry keeps for it.
 */
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/mm/mm.h"

struct spaces {
    struct mm **mm;
    size_t n, cap;
};

static int add_space(struct tgroup *g, void *arg)
{
    struct spaces *s = arg;
    struct mm *mm = g->leader ? g->leader->mm : NULL;

    for (size_t k = 0; mm && k < s->n; k++)
        if (s->mm[k] == mm)
            return 0;
    if (mm && s->n < s->cap)
        s->mm[s->n++] = mm_ref(mm);
    return 0;
}

uint64_t proc_rss_of(struct container *c)
{
    struct spaces s = { .cap = atomic_load(&kernel.ntasks) + 8 };
    uint64_t sum = 0;

    s.mm = kzalloc(s.cap * sizeof(struct mm *));
    if (!s.mm)
        return 0;
    lock(&kernel.tasks_lock);
    if (c)
        container_groups_locked(c, add_space, &s);
    else
        tgroup_each_locked(NULL, add_space, &s);
    unlock(&kernel.tasks_lock);
    for (size_t k = 0; k < s.n; k++) {
        struct as_usage u;
        if (kernel.platform->as_usage(s.mm[k]->as, &u) == 0)
            sum += u.rss;
        mm_put(s.mm[k]);
    }
    kfree(s.mm);
    return sum;
}

uint64_t proc_rss_total(void)
{
    return proc_rss_of(NULL);
}

uint64_t proc_mem_free(void)
{
    uint64_t used = proc_rss_total() + kcharged();

    return used < kernel.mem_total ? kernel.mem_total - used : 0;
}

PROC_SHOW(proc_show_meminfo)
{
    static const struct {
        const char *name;
        int what; /* 0: zero, else below */
    } rows[] = {
        { "MemTotal", 1 },       { "MemFree", 2 },        { "MemAvailable", 2 },
        { "Buffers", 0 },        { "Cached", 3 },         { "SwapCached", 0 },
        { "Active", 4 },         { "Inactive", 0 },       { "Active(anon)", 4 },
        { "Inactive(anon)", 0 }, { "Active(file)", 0 },   { "Inactive(file)", 0 },
        { "Unevictable", 0 },    { "Mlocked", 0 },        { "SwapTotal", 0 },
        { "SwapFree", 0 },       { "Zswap", 0 },          { "Zswapped", 0 },
        { "Dirty", 0 },          { "Writeback", 0 },      { "AnonPages", 4 },
        { "Mapped", 0 },         { "Shmem", 3 },          { "KReclaimable", 0 },
        { "Slab", 0 },           { "SReclaimable", 0 },   { "SUnreclaim", 0 },
        { "KernelStack", 0 },    { "PageTables", 0 },     { "SecPageTables", 0 },
        { "NFS_Unstable", 0 },   { "Bounce", 0 },         { "WritebackTmp", 0 },
        { "CommitLimit", 5 },    { "Committed_AS", 4 },   { "VmallocTotal", 6 },
        { "VmallocUsed", 0 },    { "VmallocChunk", 0 },   { "Percpu", 0 },
        { "AnonHugePages", 0 },  { "ShmemHugePages", 0 }, { "ShmemPmdMapped", 0 },
        { "FileHugePages", 0 },  { "FilePmdMapped", 0 },
    };
    uint64_t rss = proc_rss_total(), kept = kcharged();
    uint64_t used = MIN(rss + kept, kernel.mem_total);
    uint64_t values[] = { 0,   kernel.mem_total,     kernel.mem_total - used, kept,
                          rss, kernel.mem_total / 2, 34359738367ull * 1024 };

    (void)t, (void)n, (void)o;
    for (unsigned k = 0; k < ARRAY_SIZE(rows); k++) {
        size_t before = out->len;
        pt_printf(out, "%s:", rows[k].name);
        pt_printf(out, "%*lu kB\n", (int)(24 - (out->len - before)),
                  (unsigned long)(values[rows[k].what] / 1024));
    }
    pt_puts(out,
            "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
            "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    return 0;
}

PROC_SHOW(proc_show_vmstat)
{
    uint64_t rss = proc_rss_total(), kept = kcharged();
    uint64_t used = MIN(rss + kept, kernel.mem_total);

    (void)t, (void)n, (void)o;
    pt_printf(out,
              "nr_free_pages %lu\nnr_zone_inactive_anon 0\nnr_zone_active_anon %lu\n"
              "nr_zone_inactive_file 0\nnr_zone_active_file 0\nnr_zone_unevictable 0\n"
              "nr_anon_pages %lu\nnr_mapped 0\nnr_file_pages %lu\nnr_dirty 0\nnr_writeback 0\n"
              "nr_shmem %lu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgalloc_normal 0\npgfree 0\n"
              "pgfault 0\npgmajfault 0\noom_kill 0\n",
              (unsigned long)((kernel.mem_total - used) / PAGE_SIZE_4K),
              (unsigned long)(rss / PAGE_SIZE_4K), (unsigned long)(rss / PAGE_SIZE_4K),
              (unsigned long)(kept / PAGE_SIZE_4K), (unsigned long)(kept / PAGE_SIZE_4K));
    return 0;
}

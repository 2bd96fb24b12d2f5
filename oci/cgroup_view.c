/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container is shown of its own control group (sentry/fs/cgroup/cgroup.h): the limits as the host has them
 * in its files, so that what is read inside is what holds; the layout is the host's, too. But for the number of
 * tasks, where the host's limit has room for ours.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/cgroup_priv.h"
#include "oci/oci.h"
#include "sentry/fs/cgroup/cgroup.h"

static const char *const v1_files[] = {
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.tcp.limit_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "memory.use_hierarchy",
    "cpu.shares",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.rt_runtime_us",
    "cpu.rt_period_us",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.mems",
    "cpuset.effective_cpus",
    "cpuset.effective_mems",
    "blkio.weight",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.write_iops_device",
};
static const char *const v2_files[] = {
    "cgroup.controllers",
    "cpu.idle",
    "cpu.max",
    "cpu.max.burst",
    "cpu.weight",
    "cpu.weight.nice",
    "cpuset.cpus",
    "cpuset.cpus.effective",
    "cpuset.mems",
    "cpuset.mems.effective",
    "io.max",
    "io.weight",
    "memory.high",
    "memory.low",
    "memory.max",
    "memory.min",
    "memory.oom.group",
    "memory.swap.high",
    "memory.swap.max",
};

static void put(FILE *f, const char *name, const char *value)
{
    fwrite(name, 1, strlen(name) + 1, f);
    fwrite(value, 1, strlen(value) + 1, f);
}

static void put_files(FILE *f, char **dirs)
{
    const bool v2 = oci_cgroup_is_v2(dirs);
    const char *const *files = v2 ? v2_files : v1_files;
    const unsigned n = v2 ? ARRAY_SIZE(v2_files) : ARRAY_SIZE(v1_files);
    char text[4096];

    for (unsigned i = 0; i < n; i++) {
        for (char **d = dirs; *d; d++) {
            if (cg_get(*d, files[i], text, sizeof text) < 0)
                continue;
            put(f, files[i], text);
            break;
        }
    }
}

/* Each hierarchy of the host's, and our group its root. */
static void put_hierarchies(FILE *f)
{
    char *self = NULL, *all = NULL, **keys;
    size_t n1, n2;
    FILE *s = open_memstream(&self, &n1), *a = open_memstream(&all, &n2);

    if (!s || !a)
        return;
    fputs("#subsys_name\thierarchy\tnum_cgroups\tenabled\n", a);
    keys = oci_cgroup_keys();
    if (!*keys) {
        fputs("0::/\n", s);
        fputs("cpuset\t0\t1\t1\ncpu\t0\t1\t1\nmemory\t0\t1\t1\npids\t0\t1\t1\n", a);
    }
    for (unsigned i = 0; keys[i]; i++) {
        char *list = xstrdup(keys[i]), *save = NULL;

        fprintf(s, "%u:%s:/\n", i + 1, keys[i]);
        for (char *c = strtok_r(list, ",", &save); c; c = strtok_r(NULL, ",", &save))
            if (!strchr(c, '='))
                fprintf(a, "%s\t%u\t1\t1\n", c, i + 1);
        free(list);
    }
    fclose(s);
    fclose(a);
    put(f, CGROUP_SELF, self);
    put(f, CGROUP_ALL, all);
    free(self);
    free(all);
}

int oci_cgroup_view(char **dirs, const struct oci_resources *r)
{
    int64_t pids = oci_cgroup_tasks(dirs);
    int fd = memfd_create("cgroup", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
    char text[40];

    if (pids == OCI_UNSET)
        pids = r->pids;

    if (!f)
        return -1;
    put_hierarchies(f);
    if (dirs)
        put_files(f, dirs);
    if (pids != OCI_UNSET && pids != 0) {
        snprintf(text, sizeof text, "%" PRId64 "\n", pids);
        put(f, "pids.max", pids > 0 ? text : "max\n");
        snprintf(text, sizeof text, "%" PRId64, pids > 0 ? pids + 1 : 0);
        put(f, CGROUP_TASKS, text);
    }
    fclose(f);
    return fd;
}

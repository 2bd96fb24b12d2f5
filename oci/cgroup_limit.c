/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, and the files that they go into. They hold for guest and sentry together, so the number of
 * processes gets room for ours: the guest's own are counted by the sentry.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/cgroup_priv.h"
#include "oci/oci.h"

#define NO_LIMIT (-1)
#define OWN_TASKS 64 /* sentry, gofers, broker and their threads */
#define TASKS_EACH 3 /* of a guest's task: its thread, ready ones, its stub's */

/* 0: no directory has such a file, or it is done. */
static int put(char **dirs, const char *file, const char *text)
{
    for (; dirs && *dirs; dirs++) {
        int r;

        if (!cg_has(*dirs, file))
            continue;
        r = cg_put(*dirs, file, text);
        if (r < 0 && (oci.rootless || geteuid() != 0)) {
            oci_log(OCI_WARNING, "%s/%s: %s", *dirs, file, oci_strerror(r));
            return 0;
        }
        return r < 0 ? oci_fail("failed to write \"%s\" to %s/%s: %s", text, *dirs, file,
                                oci_strerror(r))
                     : 0;
    }
    oci_log(OCI_DEBUG, "%s: this host has no such limit", file);
    return 0;
}

static int put_number(char **dirs, const char *file, int64_t v)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRId64, v);
    return put(dirs, file, text);
}

/* Version 2 says "max" where version 1 has -1. */
static int put_max(char **dirs, const char *file, int64_t v)
{
    return v < 0 ? put(dirs, file, "max") : put_number(dirs, file, v);
}

/* What docker and CRI send where nothing was asked for. */
static bool told(int64_t v)
{
    return v != OCI_UNSET && v != 0;
}

/* ---- version 1 ---- */

/* Swap counts memory too, so whichever is raised, the upper one goes first. */
static int memory_v1(char **dirs, const struct oci_resources *r)
{
    static const char limit[] = "memory.limit_in_bytes", swap[] = "memory.memsw.limit_in_bytes";
    int64_t now = oci_cgroup_number(dirs, limit, NULL);
    bool lower = told(r->memory) && r->memory > 0 && now != OCI_UNSET && r->memory < now;
    int64_t both = told(r->swap) ? r->swap : OCI_UNSET;
    int e = 0;

    if (r->memory == NO_LIMIT && both == OCI_UNSET)
        both = NO_LIMIT;
    if (!lower && both != OCI_UNSET)
        e = put_number(dirs, swap, both);
    if (e == 0 && told(r->memory))
        e = put_number(dirs, limit, r->memory);
    if (e == 0 && lower && both != OCI_UNSET)
        e = put_number(dirs, swap, both);
    if (e == 0 && told(r->reservation))
        e = put_number(dirs, "memory.soft_limit_in_bytes", r->reservation);
    if (e == 0 && r->swappiness >= 0 && r->swappiness <= 100) /* old callers say -1 */
        e = put_number(dirs, "memory.swappiness", r->swappiness);
    if (e == 0 && r->no_oom_killer)
        e = put(dirs, "memory.oom_control", "1");
    return e;
}

static int cpu_v1(char **dirs, const struct oci_resources *r)
{
    int e = 0;

    if (told(r->shares))
        e = put_number(dirs, "cpu.shares", r->shares);
    if (e == 0 && told(r->period))
        e = put_number(dirs, "cpu.cfs_period_us", r->period);
    if (e == 0 && told(r->quota))
        e = put_number(dirs, "cpu.cfs_quota_us", r->quota);
    return e;
}

/*
 * No program of the guest's opens a device of the host: this holds our own processes. Those that they use, and the nodes
 * that any container has, stay allowed, as with runc. A host that refuses it has a fence less that nothing leans on.
 */
static void devices_v1(char **dirs, const struct oci_resources *r)
{
    static const char *const always[] = { "c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
                                          "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
                                          "c 5:2 rwm", "c 136:* rwm" };
    char major[24], minor[24], text[64];
    const char *dir = NULL;
    int e = 0;

    for (; dirs && *dirs && !dir; dirs++)
        if (cg_has(*dirs, "devices.allow"))
            dir = *dirs;
    for (unsigned i = 0; dir && e == 0 && i < r->ndevices; i++) {
        const struct oci_device_rule *d = &r->devices[i];

        snprintf(major, sizeof major, d->major < 0 ? "*" : "%" PRId64, d->major);
        snprintf(minor, sizeof minor, d->minor < 0 ? "*" : "%" PRId64, d->minor);
        if (d->type == 'a')
            snprintf(text, sizeof text, "a");
        else
            snprintf(text, sizeof text, "%c %s:%s %s", d->type, major, minor, d->access);
        e = cg_put(dir, d->allow ? "devices.allow" : "devices.deny", text);
    }
    for (unsigned i = 0; dir && e == 0 && r->ndevices && i < ARRAY_SIZE(always); i++)
        e = cg_put(dir, "devices.allow", always[i]);
    if (e < 0)
        oci_log(OCI_DEBUG, "%s/devices.allow, devices.deny: %s", dir, oci_strerror(e));
}

/* ---- version 2 ---- */

static int memory_v2(char **dirs, const struct oci_resources *r)
{
    int e = 0;

    if (told(r->memory))
        e = put_max(dirs, "memory.max", r->memory);
    if (e == 0 && told(r->swap))
        e = put_max(dirs, "memory.swap.max",
                    r->swap < 0 || !told(r->memory) ? r->swap : r->swap - r->memory);
    if (e == 0 && told(r->reservation))
        e = put_max(dirs, "memory.low", r->reservation);
    return e;
}

static int cpu_v2(char **dirs, const struct oci_resources *r)
{
    char text[64];
    int e = 0;

    if (told(r->shares) && r->shares >= 2)
        e = put_number(dirs, "cpu.weight", 1 + (MIN(r->shares, 262144) - 2) * 9999 / 262142);
    if (e == 0 && (told(r->quota) || told(r->period))) {
        const long long period = told(r->period) ? r->period : 100000;

        if (told(r->quota) && r->quota > 0)
            snprintf(text, sizeof text, "%lld %lld", (long long)r->quota, period);
        else
            snprintf(text, sizeof text, "max %lld", period);
        e = put(dirs, "cpu.max", text);
    }
    return e;
}

/* ---- both ---- */

int64_t oci_cgroup_host_tasks(int64_t guest)
{
    return guest < 0 || guest > INT32_MAX ? -1 : TASKS_EACH * guest + OWN_TASKS;
}

static int pids(char **dirs, const struct oci_resources *r)
{
    if (!told(r->pids))
        return 0;
    const int64_t host = oci_cgroup_host_tasks(r->pids);

    return host < 0 ? put(dirs, "pids.max", "max") : put_number(dirs, "pids.max", host);
}

int64_t oci_cgroup_tasks(char **dirs)
{
    int64_t v = oci_cgroup_number(dirs, "pids.max", "pids.max");

    if (v == OCI_UNSET)
        return v;
    return v == INT64_MAX ? -1 : MAX((v - OWN_TASKS) / TASKS_EACH, 1);
}

static int unified(char **dirs, const struct oci_resources *r)
{
    json_t *all = (json_t *)(uintptr_t)r->unified, *value;
    const char *key;
    int e = 0;

    if (!all)
        return 0;
    if (!oci_cgroup_is_v2(dirs))
        return oci_fail("linux.resources.unified needs cgroups of version 2");
    json_object_foreach(all, key, value)
    {
        if (e == 0)
            e = put(dirs, key, json_string_value(value));
    }
    return e;
}

int oci_cgroup_limit(char **dirs, const struct oci_resources *r)
{
    bool v2 = oci_cgroup_is_v2(dirs);
    int e;

    if (!dirs || !*dirs)
        return 0;
    if (!v2)
        devices_v1(dirs, r);
    e = v2 ? memory_v2(dirs, r) : memory_v1(dirs, r);
    if (e == 0)
        e = v2 ? cpu_v2(dirs, r) : cpu_v1(dirs, r);
    if (e == 0 && r->cpus && *r->cpus)
        e = put(dirs, "cpuset.cpus", r->cpus);
    if (e == 0 && r->mems && *r->mems)
        e = put(dirs, "cpuset.mems", r->mems);
    if (e == 0)
        e = pids(dirs, r);
    return e == 0 ? unified(dirs, r) : e;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ps, events, update, features, spec. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/create.h"
#include "oci/oci.h"
#include "oci/scope.h"
#include "oci/wire.h"

/* ---- ps ---- */

static bool read_small(pid_t pid, const char *name, char *buf, size_t cap)
{
    char path[64];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd >= 0 ? read(fd, buf, cap - 1) : -1;
    if (fd >= 0)
        close(fd);
    buf[MAX(n, 0)] = 0;
    return n > 0;
}

/* Of our own processes those count that stand for one of the guest's. */
static bool counts(pid_t pid)
{
    static const char *const others[] = { "sbx-sentry", "sbx-gofer", "sbx-net" };
    char comm[32];

    if (!read_small(pid, "comm", comm, sizeof comm))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        if (strncmp(comm, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

static void print_row(pid_t pid)
{
    char stat[1024], status[4096], cmd[256], *at;
    unsigned long long user = 0, sys = 0;
    int ppid = 0, uid = 0;

    if (!read_small(pid, "stat", stat, sizeof stat) || !(at = strrchr(stat, ')')))
        return;
    sscanf(at + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &ppid, &user, &sys);
    if (read_small(pid, "status", status, sizeof status) && (at = strstr(status, "\nUid:")))
        sscanf(at + 5, "%d", &uid);
    if (!read_small(pid, "cmdline", cmd, sizeof cmd))
        read_small(pid, "comm", cmd, sizeof cmd);
    for (char *c = cmd; c < cmd + sizeof cmd - 1 && (c[0] || c[1]); c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    const unsigned long long s = (user + sys) / (unsigned long long)sysconf(_SC_CLK_TCK);

    printf("%-8d %7d %7d  0 ?     ?        %02llu:%02llu:%02llu %s\n", uid, (int)pid, ppid,
           s / 3600, s / 60 % 60, s % 60, cmd);
}

int oci_ps(int argc, char **argv)
{
    const char *format = "table";
    const struct oci_option list[] = { { "format", 'f', true, &format, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    int at = oci_options(argc, argv, list);
    struct oci_state s;
    unsigned n;
    bool table;

    if (at < 0)
        return 1;
    if (at >= argc)
        return oci_fail("ps: \"ps\" requires a minimum of 1 argument");
    table = strcmp(format, "table") == 0;
    if (!table && strcmp(format, "json") != 0)
        return oci_fail("invalid format option");
    if (oci_state_get(argv[at], /* lock= */ false, &s))
        return 1;
    if (oci_status_now(&s) == OCI_STOPPED)
        return oci_fail("container not running");
    pid_t *pids = oci_cgroup_pids(s.cgroups, &n);
    json_t *all = json_array();

    json_array_append_new(all, json_integer(s.pid));
    if (table) {
        printf("UID          PID    PPID  C STIME TTY          TIME CMD\n");
        print_row(s.pid);
    }
    for (unsigned i = 0; i < n; i++) {
        if (pids[i] == s.pid || !counts(pids[i]))
            continue;
        if (table)
            print_row(pids[i]);
        json_array_append_new(all, json_integer(pids[i]));
    }
    if (!table)
        printf("%s\n", json_dumps(all, JSON_COMPACT));
    json_decref(all);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- events ---- */

static json_t *figure(int64_t v)
{
    return json_integer(v == OCI_UNSET ? 0 : v);
}

static json_t *cpu_figures(char **cg)
{
    bool v2 = oci_cgroup_is_v2(cg);
    const int64_t unit = v2 ? 1000 : 1; /* microseconds there */
    int64_t total = v2 ? oci_cgroup_keyed(cg, "cpu.stat", "usage_usec")
                       : oci_cgroup_number(cg, "cpuacct.usage", NULL);
    int64_t user = v2 ? oci_cgroup_keyed(cg, "cpu.stat", "user_usec")
                      : oci_cgroup_number(cg, "cpuacct.usage_user", NULL);
    int64_t sys = v2 ? oci_cgroup_keyed(cg, "cpu.stat", "system_usec")
                     : oci_cgroup_number(cg, "cpuacct.usage_sys", NULL);
    int64_t throttled = v2 ? oci_cgroup_keyed(cg, "cpu.stat", "throttled_usec")
                           : oci_cgroup_keyed(cg, "cpu.stat", "throttled_time");

    return json_pack("{s:{s:I, s:I, s:I}, s:{s:o, s:o, s:I}}", "usage", "total",
                     (json_int_t)(MAX(total, 0) * unit), "kernel", (json_int_t)(MAX(sys, 0) * unit),
                     "user", (json_int_t)(MAX(user, 0) * unit), "throttling", "periods",
                     figure(oci_cgroup_keyed(cg, "cpu.stat", "nr_periods")), "throttledPeriods",
                     figure(oci_cgroup_keyed(cg, "cpu.stat", "nr_throttled")), "throttledTime",
                     (json_int_t)(MAX(throttled, 0) * unit));
}

static json_t *memory_figures(char **cg)
{
    bool v2 = oci_cgroup_is_v2(cg);

    return json_pack(
        "{s:o, s:{s:o, s:o, s:o, s:o}}", "cache",
        figure(oci_cgroup_keyed(cg, "memory.stat", v2 ? "file" : "cache")), "usage", "limit",
        figure(oci_cgroup_number(cg, "memory.limit_in_bytes", "memory.max")), "usage",
        figure(oci_cgroup_number(cg, "memory.usage_in_bytes", "memory.current")), "max",
        figure(oci_cgroup_number(cg, "memory.max_usage_in_bytes", "memory.peak")), "failcnt",
        figure(oci_cgroup_number(cg, "memory.failcnt", NULL)));
}

static int print_stats(const struct oci_state *s)
{
    char **cg = s->cgroups;
    json_t *pids = json_pack("{s:o, s:o}", "current",
                             figure(oci_cgroup_number(cg, "pids.current", "pids.current")), "limit",
                             figure(oci_cgroup_number(cg, "pids.max", "pids.max")));
    json_t *o = json_pack("{s:s, s:s, s:{s:o, s:o, s:o}}", "type", "stats", "id", s->id, "data",
                          "cpu", cpu_figures(cg), "memory", memory_figures(cg), "pids", pids);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    json_decref(o);
    if (!text || printf("%s\n", text) < 0 || fflush(stdout) != 0)
        return oci_fail("cannot write: %s", oci_strerror(errno));
    free(text);
    return 0;
}

/* "5s", "100ms", "2": milliseconds; -1. */
static long interval(const char *s)
{
    char *end;
    double v = strtod(s, &end);

    if (end == s || !(v > 0) || v > 1e6)
        return -1;
    if (strcmp(end, "ms") == 0)
        return (long)MAX(v, 1);
    if (strcmp(end, "m") == 0)
        v *= 60;
    else if (*end && strcmp(end, "s") != 0)
        return -1;
    return (long)(v * 1000);
}

int oci_events(int argc, char **argv)
{
    const char *every = "5s";
    bool once = false, oom = false;
    const struct oci_option list[] = { { "stats", 0, false, &once, NULL },
                                       { "interval", 0, true, &every, NULL },
                                       { NULL, 0, false, NULL, NULL } };
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, list));
    struct oci_state s;
    long ms = interval(every);

    if (!id || oci_state_get(id, /* lock= */ false, &s))
        return 1;
    if (ms < 0)
        return oci_fail("invalid interval \"%s\"", every);
    if (oci_status_now(&s) == OCI_STOPPED)
        return oci_fail("container not running");
    if (once)
        return print_stats(&s);
    while (oci_status_now(&s) != OCI_STOPPED) {
        if (print_stats(&s))
            return 1;
        if (!oom && oci_cgroup_oom(s.cgroups)) {
            oom = true;
            printf("{\"type\":\"oom\",\"id\":\"%s\"}\n", id); /* an id needs no escapes */
            fflush(stdout);
        }
        await_end(s.pid, s.start_time, (int)MIN(ms, 1000000));
    }
    return 0;
}

/* ---- update ---- */

/* The program sees what holds now, and the kernel inside counts its tasks by it. */
static int tell(const struct oci_state *s, const struct oci_resources *r)
{
    const struct wire_msg m = { .type = WIRE_CGROUP };
    int fd = oci_cgroup_view(s->cgroups, r), sock = fd < 0 ? -1 : wire_connect(s), e = -1;
    struct wire_msg answer;

    if (sock >= 0)
        e = wire_send(sock, &m, &fd, 1);
    if (e == 0)
        e = wire_receive(sock, &answer, NULL, NULL) == 1 ? 0 : -1;
    if (sock >= 0)
        close(sock);
    if (fd >= 0)
        close(fd);
    return e == 0 ? 0 : oci_fail("container not running");
}

int oci_update(int argc, char **argv)
{
    const char *file = NULL, *memory = NULL, *swap = NULL, *reservation = NULL, *shares = NULL,
               *quota = NULL, *period = NULL, *cpus = NULL, *mems = NULL, *pids = NULL,
               *none = NULL;
    const struct oci_option list[] = {
        { "resources", 'r', true, &file, NULL },
        { "memory", 0, true, &memory, NULL },
        { "memory-swap", 0, true, &swap, NULL },
        { "memory-reservation", 0, true, &reservation, NULL },
        { "cpu-share", 0, true, &shares, NULL },
        { "cpu-shares", 0, true, &shares, NULL },
        { "cpu-quota", 0, true, &quota, NULL },
        { "cpu-period", 0, true, &period, NULL },
        { "cpuset-cpus", 0, true, &cpus, NULL },
        { "cpuset-mems", 0, true, &mems, NULL },
        { "pids-limit", 0, true, &pids, NULL },
        { "blkio-weight", 0, true, &none, NULL },
        { "kernel-memory", 0, true, &none, NULL },
        { "kernel-memory-tcp", 0, true, &none, NULL },
        { NULL, 0, false, NULL, NULL },
    };
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, list));
    const struct {
        const char *text;
        size_t offset;
    } numbers[] = {
        { memory, offsetof(struct oci_resources, memory) },
        { swap, offsetof(struct oci_resources, swap) },
        { reservation, offsetof(struct oci_resources, reservation) },
        { shares, offsetof(struct oci_resources, shares) },
        { quota, offsetof(struct oci_resources, quota) },
        { period, offsetof(struct oci_resources, period) },
        { pids, offsetof(struct oci_resources, pids) },
    };
    struct oci_resources r;
    struct oci_state s;
    char why[OCI_WHY], *text = xstrdup("{}");
    size_t n = 2;
    json_t *doc;

    if (!id || oci_state_get(id, /* lock= */ true, &s))
        return 1;
    if (oci_status_now(&s) == OCI_STOPPED)
        return oci_fail("container not running");
    if (file)
        text = oci_file_read(file, &n);
    if (!text)
        return oci_fail("open %s: %s", file, oci_strerror(errno));
    if (oci_resources_parse(text, n, &r, &doc, why) < 0)
        return oci_fail("invalid resources: %s", why);
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        char *end;

        if (!numbers[i].text)
            continue;
        *(int64_t *)((char *)&r + numbers[i].offset) = strtoll(numbers[i].text, &end, 10);
        if (*end || end == numbers[i].text)
            return oci_fail("update: \"%s\" is no number", numbers[i].text);
    }
    if (cpus)
        r.cpus = cpus;
    if (mems)
        r.mems = mems;
    if (s.pod && (r.memory > 0 || r.quota > 0 || r.cpus))
        oci_log(
            OCI_WARNING,
            "limits of memory and processors do not hold for the programs of %s, which are in the group of %s",
            id, s.pod);
    if ((s.unit && scope_set(s.unit, &r, oci_cgroup_is_v2(s.cgroups))) ||
        oci_cgroup_limit(s.cgroups, &r))
        return 1;
    return tell(&s, &r);
}

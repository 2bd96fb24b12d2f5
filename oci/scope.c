/* SPDX-License-Identifier: Apache-2.0 */
/* See scope.h. */
#include "oci/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/beside.h"
#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/oci.h"

#define WORDS 40

/* ---- names ---- */

/* "a-b.slice" lies in "a.slice"; "-.slice" is the root. NULL: it is none. */
static char *slice_path(const char *slice)
{
    size_t n = strlen(slice);
    char *path = xstrdup("");

    if (n < 7 || strcmp(slice + n - 6, ".slice") != 0 || strchr(slice, '/'))
        return NULL;
    n -= 6;
    if (n == 1 && slice[0] == '-')
        return path;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && slice[i] != '-')
            continue;
        if (slice[i - 1] == '-')
            return NULL;
        path = xasprintf("%s/%.*s.slice", path, (int)i, slice);
    }
    return slice[0] == '-' ? NULL : path;
}

int scope_names(const char *cgroups_path, const char *id, char **ret_unit, char **ret_path)
{
    char *text = xstrdup(cgroups_path && *cgroups_path ? cgroups_path : ":sbx:"), *path;
    char *prefix = strchr(text, ':'), *name = prefix ? strchr(prefix + 1, ':') : NULL;

    if (!name || strchr(name + 1, ':') || strchr(name, '/'))
        return oci_fail("expected cgroupsPath to be of format \"slice:prefix:name\" for systemd "
                        "cgroups, got \"%s\" instead",
                        cgroups_path);
    *prefix++ = 0;
    *name++ = 0;
    path = slice_path(*text ? text : "system.slice");
    if (!path)
        return oci_fail("linux.cgroupsPath: \"%s\" is not the name of a slice", text);
    if (!*name)
        name = xstrdup(id);
    *ret_unit = *prefix ? xasprintf("%s-%s.scope", prefix, name) : xasprintf("%s.scope", name);
    *ret_path = xasprintf("%s/%s", path, *ret_unit);
    return 0;
}

/* ---- properties ---- */

struct words {
    char *of[WORDS];
    unsigned n;
};

static void add(struct words *w, char *word)
{
    if (w->n < WORDS - 1)
        w->of[w->n++] = word;
}

static bool told(int64_t v)
{
    return v != OCI_UNSET && v != 0;
}

/* -1 is no limit, which systemd writes as the largest number. */
static void add_number(struct words *w, const char *name, int64_t v)
{
    add(w, xasprintf("%s:t:%" PRIu64, name, v < 0 ? UINT64_MAX : (uint64_t)v));
}

/* "0-2,5" as a mask of bytes, the lowest first, in hexadecimal. */
static void add_mask(struct words *w, const char *name, const char *list)
{
    unsigned char mask[128] = { 0 };
    char hex[2 * sizeof mask + 1];
    unsigned bytes = 0;

    while (*list) {
        char *end;
        unsigned long from = strtoul(list, &end, 10), to = from;

        if (end == list)
            return; /* the kernel says what is wrong with it */
        if (*end == '-')
            to = strtoul(end + 1, &end, 10);
        for (; from <= to && from / 8 < sizeof mask; from++) {
            mask[from / 8] |= (unsigned char)(1 << from % 8);
            bytes = MAX(bytes, (unsigned)(from / 8 + 1));
        }
        list = end + strspn(end, ",\n");
    }
    for (unsigned i = 0; i < bytes; i++)
        snprintf(hex + 2 * (size_t)i, 3, "%02x", mask[i]);
    if (bytes)
        add(w, xasprintf("%s:ay:%s", name, hex));
}

static void add_cpu(struct words *w, const struct oci_resources *r, bool v2)
{
    const int64_t period = told(r->period) && r->period > 0 ? r->period : 100000;

    if (told(r->shares) && r->shares >= 2 && v2)
        add_number(w, "CPUWeight", 1 + (MIN(r->shares, 262144) - 2) * 9999 / 262142);
    else if (told(r->shares))
        add_number(w, "CPUShares", r->shares);
    if (told(r->period) && r->period > 0)
        add_number(w, "CPUQuotaPeriodUSec", r->period);
    if (told(r->quota)) {
        /* of a second, in steps of 10 ms: systemd rounds down, and that would be less than was given */
        int64_t usec = r->quota > 0 ? r->quota * 1000000 / period : -1;

        add_number(w, "CPUQuotaPerSecUSec", usec > 0 ? (usec + 9999) / 10000 * 10000 : usec);
    }
    if (r->cpus && v2)
        add_mask(w, "AllowedCPUs", r->cpus);
    if (r->mems && v2)
        add_mask(w, "AllowedMemoryNodes", r->mems);
}

static void add_limits(struct words *w, const struct oci_resources *r, bool v2)
{
    if (told(r->memory))
        add_number(w, v2 ? "MemoryMax" : "MemoryLimit", r->memory);
    if (told(r->reservation) && v2)
        add_number(w, "MemoryLow", r->reservation);
    if (told(r->swap) && v2)
        add_number(w, "MemorySwapMax", r->swap > 0 && told(r->memory) ? r->swap - r->memory : -1);
    add_cpu(w, r, v2);
    if (told(r->pids))
        add_number(w, "TasksMax", oci_cgroup_host_tasks(r->pids));
}

/* ---- the helper ---- */

static char failure[400];

/* 0, or 1 with failure set. */
static int ask(struct words *w)
{
    int helper = program_beside("sbx-systemd"), err[2], status = 0;
    char text[200];
    size_t n = 0;
    ssize_t got;
    pid_t pid;

    if (helper < 0 || pipe2(err, O_CLOEXEC) < 0) {
        snprintf(
            failure, sizeof failure,
            "systemd cgroup flag passed, but sbx-systemd, which asks it, is not beside sbx, nor in "
            "../libexec/sbx: it is built where libsystemd is");
        return 1;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        dup2(err[1], 2);
        syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
        syscall(SYS_execveat, helper, "", w->of, environ, 0x1000 /* AT_EMPTY_PATH */);
        dprintf(2, "%s\n", oci_strerror(errno));
        _exit(127);
    }
    close(err[1]);
    close(helper);
    while (n < sizeof text - 1 && (got = read(err[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)got;
    close(err[0]);
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        snprintf(failure, sizeof failure,
                 "systemd cgroup flag passed, but systemd cannot do it: %s", text);
    else
        return 0;
    return 1;
}

static int run(struct words *w)
{
    return ask(w) ? oci_fail("%s", failure) : 0;
}

static struct words request(const char *verb, const char *unit)
{
    struct words w = { .n = 0 };

    add(&w, xstrdup("sbx-systemd"));
    add(&w, xstrdup(verb));
    add(&w, xstrdup(unit));
    return w;
}

/* ---- what is asked for ---- */

static pid_t holder;

int scope_start(const char *unit, const char *path, const char *id, const struct oci_resources *r,
                bool v2)
{
    static const char *const accounts[] = { "MemoryAccounting:b:true", "CPUAccounting:b:true",
                                            "TasksAccounting:b:true", "Delegate:b:true",
                                            "DefaultDependencies:b:false" };
    struct words w = request("start", unit);
    const char *end = strrchr(path, '/'), *slice = end;

    while (slice > path && slice[-1] != '/')
        slice--;
    fflush(NULL);
    holder = fork();
    if (holder == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    if (holder < 0)
        return oci_fail("fork: %s", oci_strerror(errno));
    add(&w, xasprintf("%d", (int)holder));
    add(&w, xasprintf("Description:s:sbx container %s", id));
    add(&w, end == path ? xstrdup("Slice:s:-.slice")
                        : xasprintf("Slice:s:%.*s", (int)(end - slice), slice));
    for (unsigned i = 0; i < ARRAY_SIZE(accounts); i++)
        add(&w, xstrdup(accounts[i]));
    add(&w, xstrdup(v2 ? "IOAccounting:b:true" : "BlockIOAccounting:b:true"));
    add_limits(&w, r, v2);
    if (run(&w) == 0)
        return 0;
    scope_release();
    return 1;
}

void scope_release(void)
{
    if (holder <= 1)
        return;
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    holder = 0;
}

int scope_set(const char *unit, const struct oci_resources *r, bool v2)
{
    struct words w = request("set", unit);
    const unsigned before = w.n;

    add_limits(&w, r, v2);
    return w.n == before ? 0 : run(&w);
}

void scope_stop(const char *unit)
{
    struct words w = request("stop", unit);

    scope_release();
    if (ask(&w))
        oci_log(OCI_WARNING, "%s", failure);
}

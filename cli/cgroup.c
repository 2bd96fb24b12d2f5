/* SPDX-License-Identifier: Apache-2.0 */
/* See cgroup.h. */
#include "cli/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/putfile.h"
#include "abi/types.h"
#include "cli/cleaner.h"
#include "cli/error.h"

#define PERIOD_US 100000
#define BOXES 2 /* version 1 has one for each controller */

static struct box {
    char *dir;  /* ours */
    char *back; /* where we were */
} boxes[BOXES];
static unsigned nboxes;

static int put(const char *dir, const char *name, const char *text)
{
    char *path = xjoin(dir, name);
    int r = put_file(path, text);

    free(path);
    return r;
}

static int put_number(const char *dir, const char *name, uint64_t v)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, v);
    return put(dir, name, text);
}

static bool get(const char *dir, const char *name, char *buf, size_t cap)
{
    char *path = xjoin(dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buf, cap - 1) : -1;

    free(path);
    if (fd >= 0)
        close(fd);
    buf[MAX(n, 0)] = 0;
    return n >= 0;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += n) {
        if ((at == list || strchr(" ,\n", at[-1])) && strchr(" ,\n", at[n]))
            return true;
    }
    return false;
}

/* Where the hierarchy with that controller (version 1), or of version 2 (NULL), is mounted. */
static char *mount_of(const char *controller)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096], *found = NULL;

    while (f && !found && fgets(line, sizeof line, f)) {
        char *sep = strstr(line, " - "), at[PATH_MAX], type[32], options[512];

        if (!sep || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 ||
            sscanf(sep + 3, "%31s %*s %511s", type, options) != 2)
            continue;
        if (controller ? !strcmp(type, "cgroup") && has_word(options, controller)
                       : !strcmp(type, "cgroup2"))
            found = xstrdup(at);
    }
    if (f)
        fclose(f);
    return found;
}

/* Our own directory in it; NULL. */
static char *own_dir(const char *controller)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[4096], *dir = NULL, *mount = mount_of(controller);

    while (f && mount && !dir && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

        if (!path)
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if (controller ? has_word(list + 1, controller) : list[1] == 0)
            dir = xasprintf("%s%s", mount, path[1] ? path : "");
    }
    if (f)
        fclose(f);
    free(mount);
    return dir;
}

char *cgroup_own(void)
{
    return own_dir(NULL);
}

static int make_box(const char *parent, const char *back)
{
    char *dir = xasprintf("%s/sbx-%d", parent, (int)getpid());

    if (mkdir(dir, 0755) < 0 && errno != EEXIST)
        return -errno;
    boxes[nboxes++] = (struct box){ dir, xstrdup(back) };
    return 0;
}

/* A little more than our own limit, which is looked at and says what happened: this one only kills. */
static uint64_t held(uint64_t memory)
{
    return memory + memory / 16 + (32u << 20);
}

/* ---- version 2 ---- */

/* Processes may not lie where controllers are given on: in a scope of our own we step aside. */
static int step_aside(const char *dir, char **ret_back)
{
    char procs[64];
    char *aside;

    if (!get(dir, "cgroup.procs", procs, sizeof procs) || atoi(procs) != (int)getpid() ||
        strchr(procs, '\n') != strrchr(procs, '\n'))
        return -EBUSY; /* others are there too */
    aside = xasprintf("%s/sbx-front-%d", dir, (int)getpid());
    if (mkdir(aside, 0755) < 0)
        return -errno;
    *ret_back = aside;
    return put_number(aside, "cgroup.procs", (uint64_t)getpid());
}

static int enter_v2(const struct cgroup_want *want)
{
    char *dir = own_dir(NULL), *back = dir, list[512];
    int r;

    if (!dir || !get(dir, "cgroup.controllers", list, sizeof list))
        return -ENODEV;
    if ((want->memory != UINT64_MAX && !has_word(list, "memory")) ||
        (want->cpus > 0 && !has_word(list, "cpu")))
        return -ENODEV;
    r = put(dir, "cgroup.subtree_control", "+memory +cpu");
    if (r == -EBUSY) {
        r = step_aside(dir, &back);
        if (r == 0)
            r = put(dir, "cgroup.subtree_control", "+memory +cpu");
    }
    if (r == 0)
        r = make_box(dir, back);
    if (r == 0 && want->memory != UINT64_MAX) {
        put(boxes[0].dir, "memory.swap.max", "0");
        r = put_number(boxes[0].dir, "memory.max", held(want->memory));
    }
    if (r == 0 && want->cpus > 0) {
        char *text = xasprintf("%.0f %d", want->cpus * PERIOD_US, PERIOD_US);

        r = put(boxes[0].dir, "cpu.max", text);
        free(text);
    }
    return r;
}

/* ---- version 1 ---- */

static int enter_v1_of(const char *controller, const char *file, uint64_t value)
{
    char *dir = own_dir(controller);
    int r = dir ? make_box(dir, dir) : -ENODEV;

    if (r == 0)
        r = put_number(boxes[nboxes - 1].dir, file, value);
    free(dir);
    return r;
}

static int enter_v1(const struct cgroup_want *want)
{
    int r = 0;

    if (want->memory != UINT64_MAX)
        r = enter_v1_of("memory", "memory.limit_in_bytes", held(want->memory));
    if (r == 0 && want->memory != UINT64_MAX) /* with swap, where that is counted */
        put_number(boxes[0].dir, "memory.memsw.limit_in_bytes", held(want->memory));
    if (r == 0 && want->cpus > 0)
        r = enter_v1_of("cpu", "cpu.cfs_quota_us", (uint64_t)(want->cpus * PERIOD_US));
    return r;
}

/* ---- both ---- */

int cgroup_version(void)
{
    char *dir = own_dir(NULL), list[512];
    int v = 0;

    if (dir && get(dir, "cgroup.controllers", list, sizeof list) && has_word(list, "memory") &&
        access(dir, W_OK) == 0)
        v = 2;
    free(dir);
    dir = v ? NULL : own_dir("memory");
    if (dir && access(dir, W_OK) == 0)
        v = 1;
    free(dir);
    return v;
}

/* False: somebody is in there still, and it is left to the cleaner. */
static bool remove_boxes(void)
{
    bool all = true;

    for (unsigned i = 0; i < nboxes; i++)
        all &= cleaner_remove(boxes[i].dir);
    return all;
}

static int leave_to_cleaner(void)
{
    int r = 0;

    for (unsigned i = 0; i < nboxes && r == 0; i++) {
        r = cleaner_add(boxes[i].dir);
        if (r == 0 && strstr(boxes[i].back, "/sbx-front-")) /* which we are in until our end */
            r = cleaner_add(boxes[i].back);
    }
    return r;
}

bool cgroup_enter(const struct cgroup_want *want, const char **ret_why)
{
    int r;

    if (want->memory == UINT64_MAX && want->cpus == 0)
        return true;
    r = enter_v2(want);
    if (r < 0) {
        remove_boxes();
        nboxes = 0;
        r = r == -ENODEV ? enter_v1(want) : r;
    }
    if (r == 0)
        r = leave_to_cleaner();
    for (unsigned i = 0; r == 0 && i < nboxes; i++)
        r = put_number(boxes[i].dir, "cgroup.procs", (uint64_t)getpid());
    if (r == 0)
        return true;
    cgroup_leave();
    remove_boxes();
    nboxes = 0;
    *ret_why = r == -ENODEV  ? "this host has no such cgroups"
               : r == -EBUSY ? "this cgroup is not ours alone"
                             : strerror(-r);
    return false;
}

void cgroup_leave(void)
{
    for (unsigned i = 0; i < nboxes; i++)
        put_number(boxes[i].back, "cgroup.procs", (uint64_t)getpid());
}

void cgroup_end(void)
{
    for (int i = 0; i < 100 && !remove_boxes(); i++)
        usleep(1000);
    nboxes = 0;
}

bool cgroup_oom(void)
{
    static const char *const files[] = { "memory.events", "memory.oom_control" };
    char text[512], *at;

    for (unsigned i = 0; i < nboxes; i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(files); k++) {
            if (get(boxes[i].dir, files[k], text, sizeof text) &&
                (at = strstr(text, "oom_kill ")) && atoi(at + 9) > 0)
                return true;
        }
    }
    return false;
}

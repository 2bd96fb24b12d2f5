/* SPDX-License-Identifier: Apache-2.0 */
/* See cgroup.h. Which limit goes into which file stands in cgroup_limit.c. */
#include "oci/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/putfile.h"
#include "cli/error.h"
#include "oci/cgroup_priv.h"
#include "oci/oci.h"
#include "oci/scope.h"

int cg_put(const char *dir, const char *name, const char *text)
{
    char *path = xjoin(dir, name);
    int r = put_file(path, text);

    free(path);
    return r;
}

int cg_get(const char *dir, const char *name, char *buf, size_t cap)
{
    char *path = xjoin(dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -errno : 0;
    size_t at = 0;

    free(path);
    while (fd >= 0 && at < cap - 1 && (n = read(fd, buf + at, cap - 1 - at)) > 0)
        at += (size_t)n;
    if (n < 0 && fd >= 0)
        n = -errno;
    if (fd >= 0)
        close(fd);
    buf[at] = 0;
    return n < 0 ? (int)n : 0;
}

bool cg_has(const char *dir, const char *name)
{
    char *path = xjoin(dir, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

bool oci_cgroup_is_v2(char **dirs)
{
    return dirs && dirs[0] && cg_has(dirs[0], "cgroup.controllers");
}

/* ---- where ---- */

struct tree {
    char *mount, *own; /* own: our own cgroup in it, "/" or "/a/b" */
    char *key;         /* as /proc/self/cgroup has its controllers; "": version 2 */
};

/* Our path in the hierarchy of those controllers. */
static char *own_path(const char *key)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX + 64], *found = NULL;

    while (f && !found && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

        if (!path)
            continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if (strcmp(list + 1, key) == 0)
            found = xstrdup(path);
    }
    if (f)
        fclose(f);
    return found;
}

/* Does a mount with these options show the hierarchy that /proc/self/cgroup calls key? */
static bool shows(const char *options, const char *key)
{
    size_t n = strcspn(key, ",");
    const char *at = options;

    while ((at = strstr(at, key))) {
        if ((at == options || at[-1] == ',') && (!at[n] || strchr(",\n", at[n])))
            return true;
        at += n;
    }
    return false;
}

static char *mount_of(const char *key)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[PATH_MAX + 512], *found = NULL, *first = xstrndup(key, strcspn(key, ","));

    while (f && !found && fgets(line, sizeof line, f)) {
        char *sep = strstr(line, " - "), root[PATH_MAX], at[PATH_MAX], type[32], options[512];

        if (!sep || sscanf(line, "%*s %*s %*s %4095s %4095s", root, at) != 2 ||
            sscanf(sep + 3, "%31s %*s %511s", type, options) != 2)
            continue;
        if (*key ? !strcmp(type, "cgroup") && shows(options, first) : !strcmp(type, "cgroup2"))
            found = xstrdup(at);
    }
    if (f)
        fclose(f);
    free(first);
    return found;
}

/* All hierarchies of version 1 that have controllers, else that of version 2. */
static unsigned find_trees(struct tree **ret)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    struct tree *trees = NULL, v2 = { 0 };
    char line[PATH_MAX + 64];
    unsigned n = 0;

    while (f && fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':'), *end = list ? strchr(list + 1, ':') : NULL, *mount;

        if (!end)
            continue;
        *end = 0;
        mount = mount_of(list + 1);
        if (!mount)
            continue;
        struct tree t = { mount, own_path(list + 1), xstrdup(list + 1) };

        if (!t.own)
            continue;
        if (*t.key)
            *(struct tree *)xgrow(&trees, &n, sizeof t) = t;
        else
            v2 = t;
    }
    if (f)
        fclose(f);
    if (n == 0 && v2.mount)
        *(struct tree *)xgrow(&trees, &n, sizeof v2) = v2;
    *ret = trees;
    return n;
}

/* ---- made and gone ---- */

/* A new directory of a cpuset has no cpus, and nobody may enter it. */
static void inherit_cpuset(const char *parent, const char *dir)
{
    static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
    char have[256], text[256];

    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        if (cg_get(dir, files[i], have, sizeof have) == 0 && strcspn(have, "\n") == 0 &&
            cg_get(parent, files[i], text, sizeof text) == 0)
            cg_put(dir, files[i], text);
    }
}

static int make_path(const struct tree *t, const char *path)
{
    char *dir = xasprintf("%s%s", t->mount, path), *at = dir + strlen(t->mount);

    while (*at) {
        char *parent = xstrndup(dir, (size_t)(at - dir)), *one;

        at += strspn(at, "/");
        if (!*at)
            break;
        at += strcspn(at, "/");
        one = xstrndup(dir, (size_t)(at - dir));
        if (!*t->key)
            cg_put(parent, "cgroup.subtree_control", "+cpu +cpuset +memory +pids +io");
        if (mkdir(one, 0755) < 0 && errno != EEXIST)
            return -errno;
        if (strstr(t->key, "cpuset"))
            inherit_cpuset(parent, one);
        free(parent);
        free(one);
    }
    free(dir);
    return 0;
}

static char *path_in(const struct tree *t, const struct oci_config *c, const char *id)
{
    const char *want = c->cgroups_path;
    char *path;

    if (!want || !*want)
        path = xasprintf("/sbx/%s", id);
    else if (*want == '/')
        path = xstrdup(want);
    else
        path = xasprintf("%s/%s", strcmp(t->own, "/") == 0 ? "" : t->own, want);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    return path;
}

/* Beneath the mount, whatever it says. */
static bool path_ok(const char *path)
{
    size_t n = strlen(path);

    return !strstr(path, "/../") && (n < 3 || strcmp(path + n - 3, "/..") != 0);
}

/* What was planned is made; in the order of the plan, so that dirs[i] is in trees[i]. */
static struct tree *trees;
static unsigned ntrees;

char **oci_cgroup_keys(void)
{
    char **keys;

    if (!ntrees)
        ntrees = find_trees(&trees);
    keys = xcalloc(ntrees + 1, sizeof *keys);
    for (unsigned i = 0; i < ntrees && *trees[i].key; i++)
        keys[i] = trees[i].key;
    return keys;
}

const char *oci_cgroup_dir_name(unsigned i)
{
    const char *slash = strrchr(trees[i].mount, '/');

    return slash ? slash + 1 : trees[i].mount;
}

int oci_cgroup_plan(const struct oci_config *c, const char *id, char ***ret_dirs, char **ret_unit)
{
    char *scope = NULL;

    *ret_dirs = xcalloc(1, sizeof **ret_dirs);
    *ret_unit = NULL;
    if (oci.no_cgroup)
        return 0;
    if (oci.systemd_cgroup && scope_names(c->cgroups_path, id, ret_unit, &scope))
        return 1;
    if (!ntrees)
        ntrees = find_trees(&trees);
    *ret_dirs = xcalloc(ntrees + 1, sizeof **ret_dirs);
    for (unsigned i = 0; i < ntrees; i++) {
        char *path = scope ? scope : path_in(&trees[i], c, id);

        if (!path_ok(path))
            return oci_fail("linux.cgroupsPath: \"%s\" leads out of the cgroups", c->cgroups_path);
        (*ret_dirs)[i] = xasprintf("%s%s", trees[i].mount, path);
    }
    return 0;
}

static bool asked(int64_t v)
{
    return v != OCI_UNSET && v > 0;
}

static bool limits_asked(const struct oci_resources *r)
{
    return asked(r->memory) || asked(r->swap) || asked(r->reservation) || asked(r->shares) ||
           asked(r->quota) || asked(r->pids) || r->cpus || r->mems || json_object_size(r->unified);
}

/* Where it is not ours to make, and that is no error, it goes from the list. */
int oci_cgroup_make(const struct oci_config *c, const char *id, char **dirs, const char *unit)
{
    unsigned kept = 0;
    int refused = 0;

    if (unit && *dirs &&
        scope_start(unit, *dirs + strlen(trees[0].mount), id, &c->resources, !*trees[0].key))
        return 1;

    for (unsigned i = 0; i < ntrees && dirs[i]; i++) {
        int r = make_path(&trees[i], dirs[i] + strlen(trees[i].mount));

        if (r == 0) {
            dirs[kept++] = dirs[i];
            continue;
        }
        if (!oci.rootless && geteuid() == 0 && r != -EROFS)
            return oci_fail("unable to apply cgroup configuration: mkdir %s: %s", dirs[i],
                            oci_strerror(r));
        oci_log(OCI_DEBUG, "no cgroup at %s: %s", dirs[i], oci_strerror(r));
        refused = r;
    }
    dirs[kept] = NULL;
    if (refused && limits_asked(&c->resources))
        oci_log(OCI_WARNING, "limits of linux.resources are not held: no cgroup can be made: %s",
                oci_strerror(refused));
    return oci_cgroup_limit(dirs, &c->resources);
}

void oci_cgroup_held(void)
{
    scope_release();
}

int oci_cgroup_enter(char **dirs)
{
    int r = 0;

    for (; r == 0 && dirs && *dirs; dirs++)
        r = cg_put(*dirs, "cgroup.procs", "0");
    return r;
}

pid_t *oci_cgroup_pids(char **dirs, unsigned *ret_n)
{
    pid_t *list = NULL;
    unsigned n = 0;
    int pid;

    *ret_n = 0;
    if (!dirs || !*dirs)
        return NULL;
    char *path = xjoin(*dirs, "cgroup.procs");
    FILE *f = fopen(path, "re");

    while (f && fscanf(f, "%d", &pid) == 1)
        *(pid_t *)xgrow(&list, &n, sizeof pid) = pid;
    if (f)
        fclose(f);
    free(path);
    *ret_n = n;
    return list;
}

void oci_cgroup_kill(char **dirs)
{
    unsigned n;
    pid_t *pids;

    if (!dirs || !*dirs || cg_put(*dirs, "cgroup.kill", "1") == 0)
        return;
    pids = oci_cgroup_pids(dirs, &n);
    for (unsigned i = 0; i < n; i++)
        if (pids[i] > 1 && pids[i] != getpid()) /* 0: of another pid namespace */
            kill(pids[i], SIGKILL);
}

/* What the guest's managers made beneath goes first. */
static int remove_tree(const char *dir, int *tries)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            char *below = xjoin(dir, e->d_name);

            remove_tree(below, tries);
            free(below);
        }
    }
    if (d)
        closedir(d);
    while (rmdir(dir) < 0 && errno != ENOENT) {
        if (errno != EBUSY || --*tries <= 0)
            return -errno;
        usleep(5000);
    }
    return 0;
}

int oci_cgroup_remove(char **dirs, const char *unit)
{
    int r = 0, tries = 400; /* for all of them */

    if (unit)
        scope_stop(unit);

    for (; dirs && *dirs; dirs++) {
        int e = remove_tree(*dirs, &tries);

        r = e < 0 ? e : r;
    }
    return r;
}

/* ---- figures ---- */

int64_t oci_cgroup_number(char **dirs, const char *v1_file, const char *v2_file)
{
    const char *file = oci_cgroup_is_v2(dirs) ? v2_file : v1_file;
    char text[128], *end;
    long long v;

    for (; file && dirs && *dirs; dirs++) {
        if (cg_get(*dirs, file, text, sizeof text) < 0)
            continue;
        if (strncmp(text, "max", 3) == 0)
            return INT64_MAX;
        v = strtoll(text, &end, 10);
        if (end != text)
            return v;
    }
    return OCI_UNSET;
}

int64_t oci_cgroup_keyed(char **dirs, const char *file, const char *key)
{
    char text[8192];
    size_t n = strlen(key);

    for (; dirs && *dirs; dirs++) {
        if (cg_get(*dirs, file, text, sizeof text) < 0)
            continue;
        for (char *line = text; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
            if (strncmp(line, key, n) == 0 && line[n] == ' ')
                return strtoll(line + n, NULL, 10);
    }
    return OCI_UNSET;
}

bool oci_cgroup_oom(char **dirs)
{
    return oci_cgroup_keyed(dirs, oci_cgroup_is_v2(dirs) ? "memory.events" : "memory.oom_control",
                            "oom_kill") > 0;
}

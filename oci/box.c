/* SPDX-License-Identifier: Apache-2.0 */
/* See box.h. */
#include "oci/box.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "abi/without.h"
#include "cli/error.h"
#include "oci/oci.h"

/* ---- what is ignored, and said ---- */

static int check_sysctls(const struct oci_config *c)
{
    static const struct {
        const char *begins;
        unsigned of; /* which namespace has to be the container's own */
    } list[] = {
        { "net.", CLONE_NEWNET },       { "kernel.shm", CLONE_NEWIPC },
        { "kernel.msg", CLONE_NEWIPC }, { "kernel.sem", CLONE_NEWIPC },
        { "fs.mqueue.", CLONE_NEWIPC }, { "kernel.domainname", CLONE_NEWUTS },
    };

    for (unsigned i = 0; i < c->nsysctls; i++) {
        const char *name = c->sysctls[i].name;
        bool ok = false;

        for (unsigned k = 0; k < ARRAY_SIZE(list); k++)
            ok |= strncmp(name, list[k].begins, strlen(list[k].begins)) == 0 &&
                  oci_namespace_of(c, list[k].of);
        if (!ok)
            return oci_fail("sysctl \"%s\" is not in a separate kernel namespace", name);
        if (strcmp(name, "kernel.domainname") == 0 && c->domainname &&
            strcmp(c->domainname, c->sysctls[i].value) != 0)
            return oci_fail("sysctl \"%s\" conflicts with the domainname \"%s\"", name,
                            c->domainname);
    }
    return 0;
}

static int check_namespaces(const struct oci_config *c, const struct oci_state *s)
{
    const struct oci_namespace *ns;

    ns = oci_namespace_of(c, CLONE_NEWPID);
    if (ns && ns->path && !s->pod_pids)
        return oci_fail("a pid namespace of another container cannot be joined");
    if (!ns)
        oci_log(OCI_WARNING, "no pid namespace is asked for: processes of the host are not seen "
                             "inside all the same");
    return 0;
}

static void say_ignored(const struct oci_config *c)
{
    const struct oci_process *p = &c->process;

    if (p->apparmor)
        oci_log(OCI_DEBUG, "process.apparmorProfile has no effect: it would confine the sentry");
    if (p->selinux)
        oci_log(OCI_DEBUG, "process.selinuxLabel has no effect yet");
    if (p->scheduling)
        oci_log(OCI_DEBUG, "process.scheduler, ioPriority and execCPUAffinity have no effect");
    if (c->seccomp)
        oci_log(OCI_DEBUG, "linux.seccomp has no effect: the guest's calls do not reach the host");
    if (c->intel_rdt)
        oci_log(OCI_WARNING, "linux.intelRdt has no effect");
}

/* ---- the program ---- */

/* The home of uid by the rootfs' own passwd, else "/". */
static const char *find_home(const char *rootfs, uint32_t uid)
{
    int fd = rootfs_open(rootfs, "/etc/passwd", O_RDONLY | O_NOCTTY | O_NONBLOCK);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    const char *home = "/";
    char line[1024];

    while (f && fgets(line, sizeof line, f)) {
        char *at = line, *field[7] = { NULL };

        for (unsigned i = 0; i < 7 && at; i++)
            field[i] = strsep(&at, ":\n");
        if (field[5] && *field[5] == '/' && strtoul(field[2], NULL, 10) == uid) {
            home = xstrdup(field[5]);
            break;
        }
    }
    if (f)
        fclose(f);
    return home;
}

static bool has(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (; *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return true;
    return false;
}

char **box_environment(const struct oci_process *p, const char *rootfs)
{
    unsigned n = 0;
    char **env;

    while (p->env[n])
        n++;
    env = xcalloc(n + 2, sizeof *env);
    n = 0;
    for (char **e = p->env; *e; e++) { /* of a name that comes again the last one counts */
        char *name = xstrndup(*e, strcspn(*e, "="));

        if (!has(e + 1, name))
            env[n++] = *e;
        free(name);
    }
    if (!has(env, "HOME"))
        env[n] = xasprintf("HOME=%s", find_home(rootfs, p->spec.uid));
    return env;
}

/* ---- limits ---- */

static int limits_of(const struct oci_config *c, struct launch *l)
{
    const struct oci_resources *r = &c->resources;
    struct sysinfo si;
    const char *bad;

    l->without = without_parse(getenv("SBX_WITHOUT"), &bad);
    limits_init(sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 1ull << 30, l->limits);
    if (!limits_parse(getenv("SBX_LIMITS"), l->limits, &bad))
        return oci_fail("SBX_LIMITS: cannot take %s", bad);
    if (r->pids != OCI_UNSET && r->pids > 0)
        l->limits[LIMIT_TASKS] = MIN(l->limits[LIMIT_TASKS], (uint64_t)r->pids + 1); /* and ours */
    if (r->memory != OCI_UNSET && r->memory > 0)
        l->mem_total = (uint64_t)r->memory;
    if (r->quota != OCI_UNSET && r->quota > 0) {
        int64_t period = r->period != OCI_UNSET && r->period > 0 ? r->period : 100000;

        l->ncpus = (unsigned)MIN((r->quota + period - 1) / period, 4096);
    }
    return 0;
}

/*
 * The broker works in the container's network namespace, or in the host's where none is asked for. All that
 * the namespace reaches may be reached: who made it decides what that is.
 */
static int network_of(struct box *b)
{
    b->options.net = oci.net && strcmp(oci.net, "none") == 0 ? "none" : "host";
    return network_prepare(&b->options, &b->net);
}

static const char *own_hostname(void)
{
    static char name[65];

    return gethostname(name, sizeof name - 1) == 0 && *name ? name : "localhost";
}

int box_build(const struct oci_config *c, const struct oci_state *s, struct box *ret)
{
    static char kept[512];
    struct launch *l = &ret->launch;
    struct stat st;
    int r;

    if (stat(s->rootfs, &st) < 0 || !S_ISDIR(st.st_mode))
        return oci_fail("invalid rootfs: stat %s: %s", s->rootfs,
                        oci_strerror(S_ISREG(st.st_mode) ? ENOTDIR : errno));
    *ret = (struct box){ .options = { .platform = "auto" } };
    fail_keep(kept, sizeof kept);
    r = launch_platform(l, "auto");
    if (r == 0)
        r = network_of(ret);
    fail_keep(NULL, 0);
    if (r)
        return oci_fail("%s", kept);
    if (check_namespaces(c, s) || check_sysctls(c) || limits_of(c, l) ||
        box_mounts(c, s, &ret->shown))
        return 1;
    say_ignored(c);
    ret->options.hostname = c->hostname && *c->hostname ? c->hostname : own_hostname();
    ret->shown.cwd = c->process.cwd;
    ret->program = (struct program){ .exec_path = c->process.args[0],
                                     .argv = c->process.args,
                                     .stdin_fd = -1 };
    l->options = &ret->options;
    l->shown = &ret->shown;
    l->user = &ret->user;
    l->program = &ret->program;
    l->network = &ret->net;
    l->container = &c->process.spec;
    l->domainname = c->domainname;
    l->sysctls = c->sysctls;
    l->nsysctls = c->nsysctls;
    l->envp = box_environment(&c->process, s->rootfs);
    l->log_fd = l->strace_fd = -1;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See pod.h. */
#include "oci/pod.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/error.h"
#include "oci/notify.h"
#include "oci/oci.h"
#include "oci/wire.h"
#include "sentry/pod.h"

/* ---- which one ---- */

static const char *annotation(const json_t *annotations, const char *kind)
{
    static const char *const names[][2] = {
        { "io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType" },
        { "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID" },
    };
    const unsigned row = strcmp(kind, "type") != 0;
    const char *value = NULL;

    for (unsigned i = 0; i < 2 && !value; i++)
        value = json_string_value(json_object_get(annotations, names[row][i]));
    return value;
}

static bool lives(const struct oci_state *s)
{
    const enum oci_status now = oci_status_now(s);

    return now == OCI_CREATED || now == OCI_RUNNING || now == OCI_PAUSED;
}

static void forget(struct oci_state *s)
{
    if (s->dir_fd >= 0)
        close(s->dir_fd);
}

/* The state of id, where it lives and has a sentry, or of whom it is with. */
static bool owner_of(const char *id, struct oci_state *ret)
{
    *ret = (struct oci_state){ .dir_fd = -1 };
    for (unsigned i = 0; i < 2 && oci_id_ok(id); i++) {
        *ret = (struct oci_state){ .dir_fd = -1 };
        if (oci_state_load(id, /* lock= */ false, ret) < 0 || !lives(ret))
            break;
        if (!ret->pod)
            return true;
        id = ret->pod;
        forget(ret);
        ret->dir_fd = -1;
    }
    forget(ret);
    return false;
}

/* The named one, or one that names the same (podman's first container names none). */
static bool find_owner(const char *sandbox, const char *but, struct oci_state *ret)
{
    DIR *d;
    struct dirent *e;
    bool found = owner_of(sandbox, ret);

    d = found ? NULL : opendir(oci.root);
    while (d && !found && (e = readdir(d))) {
        struct oci_state s = { .dir_fd = -1 };

        if (!oci_id_ok(e->d_name) || strcmp(e->d_name, but) == 0)
            continue;
        if (oci_state_load(e->d_name, /* lock= */ false, &s) == 0 && lives(&s)) {
            const char *of = annotation(s.annotations, "sandbox");

            found = of && strcmp(of, sandbox) == 0 && owner_of(e->d_name, ret);
        }
        forget(&s);
    }
    if (d)
        closedir(d);
    return found;
}

/* What one sentry has once, and this one would need for itself. NULL: nothing. */
static const char *apart(const struct oci_config *c, const struct oci_state *owner)
{
    static const unsigned shared[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS };
    const struct oci_namespace *user = oci_namespace_of(c, CLONE_NEWUSER);
    struct oci_config theirs;
    char why[OCI_WHY], *path;
    json_t *doc;

    for (unsigned i = 0; i < ARRAY_SIZE(shared); i++) {
        const struct oci_namespace *ns = oci_namespace_of(c, shared[i]);

        if (ns && !ns->path)
            return "it wants namespaces of its own that a pod has in common";
    }
    if (c->resources.memory > 0 || c->resources.quota > 0 ||
        (c->resources.cpus && *c->resources.cpus))
        return "its memory or processors are limited, and the processes of a pod are in the group of its first";
    if (user && !user->path)
        return "it wants a user namespace of its own";
    path = xjoin(owner->dir, "config.json");
    if (oci_config_read(path, /* process_only= */ false, &theirs, &doc, why) < 0)
        return "the pod's configuration cannot be read";
    if (!user != !oci_namespace_of(&theirs, CLONE_NEWUSER))
        return "its ids are others than the pod's";
    return notify_wanted() ? "it has a socket for sd_notify" : NULL;
}

/* Is it the pid namespace of that one, named by its proxy? */
static bool joins_pids(const struct oci_config *c, const struct oci_state *owner)
{
    const struct oci_namespace *ns = oci_namespace_of(c, CLONE_NEWPID);
    char path[40];

    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)owner->pid);
    return ns && ns->path && strcmp(ns->path, path) == 0;
}

int pod_find(const struct oci_config *c, struct oci_state *s)
{
    const char *type = annotation(c->annotations, "type"),
               *sandbox = annotation(c->annotations, "sandbox"), *why;
    struct oci_state owner;
    int fd;

    if (!type || strcmp(type, "container") != 0 || !sandbox || strcmp(sandbox, s->id) == 0)
        return -1;
    if (!find_owner(sandbox, s->id, &owner)) {
        oci_log(OCI_WARNING,
                "no container of the pod %s is ours and runs: %s has a sandbox of its own", sandbox,
                s->id);
        return -1;
    }
    why = apart(c, &owner);
    fd = why ? -1 : wire_connect(&owner);
    if (why)
        oci_log(OCI_WARNING, "%s has a sandbox of its own in its pod: %s", s->id, why);
    else if (fd < 0)
        oci_log(OCI_WARNING, "%s has a sandbox of its own: its pod does not answer: %s", s->id,
                oci_strerror(fd));
    else
        s->pod = xstrdup(owner.id);
    s->pod_pids = s->pod && joins_pids(c, &owner);
    forget(&owner);
    return MAX(fd, -1);
}

/* ---- what is handed over ---- */

static void put(FILE *f, const char *s)
{
    fwrite(s, 1, strlen(s) + 1, f);
}

/* sentry/pod.h; -1. */
static int write_tree(const struct launch *l)
{
    const struct shown *s = l->shown;
    const struct pod_tree head = { .nmounts = s->nmounts,
                                   .nsysctls = l->nsysctls,
                                   .ncgroup = (uint32_t)l->ncgroup };
    int fd = memfd_create("tree", MFD_CLOEXEC);
    FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;

    if (!f)
        return -1;
    fwrite(&head, sizeof head, 1, f);
    for (unsigned i = 0; i < s->nmounts; i++) {
        const struct sentry_mount *m = &s->mounts[i];
        const struct pod_mount w = {
            .kind = m->kind,
            .has = (m->target ? POD_TARGET : 0u) | (m->type ? POD_TYPE : 0u) |
                   (m->options ? POD_OPTIONS : 0u) | (m->source ? POD_SOURCE : 0u) |
                   (m->exact ? POD_EXACT : 0u),
            .export_id = m->export_id,
            .flags = m->flags,
            .mode = m->mode,
            .uid = m->uid,
            .gid = m->gid,
            .rdev = m->rdev,
        };

        fwrite(&w, sizeof w, 1, f);
    }
    fwrite(l->cgroup, 1, l->ncgroup, f);
    for (unsigned i = 0; i < s->nmounts; i++) {
        const struct sentry_mount *m = &s->mounts[i];
        const char *const strings[] = { m->path, m->target, m->type, m->options, m->source };

        for (unsigned k = 0; k < ARRAY_SIZE(strings); k++)
            if (strings[k])
                put(f, strings[k]);
    }
    for (unsigned i = 0; i < l->nsysctls; i++) {
        put(f, l->sysctls[i].name);
        put(f, l->sysctls[i].value);
    }
    if (fclose(f) == 0 && lseek(fd, 0, SEEK_END) <= (off_t)POD_TREE_MAX)
        return fd;
    close(fd);
    return -1;
}

int pod_join(int pod, struct launch *l, bool pids, const struct oci_process *p,
             const int streams[3], const struct passed *passed, char why[OCI_WHY])
{
    struct wire_msg m = { .type = WIRE_POD };
    int fds[WIRE_FDS], control[2], shared, gofer, r;
    unsigned n = 0;

    fail_keep(why, OCI_WHY);
    r = launch_gofers(l, &shared, &gofer);
    fail_keep(NULL, 0);
    if (r)
        return -1;
    snprintf(why, OCI_WHY, "cannot join the pod: %s", oci_strerror(errno));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
        fcntl(control[1], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    l->control = control[0];
    fds[n++] = control[1];
    fds[n++] = box_job(p, NULL, l->envp, PROCESS_PATH | (p->terminal ? PROCESS_TTY : 0));
    fds[n++] = write_tree(l);
    fds[n++] = shared;
    if (gofer >= 0)
        fds[n++] = gofer;
    m.value = (gofer >= 0 ? POD_GOFER : 0) | (pids ? POD_PIDS : 0);
    const unsigned ours = n;

    for (unsigned i = 0; i < 3; i++) /* a closed one becomes nothing */
        fds[n++] = fcntl(streams[i], F_GETFD) < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC)
                                                  : streams[i];
    memcpy(fds + n, passed->fds, passed->n * sizeof *fds);
    n += passed->n;
    r = fds[1] < 0 || fds[2] < 0 ? -errno : wire_send(pod, &m, fds, n);
    fdmsg_close(fds, ours);
    if (r == 0)
        r = wire_receive(pod, &m, NULL, NULL);
    close(pod);
    if (r == 1 && m.type == WIRE_DONE)
        return 0;
    if (r < 0)
        snprintf(why, OCI_WHY, "cannot join the pod: %s", oci_strerror(r));
    else
        snprintf(why, OCI_WHY, "cannot join the pod: it has ended");
    return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Further containers of a pod: how one comes (pod.h), and how it goes. All on the event thread.
 *
 *   pod_add --> held --CTL_START--> runs --its program ends, or its front end does--> the rest is killed
 *                                                        --the last group is released--> pod_over
 */
#include "sentry/pod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/control.h"
#include "gofer/client.h"
#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/proc/sys_set.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/job.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/freeze.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/start.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs.h"

#define CONTAINERS_MAX 256 /* at a time */

static unsigned count;

/* ---- what it brings ---- */

struct tree {
    char *text; /* of the whole descriptor */
    struct pod_tree head;
    struct sentry_mount *mounts;
    struct sentry_sysctl *sysctls;
    const char *cgroup;
};

static void tree_free(struct tree *r)
{
    kfree(r->mounts);
    kfree(r->sysctls);
    kfree(r->text);
}

/* The string at *at, none beyond end; NULL: there is no whole one. */
static const char *next_string(const char **at, const char *end)
{
    const char *s = *at, *nul = s < end ? memchr(s, 0, (size_t)(end - s)) : NULL;

    if (nul)
        *at = nul + 1;
    return nul ? s : NULL;
}

static int take_mount(const struct pod_mount *w, const char **at, const char *end,
                      struct sentry_mount *ret)
{
    const char *path = next_string(at, end);
    const char **const strings[] = { &ret->target, &ret->type, &ret->options, &ret->source };

    *ret = (struct sentry_mount){ .kind = (enum sentry_mount_kind)w->kind,
                                  .path = path,
                                  .export_id = w->export_id,
                                  .mode = w->mode,
                                  .uid = w->uid,
                                  .gid = w->gid,
                                  .rdev = w->rdev,
                                  .exact = w->has & POD_EXACT,
                                  .flags = w->flags };
    for (unsigned i = 0; i < ARRAY_SIZE(strings); i++) {
        if (!(w->has & 1u << i))
            continue;
        *strings[i] = next_string(at, end);
        if (!*strings[i])
            return -EINVAL;
    }
    return path && *path == '/' && w->kind <= SM_PROPAGATE ? 0 : -EINVAL;
}

static int take_strings(struct tree *r, const struct pod_mount *w, const char *at, const char *end)
{
    int e = 0;

    for (uint32_t i = 0; e == 0 && i < r->head.nmounts; i++)
        e = take_mount(&w[i], &at, end, &r->mounts[i]);
    for (uint32_t i = 0; e == 0 && i < r->head.nsysctls; i++) {
        r->sysctls[i].name = next_string(&at, end);
        r->sysctls[i].value = next_string(&at, end);
        e = r->sysctls[i].value ? 0 : -EINVAL;
    }
    return e;
}

static int tree_read(int fd, struct tree *r)
{
    struct stat st;
    size_t n, rest;
    int e;

    *r = (struct tree){ 0 };
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof r->head || st.st_size > POD_TREE_MAX)
        return -EINVAL;
    n = (size_t)st.st_size;
    r->text = kzalloc(n);
    if (!r->text)
        return -ENOMEM;
    if (pread(fd, r->text, n, 0) != (ssize_t)n)
        return -EIO;
    memcpy(&r->head, r->text, sizeof r->head);
    rest = n - sizeof r->head;
    if (r->head.nmounts > rest / sizeof(struct pod_mount))
        return -EINVAL;
    rest -= r->head.nmounts * sizeof(struct pod_mount);
    if (r->head.ncgroup > rest || r->head.nsysctls > rest - r->head.ncgroup)
        return -EINVAL;
    r->mounts = kzalloc(r->head.nmounts * sizeof *r->mounts);
    r->sysctls = kzalloc(r->head.nsysctls * sizeof *r->sysctls);
    if (!r->mounts || !r->sysctls)
        return -ENOMEM;
    const struct pod_mount *w = (const void *)(r->text + sizeof r->head);

    r->cgroup = (const char *)(w + r->head.nmounts);
    e = take_strings(r, w, r->cgroup + r->head.ncgroup, r->text + n);
    return e;
}

/* ---- making it ---- */

static int fail(char why[PROCESS_WHY], const char *what, int err)
{
    if (!*why)
        snprintf(why, PROCESS_WHY, "cannot add the container to its pod: %s: %s", what,
                 process_strerror(err));
    return err;
}

static int build(struct container *c, const struct tree *r, char why[PROCESS_WHY])
{
    const char *at = NULL;
    int e = r->head.ncgroup ? cgroup_view_set(c, r->cgroup, r->head.ncgroup) : 0;

    if (e < 0)
        return fail(why, "what is seen of its cgroup", e);
    e = vfs_build(r->mounts, r->head.nmounts, &at);
    if (e < 0 && at)
        snprintf(why, PROCESS_WHY, "error mounting at \"%.600s\" in the rootfs: %s", at,
                 process_strerror(e));
    if (e < 0)
        return fail(why, "the file system", e);
    for (uint32_t i = 0; i < r->head.nsysctls; i++) {
        const struct sentry_sysctl *s = &r->sysctls[i];

        if (proc_sys_set(s->name, s->value) != -EINVAL)
            continue;
        snprintf(why, PROCESS_WHY, "cannot set sysctl %.100s to \"%.100s\": %s", s->name, s->value,
                 process_strerror(EINVAL));
        return -EINVAL;
    }
    return 0;
}

/* Descriptors that it has taken over become -1. */
static int make(struct container *c, int *fds, unsigned n, bool read_only, char why[PROCESS_WHY])
{
    enum { REQUEST, TREE, SHARED, GOFER };
    const unsigned first = read_only ? GOFER + 1 : GOFER;
    struct task *t = NULL;
    struct tree r;
    int e;

    e = gofer_client_join(fds[SHARED], &c->shared);
    fds[SHARED] = -1;
    if (e == 0 && read_only) {
        e = gofer_client_join(fds[GOFER], &c->gofer);
        fds[GOFER] = -1;
    }
    if (e < 0)
        return fail(why, "its gofer", e);
    e = tree_read(fds[TREE], &r);
    container_enter(c);
    if (e == 0)
        e = build(c, &r, why);
    tree_free(&r);
    if (e == 0)
        e = container_make_init(c);
    if (e == 0)
        e = job_program(fds[REQUEST], fds + first, n - first, why, &t);
    container_enter(NULL);
    if (e < 0)
        return fail(why, "its program", e);
    control_hold(t);
    return 0;
}

/* The front end's limit of tasks was the sandbox's as long as there was one container: now it is that one's. */
static void share_limits(void)
{
    uint64_t defaults[LIMITS];

    if (atomic_load(&first_container.tasks_max))
        return;
    limits_init(kernel.mem_total, defaults);
    atomic_store(&first_container.tasks_max, limit_of(LIMIT_TASKS));
    limit_set(LIMIT_TASKS, MAX(limit_of(LIMIT_TASKS), defaults[LIMIT_TASKS]));
}

static void over(struct ktimer *tm);

void pod_add(int *fds, unsigned n, unsigned flags)
{
    struct container *c = NULL;
    char why[PROCESS_WHY] = "";

    if (n >= (flags & POD_GOFER ? 8 : 7) && count < CONTAINERS_MAX && !sandbox_is_ending())
        c = container_new(flags & POD_PIDS ? &first_pidns : NULL);
    if (!c) { /* its front end sees the end of its socket */
        fdmsg_close(fds, n);
        return;
    }
    count++;
    share_limits();
    ktimer_init(&c->over, over);
    c->control = fds[0];
    fds[0] = -1;
    int e = control_watch(c);

    if (e == 0)
        e = make(c, fds + 1, n - 1, flags & POD_GOFER, why);
    fdmsg_close(fds, n);
    if (e == 0)
        return;
    control_tell(c, CTL_ERROR, 125, "%s", why);
    lock(&kernel.tasks_lock);
    container_end_locked(c, 127 << 8);
    unlock(&kernel.tasks_lock);
}

/* ---- its end ---- */

void pod_left(struct container *c)
{
    struct task *t = c->held;

    event_unwatch(c->control);
    lock(&kernel.tasks_lock);
    container_end_locked(c, SIGKILL);
    unlock(&kernel.tasks_lock);
    c->held = NULL;
    if (t)
        task_make_ready(t); /* it is killed like any other, and finds out when it goes on */
    kernel_thaw(c);
}

static void drop_tree(struct container *c)
{
    struct list gone = LIST_INIT(gone);

    lock(&vfs.mounts_lock);
    if (c->root)
        mount_remove_locked(c->root, /* propagate= */ false, &gone);
    c->root = NULL;
    unlock(&vfs.mounts_lock);
    mounts_drop(&gone);
    super_put(c->devpts);
    c->devpts = NULL;
}

static void drop_init(struct container *c)
{
    if (!c->init)
        return;
    task_drop_resources(c->init->leader);
    lock(&kernel.tasks_lock);
    group_release_locked(c->init);
    unlock(&kernel.tasks_lock);
}

static void over(struct ktimer *tm)
{
    struct container *c = container_of(tm, struct container, over);

    tty_relay_over(c, TTY_PROGRAM);
    drop_tree(c);
    drop_init(c);
    gofer_client_put(c->shared);
    gofer_client_put(c->gofer);
    control_tell(c, CTL_EXIT, (uint64_t)(unsigned)c->status, NULL);
    event_unwatch(c->control);
    shutdown(
        c->control,
        SHUT_RDWR); /* closed with the last reference: others may still want to say something */
    if (c->pidns == &first_pidns)
        pidns_put(c->pidns);
    else
        pidns_end(c->pidns);
    lock(&kernel.tasks_lock);
    list_del(&c->link);
    unlock(&kernel.tasks_lock);
    count--;
    container_put(c);
}

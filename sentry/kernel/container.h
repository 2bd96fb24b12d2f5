/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each container of a sandbox has for itself: its tree of mounts, the gofers that serve it, its pid
 * namespace, and the sentry's own process, which is the parent of its first ones. Every thread group
 * belongs to one, and so do its children. All else is common to them: network, names of the machine,
 * IPC, keys, clocks. Who makes a further one, and takes it away, is sentry/pod.c.
 *
 *   [I] immutable   [T] kernel.tasks_lock   [a] atomic   [M] vfs.mounts_lock   [E] the event thread's
 */
#pragma once

#include "sentry/kernel/list.h"
#include "sentry/kernel/task.h"

struct cgroup_view;
struct gofer;
struct mount;
struct pidns;
struct super;

struct container {
    _Atomic int refs;
    int control;         /* [I] to its front end (cli/control.h); -1: none */
    struct list link;    /* [T] in the list of all */
    struct pidns *pidns; /* [I] */
    struct mount *root;  /* [M] of its tree; NULL: not built yet */
    struct tgroup
        *init; /* [I] the sentry itself: pid 1, or of an OCI container a process without number */
    struct gofer *gofer;      /* [I] NULL: none, in unit tests */
    struct gofer *shared;     /* [I] the one of what is shared live; NULL: nothing is */
    struct super *devpts;     /* a leaf lock of devpts.c; a reference; NULL: not asked for yet */
    struct cgroup_view *view; /* [I] fs/cgroup/view.c; NULL: nothing was told yet */
    struct task *held;        /* [E] its program, until that is to run */
    _Atomic unsigned ntasks;
    _Atomic uint64_t tasks_max; /* 0: no limit but the sandbox's */
    _Atomic bool frozen;        /* freeze.c */
    _Atomic unsigned async_running;
    struct tgroup
        *program; /* [T] its first one, no reference; NULL: it has ended, or there is none yet */
    unsigned ngroups;   /* [T] its thread groups that were not released yet */
    bool ending;        /* [T] its program has ended, or never was: the rest ends too */
    int status;         /* [T] wait status of its program */
    struct ktimer over; /* armed when it ends and nothing of it is left */
};

/* The one that the sandbox was started with, and ends with. */
extern struct container first_container;

/*
 * For whom this thread works: the container that it has entered, that of the task whose call it
 * carries out, or the first.
 */
struct container *container_here(void);
/* From now on, for this thread; NULL: as before. */
void container_enter(struct container *c);

/* A further one with a pid namespace (NULL: a new one; a reference is taken), in the list of all. NULL: no memory. */
struct container *container_new(struct pidns *ns);
struct container *container_ref(struct container *c);
void container_put(struct container *c); /* takes no lock */
static inline bool container_is_first(const struct container *c)
{
    return c == &first_container;
}
/* One task more in it, or one less. false: its limit, or that of the sandbox, is reached. */
bool container_take_task(struct container *c);
void container_give_task(struct container *c);
/* Each there is; stops when fn returns non-zero. tasks_lock held. */
int container_each_locked(int (*fn)(struct container *c, void *arg), void *arg);
/* Each thread group of c, as tgroup_each_locked. */
int container_groups_locked(struct container *c, int (*fn)(struct tgroup *g, void *arg), void *arg);
/*
 * Its program has ended with that status, or it is to end: nothing is born in it any more, and all of it is
 * killed. Not of the first.
 */
void container_end_locked(struct container *c, int status);
/* One of its thread groups is released. */
void container_group_gone_locked(struct container *c);

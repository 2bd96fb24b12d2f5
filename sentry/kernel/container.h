/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each container of a sandbox has for itself: its tree of mounts, the gofers that serve it, and the
 * sentry's own process, which is the parent of its first ones. Every thread group belongs to one, and so do
 * its children. All else is common to them: network, names of the machine, IPC, keys, clocks.
 */
#pragma once

#include "sentry/kernel/task.h"

struct gofer;
struct mount;

struct container {
    struct pidns *pidns;  /* [I] the numbers of its processes */
    struct mount *root; /* vfs.mounts_lock: of its tree; NULL: not built yet */
    struct tgroup
        *init; /* [I] the sentry itself: pid 1, or of an OCI container a process without number */
    struct gofer *gofer;  /* [I] NULL: none, in unit tests */
    struct gofer *shared; /* [I] the one of what is shared live; NULL: nothing is */
};

/* The one that the sandbox was started with, and ends with. */
extern struct container first_container;

/* Whose tree this thread works on where it does so for no task: that of container_enter(), else the first. */
struct container *container_here(void);

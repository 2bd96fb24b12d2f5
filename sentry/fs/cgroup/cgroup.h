/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control group that a container is in, as its programs look for it: limits to be read, and what is in use.
 * There is one for each container, the root of what is seen; nothing can be written, and no group made beneath.
 *
 * What the host holds the container to is told by the front end (oci/cgroup_view.c) as text: pairs of a name and a
 * value, each with its NUL. A name is a file's ("memory.max"), or one of CGROUP_*.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define CGROUP_VIEW_MAX (64u << 10)

#define CGROUP_SELF "/proc/self/cgroup"
#define CGROUP_ALL "/proc/cgroups"
#define CGROUP_TASKS                                                                               \
    "tasks" /* a number: so many there may be, the sentry among them; 0: as by default */

struct cgroup_view;
struct container;
struct ptext;
struct super;

/* That of c from now on: a copy of n bytes. 0, -EINVAL, -ENOMEM. */
int cgroup_view_set(struct container *c, const char *text, size_t n);
void cgroup_view_free(struct cgroup_view *v); /* at its end */
/* The same from a descriptor, which stays the caller's; and the limit of tasks follows. */
int cgroup_view_take(struct container *c, int fd);
/* Puts the value of name for container_here() to out; false: none was told. */
bool cgroup_view_put(const char *name, struct ptext *out);
bool cgroup_view_has(const char *name);

/* hierarchy: its controllers with commas between them, as version 1 has them ("cpu,cpuacct"); "": version 2. */
struct super *cgroup_fs_new(const char *hierarchy);

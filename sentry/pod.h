/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a further container of a pod comes to a sandbox that runs: CTL_CONTAINER with descriptors, in this order,
 *
 *   its own control socket   SEQPACKET, does not block; from then on as that of a sandbox (cli/control.h)
 *   its first program        as a job's request (sentry/job.h)
 *   its tree                 what stands below
 *   a gofer's socket         of what is shared live
 *   a second one's           POD_GOFER: of what is not
 *   0, 1, 2 and on           of the program; of one with a terminal the first is the stream of that
 *
 * The front end of the sandbox has vouched for it; it is checked all the same.
 */
#pragma once

#include <stdint.h>

enum { /* of the message */
       POD_GOFER = 1,
       POD_PIDS = 2, /* its processes have numbers of the first container's pid namespace */
};

/* What the tree's descriptor holds: this, the mounts, what is seen of the cgroup, then strings, each with its NUL. */
struct pod_tree {
    uint32_t nmounts, nsysctls, ncgroup, pad;
};

enum { POD_TARGET = 1, POD_TYPE = 2, POD_OPTIONS = 4, POD_SOURCE = 8, POD_EXACT = 16 };

/* struct sentry_mount; its strings follow in the order of path and of these bits, before those of the next. */
struct pod_mount {
    uint32_t kind, has, export_id, flags, mode, uid, gid, pad;
    uint64_t rdev;
};

#define POD_TREE_MAX (4u << 20)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of ids, as /proc/PID/uid_map has them, and the ids that a sandbox's processes become when root
 * starts it: those own nothing, and have to be mapped in the user namespace that we are in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/idmap.h"

/* "uid_map" or "gid_map" of our own user namespace. Without a procfs: every id as itself. */
void idmap_own(const char *which, struct idmap *ret);

/* text into /proc/PID/name (uid_map, gid_map, setgroups): 0 or -errno. */
int ids_write(pid_t pid, const char *name, const char *text);

struct launch_ids {
    uid_t sentry, gofer, broker; /* as users and as groups */
};

/*
 * Three of its own for each sandbox, above what distributions and containers assign. In a user namespace that
 * has not got them: the last ids of its largest range, which an image hardly uses; where even these are
 * missing (a single id), the caller's own, as for an ordinary user.
 */
void launch_ids(struct launch_ids *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup for one sandbox, where the host lets us make one: it holds --memory and --cpus when a program is
 * faster than our own look at it. Version 2 in a tree that is ours (root, or delegated: a scope made by
 * systemd-run -p Delegate=yes), version 1 as root.
 *
 * The front end enters it, starts the sandbox's processes, which are born there, and leaves it. It removes it
 * at the end; where the front end was killed the cleaner does (cli/cleaner.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cgroup_want {
    uint64_t memory; /* bytes; UINT64_MAX: no limit */
    double cpus;     /* 0: no limit */
};

/* Of which version one can be made here that holds memory; 0: none. */
int cgroup_version(void);
/*
 * Makes it and enters it. False: this host has none for us, *ret_why is a text; what can be done without is
 * done without. No-op, and true, where nothing is wanted.
 */
bool cgroup_enter(const struct cgroup_want *want, const char **ret_why);
/* Our own directory in version 2, the caller's to free; NULL: there is none. */
char *cgroup_own(void);
/* Back to where we came from; the sandbox stays. */
void cgroup_leave(void);
/* At the end: removes it, when its processes have ended soon; else that is left to the cleaner. */
void cgroup_end(void);
/* Did the host kill one of its processes because memory ended? */
bool cgroup_oom(void);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's cgroup on the host: a directory in each hierarchy of version 1, or the one of version 2.
 * On hosts with both, those of version 1 are used. Init proxy, gofer, sentry and stubs are born in it,
 * and callers find it through /proc/PID/cgroup of the proxy.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/config.h"

/*
 * Where it is to be, as the configuration says; *ret_unit is its scope of systemd's, NULL: none. *ret_dirs are
 * directories, NULL at the end (none: this host has no cgroups, or none are wanted). Nothing is made yet, so
 * that who is ended on the way has written down what there may be. 0, or 1 after the error was printed.
 */
int oci_cgroup_plan(const struct oci_config *c, const char *id, char ***ret_dirs, char **ret_unit);
/*
 * Makes what was planned, with its limits; what the caller may not make is taken off dirs, which the log says. 0,
 * or 1 after the error was printed; then some may be there.
 */
int oci_cgroup_make(const struct oci_config *c, const char *id, char **dirs, const char *unit);
/* Its first process has entered, and holds it. */
void oci_cgroup_held(void);
/* The calling process enters it. 0 or -errno. */
int oci_cgroup_enter(char **dirs);
/* Limits; what is unset stays. 0, or 1 after the error was printed. */
int oci_cgroup_limit(char **dirs, const struct oci_resources *r);
/* It goes, when its processes have ended, for which a moment is given. 0 or -errno. */
int oci_cgroup_remove(char **dirs, const char *unit);
/* Ends what is in it. */
void oci_cgroup_kill(char **dirs);
/* Its processes, as the host numbers them: a vector of n. */
pid_t *oci_cgroup_pids(char **dirs, unsigned *ret_n);
/* Did the host kill one of its processes for want of memory? */
bool oci_cgroup_oom(char **dirs);

/* A file of the directory whose controller that is (version 2: the one): its number, or OCI_UNSET. */
int64_t oci_cgroup_number(char **dirs, const char *v1_file, const char *v2_file);
/* Of a file of lines "key number". */
int64_t oci_cgroup_keyed(char **dirs, const char *file, const char *key);
bool oci_cgroup_is_v2(char **dirs);
/* What the host is to be told where the guest may have so many tasks (-1: no limit): ours come on top. */
int64_t oci_cgroup_host_tasks(int64_t guest);
/* How many tasks the guest may have; -1: no limit; OCI_UNSET: this host does not say. */
int64_t oci_cgroup_tasks(char **dirs);

/* The hierarchies of version 1 that are used here, as /proc/self/cgroup has their controllers; NULL at the end. Empty:
 * version 2. */
char **oci_cgroup_keys(void);
/* The name that a hierarchy has beneath /sys/fs/cgroup. */
const char *oci_cgroup_dir_name(unsigned i);
/*
 * cgroup_view.c: what the container is to see of it, as a descriptor; -1. dirs NULL: there is none, and what r
 * says counts.
 */
int oci_cgroup_view(char **dirs, const struct oci_resources *r);

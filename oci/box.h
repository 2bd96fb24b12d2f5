/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to what launch_start() wants: the trees that are shown, the program, the limits. */
#pragma once

#include "cli/launch.h"
#include "oci/config.h"
#include "oci/state.h"

struct box {
    struct run_options options;
    struct shown shown;
    struct user user;
    struct program program;
    struct network net;
    struct launch launch;
};

/*
 * Looks at the rootfs and the sources of binds, and says what cannot be honoured. 0, or 1 after the error
 * was printed. Everything in ret lives as long as it does, which may not move.
 */
int box_build(const struct oci_config *c, const struct oci_state *s, struct box *ret);

/*
 * job.c: the request that asks the sentry for process p, as a descriptor; -1. path: the file to run, NULL: as
 * args[0] says. flags: PROCESS_*, beside those that p has.
 */
int box_job(const struct oci_process *p, const char *path, char *const *env, uint32_t flags);
/* The environment of p, each name once, with a HOME by the rootfs' passwd where it has none. */
char **box_environment(const struct oci_process *p, const char *rootfs);
/* mounts.c: is it one that every container has, null and its like? */
bool box_device(dev_t dev);
/* mounts.c: the same for the tree. */
int box_mounts(const struct oci_config *c, const struct oci_state *s, struct shown *ret);
/* A path beneath the rootfs, no link leads out of it: a descriptor (O_PATH but for flags), or -errno. */
int rootfs_open(const char *rootfs, const char *path, int flags);

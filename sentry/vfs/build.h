/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first tree. */
#pragma once

#include <stdint.h>

struct sentry_mount;
struct super;

/*
 * Mounts what is listed, in order, as the tree of container_here(), whose first mount is its root. 0, or -errno and the path that
 * could not be mounted (unchanged: it was none of them).
 */
int vfs_build(const struct sentry_mount *mounts, unsigned n, const char **ret_failed);
/* One step of these. */
int vfs_build_one(const struct sentry_mount *m);
/* A directory with its parents, whose owner that is, where none is yet. */
int vfs_build_dir(const char *path, uint32_t uid, uint32_t gid);

/* build_container.c: the file system of an SM_FS; ERR_PTR. */
struct super *build_super(const struct sentry_mount *m);
/* SM_DEVICES, SM_MASK, SM_READONLY, SM_PROPAGATE. */
int build_special(const struct sentry_mount *m);

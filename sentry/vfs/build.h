/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's first tree. */
#pragma once

struct sentry_config;

/* Mounts what cfg->mounts lists, in order, after vfs_init(); single-threaded. 0 or -errno, and where. */
int vfs_build(const struct sentry_config *cfg, const char **ret_path);

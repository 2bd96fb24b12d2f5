/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls on mounts share. */
#pragma once

#include "abi/mount.h"
#include "sentry/vfs/mount.h"

/* m, detached, comes to `at`, on top of what is mounted there; on failure it goes. */
int mount_graft(struct mount *m, const struct path *at);
/* Is a file open for writing on sb, or through the mount `only`? mounts_lock held. */
bool mount_writers_locked(const struct super *sb, const struct mount *only);
/* mount(2)'s MS_MOVE. */
int mount_move_old(struct task *t, const char *from, const struct path *to);
/* An open file that holds the detached tree m (its reference is taken over): as O_PATH. ERR_PTR. */
struct file *mount_file_new(struct mount *m);
/* MOUNT_ATTR_* as MS_ flags of a mount. -EINVAL: two kinds of atime. */
int mount_flags_of_attr(uint64_t attr, unsigned *ret);
uint64_t mount_attr_of_flags(unsigned flags);

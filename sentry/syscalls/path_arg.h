/* SPDX-License-Identifier: Apache-2.0 */
/* What the path calls share: reading a path, and finding what an *at call means. */
#pragma once

#include <limits.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/vfs/vfs.h"

/* char buf[PATH_MAX]. 0; -EFAULT, -ENAMETOOLONG. */
static inline int path_in(struct task *t, char *buf, gaddr_t at)
{
    ssize_t n = copy_in_str(t, buf, at, PATH_MAX);

    return n < 0 ? n : 0;
}

/* AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH as walk flags. */
unsigned walk_of_at(int flags);
/*
 * The path that dfd and upath mean, a reference. With AT_EMPTY_PATH and no path: that of the open
 * file dfd; its dentry is NULL and *ret_file it (a reference) when it has none.
 */
int at_path(struct task *t, int dfd, gaddr_t upath, int flags, struct path *ret,
            struct file **ret_file);
/* What open takes of these flags, which nobody has checked. */
unsigned open_flags(int oflags);

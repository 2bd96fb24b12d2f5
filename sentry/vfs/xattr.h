/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes kept in memory, for file systems that have no other place for them. */
#pragma once

#include "sentry/vfs/vfs.h"

/* As the inode operations of the same name. A value of NULL in the list: known to be absent. */
ssize_t simple_xattr_get(struct inode *i, const char *name, void *buf, size_t n);
int simple_xattr_set(struct inode *i, const char *name, const void *v, size_t n, int flags);
ssize_t simple_xattr_list(struct inode *i, char *buf, size_t n);
int simple_xattr_remove(struct inode *i, const char *name);

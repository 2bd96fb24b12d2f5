/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of a file that chattr(1) sets (inode->fsflags, FS_*_FL of Linux). */
#pragma once

#include "sentry/vfs/vfs.h"

#define LX_FS_IMMUTABLE 0x10u
#define LX_FS_APPEND 0x20u
#define LX_FS_NODUMP 0x40u
#define LX_FS_NOATIME 0x80u
#define LX_FS_INHERITED (LX_FS_NODUMP | LX_FS_NOATIME)

/* FS_IOC_GETFLAGS and its like on f; -ENOIOCTLCMD: none of them. */
long fsflags_ioctl(struct task *t, struct file *f, unsigned cmd, gaddr_t arg);

static inline bool inode_is_immutable(const struct inode *i)
{
    return i->fsflags & LX_FS_IMMUTABLE;
}

static inline bool inode_is_append(const struct inode *i)
{
    return i->fsflags & LX_FS_APPEND;
}

/* Neither its attributes nor its names may change. */
static inline bool inode_is_bound(const struct inode *i)
{
    return i->fsflags & (LX_FS_IMMUTABLE | LX_FS_APPEND);
}

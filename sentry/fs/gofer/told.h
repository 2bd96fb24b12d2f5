/* SPDX-License-Identifier: Apache-2.0 */
/* What a gofer tells, in the words of the file systems that ask one: gofer and live. */
#pragma once

#include <sys/stat.h>

#include "abi/stat.h"
#include "gofer/client.h"
#include "sentry/vfs/vfs.h"

/* Everything that can be asked of i. The lock that guards these of its file system is held. */
static inline void inode_told_locked(struct inode *i, const struct gofer_attr *a)
{
    i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    i->uid = a->uid;
    i->gid = a->gid;
    i->nlink = a->nlink;
    i->rdev = a->rdev;
    i->size = a->size;
    i->blocks = a->blocks;
    i->atime = (struct timespec){ a->atime_s, a->atime_ns };
    i->mtime = (struct timespec){ a->mtime_s, a->mtime_ns };
    i->ctime = (struct timespec){ a->ctime_s, a->ctime_ns };
    i->btime = (struct timespec){ a->btime_s, a->btime_ns };
}

static inline struct lx_statfs statfs_told(const struct super *sb, const struct gofer_statfs *st)
{
    return (struct lx_statfs){
        .f_type = st->type,
        .f_bsize = st->bsize,
        .f_blocks = st->blocks,
        .f_bfree = st->bfree,
        .f_bavail = st->bavail,
        .f_files = st->files,
        .f_ffree = st->ffree,
        .f_fsid = { sb->dev, 0 },
        .f_namelen = st->namelen,
        .f_frsize = st->frsize,
    };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a file is called without its name: file handles, and fanotify's file ids. */
#pragma once

#include "sentry/vfs/vfs.h"

#define LX_FILEID_INO_GEN 1      /* as Linux's tmpfs: generation, number */
#define LX_FILEID_INO64_GEN 0x81 /* of file systems whose files cannot be opened by it */
#define LX_FILEID_INVALID 0xff

struct file_id {
    int type;
    uint32_t len;
    uint32_t bytes[4];
};

/* i's id can be opened from now on, as long as i lives, where its file system can do that. */
void file_id_publish(struct inode *i);
/*
 * The id of a published inode. Takes no lock. fid: only to tell files apart; else it can be opened, where the
 * file system can: -EOPNOTSUPP.
 */
int file_id_of(struct inode *i, bool fid, struct file_id *ret);
/* The file of that id in sb: a dentry (reference), perhaps one without a name. -ESTALE, -EOPNOTSUPP. */
int file_id_open(struct super *sb, const struct file_id *id, struct dentry **ret);

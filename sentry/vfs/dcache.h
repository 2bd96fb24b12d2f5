/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sentry/vfs share among themselves. */
#pragma once

#include "sentry/vfs/vfs.h"

/* dcache.c */
void dcache_init(void);
/* Frees all of sb's dentries that nobody holds. */
void dcache_shrink_super(struct super *sb);
/* A negative dentry that is not hashed (and so never found). */
struct dentry *dentry_new_unhashed(struct dentry *parent, const char *name, size_t len);

/* A dentry in no tree, for a walk that ends at an inode without a name (a pipe behind /proc/PID/fd).
 * Takes the inode's reference over. */
struct dentry *dentry_new_anon(struct inode *inode);

/* mount.c */
/* From the root of a mount to where it is mounted; false at the top. Takes mounts_lock. */
bool path_ascend_mount(struct path *p);

/* xattr.c */
void simple_xattrs_free(struct inode *i);

/* permission.c: whose access is checked; NULL: nobody's, all is allowed. */
const struct cred *vfs_cred(struct task *t);
/* The owner of what t creates. */
void inode_init_owner(struct task *t, struct inode *i, const struct inode *dir);
int may_create(struct task *t, struct inode *dir);
/* victim is to go from dir: write permission, sticky directories, kind. */
int may_delete(struct task *t, struct inode *dir, struct dentry *victim, bool isdir);

static inline bool is_dir(const struct inode *i)
{
    return S_ISDIR(i->mode);
}

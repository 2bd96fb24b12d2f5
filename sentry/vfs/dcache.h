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

/*
 * Adds a child unless one is there. With check, the result of a look-up begun when parent had made
 * seq changes: NULL with *ret_stale when there were more since. Takes over inode.
 */
struct dentry *dentry_add_checked(struct dentry *parent, const char *name, size_t len,
                                  struct inode *inode, const uint32_t *seq, bool *ret_stale);

/* A dentry in no tree, for a walk that ends at an inode without a name (a pipe behind /proc/PID/fd).
 * Takes the inode's reference over. */
struct dentry *dentry_new_anon(struct inode *inode);

/* The cached child, without a reference; NULL. dcache_lock held. */
struct dentry *dentry_find_locked(struct dentry *parent, const char *name, size_t len);
void dentry_get_locked(struct dentry *d);

/* Where a walk goes on that the cache could not end. */
struct walk_rest {
    struct path cur, root; /* references */
    const char *s;         /* what is to be walked still; NULL: all of it, and no references */
};
/* walk_cached.c: walk_path and walk_parent where the cache knows all; -EAGAIN: *rest is left. */
int walk_cached(struct task *t, int dfd, const char *path, unsigned flags, struct path *ret,
                struct walk_rest *rest);
int walk_cached_parent(struct task *t, int dfd, const char *path, unsigned flags,
                       struct nameidata_last *ret, struct walk_rest *rest);

/* mount.c */
/* What is mounted there, topmost in parent; NULL. mounts_lock held, no reference. */
struct mount *mount_find_locked(const struct mount *parent, const struct dentry *at);
/* From the root of a mount to where it is mounted; false at the top. Takes mounts_lock. */
bool path_ascend_mount(struct path *p);

/* xattr.c */
void simple_xattrs_free(struct inode *i);
/* What changes a file, or whose it is, takes its capabilities away. */
void inode_drop_caps(struct inode *i);

/* permission.c: whose access is checked; NULL: nobody's, all is allowed. */
const struct cred *vfs_cred(struct task *t);
/* What /proc/sys/fs/protected_* forbids; 0, -EACCES, -EPERM. dir: where the name stands. */
int may_follow_link(struct task *t, const struct inode *dir, const struct inode *link);
int may_link_to(struct task *t, struct inode *i);
int may_open_in_sticky(struct task *t, const struct inode *dir, const struct inode *i);
/* The owner of what t creates. */
void inode_init_owner(struct task *t, struct inode *i, const struct inode *dir);
int may_create(struct task *t, struct inode *dir);
/* victim is to go from dir: write permission, sticky directories, kind. */
int may_delete(struct task *t, struct inode *dir, struct dentry *victim, bool isdir);

static inline bool is_dir(const struct inode *i)
{
    return S_ISDIR(i->mode);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The overlay that a guest mounts: directories of file systems that are there, one over the other.
 * (The sandbox's own root, whose upper layer is memory and whose lower one the host's, is
 * sentry/fs/overlay/.) What is stored in the upper layer is as Linux has it: whiteouts are character
 * devices 0:0, a directory that hides what is below has trusted.overlay.opaque.
 *
 *   layers.c  superblock, inodes, what a name leads to in all layers together
 *   copyup.c  an object of a lower layer comes to be in the upper one
 *   change.c  changes of names
 *   read.c    open files, listings
 *
 * An inode knows its object in each layer. node->upper goes from NULL to a dentry once. A lower
 * object keeps the name by which it was found, since to be renamed it is copied up first.
 */
#pragma once

#include "sentry/vfs/vfs.h"

#define UNION_LAYERS 64 /* lower ones of a mount */
#define UNION_OPAQUE "trusted.overlay.opaque"

struct union_super {
    struct dentry *upper; /* [I] NULL: read-only */
    struct dentry *lower[UNION_LAYERS];
    unsigned nlower;
};

struct union_node {
    struct dentry *upper;  /* [a] */
    struct dentry **lower; /* [I] highest first; more than one for directories only */
    unsigned nlower;
    struct inode *parent;       /* [I] a reference; NULL: the root, or made here */
    char *name;                 /* [I] */
    struct union_node *pending; /* layers.c: while it ends */
    bool gone;                  /* its name was removed: it cannot be copied up */
};

static inline struct union_node *union_node(const struct inode *i)
{
    return i->priv;
}

static inline struct union_super *union_super(const struct super *sb)
{
    return sb->priv;
}

static inline struct dentry *union_upper(const struct inode *i)
{
    return __atomic_load_n(&union_node(i)->upper, __ATOMIC_ACQUIRE);
}

/* Its object in the highest layer. */
static inline struct dentry *union_top(const struct inode *i)
{
    struct dentry *up = union_upper(i);

    return up ? up : union_node(i)->lower[0];
}

extern const struct inode_ops union_dir_ops, union_file_iops, union_link_iops, union_special_iops;
extern const struct file_ops union_dir_fops, union_file_fops;

/* layers.c */
/* What the top says of the attributes is what the inode says. */
int union_refresh(struct task *t, struct inode *i);
/* The inode of an object that is in the upper layer alone (reference to d taken over). */
int union_wrap_upper(struct task *t, struct super *sb, struct dentry *d, struct inode **ret);
int union_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                 struct inode **ret);
int union_getattr(struct task *t, struct inode *i, struct kstat *ret);
bool union_is_whiteout(const struct inode *i);
bool union_is_opaque(struct task *t, struct inode *i);
/* The number of an inode that shows number ino of the file system that `in` belongs to. */
uint64_t union_number(const struct super *sb, const struct dentry *in, uint64_t ino);
/* Does a lower layer show that name? 1, 0 or an error. */
int union_below(struct task *t, struct inode *dir, const char *name, size_t len);

/* copyup.c: 0, -EWAITING, -EROFS, ... data false: an empty file will do. */
int union_copy_up(struct task *t, struct inode *i, bool data);
int union_setattr(struct task *t, struct inode *i, const struct setattr *a);
ssize_t union_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n);
int union_setxattr(struct task *t, struct inode *i, const char *name, const void *v, size_t n,
                   int flags);
ssize_t union_listxattr(struct task *t, struct inode *i, char *buf, size_t n);
int union_removexattr(struct task *t, struct inode *i, const char *name);
#define UNION_COMMON_OPS                                                                           \
    .getattr = union_getattr, .setattr = union_setattr, .getxattr = union_getxattr,                \
    .setxattr = union_setxattr, .listxattr = union_listxattr, .removexattr = union_removexattr

/* change.c: the operations of struct inode_ops. */
int union_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                 struct inode **ret);
int union_mknod(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev,
                struct inode **ret);
int union_mkdir(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                struct inode **ret);
int union_symlink(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                  struct inode **ret);
int union_link(struct task *t, struct inode *old, struct inode *dir, struct dentry *d);
int union_unlink(struct task *t, struct inode *dir, struct dentry *d);
int union_rmdir(struct task *t, struct inode *dir, struct dentry *d);
int union_rename(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                 struct dentry *nd, unsigned flags);
int union_tmpfile(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret);

/* read.c: the names of dir, whole. fn's result ends it. */
int union_each_name(struct task *t, struct inode *dir,
                    int (*fn)(void *arg, const char *name, size_t len, uint64_t ino,
                              unsigned dtype),
                    void *arg);
/* An upper directory that shows nothing may hold whiteouts: they go. It is locked. */
int union_drop_whiteouts(struct task *t, struct dentry *up);

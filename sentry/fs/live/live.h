/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the live file system: an export of the second gofer, shared with the host both ways. What
 * its files share.
 *
 * Nothing that the host may change is believed from one call to the next: each walk asks for the
 * names on its way, with one trip for the rest of the path, and each stat for the attributes. An
 * inode is a host file (its number is the host's); it is reached by the name that a walk found it by
 * last, beneath a directory that the gofer holds open, or by an open file of it where there is one.
 */
#pragma once

#include "gofer/client_shared.h"
#include "sentry/kernel/call.h"
#include "sentry/vfs/vfs.h"

struct live_fs {
    struct gofer *g;
    struct super *sb;
    struct lock lock; /* LOCK_LEAF; guards what of inodes is said to be */
    uint64_t dev;     /* of the root; objects of other mounts beneath get other numbers */
    uint64_t devs[7];
    unsigned ndevs;
};

struct live_handle {  /* an open file's: f->priv */
    struct list link; /* inode's; fs->lock */
    uint64_t node;
    int fd;
    int flags;     /* as opened on the host */
    unsigned refs; /* fs->lock: the file, and who uses its node meanwhile */
};

/* Record locks of one owner: an open file of the host that is its alone. */
struct live_owner {
    struct list link; /* fs->lock */
    const void *owner;
    uint64_t node;
    int fd;
};

struct live_inode {
    uint64_t hdev, hino;
    int64_t btime_s;
    uint32_t btime_ns;
    /* fs->lock: */
    struct inode *parent; /* reference; NULL: the root, or no name yet */
    char *name;
    uint64_t node; /* of a directory; 0: it is reached through its parent's */
    struct list handles, owners;
    struct live_handle *made; /* opened when it was made or found, for the open that follows */
    struct timespec told;     /* its ctime when the gofer last told all of it; fs->lock */
};

/* Where on the host: a node and a path beneath it. */
struct live_addr {
    uint64_t node;
    struct live_handle *handle; /* whose node that is: a reference */
    char path[4096];
};

extern const struct inode_ops live_dir_iops, live_file_iops, live_link_iops, live_other_iops;
extern const struct file_ops live_dir_fops, live_file_fops;

static inline struct live_fs *live_fs_of(const struct inode *i)
{
    return i->sb->priv;
}

static inline struct live_inode *live_of(const struct inode *i)
{
    return i->priv;
}

/* Around every trip: the worker may be needed elsewhere meanwhile. */
void gofer_trip_begin(void);
void gofer_trip_end(void);

/*
 * super.c. The address of i by its name, with extra (may be NULL) behind; a new one of the caller's,
 * ERR_PTR(-ENOENT) where it has none, -ENAMETOOLONG, -ENOMEM. by_file: by an open file of it, if there
 * is one; with O_WRONLY one that is open for writing.
 */
struct live_addr *live_addr(struct inode *i, const char *extra, size_t len);
struct live_addr *live_addr_file(struct inode *i, int access);
void live_addr_put(struct inode *i, struct live_addr *a);
void live_handle_put(struct live_fs *fs, struct live_handle *h);
/* Takes o's node and descriptor over, also on failure. NULL: no memory. */
struct live_handle *live_handle_new(struct inode *i, const struct gofer_opened *o, int flags);
/* o (taken over) is for the open of i that follows. */
void live_made(struct inode *i, const struct gofer_opened *o, int flags);
/*
 * The same by an open file of it, without a trip. false: that does not tell all, and nothing is changed.
 */
bool live_told_by_fd(struct inode *i, int fd);
/* Its size, times and blocks at least. 0 or -errno. */
int live_fill_size(struct inode *i, int fd);
/* What the host says of it now. */
void live_fill(struct inode *i, const struct gofer_attr *a);
/* Is it still that file? */
bool live_same(const struct inode *i, const struct gofer_attr *a);
/* The inode of what the host has at name in dir; node (taken over): a directory's, or 0. */
int live_inode_get(struct inode *dir, const char *name, size_t len, const struct gofer_attr *a,
                   uint64_t node, struct inode **ret);
/* i is at that name from now on. 0 or -ENOMEM. */
int live_named(struct inode *i, struct inode *dir, const char *name, size_t len);

/* names.c */
int live_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                struct inode **ret);
int live_revalidate(struct task *t, struct dentry *d);
int live_getattr(struct task *t, struct inode *i, struct kstat *ret);

/* change.c */
int live_create(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
                struct inode **ret);
int live_mknod(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev,
               struct inode **ret);
int live_mkdir(struct task *t, struct inode *dir, struct dentry *d, uint32_t mode,
               struct inode **ret);
int live_symlink(struct task *t, struct inode *dir, struct dentry *d, const char *target,
                 struct inode **ret);
int live_tmpfile(struct task *t, struct inode *dir, uint32_t mode, struct inode **ret);
int live_link(struct task *t, struct inode *old, struct inode *dir, struct dentry *d);
int live_unlink(struct task *t, struct inode *dir, struct dentry *d);
int live_rmdir(struct task *t, struct inode *dir, struct dentry *d);
int live_rename(struct task *t, struct inode *odir, struct dentry *od, struct inode *ndir,
                struct dentry *nd, unsigned flags);

/* lock.c: super_ops. */
int live_lock(struct task *t, struct file *f, const struct host_lock *l);
int live_lock_test(struct task *t, struct file *f, struct host_lock *l);
void live_lock_gone(struct file *f, const void *owner);
void live_owners_free(struct live_fs *fs, struct live_inode *li);

/* file.c */
int live_open(struct task *t, struct inode *i, struct file *f);

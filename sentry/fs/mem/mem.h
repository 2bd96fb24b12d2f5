/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system in memory: tmpfs, and, with a lower file system beneath it, the overlay. A tmpfs
 * is an overlay without a lower layer, so there is one implementation of names, files and limits.
 *
 *   names.c   the table of names of one directory
 *   dir.c     create, link, unlink, rename, ...
 *   readdir.c reading a directory
 *   file.c    regular files: read, write, map, ...
 *   data*.c   their bytes
 *   super.c   inodes' life, statfs, quota
 * and in sentry/fs/overlay/ what is done about a lower layer; a tmpfs has none of it (node->lower is
 * NULL everywhere).
 *
 * Locks: inode->rw of a directory is held by the VFS for changes of its names; inode->lock guards
 * the node (names, data, flags) while it is looked at.
 */
#pragma once

#include "sentry/fs/mem/data.h"
#include "sentry/vfs/vfs.h"

struct mqueue;

struct mem_name {
    struct list order;     /* in names.all, by pos */
    struct mem_name *next; /* hash chain */
    struct inode *inode;   /* a reference; NULL: a whiteout, the lower layer's name is gone */
    uint64_t pos;          /* for readdir; never reused */
    uint64_t hash;
    uint32_t len;
    char name[];
};

#define NAMES_MARKS 4 /* so many readers of one directory go on where they left off */

struct names {
    struct list all;
    struct mem_name *marks[NAMES_MARKS]; /* the first that a reader has not got; NULL */
    unsigned next_mark;
    struct mem_name **buckets; /* NULL: none yet */
    unsigned nbuckets, count, whiteouts;
    uint64_t next_pos;
};

struct mem_super {
    struct super *sb;
    struct quota quota;
    uint64_t max_inodes; /* 0: none */
    struct {
        uint32_t mode, uid, gid;
    } asked; /* [I] of the root by options; 0: not */
    _Atomic uint64_t inodes;
    struct super *lower; /* a reference; NULL: a tmpfs */
    struct lock lock;    /* LOCK_LEAF; guards changed and changed_link */
    struct list changed; /* nodes with a lower object that is changed here; each holds its inode */
};

struct mem_node { /* inode->priv */
    struct inode *inode;
    union {
        struct names names; /* directory */
        struct data data;   /* regular file */
        char *target;       /* symbolic link of ours */
    };
    struct dentry *lower; /* [I] what it shows until it is changed; a reference, NULL: ours alone */
    uint64_t parent_ino;  /* a directory's '..', for readdir */
    bool copied;          /* regular file with a lower: the data is here now */
    bool changed;         /* attributes are ours */
    bool xattrs_copied;   /* so are extended attributes */
    struct list changed_link;
    struct mqueue *mq;   /* [I] the queue that it is (fs/mqueue.c); NULL */
    bool counted;        /* [I] against the sandbox's limit on inodes */
    unsigned more_names; /* inode->lock; made by link(), counted as inodes */
    unsigned seals;      /* as of memfd_create; a mounted tmpfs's files have F_SEAL_SEAL */
};

static inline struct mem_node *mem_node(const struct inode *i)
{
    return i->priv;
}

static inline struct mem_super *mem_super(const struct super *sb)
{
    return sb->priv;
}

extern const struct inode_ops mem_dir_ops, mem_file_iops, mem_link_iops, mem_special_iops;
extern const struct file_ops mem_dir_fops, mem_file_fops;

/* super.c. mem_super_new takes over lower. */
struct super *mem_super_new(const char *type, uint64_t magic, uint32_t mode, uint64_t max_bytes,
                            struct super *lower, struct dentry *lower_root);
/* One more inode, or one more name of one, in the sandbox: false at its limit (-ENOSPC). */
bool mem_count_take(void);
void mem_count_give(unsigned n);
/* dir NULL: a root. 0, -ENOSPC, -ENOMEM. */
int mem_inode_new(struct task *t, struct super *sb, struct inode *dir, uint32_t mode,
                  struct inode **ret);
/* The node of an inode of a lower object; takes over lower. ino: the lower's. */
int mem_inode_wrap(struct super *sb, struct dentry *lower, uint64_t ino, uint32_t mode,
                   struct inode **ret);
int mem_setattr(struct task *t, struct inode *i, const struct setattr *a);

/* file.c: how many of a regular file's pages from first to last are in memory here. */
uint64_t mem_pages_held(struct inode *i, uint64_t first, uint64_t last);
/* attr.c: the operations that all kinds have. */
int mem_getattr(struct task *t, struct inode *i, struct kstat *ret);
ssize_t mem_getxattr(struct task *t, struct inode *i, const char *name, void *buf, size_t n);
int mem_setxattr(struct task *t, struct inode *i, const char *name, const void *v, size_t n,
                 int flags);
ssize_t mem_listxattr(struct task *t, struct inode *i, char *buf, size_t n);
int mem_set_flags(struct task *t, struct inode *i, uint32_t flags);
int mem_removexattr(struct task *t, struct inode *i, const char *name);
#define MEM_COMMON_OPS                                                                             \
    .getattr = mem_getattr, .setattr = mem_setattr, .getxattr = mem_getxattr,                      \
    .setxattr = mem_setxattr, .listxattr = mem_listxattr, .removexattr = mem_removexattr,          \
    .set_flags = mem_set_flags

/* names.c; the directory's inode->lock held. */
void names_init(struct names *n);
void names_free(struct names *n, void (*each)(struct inode *i, void *arg), void *arg);
struct mem_name *names_find(struct names *n, const char *name, size_t len);
/* A new name (inode reference taken over). NULL: no memory. Not locked: not in the table yet. */
struct mem_name *mem_name_new(const char *name, size_t len, struct inode *i);
void mem_name_free(struct mem_name *e);
/* Enters e after names_reserve. There is none of that name. */
void names_enter(struct names *n, struct mem_name *e);
void names_remove(struct names *n, struct mem_name *e);
/* The first name of at least that position, without looking at all before where a mark helps. */
struct mem_name *names_from(struct names *n, uint64_t pos);
/* A reader has stopped before e, and will be back. */
void names_mark(struct names *n, struct mem_name *e);
/* The one behind e; NULL. */
struct mem_name *names_next(struct names *n, struct mem_name *e);

/* Buckets for one more name. */
int names_reserve(struct names *n);

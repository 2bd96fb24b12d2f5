/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What procfs and sysfs have in common: trees that are described by tables, and files whose text is
 * made when they are read.
 *
 * A directory is a table of nodes, perhaps followed by children that go by number (processes,
 * descriptors, cpus). An inode refers to a node and to the object it is about (struct pobj). Nothing
 * is cached: inodes come and go with their users. The text of a file is made anew by each read at
 * position 0 and kept in the open file for the reads behind it, as seq files do.
 *
 * Functions of nodes are called without locks and may take any; they make text in memory of ours.
 */
#pragma once

#include "sentry/vfs/vfs.h"

struct task;
struct tgroup;
struct pdir;

struct ptext {
    char *buf; /* kmalloc'd */
    size_t len, cap;
    bool failed; /* no memory: the read fails */
};

void pt_printf(struct ptext *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void pt_puts(struct ptext *p, const char *s);
void pt_bytes(struct ptext *p, const void *bytes, size_t n);

/* What an inode is about; what is not of interest is NULL or 0. References. */
struct pobj {
    struct tgroup *group;
    struct task *task;
    int64_t num;
    uint32_t ns; /* of procfs: whose numbers (kernel/pid.h) */
};

struct pobj pobj_ref(const struct pobj *o);
void pobj_put(struct pobj *o);

struct pnode {
    const char *name;
    uint32_t mode; /* with the type */
    long arg;      /* for functions that serve several nodes */

    /* One of these: */
    const struct pdir *dir;
    int (*show)(struct task *t, const struct pnode *n, const struct pobj *o, struct ptext *out);
    ssize_t (*readlink)(struct task *t, const struct pobj *o, char *buf, size_t cap);
    const struct file_ops *fops; /* f->inode leads to the object: pnode_of, pobj_of */

    /* All of a write at once, at most a page; bytes taken or -errno. */
    ssize_t (*store)(struct task *t, const struct pnode *n, const struct pobj *o, const char *buf,
                     size_t len);
    /* NULL: -ENOTTY. */
    long (*ioctl)(struct task *t, const struct pobj *o, unsigned cmd, uint64_t arg);
    /* A magic link: where it leads (beside readlink). */
    int (*follow)(struct task *t, const struct pobj *o, struct path *ret);
    /* May t open it (0), beyond what the mode says? */
    int (*may_open)(struct task *t, const struct pobj *o);
};

struct pdir {
    const struct pnode *nodes;
    unsigned nnodes;
    /* Children by number, named prefix and the number; child NULL: none. */
    const char *prefix;
    const struct pnode *child;
    /* The least number >= min that there is, or -ENOENT. */
    int64_t (*next)(struct task *t, const struct pobj *o, int64_t min);
    /* The object of number num: references. 0 or -ENOENT. */
    int (*object)(struct task *t, const struct pobj *o, int64_t num, struct pobj *ret);
    /* Children that have names instead of prefix and number: the number of that one, -1: none; and back. */
    int64_t (*find)(const char *name, size_t len);
    void (*name)(int64_t num, char *buf, size_t cap);
    /* Tells objects apart that had the same number one after the other; NULL. */
    uint64_t (*salt)(const struct pobj *o, int64_t num);
    /* Permission bits of a child, where they are not child->mode's; NULL. */
    uint32_t (*child_mode)(const struct pobj *o);
    /* May t list or search it, beyond what the mode says? */
    int (*may_list)(struct task *t, const struct pobj *o);
};

struct pseudo_fs {
    const char *type;
    uint64_t magic, file_size;
    const struct pdir *root;
    /* Owner of an inode; NULL: root. */
    void (*owner)(const struct pobj *o, uint32_t *ret_uid, uint32_t *ret_gid);
    /* Is the object still there? NULL: always. */
    bool (*alive)(const struct pobj *o);
};

struct super *pseudo_super_new(const struct pseudo_fs *fs);
/* The same; its objects are of that pid namespace. */
struct super *pseudo_super_of(const struct pseudo_fs *fs, uint32_t ns);

const struct pnode *pnode_of(const struct inode *i);
const struct pobj *pobj_of(const struct inode *i);

/* A number as a program wrote it (white space around it is fine). 0 or -EINVAL. */
int pseudo_parse(const char *buf, size_t len, int64_t min, int64_t max, int64_t *ret);

/* tables */
#define PFILE(n, m, fn)                                                                            \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn                                               \
    }
#define PFILE_ARG(n, m, fn, a)                                                                     \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .arg = a                                     \
    }
#define PFILE_RW(n, m, fn, st)                                                                     \
    {                                                                                              \
        .name = n, .mode = S_IFREG | (m), .show = fn, .store = st                                  \
    }
#define PDIR(n, d)                                                                                 \
    {                                                                                              \
        .name = n, .mode = S_IFDIR | 0555, .dir = d                                                \
    }
#define PLINK(n, fn)                                                                               \
    {                                                                                              \
        .name = n, .mode = S_IFLNK | 0777, .readlink = fn                                          \
    }
#define PNODES(a) .nodes = a, .nnodes = ARRAY_SIZE(a)

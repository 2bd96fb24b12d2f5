/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the gofer file system: what its files share. */
#pragma once

#include "sentry/fs/gofer/names.h"

/* A host file, opened. users, idle_link: fs->lock; the rest is fixed once it is in gname->handle. */
struct ghandle {
    struct gofer_file file;
    void *first;            /* file.nfirst bytes */
    _Atomic int map_fd;     /* for mappings where file.fd is none; -1: not asked for yet */
    _Atomic unsigned large; /* reads of GHANDLE_MAP_WORTH and more */
    char *_Atomic map;      /* for these, see ghandle_map; NULL: none */
    unsigned users;         /* open files */
    struct list idle_link;
    ktime_t stamp;      /* when first was read */
    struct gname *name; /* NULL: the name has another handle now; freed with the last user */
};

extern const struct inode_ops gofer_dir_iops, gofer_file_iops, gofer_link_iops, gofer_other_iops;
extern const struct file_ops gofer_dir_fops, gofer_file_fops;

static inline struct gofer_fs *gofer_fs_of(const struct inode *i)
{
    return i->sb->priv;
}

static inline struct gname *gname_of(const struct inode *i)
{
    return i->priv;
}

/*
 * What was told of a tree that the host changes under us is believed so long, in nanoseconds: a
 * path that is asked for all the time costs a trip in 5,000 look-ups.
 */
#define FRESH_FOR 100000000ll

/* Around every trip: the worker may be needed elsewhere meanwhile. */
void gofer_trip_begin(void);
void gofer_trip_end(void);

/* handle.c: n's host file, opened at need; a user more. */
int ghandle_get(struct gofer_fs *fs, struct gname *n, struct ghandle **ret);
void ghandle_put(struct gofer_fs *fs, struct ghandle *h);
/* Gives n what a walk opened, with the bytes in first (copied); closes it where it is no use. */
void ghandle_give(struct gofer_fs *fs, struct gname *n, const struct gofer_file *file,
                  const void *first);
/* n gives its handle up. */
void ghandle_drop_locked(struct gofer_fs *fs, struct gname *n);
/* May reads be answered from first still? */
bool ghandle_fresh(const struct gofer_fs *fs, const struct ghandle *h);
/*
 * Where n bytes at pos lie in a mapping that only the host may touch (process_vm_writev): an
 * instruction of ours would meet SIGBUS where the host has cut the file. NULL: do without.
 */
#define GHANDLE_MAP_WORTH 131072u
const char *ghandle_map(struct gofer_fs *fs, struct ghandle *h, loff_t pos, size_t n);
/* A read-only descriptor, the handle's own. */
int ghandle_map_fd(struct gofer_fs *fs, struct ghandle *h);

/* inode.c */
int gofer_inode_get(struct gofer_fs *fs, struct gname *n, struct inode **ret);
/* attributes of n not older than they may be */
int gofer_refresh(struct gofer_fs *fs, struct gname *n);
bool gname_fresh_locked(const struct gofer_fs *fs, const struct gname *n);
/* readdir.c: makes dir complete (names, with attributes where asked for). */
int gofer_fill_dir(struct gofer_fs *fs, struct gname *dir, bool attrs);

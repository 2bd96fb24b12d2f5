/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the gofer file system: what its files share. */
#pragma once

#include "sentry/fs/gofer/names.h"

/* A host file, opened. users, idle_link: fs->lock; the rest is fixed once it is in gname->handle. */
struct ghandle {
    struct gofer_file file;
    void *first;            /* file.nfirst bytes */
    _Atomic int map_fd;     /* for mappings where file.fd is none; -1: not asked for yet */
    _Atomic bool must_wait; /* the host cannot say whether a read would wait */
    _Atomic unsigned large; /* reads of GHANDLE_MAP_WORTH and more */
    char *_Atomic map;      /* for these, see ghandle_map; NULL: none */
    unsigned users;         /* open files */
    struct list idle_link;
    ktime_t stamp;      /* when first was read */
    bool ahead;         /* read before it was asked for, and not asked for yet */
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
/* With one user, and the bytes at first (copied). NULL: no memory, and file is closed. */
struct ghandle *ghandle_new(const struct gofer_file *file, const void *first);
/* Takes over h: n keeps it as an idle one, if there is an n, and it has none that is as good. */
void ghandle_keep_locked(struct gofer_fs *fs, struct gname *n, struct ghandle *h);
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

/*
 * ahead.c: where files of n's directory are read one after another, n's handle (with a user, not
 * n's yet) by a trip that brings others as well. False: open it alone. addr is room for an address.
 */
bool ghandle_read_ahead(struct gofer_fs *fs, struct gname *n, struct gaddr *addr,
                        struct ghandle **ret);
/* h is asked for. False: it was read too long ago. */
bool ghandle_use_ahead_locked(struct gofer_fs *fs, struct ghandle *h);

/* inode.c */
int gofer_inode_get(struct gofer_fs *fs, struct gname *n, struct inode **ret);
/* attributes of n not older than they may be */
int gofer_refresh(struct gofer_fs *fs, struct gname *n);
bool gname_fresh_locked(const struct gofer_fs *fs, const struct gname *n);
/*
 * readdir.c: makes dir complete (names, with attributes where asked for). -E2BIG where it has more
 * than max entries (0: any number).
 */
int gofer_fill_dir(struct gofer_fs *fs, struct gname *dir, bool attrs, unsigned max);

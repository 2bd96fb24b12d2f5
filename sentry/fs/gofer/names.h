/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sentry knows of one export's tree: a gname for each name it has heard of. Inodes are
 * made of them when a path is walked; a listing makes names only, which are smaller, so that a
 * whole directory is known for the price of one trip.
 *
 *   gname      a name in a directory (or the root): type, inode number, attributes when known
 *   gdir       what is known of a directory's contents; complete: names not here do not exist
 *   ghandle    the host file behind it, opened; shared by all open files of it, kept while idle
 *
 * The names of one export form a tree that only grows, but for gnames_prune(); all of it is guarded
 * by fs->lock (LOCK_LEAF), which is never held over a trip. A gname is addressed on the host by the
 * nearest directory above it that has a node, and the path from there.
 */
#pragma once

#include "gofer/client.h"
#include "sentry/vfs/vfs.h"

#define GNAMES_MAX 50000 /* beyond, what nothing needs is freed when an inode goes */

/* Which files of a directory are read, as far as it costs trips: ahead.c. */
struct gahead {
    uint32_t place, name; /* + 1, of the last in the listing's order, and in that of the names */
    uint8_t by_place, by_name; /* so many followed each other in that order */
    uint8_t window;            /* files brought beside one that is asked for */
    uint8_t given, used;       /* the last time: so many came, and so many were asked for since */
    uint8_t pause;             /* trips without, since it did not pay */
};

struct gdir {
    struct gname **kids; /* in the order they were heard of; NULL: pruned; positions of readdir */
    uint32_t n, cap;
    uint32_t *hash; /* kids' index + 1, open addressing; hcap is a power of two */
    uint32_t hcap;
    bool complete;
    ktime_t stamp; /* when it was listed */
    /* Its times of change right before that; dated: they were asked for, and lay back long enough. */
    int64_t mtime_s, ctime_s;
    uint32_t mtime_ns, ctime_ns;
    bool dated;
    unsigned lookups; /* trips for single names; some of them make a listing worth while */
    bool bare;        /* it was listed by names alone */
    bool guessed;     /* it was listed with attributes because others before had been wanted so */
    unsigned misses;  /* of them, for names that were not there */
    unsigned list_at; /* not before so many, since there are many entries */
    struct gahead ahead;
    uint32_t last; /* the place of the name that the last was made for */
};

struct gname {
    struct gname *parent;    /* [I] NULL: the root */
    struct gdir *dir;        /* of a directory; NULL: nothing known yet */
    char *target;            /* of a symbolic link; NULL: not known yet */
    struct gofer_attr *attr; /* NULL: not known yet */
    struct inode *inode;     /* no reference: cleared by evict */
    struct ghandle *handle;
    uint64_t node; /* 0: none */
    uint64_t ino;
    ktime_t stamp;   /* when attr was told */
    uint32_t mode;   /* type bits are always right */
    uint32_t index;  /* in parent->dir->kids */
    uint32_t inodes; /* that point here: the one above, and ones of what was here before */
    bool gone;       /* was there once; the host has removed it */
    uint8_t namelen;
    char name[];
};

struct gofer_fs {
    struct gofer *g;
    struct super *sb;
    struct lock lock; /* LOCK_LEAF */
    struct gname *root;
    unsigned nnames;
    bool stable;  /* nobody changes it while we run: what is known stays good */
    uint64_t dev; /* of the root; objects of other mounts beneath get other numbers */
    uint64_t devs[7];
    unsigned ndevs;
    struct list idle; /* handles nobody uses, oldest first */
    unsigned nidle;
    size_t idle_bytes;
    unsigned
        wanted; /* so many directories listed by names alone were listed again for attributes */
    bool guess_paid; /* attributes of the last guessed one were asked for */
    unsigned ahead;  /* the window that paid last, in any directory */
};

/* Where on the host: a node and a path beneath it. */
struct gaddr {
    uint64_t node;
    char path[4096];
};

struct gname *gname_new_root(struct gofer_fs *fs, const struct gofer_node_reply *r);
/* The name in dir, gone or not; NULL. */
struct gname *gname_find_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                size_t len);
/*
 * Notes that dir has this name, with attributes where attr. What was known of another object of
 * the name is dropped. NULL: no memory.
 */
struct gname *gname_note_locked(struct gofer_fs *fs, struct gname *dir, const char *name,
                                size_t len, const struct gofer_node_reply *r, bool has_attr);
void gname_attr_locked(struct gofer_fs *fs, struct gname *n, const struct gofer_attr *a);
/* The host says so of the name now: when it is another object, what was known of it is dropped. */
void gname_told_locked(struct gofer_fs *fs, struct gname *n, const struct gofer_attr *a);
/* 0, or -ENAMETOOLONG. extra (may be NULL) is added behind. */
int gname_addr_locked(struct gofer_fs *fs, const struct gname *n, const char *extra,
                      struct gaddr *ret);
/* The number shown for it. */
uint64_t gname_ino_locked(struct gofer_fs *fs, const struct gofer_attr *a);
/* n's inode went: frees what nothing needs when there are too many names. */
void gnames_prune_locked(struct gofer_fs *fs, struct gname *n);
void gnames_free(struct gofer_fs *fs);

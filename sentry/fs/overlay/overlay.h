/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file system in memory does about a lower one beneath it (node->lower is not NULL in all of
 * these unless said). Called without short locks; these may make gofer trips.
 *
 * A lower object is shown by one inode, whatever names lead to it, found by the lower's number in
 * the inode table; so numbers stay the same when it is changed here. A change of attributes changes
 * the inode only (data stays below); data is copied up by the first write. Once changed, the inode
 * is held by its superblock as long as it has a name.
 */
#pragma once

#include "sentry/fs/mem/mem.h"

/* The lower's child of that name as an inode of ours; -ENOENT. */
int overlay_lookup(struct task *t, struct inode *dir, const char *name, size_t len,
                   struct inode **ret);
/* Would name show through, if we had none? 1, 0 or an error. dir's node may be without a lower. */
int overlay_shows(struct task *t, struct inode *dir, const char *name, size_t len);
/* Is any of the lower's names visible? 1, 0 or an error. */
int overlay_any_visible(struct task *t, struct inode *dir);

/* i's attributes are our own from now on; keep: it lives while it has a name. No-op for ours. */
void overlay_changed(struct inode *i, bool keep);
/* Its last name went. */
void overlay_unkeep(struct inode *i);
/* Refreshes attributes of an unchanged one from below. */
int overlay_refresh(struct task *t, struct inode *i);
/*
 * A regular file's data is to be ours: copies it, up to size bytes. 0, -EWAITING (i->rw), -ENOSPC.
 * No-op for what is ours already.
 */
int overlay_copy_up(struct task *t, struct inode *i, uint64_t size);
/* The same of extended attributes. */
int overlay_copy_xattrs(struct task *t, struct inode *i);
/* The open file of the lower object, made at the first use; f->priv keeps it. ERR_PTR. */
struct file *overlay_lower_file(struct task *t, struct file *f);

/* The lower's names, read whole when a directory is read. */
struct lower_list {
    unsigned count;
    size_t used, cap;
    char *buf;       /* struct lower_name, packed */
    size_t mark;     /* where a reader left off, in buf; */
    loff_t mark_pos; /* and its position in the directory */
};
struct lower_name {
    uint64_t ino;
    uint32_t dtype, len;
    char name[];
};
int overlay_list(struct task *t, struct inode *dir, struct lower_list **ret);
/* The same of any directory. */
int overlay_list_of(struct task *t, struct dentry *dir, struct lower_list **ret);
/* One name more; false: no memory. */
bool overlay_list_add(struct lower_list *l, const char *name, size_t len, uint64_t ino,
                      unsigned dtype);
void overlay_list_free(struct lower_list *l);
static inline struct lower_name *lower_next(const struct lower_list *l, size_t *at)
{
    struct lower_name *n = *at < l->used ? (struct lower_name *)(void *)(l->buf + *at) : NULL;

    if (n)
        *at += (sizeof *n + n->len + 1 + 7) & ~7ul;
    return n;
}

/* One change against the lower: kind 'A' added or replaced, 'M' modified in place, 'D' removed. */
void overlay_changes(struct super *sb, void (*fn)(void *arg, char kind, const char *path),
                     void *arg);

/* One change, where it shows at the end. */
struct overlay_change {
    char kind; /* 'A' added, 'M' modified, 'D' removed */
    bool replaces,
        data;         /* 'A' in the place of something of the lower; a file with content of ours */
    bool gone;        /* 'M': the lower has lost it since; dentry is NULL */
    const char *path; /* relative to the directory that was asked for */
    struct dentry *dentry; /* what shows there; NULL where removed */
    uint32_t was;          /* the mode of what is, or was, below */
};
/*
 * Tells fn, which may make gofer trips, of all changes beneath scope, a directory with a lower. What is
 * added is told after the directory that it is in. 0, or the first error: then some were not told;
 * -EPIPE from fn ends it. [io]
 */
int overlay_tell(struct task *t, struct dentry *scope,
                 int (*fn)(void *arg, const struct overlay_change *c), void *arg);

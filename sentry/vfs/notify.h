/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of inotify, dnotify and fanotify. Whoever changes or uses a file says so here; while
 * nothing in the sandbox is watched each hook is one load and a branch. Called with task locks at
 * most, never a short lock.
 *
 * Who calls what:
 *   vfs path operations   fsnotify_dirent (create, delete), fsnotify_move,
 *                         fsnotify_dentry (IN_ATTRIB of chmod, utimes), fsnotify_inode (IN_ATTRIB
 *                         of link and unlink), fsnotify_file IN_OPEN
 *   dentry_put            fsnotify_gone when a dentry of an inode without links goes
 *   read, write, close    fsnotify_file
 *   umount                fsnotify_unmount, for what is watched in a file system that goes
 *   open, read, exec      fsnotify_perm, where a fanotify listener may refuse it
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"

struct dentry;
struct file;
struct inode;
struct mount;
struct super;
struct path;
struct task;

enum {
    LX_IN_ACCESS = 0x1,
    LX_IN_MODIFY = 0x2,
    LX_IN_ATTRIB = 0x4,
    LX_IN_CLOSE_WRITE = 0x8,
    LX_IN_CLOSE_NOWRITE = 0x10,
    LX_IN_OPEN = 0x20,
    LX_IN_MOVED_FROM = 0x40,
    LX_IN_MOVED_TO = 0x80,
    LX_IN_CREATE = 0x100,
    LX_IN_DELETE = 0x200,
    LX_IN_DELETE_SELF = 0x400,
    LX_IN_MOVE_SELF = 0x800,
    LX_IN_ALL_EVENTS = 0xfff,
    LX_FS_OPEN_EXEC = 0x1000, /* these are fanotify's alone */
    LX_IN_UNMOUNT = 0x2000,
    LX_IN_Q_OVERFLOW = 0x4000,
    LX_IN_IGNORED = 0x8000,
    LX_FS_OPEN_PERM = 0x10000,
    LX_FS_ACCESS_PERM = 0x20000,
    LX_FS_OPEN_EXEC_PERM = 0x40000,
    LX_FS_RENAME = 0x10000000, /* dnotify's and fanotify's */
    LX_IN_ISDIR = 0x40000000,
};

/*
 * What hangs on an inode. event is called under notify_lock (LOCK_OBJECT) for those events that mask
 * asks for, and for IGNORED (w is off the inode then); it may take w off by
 * fsnotify_watch_del_locked.
 */
struct fsnotify_watch {
    struct list link;    /* inode->watches */
    struct list all;     /* of the whole sandbox */
    struct inode *inode; /* reference, while it hangs there */
    uint32_t mask;
    bool excl_unlink; /* nothing of children that have no name any more */
    void (*event)(struct fsnotify_watch *w, uint32_t mask, uint32_t cookie, const char *name);
};

/* All of an event, for fanotify. Held by the caller; what is not known is NULL. */
struct fsnotify_event {
    uint32_t mask;           /* LX_IN_ISDIR: inode is a directory */
    const struct path *path; /* of an open file */
    struct inode *inode;     /* to what it happened */
    struct inode *dir;       /* where its name is, or was */
    const char *name;
    struct inode *ndir; /* LX_FS_RENAME: where it is now */
    const char *nname;
    const struct mount *gone_mount; /* or one of these goes, and nothing else is said */
    const struct super *gone_super;
    bool dirent; /* the directory changed: a mark on dir needs no EVENT_ON_CHILD */
};
/* fanotify's, set when it is used first; called without locks. */
extern void (*_Atomic fsnotify_groups)(const struct fsnotify_event *e);
/* May t do what a listener has to allow? 0, -EPERM or what it said, -EWAITING, -ERESTARTSYS. */
extern int (*_Atomic fsnotify_asks)(struct task *t, struct file *f, uint32_t mask);

extern struct lock notify_lock; /* all watches, and the queues of inotify */
void fsnotify_watch_add_locked(struct fsnotify_watch *w, struct inode *inode);
/* The inode's reference becomes the caller's, to be put after notify_lock. */
struct inode *fsnotify_watch_del_locked(struct fsnotify_watch *w);
extern _Atomic int fsnotify_watches; /* in the whole sandbox, fanotify's marks too */
extern _Atomic int fsnotify_perm_marks;

static inline bool fsnotify_active(void)
{
    return atomic_load_explicit(&fsnotify_watches, memory_order_relaxed) != 0;
}

void fsnotify_inode_(struct inode *i, uint32_t mask);
void fsnotify_dentry_(struct dentry *d, uint32_t mask);
void fsnotify_file_(struct file *f, uint32_t mask);
void fsnotify_dirent_(struct inode *dir, const char *name, uint32_t mask, struct inode *child);
void fsnotify_move_(struct inode *odir, const char *oname, struct inode *ndir, const char *nname,
                    struct inode *moved);
void fsnotify_gone_(struct inode *i);

/* To the watchers of the inode alone: LX_IN_ATTRIB when its number of links changed. */
static inline void fsnotify_inode(struct inode *i, uint32_t mask)
{
    if (fsnotify_active())
        fsnotify_inode_(i, mask);
}

/* To the watchers of d's inode, and of the directory it lies in (with its name). */
static inline void fsnotify_dentry(struct dentry *d, uint32_t mask)
{
    if (fsnotify_active())
        fsnotify_dentry_(d, mask);
}

/* The same for an open file: LX_IN_OPEN, ACCESS, MODIFY, CLOSE_*. */
static inline void fsnotify_file(struct file *f, uint32_t mask)
{
    if (fsnotify_active())
        fsnotify_file_(f, mask);
}

/* A name of child appeared in or went from dir: LX_IN_CREATE, LX_IN_DELETE. */
static inline void fsnotify_dirent(struct inode *dir, const char *name, uint32_t mask,
                                   struct inode *child)
{
    if (fsnotify_active())
        fsnotify_dirent_(dir, name, mask, child);
}

/* After a rename: MOVED_FROM and MOVED_TO with one cookie, MOVE_SELF. */
static inline void fsnotify_move(struct inode *odir, const char *oname, struct inode *ndir,
                                 const char *nname, struct inode *moved)
{
    if (fsnotify_active())
        fsnotify_move_(odir, oname, ndir, nname, moved);
}

/* The inode has no link left and its last dentry went: DELETE_SELF, IGNORED; watches end. */
static inline void fsnotify_gone(struct inode *i)
{
    if (fsnotify_active())
        fsnotify_gone_(i);
}

/* A mount ends. */
void fsnotify_mount_gone_(const struct mount *m);
static inline void fsnotify_mount_gone(const struct mount *m)
{
    if (fsnotify_active())
        fsnotify_mount_gone_(m);
}

/* The last mount of sb went: UNMOUNT and IGNORED for all that is watched in it. */
void fsnotify_unmount_(struct super *sb);
static inline void fsnotify_unmount(struct super *sb)
{
    if (fsnotify_active())
        fsnotify_unmount_(sb);
}

/* LX_FS_OPEN_PERM (with LX_FS_OPEN_EXEC_PERM where it is executed), LX_FS_ACCESS_PERM. */
static inline int fsnotify_perm(struct task *t, struct file *f, uint32_t mask)
{
    if (!t || atomic_load_explicit(&fsnotify_perm_marks, memory_order_relaxed) == 0)
        return 0;
    return atomic_load(&fsnotify_asks)(t, f, mask);
}

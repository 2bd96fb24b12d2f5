/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hooks of inotify. Whoever changes or uses a file says so here; while nothing in the sandbox
 * is watched each hook is one load and a branch. Called with task locks at most, never a short lock.
 *
 * Who calls what:
 *   vfs path operations   fsnotify_dirent (create, delete), fsnotify_move,
 *                         fsnotify_dentry (IN_ATTRIB of chmod, utimes), fsnotify_inode (IN_ATTRIB
 *                         of link and unlink), fsnotify_file IN_OPEN
 *   dentry_put            fsnotify_gone when a dentry of an inode without links goes
 *   read, write, close    fsnotify_file
 *
 * A guest cannot unmount, so there is no IN_UNMOUNT.
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
struct path;

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
    LX_IN_Q_OVERFLOW = 0x4000,
    LX_IN_IGNORED = 0x8000,
    LX_IN_ISDIR = 0x40000000,
};

/*
 * What hangs on an inode. event is called under notify_lock (LOCK_OBJECT) for those events that mask
 * asks for, and for IGNORED (w is off the inode then); it may take w off by
 * fsnotify_watch_del_locked.
 */
struct fsnotify_watch {
    struct list link;    /* inode->watches */
    struct inode *inode; /* reference, while it hangs there */
    uint32_t mask;
    bool excl_unlink; /* nothing of children that have no name any more */
    void (*event)(struct fsnotify_watch *w, uint32_t mask, uint32_t cookie, const char *name);
};

extern struct lock notify_lock; /* all watches, and the queues of inotify */
void fsnotify_watch_add_locked(struct fsnotify_watch *w, struct inode *inode);
/* The inode's reference becomes the caller's, to be put after notify_lock. */
struct inode *fsnotify_watch_del_locked(struct fsnotify_watch *w);
extern _Atomic int fsnotify_watches; /* in the whole sandbox */

static inline bool fsnotify_active(void)
{
    return atomic_load_explicit(&fsnotify_watches, memory_order_relaxed) != 0;
}

void fsnotify_inode_(struct inode *i, uint32_t mask);
void fsnotify_dentry_(struct dentry *d, uint32_t mask);
void fsnotify_file_(struct file *f, uint32_t mask);
void fsnotify_dirent_(struct inode *dir, const char *name, uint32_t mask, uint32_t cookie,
                      bool child_is_dir);
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

/* A name appeared in or went from dir: LX_IN_CREATE, LX_IN_DELETE. */
static inline void fsnotify_dirent(struct inode *dir, const char *name, uint32_t mask, bool is_dir)
{
    if (fsnotify_active())
        fsnotify_dirent_(dir, name, mask, /* cookie= */ 0, is_dir);
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what happens to a file to who watches it (notify.h). The watchers are inotify instances
 * (sentry/fs/inotify.c).
 *
 * One lock guards all watches and their queues: events are rare, and an event of a rename touches
 * three inodes. A watch holds a reference to its inode; inode_put may do I/O, so references are
 * given up only after the lock is dropped.
 */
#include "sentry/vfs/notify.h"

#include <string.h>

#include "sentry/vfs/vfs.h"

#define EVENTS_ON_CHILD                                                                            \
    (LX_IN_ACCESS | LX_IN_MODIFY | LX_IN_ATTRIB | LX_IN_CLOSE_WRITE | LX_IN_CLOSE_NOWRITE |        \
     LX_IN_OPEN)

struct lock notify_lock;
_Atomic int fsnotify_watches;

__attribute__((constructor)) static void notify_init(void)
{
    lock_init(&notify_lock, LOCK_OBJECT);
}

void fsnotify_watch_add_locked(struct fsnotify_watch *w, struct inode *inode)
{
    assert_locked(&notify_lock);
    w->inode = inode_ref(inode);
    list_add_tail(&inode->watches, &w->link);
    atomic_fetch_add(&fsnotify_watches, 1);
}

struct inode *fsnotify_watch_del_locked(struct fsnotify_watch *w)
{
    struct inode *inode = w->inode;

    assert_locked(&notify_lock);
    w->inode = NULL;
    list_del(&w->link);
    atomic_fetch_sub(&fsnotify_watches, 1);
    return inode;
}

static bool is_dir(const struct inode *i)
{
    return S_ISDIR(i->mode);
}

static void send_locked(struct inode *i, uint32_t mask, uint32_t cookie, const char *name,
                        bool unlinked)
{
    struct fsnotify_watch *w, *tmp;

    list_for_each_safe(w, tmp, &i->watches, link) {
        if (!(w->mask & mask & LX_IN_ALL_EVENTS))
            continue;
        if (unlinked && w->excl_unlink)
            continue;
        w->event(w, mask, cookie, name);
    }
}

void fsnotify_inode_(struct inode *i, uint32_t mask)
{
    LOCK_SCOPE(&notify_lock);
    send_locked(i, is_dir(i) ? mask | LX_IN_ISDIR : mask, /* cookie= */ 0, /* name= */ NULL,
                /* unlinked= */ false);
}

void fsnotify_dentry_(struct dentry *d, uint32_t mask)
{
    struct inode *inode = NULL, *dir = NULL;
    char name[256];
    bool unlinked;

    lock(&vfs.dcache_lock);
    unlinked = d->unhashed;
    if (d->inode)
        inode = inode_ref(d->inode);
    if (d->parent && d->parent != d && d->parent->inode && mask & EVENTS_ON_CHILD &&
        !list_empty(&d->parent->inode->watches) && d->namelen < sizeof name) {
        dir = inode_ref(d->parent->inode);
        memcpy(name, d->name, d->namelen);
        name[d->namelen] = '\0';
    }
    unlock(&vfs.dcache_lock);
    if (!inode)
        return;
    if (is_dir(inode))
        mask |= LX_IN_ISDIR;
    lock(&notify_lock);
    if (dir)
        send_locked(dir, mask, /* cookie= */ 0, name, unlinked);
    send_locked(inode, mask, /* cookie= */ 0, /* name= */ NULL, /* unlinked= */ false);
    unlock(&notify_lock);
    if (dir)
        inode_put(dir);
    inode_put(inode);
}

void fsnotify_file_(struct file *f, uint32_t mask)
{
    if (f->path.dentry && !f->no_notify)
        fsnotify_dentry_(f->path.dentry, mask);
}

void fsnotify_dirent_(struct inode *dir, const char *name, uint32_t mask, uint32_t cookie,
                      bool child_is_dir)
{
    LOCK_SCOPE(&notify_lock);
    send_locked(dir, mask | (child_is_dir ? LX_IN_ISDIR : 0), cookie, name, /* unlinked= */ false);
}

void fsnotify_move_(struct inode *odir, const char *oname, struct inode *ndir, const char *nname,
                    struct inode *moved)
{
    static uint32_t last_cookie; /* notify_lock */
    uint32_t dir_bit = is_dir(moved) ? LX_IN_ISDIR : 0;
    uint32_t cookie;

    LOCK_SCOPE(&notify_lock);
    cookie = ++last_cookie;
    send_locked(odir, LX_IN_MOVED_FROM | dir_bit, cookie, oname, /* unlinked= */ false);
    send_locked(ndir, LX_IN_MOVED_TO | dir_bit, cookie, nname, /* unlinked= */ false);
    send_locked(moved, LX_IN_MOVE_SELF, /* cookie= */ 0, /* name= */ NULL,
                /* unlinked= */ false);
}

/* The last event of an inode: its watches end. */
static void end_watches(struct inode *i, uint32_t mask)
{
    struct fsnotify_watch *w, *tmp;
    unsigned refs = 0;

    lock(&notify_lock);
    send_locked(i, mask, /* cookie= */ 0, /* name= */ NULL, /* unlinked= */ false);
    list_for_each_safe(w, tmp, &i->watches, link) {
        fsnotify_watch_del_locked(w);
        refs++;
        w->event(w, LX_IN_IGNORED, /* cookie= */ 0, /* name= */ NULL); /* may free w */
    }
    unlock(&notify_lock);
    while (refs--)
        inode_put(i);
}

void fsnotify_gone_(struct inode *i)
{
    end_watches(i, LX_IN_DELETE_SELF);
}

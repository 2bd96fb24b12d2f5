/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what happens to a file to who watches it (notify.h): the watches of inotify and dnotify hang
 * on inodes and are gone through here; fanotify's groups (sentry/fs/fanotify.h) look for themselves.
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
_Atomic int fsnotify_watches, fsnotify_perm_marks;
void (*_Atomic fsnotify_groups)(const struct fsnotify_event *e);
int (*_Atomic fsnotify_asks)(struct task *t, struct file *f, uint32_t mask);
static struct list all_watches = LIST_INIT(all_watches); /* notify_lock */

__attribute__((constructor)) static void notify_init(void)
{
    lock_init(&notify_lock, LOCK_OBJECT);
}

void fsnotify_watch_add_locked(struct fsnotify_watch *w, struct inode *inode)
{
    assert_locked(&notify_lock);
    w->inode = inode_ref(inode);
    list_add_tail(&inode->watches, &w->link);
    list_add_tail(&all_watches, &w->all);
    atomic_fetch_add(&fsnotify_watches, 1);
}

struct inode *fsnotify_watch_del_locked(struct fsnotify_watch *w)
{
    struct inode *inode = w->inode;

    assert_locked(&notify_lock);
    w->inode = NULL;
    list_del(&w->link);
    list_del(&w->all);
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
        if (!(w->mask & mask & (LX_IN_ALL_EVENTS | LX_FS_RENAME)))
            continue;
        if (unlinked && w->excl_unlink)
            continue;
        w->event(w, mask, cookie, name);
    }
}

static void tell_groups(const struct fsnotify_event *e)
{
    void (*tell)(const struct fsnotify_event *e) = atomic_load(&fsnotify_groups);

    if (tell)
        tell(e);
}

static uint32_t dir_bit(const struct inode *i)
{
    return i && is_dir(i) ? LX_IN_ISDIR : 0;
}

void fsnotify_inode_(struct inode *i, uint32_t mask)
{
    mask |= dir_bit(i);
    tell_groups(&(struct fsnotify_event){ .mask = mask, .inode = i });
    LOCK_SCOPE(&notify_lock);
    send_locked(i, mask, /* cookie= */ 0, /* name= */ NULL, /* unlinked= */ false);
}

static void dentry_event(struct dentry *d, const struct path *path, uint32_t mask)
{
    struct inode *inode = NULL, *dir = NULL;
    char name[256];
    bool unlinked;

    lock(&vfs.dcache_lock);
    unlinked = d->unhashed;
    if (d->inode)
        inode = inode_ref(d->inode);
    if (d->parent && d->parent != d && d->parent->inode && mask & EVENTS_ON_CHILD &&
        (atomic_load(&fsnotify_groups) || !list_empty(&d->parent->inode->watches)) &&
        d->namelen < sizeof name) {
        dir = inode_ref(d->parent->inode);
        memcpy(name, d->name, d->namelen);
        name[d->namelen] = '\0';
    }
    unlock(&vfs.dcache_lock);
    if (!inode)
        return;
    mask |= dir_bit(inode);
    tell_groups(&(struct fsnotify_event){
        .mask = mask, .path = path, .inode = inode, .dir = dir, .name = dir ? name : NULL });
    lock(&notify_lock);
    if (dir)
        send_locked(dir, mask & ~LX_FS_OPEN_EXEC, /* cookie= */ 0, name, unlinked);
    send_locked(inode, mask & ~LX_FS_OPEN_EXEC, /* cookie= */ 0, /* name= */ NULL,
                /* unlinked= */ false);
    unlock(&notify_lock);
    if (dir)
        inode_put(dir);
    inode_put(inode);
}

void fsnotify_dentry_(struct dentry *d, uint32_t mask)
{
    dentry_event(d, /* path= */ NULL, mask);
}

void fsnotify_file_(struct file *f, uint32_t mask)
{
    if (f->path.dentry && !f->no_notify)
        dentry_event(f->path.dentry, &f->path, mask);
}

void fsnotify_dirent_(struct inode *dir, const char *name, uint32_t mask, struct inode *child)
{
    mask |= dir_bit(child);
    tell_groups(&(struct fsnotify_event){
        .mask = mask, .inode = child, .dir = dir, .name = name, .dirent = true });
    LOCK_SCOPE(&notify_lock);
    send_locked(dir, mask, /* cookie= */ 0, name, /* unlinked= */ false);
}

void fsnotify_move_(struct inode *odir, const char *oname, struct inode *ndir, const char *nname,
                    struct inode *moved)
{
    static uint32_t last_cookie; /* notify_lock */
    uint32_t bit = dir_bit(moved), cookie;
    struct fsnotify_event e = { .mask = LX_FS_RENAME | bit,
                                .inode = moved,
                                .dir = odir,
                                .name = oname,
                                .ndir = ndir,
                                .nname = nname,
                                .dirent = true };

    tell_groups(&e);
    e.mask = LX_IN_MOVED_FROM | bit;
    e.ndir = NULL;
    e.nname = NULL;
    tell_groups(&e);
    e.mask = LX_IN_MOVED_TO | bit;
    e.dir = ndir;
    e.name = nname;
    tell_groups(&e);
    tell_groups(&(struct fsnotify_event){ .mask = LX_IN_MOVE_SELF | bit, .inode = moved });
    LOCK_SCOPE(&notify_lock);
    cookie = ++last_cookie;
    if (odir == ndir)
        send_locked(odir, LX_FS_RENAME | bit, /* cookie= */ 0, oname, /* unlinked= */ false);
    send_locked(odir, LX_IN_MOVED_FROM | bit, cookie, oname, /* unlinked= */ false);
    send_locked(ndir, LX_IN_MOVED_TO | bit, cookie, nname, /* unlinked= */ false);
    send_locked(moved, LX_IN_MOVE_SELF, /* cookie= */ 0, /* name= */ NULL,
                /* unlinked= */ false);
}

/* An inode's watches end. The references to it are the caller's to put. */
static unsigned end_watches_locked(struct inode *i)
{
    struct fsnotify_watch *w, *tmp;
    unsigned refs = 0;

    list_for_each_safe(w, tmp, &i->watches, link) {
        fsnotify_watch_del_locked(w);
        refs++;
        w->event(w, LX_IN_IGNORED, /* cookie= */ 0, /* name= */ NULL); /* may free w */
    }
    return refs;
}

/* The last event of an inode: its watches end. */
void fsnotify_gone_(struct inode *i)
{
    uint32_t mask = LX_IN_DELETE_SELF | dir_bit(i);
    unsigned refs;

    tell_groups(&(struct fsnotify_event){ .mask = mask, .inode = i });
    lock(&notify_lock);
    send_locked(i, LX_IN_DELETE_SELF, /* cookie= */ 0, /* name= */ NULL, /* unlinked= */ false);
    refs = end_watches_locked(i);
    unlock(&notify_lock);
    while (refs--)
        inode_put(i);
}

void fsnotify_mount_gone_(const struct mount *m)
{
    tell_groups(&(struct fsnotify_event){ .gone_mount = m });
}

void fsnotify_unmount_(struct super *sb)
{
    tell_groups(&(struct fsnotify_event){ .gone_super = sb });
    for (;;) {
        struct fsnotify_watch *w, *at;
        struct inode *i = NULL;
        unsigned refs = 0;

        lock(&notify_lock);
        list_for_each(w, &all_watches, all) {
            if (w->inode->sb != sb)
                continue;
            i = w->inode;
            list_for_each(at, &i->watches, link)
                at->event(at, LX_IN_UNMOUNT, /* cookie= */ 0, /* name= */ NULL);
            refs = end_watches_locked(i);
            break;
        }
        unlock(&notify_lock);
        if (!i)
            return;
        while (refs--)
            inode_put(i);
    }
}

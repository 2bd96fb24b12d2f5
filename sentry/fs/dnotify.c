/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directory notification: a watch of vfs/notify.h on the directory's inode, one for each descriptor
 * table that asked through an open file. An event tells the file's owner (F_SETOWN, F_SETSIG) and
 * says nothing of what it was. Without DN_MULTISHOT the first event is the last: the watch stays,
 * deaf, until the descriptor is closed or asks again, since no inode can be put where events come.
 */
#include "sentry/fs/dnotify.h"

#include <errno.h>
#include <fcntl.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/fasync.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

#define LX_POLL_MSG 3 /* si_code */

struct dnotify {
    struct fsnotify_watch w;
    struct file *f; /* not a reference: ended before it */
    const struct files *owner;
    int fd;
    bool multishot;
};

static void dnotify_event(struct fsnotify_watch *w, uint32_t mask, uint32_t cookie,
                          const char *name)
{
    struct dnotify *d = container_of(w, struct dnotify, w);

    (void)cookie;
    if (mask & LX_IN_IGNORED) {
        atomic_store(&d->f->dnotify, false);
        kfree(d);
        return;
    }
    if (!name && !(mask & LX_IN_ISDIR))
        return;
    fasync_tell(d->f, d->fd, LX_POLL_MSG, POLLIN | POLLRDNORM | POLLMSG);
    if (!d->multishot)
        w->mask = 0;
}

static uint32_t mask_of(unsigned arg)
{
    static const struct {
        unsigned dn;
        uint32_t mask;
    } map[] = {
        { DN_ACCESS, LX_IN_ACCESS },
        { DN_MODIFY, LX_IN_MODIFY },
        { DN_CREATE, LX_IN_CREATE | LX_IN_MOVED_TO },
        { DN_DELETE, LX_IN_DELETE | LX_IN_MOVED_FROM },
        { DN_RENAME, LX_FS_RENAME },
        { DN_ATTRIB, LX_IN_ATTRIB },
    };
    uint32_t mask = 0;

    for (size_t i = 0; i < ARRAY_SIZE(map); i++)
        if (arg & map[i].dn)
            mask |= map[i].mask;
    return mask;
}

static struct dnotify *find_locked(struct file *f, const struct files *owner)
{
    struct fsnotify_watch *w;

    list_for_each(w, &f->inode->watches, link) {
        struct dnotify *d = container_of(w, struct dnotify, w);

        if (w->event == dnotify_event && d->f == f && d->owner == owner)
            return d;
    }
    return NULL;
}

void dnotify_closed(struct file *f, struct files *owner)
{
    struct inode *i = NULL;
    struct dnotify *d;

    if (!atomic_load(&f->dnotify))
        return;
    lock(&notify_lock);
    d = find_locked(f, owner);
    if (d)
        i = fsnotify_watch_del_locked(&d->w);
    unlock(&notify_lock);
    kfree(d);
    inode_put(i);
}

int dnotify_set(struct task *t, struct file *f, int fd, unsigned arg)
{
    bool multishot = arg & DN_MULTISHOT;
    struct dnotify *d, *spare;

    if (!(arg & ~(unsigned)DN_MULTISHOT)) {
        dnotify_closed(f, t->files);
        return 0;
    }
    if (!f->inode || !S_ISDIR(f->inode->mode))
        return -ENOTDIR;
    spare = kzalloc(sizeof *spare);
    if (!spare)
        return -ENOMEM;
    fasync_own(t, f);
    lock(&notify_lock);
    d = find_locked(f, t->files);
    if (!d) {
        d = spare;
        spare = NULL;
        *d = (struct dnotify){ .w.event = dnotify_event, .f = f, .owner = t->files };
        atomic_store(&f->dnotify, true);
        fsnotify_watch_add_locked(&d->w, f->inode);
    }
    d->fd = fd;
    d->multishot = d->multishot || multishot;
    d->w.mask |= mask_of(arg);
    unlock(&notify_lock);
    kfree(spare);
    return 0;
}

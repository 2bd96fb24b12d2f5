/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks on the host, beside those of vfs/locks.c, so that sandboxes and the host's own programs
 * exclude each other. The host's locks belong to an open file there, so each owner here has one:
 *
 *   flock, OFD locks   the open file's own
 *   records            one that is opened when a process takes its first, for reading and writing
 *                      if the caller may; it goes with the process's records
 *
 * Of a file without a name (or whose name is another's by now) no second one can be opened: records
 * of it are locks inside the sandbox alone, since an open file may be shared by several processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "sentry/fs/live/live.h"
#include "sentry/kernel/alloc.h"

static struct live_owner *owner_find_locked(struct live_inode *li, const void *owner)
{
    struct live_owner *o;

    list_for_each(o, &li->owners, link)
        if (o->owner == owner)
            return o;
    return NULL;
}

static void owner_free(struct live_fs *fs, struct live_owner *o)
{
    close(o->fd);
    gofer_close(fs->g, o->node);
    kfree(o);
}

void live_owners_free(struct live_fs *fs, struct live_inode *li)
{
    struct live_owner *o, *tmp;

    list_for_each_safe(o, tmp, &li->owners, link) {
        list_del(&o->link);
        owner_free(fs, o);
    }
}

/* i opened once more, for as much as the caller may. 0, or -errno. */
static int open_for_records(struct inode *i, struct gofer_opened *o)
{
    static const int ways[] = { O_RDWR, O_RDONLY, O_WRONLY };
    struct live_fs *fs = live_fs_of(i);
    struct live_addr *a = live_addr(i, NULL, 0);
    int r = -EACCES;

    if (IS_ERR(a))
        return PTR_ERR(a);
    gofer_trip_begin();
    for (unsigned w = 0; r == -EACCES && w < ARRAY_SIZE(ways); w++)
        r = gofer_openat(fs->g, a->node, a->path, ways[w], o);
    gofer_trip_end();
    live_addr_put(i, a);
    if (r == 0 && !live_same(i, &o->attr)) {
        close(o->fd);
        gofer_close(fs->g, o->node);
        r = -ESTALE;
    }
    return r;
}

/* The host's open file of l's owner, made at need. *ret_node; -ENOENT: there is none. */
static int node_for(struct file *f, const struct host_lock *l, uint64_t *ret_node)
{
    struct live_inode *li = live_of(f->inode);
    struct live_fs *fs = live_fs_of(f->inode);
    const struct live_handle *h = f->priv;
    struct gofer_opened opened;
    struct live_owner *o, *other;

    *ret_node = h->node;
    if (l->owner == f)
        return 0;
    lock(&fs->lock);
    o = owner_find_locked(li, l->owner);
    if (o)
        *ret_node = o->node;
    unlock(&fs->lock);
    if (o || l->type == F_UNLCK)
        return o ? 0 : -ENOENT;
    if (open_for_records(f->inode, &opened) < 0)
        return -ENOENT;
    o = kzalloc(sizeof *o);
    if (!o) {
        close(opened.fd);
        gofer_close(fs->g, opened.node);
        return -ENOLCK;
    }
    o->owner = l->owner;
    o->node = opened.node;
    o->fd = opened.fd;
    lock(&fs->lock);
    other = owner_find_locked(li, l->owner); /* another thread of it was faster */
    if (!other)
        list_add_tail(&li->owners, &o->link);
    *ret_node = other ? other->node : o->node;
    unlock(&fs->lock);
    if (other)
        owner_free(fs, o);
    return 0;
}

static struct gw_lock told_of(const struct host_lock *l, uint32_t op)
{
    return (struct gw_lock){ .op = op,
                             .type = l->type,
                             .start = l->start,
                             .len = l->end == INT64_MAX ? 0 : l->end - l->start + 1 };
}

int live_lock(struct task *t, struct file *f, const struct host_lock *l)
{
    struct gw_lock w = told_of(l, l->flock ? GW_LOCK_FLOCK : GW_LOCK_SET);
    uint64_t node;
    int r;

    (void)t;
    if (!f->priv || !S_ISREG(f->inode->mode))
        return 0; /* a directory's or a FIFO's: inside only */
    r = node_for(f, l, &node);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    gofer_trip_begin();
    r = gofer_lock(live_fs_of(f->inode)->g, node, &w);
    gofer_trip_end();
    return r;
}

int live_lock_test(struct task *t, struct file *f, struct host_lock *l)
{
    struct gw_lock w = told_of(l, GW_LOCK_GET);
    uint64_t node;
    int r;

    (void)t;
    if (!f->priv || !S_ISREG(f->inode->mode)) {
        l->type = F_UNLCK;
        return 0;
    }
    r = node_for(f, l, &node);
    if (r == -ENOENT)
        l->type = F_UNLCK;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    gofer_trip_begin();
    r = gofer_lock(live_fs_of(f->inode)->g, node, &w);
    gofer_trip_end();
    if (r < 0)
        return r;
    l->type = w.type;
    l->start = w.start;
    if (w.len < 0 || w.start < 0 ||
        __builtin_add_overflow(w.start, w.len ? w.len - 1 : INT64_MAX - w.start, &l->end))
        return -EIO;
    return 0;
}

void live_lock_gone(struct file *f, const void *owner)
{
    struct live_inode *li = live_of(f->inode);
    struct live_fs *fs = live_fs_of(f->inode);
    struct host_lock all = { .owner = owner, .type = F_UNLCK, .end = INT64_MAX };
    struct live_owner *o;

    /* Waited for: who is told of a close may take the lock next. */
    (void)live_lock(NULL, f, &all);
    if (owner == f) {
        all.flock = true;
        (void)live_lock(NULL, f, &all);
        return;
    }
    lock(&fs->lock);
    o = owner_find_locked(li, owner);
    if (o)
        list_del(&o->link);
    unlock(&fs->lock);
    if (o)
        owner_free(fs, o);
}

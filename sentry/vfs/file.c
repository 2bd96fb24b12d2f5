/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an open file. What a file can do stands in its ops; here it is made, shared and ended.
 *
 * Life cycle: file_new_sized/anon_file_new (one reference) -> file_ref/file_put -> at the last put
 * the order that file.h gives. file_put may take any lock and make gofer trips, so it is called
 * without locks.
 *
 * All anonymous files share one inode, as on Linux; it is made with the first of them.
 */
#include "sentry/vfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "sentry/ipc/epoll.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/fasync.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

static _Atomic uint64_t next_id = 1;
static _Atomic uint64_t nr_files;

static unsigned mode_of_flags(unsigned flags)
{
    if (flags & O_PATH)
        return FMODE_PATH;
    switch (flags & LX_O_ACCMODE) {
    case O_RDONLY:
        return FMODE_READ;
    case O_WRONLY:
        return FMODE_WRITE;
    default:
        return FMODE_READ | FMODE_WRITE;
    }
}

struct file *file_new_sized(size_t n, const struct file_ops *ops, unsigned flags)
{
    struct file *f;

    if (!limit_take(LIMIT_OPEN_FILES, &nr_files))
        return ERR_PTR(-ENFILE);
    f = kzalloc(n);
    if (!f) {
        limit_give(&nr_files);
        return ERR_PTR(-ENOMEM);
    }
    atomic_init(&f->refs, 1);
    f->ops = ops;
    atomic_init(&f->flags, flags);
    f->mode = mode_of_flags(flags);
    f->id = atomic_fetch_add(&next_id, 1);
    f->no_notify = flags & O_PATH;
    tlock_init(&f->pos_lock);
    list_init(&f->epoll_items);
    return f;
}

uint64_t file_next_id(void)
{
    return atomic_load(&next_id);
}

static struct inode *anon_inode;

static void make_anon_inode(void)
{
    anon_inode = anon_inode_new("anon_inode");
}

struct file *anon_file_new(const char *name, const struct file_ops *ops, void *priv, unsigned flags)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct file *f = file_new_sized(sizeof *f, ops, flags);

    if (IS_ERR(f))
        return f;
    pthread_once(&once, make_anon_inode);
    f->anon_name = name;
    f->inode = anon_inode ? inode_ref(anon_inode) : NULL;
    f->mode |= FMODE_STREAM;
    f->no_notify = true;
    f->priv = priv;
    return f;
}

struct file *file_ref(struct file *f)
{
    if (f)
        atomic_fetch_add(&f->refs, 1);
    return f;
}

static void file_free(struct file *f)
{
    if (f->in_epoll)
        epoll_file_gone(f);
    if (f->fasync)
        fasync_gone(f);
    if (!f->no_notify)
        fsnotify_file(f, f->mode & FMODE_WRITE ? LX_IN_CLOSE_WRITE : LX_IN_CLOSE_NOWRITE);
    if (f->inode) {
        locks_file_gone(f);
        lease_file_gone(f);
    }
    if (f->ops && f->ops->release)
        f->ops->release(f);
    if (f->inode && f->mode & FMODE_WRITER)
        file_uncount_writer(f);
    if (f->mode & FMODE_READER)
        atomic_fetch_sub(&f->inode->readers, 1);
    if (f->path.dentry)
        path_put(&f->path);
    if (f->inode)
        inode_put(f->inode);
    cred_put(f->cred);
    tlock_done(&f->pos_lock);
    kfree(f);
    limit_give(&nr_files);
}

void file_put(struct file *f)
{
    if (f && atomic_fetch_sub(&f->refs, 1) == 1)
        file_free(f);
}

uint32_t file_poll(struct file *f, struct poll_table *pt)
{
    if (f->ops->poll)
        return f->ops->poll(f, pt);
    return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

/*
 * A file is shared when somebody else can reach it: by a second reference (a forked table, dup), or
 * by a thread that shares the table. The caller's record holds one reference, the table one.
 */
int file_pos_lock(struct task *t, struct file *f)
{
    if (f->mode & FMODE_STREAM)
        return 0;
    if (atomic_load(&f->refs) <= 2 && atomic_load(&t->files->refs) == 1)
        return 0;
    return tlock(t, &f->pos_lock);
}

void file_pos_unlock(struct task *t, struct file *f)
{
    /* Only t itself sets or clears the owner to or from t. */
    if (atomic_load_explicit(&f->pos_lock.owner, memory_order_relaxed) == t)
        tunlock(t, &f->pos_lock);
}

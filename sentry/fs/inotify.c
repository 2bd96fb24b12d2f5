/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify: a queue of events from the watches of one instance. Everything here is guarded by
 * notify_lock (vfs/notify.c); an event is queued by whoever does what is watched.
 *
 * An event that equals the newest one in the queue is dropped; beyond fs.inotify.max_queued_events one
 * overflow event is queued and the rest is lost. A watch ends by inotify_rm_watch, IN_ONESHOT, the
 * end of its inode, or of the instance; the first three leave IN_IGNORED.
 *
 * What is shared with the host is watched by the host: inotify_host.c.
 */
#include "sentry/fs/inotify_priv.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/vfs.h"

static struct list users = LIST_INIT(users);

static struct inotify_user *user_get_locked(uid_t uid)
{
    struct inotify_user *u;

    list_for_each(u, &users, link)
        if (u->uid == uid)
            return u;
    u = kzalloc(sizeof *u);
    if (u) {
        u->uid = uid;
        list_add_tail(&users, &u->link);
    }
    return u;
}

static void user_drop_locked(struct inotify_user *u)
{
    if (u->instances || u->watches)
        return;
    list_del(&u->link);
    kfree(u);
}

static bool same_as_newest(const struct inotify *in, const struct lx_inotify_event *h,
                           const char *name)
{
    const struct event *last = list_entry(in->events.prev, struct event, link);

    if (list_empty(&in->events) || memcmp(&last->head, h, sizeof *h) != 0)
        return false;
    return h->len == 0 || strcmp(last->name, name) == 0;
}

void inotify_queue_locked(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
                          const char *name)
{
    size_t n = name ? strlen(name) + 1 : 0;
    struct lx_inotify_event h = { wd, mask, cookie, (uint32_t)((n + sizeof h - 1) & -sizeof h) };
    struct event *e = NULL;

    if (same_as_newest(in, &h, name))
        return;
    if (in->nevents < in->max_events)
        e = kzalloc(sizeof *e + h.len);
    if (!e) { /* the queue or memory is at its limit */
        if (in->overflowed)
            return;
        h = (struct lx_inotify_event){ -1, LX_IN_Q_OVERFLOW, 0, 0 };
        e = kzalloc(sizeof *e);
        if (!e)
            return;
        in->overflowed = true;
        n = 0;
    }
    e->head = h;
    if (n)
        memcpy(e->name, name, n);
    list_add_tail(&in->events, &e->link);
    in->nevents++;
    in->bytes += sizeof h + h.len;
    wq_wake(&in->wq, POLLIN | POLLRDNORM);
}

void inotify_watch_free_locked(struct watch *w)
{
    w->in->user->watches--;
    list_del(&w->link);
    kfree(w);
}

static void watch_event(struct fsnotify_watch *fw, uint32_t mask, uint32_t cookie, const char *name)
{
    struct watch *w = container_of(fw, struct watch, w);

    if (mask & LX_IN_IGNORED) {
        if (w->host_wd >= 0)
            return; /* off its inode: that it has ended is the host's to say */
        if (w->wd >= 0)
            inotify_queue_locked(w->in, w->wd, LX_IN_IGNORED, /* cookie= */ 0, /* name= */ NULL);
        inotify_watch_free_locked(w);
        return;
    }
    inotify_queue_locked(w->in, w->wd, mask, cookie, name);
    if (w->oneshot && fw->mask) {
        /* The inode's reference cannot be put here: the watch stays, deaf, until it is removed. */
        fw->mask = 0;
        inotify_queue_locked(w->in, w->wd, LX_IN_IGNORED, /* cookie= */ 0, /* name= */ NULL);
        w->wd = -1;
    }
}

/* Moves one event out; its size, or -EINVAL when it does not fit. */
static ssize_t take_event_locked(struct inotify *in, struct iter *it)
{
    struct event *e = list_first(&in->events, struct event, link);
    size_t n = sizeof e->head + e->head.len;
    ssize_t r;

    if (it->left < n)
        return -EINVAL;
    list_del(&e->link);
    in->nevents--;
    in->bytes -= n;
    if (e->head.mask & LX_IN_Q_OVERFLOW)
        in->overflowed = false;
    r = iter_put(it, &e->head, n);
    kfree(e);
    return r == (ssize_t)n ? r : -EFAULT;
}

static ssize_t inotify_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct inotify *in = f->priv;
    ssize_t done = 0, r = 0;

    (void)pos;
    inotify_take_host(in);
    LOCK_SCOPE(&notify_lock);
    while (!list_empty(&in->events) && (r = take_event_locked(in, it)) >= 0)
        done += r;
    if (done || r < 0)
        return done && r != -EFAULT ? done : r;
    return file_nonblock(f) ? -EAGAIN : task_wait(t, &in->wq, 0);
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
    struct inotify *in = f->priv;

    poll_wait(pt, &in->wq);
    LOCK_SCOPE(&notify_lock);
    if (inotify_host_ready(in))
        return POLLIN | POLLRDNORM;
    return list_empty(&in->events) ? 0 : POLLIN | POLLRDNORM;
}

static long inotify_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg)
{
    struct inotify *in = f->priv;
    int n;

    if (cmd != FIONREAD)
        return -ENOIOCTLCMD;
    inotify_take_host(in);
    lock(&notify_lock);
    n = (int)in->bytes;
    unlock(&notify_lock);
    return put_guest(t, arg, &n);
}

static size_t inotify_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct inotify *in = f->priv;
    struct watch *w;
    size_t len = 0;

    LOCK_SCOPE(&notify_lock);
    list_for_each(w, &in->watches, link) {
        int n;

        if (w->wd < 0 || !w->w.inode || len >= cap)
            continue;
        n = snprintf(buf + len, cap - len,
                     "inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:0 \n", w->wd,
                     (long)w->w.inode->ino, (long)w->w.inode->sb->dev, w->shown);
        if (n > 0 && (size_t)n < cap - len)
            len += (size_t)n;
    }
    return len;
}

static void inotify_release(struct file *f)
{
    struct inotify *in = f->priv;
    struct event *e, *tmp;

    if (in->host.fd >= 0) {
        event_unwatch(in->host.fd);
        live_queue_close(&in->host);
    }
    for (;;) {
        struct inode *inode = NULL;
        struct watch *w;
        bool last = false;

        lock(&notify_lock);
        if (!list_empty(&in->watches)) {
            w = list_first(&in->watches, struct watch, link);
            inode = w->w.inode ? fsnotify_watch_del_locked(&w->w) : NULL;
            inotify_watch_free_locked(w);
        } else {
            in->user->instances--;
            user_drop_locked(in->user);
            last = true;
        }
        unlock(&notify_lock);
        inode_put(inode);
        if (last)
            break;
    }
    list_for_each_safe(e, tmp, &in->events, link)
        kfree(e);
    wq_done(&in->wq);
    kfree(in);
}

static const struct file_ops inotify_ops = {
    .name = "inotify",
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .fdinfo = inotify_fdinfo,
    .release = inotify_release,
};

bool file_is_inotify(const struct file *f)
{
    return f->ops == &inotify_ops;
}

struct file *inotify_new(struct task *t, unsigned flags)
{
    struct inotify *in = kzalloc(sizeof *in);
    struct file *f;

    if (!in)
        return ERR_PTR(-ENOMEM);
    lock(&notify_lock);
    in->user = user_get_locked(t->cred->uid);
    if (!in->user || in->user->instances >= sysctl_ulong(SYSCTL_INOTIFY_INSTANCES)) {
        unlock(&notify_lock);
        f = ERR_PTR(in->user ? -EMFILE : -ENOMEM);
        kfree(in);
        return f;
    }
    in->user->instances++;
    unlock(&notify_lock);
    wq_init(&in->wq);
    list_init(&in->events);
    list_init(&in->watches);
    in->host.fd = -1;
    in->max_events = (unsigned)sysctl_of(SYSCTL_INOTIFY_QUEUED);
    f = anon_file_new("inotify", &inotify_ops, in, flags & O_NONBLOCK);
    if (IS_ERR(f)) {
        lock(&notify_lock);
        in->user->instances--;
        user_drop_locked(in->user);
        unlock(&notify_lock);
        wq_done(&in->wq);
        kfree(in);
    }
    return f;
}

struct watch *inotify_watch_of_locked(struct inotify *in, struct inode *inode)
{
    struct fsnotify_watch *fw;

    list_for_each(fw, &inode->watches, link) {
        struct watch *w = container_of(fw, struct watch, w);

        if (fw->event == watch_event && w->in == in && w->wd >= 0)
            return w;
    }
    return NULL;
}

int inotify_watch_new_locked(struct inotify *in, struct inode *inode, struct watch **ret)
{
    struct watch *w;

    if (in->user->watches >= sysctl_ulong(SYSCTL_INOTIFY_WATCHES))
        return -ENOSPC;
    w = kzalloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    in->last_wd = in->last_wd == INT_MAX ? 1 : in->last_wd + 1;
    w->wd = in->last_wd;
    w->in = in;
    w->host_wd = -1;
    w->w.event = watch_event;
    in->user->watches++;
    list_add_tail(&in->watches, &w->link);
    fsnotify_watch_add_locked(&w->w, inode);
    *ret = w;
    return 0;
}

int inotify_add(struct file *f, struct inode *inode, uint32_t mask)
{
    struct inotify *in = f->priv;
    struct watch *w;
    int r;

    if (!file_is_inotify(f))
        return -EINVAL;
    if (inode->sb->ops->host_events)
        return inotify_add_on_host(in, inode, mask);
    LOCK_SCOPE(&notify_lock);
    w = inotify_watch_of_locked(in, inode);
    if (w && mask & LX_IN_MASK_CREATE)
        return -EEXIST;
    if (!w) {
        r = inotify_watch_new_locked(in, inode, &w);
        if (r < 0)
            return r;
    } else if (!(mask & LX_IN_MASK_ADD)) {
        w->w.mask = w->shown = 0;
        w->oneshot = w->w.excl_unlink = false;
    }
    w->w.mask |= mask & LX_IN_ALL_EVENTS;
    w->shown |= mask & (LX_IN_ALL_EVENTS | LX_IN_EXCL_UNLINK | LX_IN_ONESHOT);
    w->oneshot |= (mask & LX_IN_ONESHOT) != 0;
    w->w.excl_unlink |= (mask & LX_IN_EXCL_UNLINK) != 0;
    return w->wd;
}

int inotify_remove(struct file *f, int wd)
{
    struct inotify *in = f->priv;
    struct inode *inode = NULL;
    struct live_queue q;
    struct watch *w;
    int host_wd = -1;

    if (!file_is_inotify(f))
        return -EINVAL;
    inotify_take_host(in);
    lock(&notify_lock);
    q = in->host;
    list_for_each(w, &in->watches, link) {
        if (w->wd != wd || wd < 0)
            continue;
        host_wd = w->host_wd;
        if (host_wd >= 0)
            break; /* the host says IN_IGNORED, and then it goes */
        inode = fsnotify_watch_del_locked(&w->w);
        inotify_queue_locked(in, wd, LX_IN_IGNORED, /* cookie= */ 0, /* name= */ NULL);
        inotify_watch_free_locked(w);
        break;
    }
    unlock(&notify_lock);
    if (host_wd >= 0) {
        live_unwatch(&q, host_wd);
        inotify_take_host(in);
        return 0;
    }
    if (!inode)
        return -EINVAL;
    inode_put(inode);
    return 0;
}

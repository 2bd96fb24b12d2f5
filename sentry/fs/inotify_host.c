/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is shared with the host is watched by the host: an inotify instance that has such watches has a
 * queue of the host's as well (fs/live/watch.h), whose events are moved into its own whenever somebody
 * asks, or the event thread is told. Such a watch is deaf to our own hooks, since what happens inside
 * happens on the host too; it ends when the host says so.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "abi/hostio.h"
#include "sentry/fs/inotify_priv.h"
#include "sentry/kernel/event.h"
#include "sentry/vfs/vfs.h"

static void host_event_locked(struct inotify *in, const struct lx_inotify_event *h,
                              const char *name, struct list *ended)
{
    struct watch *w;

    if (h->mask & LX_IN_Q_OVERFLOW) {
        inotify_queue_locked(in, -1, LX_IN_Q_OVERFLOW, 0, NULL);
        return;
    }
    list_for_each(w, &in->watches, link) {
        if (w->host_wd != h->wd || w->host_wd < 0)
            continue;
        inotify_queue_locked(in, w->wd, h->mask, h->cookie, name);
        if (h->mask & LX_IN_IGNORED) {
            list_del(&w->link);
            list_add_tail(ended, &w->link);
        }
        return;
    }
}

/* Takes what the host has queued. Watches that ended go to ended: see watches_end. */
static void take_host_locked(struct inotify *in, struct list *ended)
{
    char buf[4096] __attribute__((aligned(8)));
    const struct iovec iov = { buf, sizeof buf };
    struct lx_inotify_event h;

    assert_locked(&notify_lock);
    if (in->host.fd < 0 || in->adding)
        return;
    for (unsigned rounds = 0; rounds < 256; rounds++) {
        ssize_t n = preadv2(in->host.fd, &iov, 1, -1, 0); /* it does not block */

        for (ssize_t at = 0; at + (ssize_t)sizeof h <= n; at += (ssize_t)(sizeof h + h.len)) {
            memcpy(&h, buf + at, sizeof h);
            if (h.len > (size_t)(n - at) - sizeof h)
                break;
            if (h.len)
                buf[at + (ssize_t)(sizeof h + h.len) - 1] = 0;
            host_event_locked(in, &h, h.len ? buf + at + sizeof h : NULL, ended);
        }
        if (n <= 0)
            return;
    }
}

/* After the lock is dropped: references of inodes are given up. */
static void watches_end(struct list *ended)
{
    while (!list_empty(ended)) {
        struct inode *i = NULL;

        lock(&notify_lock);
        struct watch *w = list_first(ended, struct watch, link);
        if (w->w.inode)
            i = fsnotify_watch_del_locked(&w->w);
        inotify_watch_free_locked(w);
        unlock(&notify_lock);
        inode_put(i);
    }
}

void inotify_take_host(struct inotify *in)
{
    struct list ended = LIST_INIT(ended);

    lock(&notify_lock);
    take_host_locked(in, &ended);
    unlock(&notify_lock);
    watches_end(&ended);
}

static void on_host(void *arg, uint32_t events)
{
    (void)events;
    inotify_take_host(arg);
}

bool inotify_host_ready(const struct inotify *in)
{
    struct pollfd p = { .fd = in->host.fd, .events = POLLIN };

    return in->host.fd >= 0 && hostio_poll(&p, 1, 0) == 1;
}

/* The instance's queue of the host's, made at the first such watch. */
static int host_queue(struct inotify *in, struct inode *inode)
{
    struct live_queue q, spare = { .fd = -1 };
    int r;

    lock(&notify_lock);
    r = in->host.fd >= 0;
    unlock(&notify_lock);
    if (r)
        return 0;
    r = live_queue_new(inode, &q);
    if (r < 0)
        return r;
    r = event_watch(q.fd, EPOLLIN | EPOLLET, on_host, in);
    lock(&notify_lock);
    if (r == 0 && in->host.fd < 0)
        in->host = q;
    else
        spare = q;
    unlock(&notify_lock);
    if (spare.fd >= 0 && r == 0)
        event_unwatch(spare.fd);
    live_queue_close(&spare);
    return r;
}

/* The host's watch first; then ours, which tells its number and takes its events. */
int inotify_add_on_host(struct inotify *in, struct inode *inode, uint32_t mask)
{
    const uint32_t known = LX_IN_ALL_EVENTS | LX_IN_EXCL_UNLINK | LX_IN_ONESHOT;
    struct live_queue q;
    struct watch *w;
    int r, wd;

    lock(&notify_lock);
    w = inotify_watch_of_locked(in, inode);
    unlock(&notify_lock);
    if (w && mask & LX_IN_MASK_CREATE)
        return -EEXIST;
    r = host_queue(in, inode);
    if (r < 0)
        return r;
    lock(&notify_lock);
    q = in->host;
    in->adding++;
    unlock(&notify_lock);
    wd = live_watch(inode, &q, mask & (known | LX_IN_MASK_ADD));
    lock(&notify_lock);
    in->adding--;
    w = inotify_watch_of_locked(in, inode);
    r = wd < 0 ? wd : w ? 0 : inotify_watch_new_locked(in, inode, &w);
    if (r == 0) {
        w->host_wd = wd;
        w->shown = (mask & LX_IN_MASK_ADD ? w->shown : 0) | (mask & known);
        r = w->wd;
    }
    unlock(&notify_lock);
    if (r < 0 && wd >= 0)
        live_unwatch(&q, wd);
    inotify_take_host(in);
    return r;
}

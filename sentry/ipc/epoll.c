/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoll set as a file: making it, collecting events, polling it. See epoll_priv.h for the locks.
 *
 * The ready list holds members that MAY have an event: a wake puts them there, collecting takes
 * them off, asks their file, and puts level-triggered ones that did hold back at the end, so that
 * the next collection asks them again. A member that comes off the list before its file is asked
 * cannot miss a wake: either the asking sees it, or the wake puts the member on the list again.
 */
#include "sentry/ipc/epoll_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/vfs/vfs.h"

#define BATCH 32

struct lock epoll_ready_lock;

__attribute__((constructor)) static void epoll_start(void)
{
    lock_init(&epoll_ready_lock, LOCK_EPREADY);
}

static bool wake_up_graph(struct epoll *ep, uint64_t gen, int depth)
{
    assert_locked(&epoll_ready_lock);
    bool any = false;
    if (ep->stamp == gen || depth > EP_MAX_NESTS + 1)
        return false;
    ep->stamp = gen;
    if (wq_active(&ep->wq)) {
        wq_wake(&ep->wq, POLLIN | POLLRDNORM);
        any = true;
    }
    struct epitem *up;
    list_for_each(up, &ep->file->epoll_items, file_link) {
        if (!(up->ev.events & ~EP_PRIVATE & (EPOLLIN | EPOLLRDNORM)))
            continue;
        if (list_empty(&up->ready_link))
            list_add_tail(&up->ep->ready, &up->ready_link);
        any |= wake_up_graph(up->ep, gen, depth + 1);
    }
    return any;
}

bool epoll_mark_ready_locked(struct epitem *item)
{
    static uint64_t gen; /* epoll_ready_lock; even: the loop check's are odd */
    assert_locked(&epoll_ready_lock);
    if (list_empty(&item->ready_link))
        list_add_tail(&item->ep->ready, &item->ready_link);
    gen += 2;
    return wake_up_graph(item->ep, gen, 0);
}

static struct epitem *ready_pop(struct list *l)
{
    LOCK_SCOPE(&epoll_ready_lock);
    if (list_empty(l))
        return NULL;
    struct epitem *item = list_first(l, struct epitem, ready_link);
    list_del(&item->ready_link);
    return item;
}

static void ready_push(struct epoll *ep, struct epitem *item, bool head)
{
    LOCK_SCOPE(&epoll_ready_lock);
    if (!list_empty(&item->ready_link))
        return;
    if (head)
        list_add_head(&ep->ready, &item->ready_link);
    else
        list_add_tail(&ep->ready, &item->ready_link);
}

/* What is left of the list being worked on comes before what has arrived since. */
static void ready_give_back(struct epoll *ep, struct list *rest)
{
    LOCK_SCOPE(&epoll_ready_lock);
    list_splice_tail(rest, &ep->ready);
    list_splice_tail(&ep->ready, rest);
}

static void ready_take(struct epoll *ep, struct list *to)
{
    list_init(to);
    LOCK_SCOPE(&epoll_ready_lock);
    list_splice_tail(to, &ep->ready);
}

/* An event was handed over: a one-shot member sleeps, a level-triggered one is asked again. */
static void item_delivered(struct epitem *item, struct list *again)
{
    LOCK_SCOPE(&epoll_ready_lock);
    if (item->ev.events & EPOLLONESHOT)
        item->ev.events &= EP_PRIVATE;
    else if (!(item->ev.events & EPOLLET) && list_empty(&item->ready_link))
        list_add_tail(again, &item->ready_link);
}

/* Fills up to BATCH events from the list; which members they are of goes to items. */
static int batch_fill(struct task *t, struct list *from, int max, struct lx_epoll_event *evs,
                      struct epitem **items)
{
    int n = 0;
    struct epitem *item;
    while (n < MIN(max, BATCH) && (item = ready_pop(from))) {
        uint32_t got = epitem_poll(item, t, NULL);
        if (!got)
            continue;
        items[n] = item;
        evs[n++] = (struct lx_epoll_event){ got, item->ev.data };
    }
    return n;
}

/* Events to the guest; -EFAULT when not even the first could be stored. ep->lock held. */
static long collect_locked(struct task *t, struct epoll *ep, gaddr_t events, int max)
{
    struct lx_epoll_event evs[BATCH];
    struct epitem *items[BATCH];
    struct list from, again;
    long sum = 0;
    assert_locked(&ep->lock);
    list_init(&again);
    ready_take(ep, &from);
    while (sum < max) {
        int n = batch_fill(t, &from, (int)(max - sum), evs, items);
        if (n == 0)
            break;
        gaddr_t to = events + (gaddr_t)sum * sizeof *evs;
        if (copy_out(t, to, evs, (size_t)n * sizeof *evs)) {
            while (n > 0)
                ready_push(ep, items[--n], true);
            sum = sum ? sum : -EFAULT;
            break;
        }
        for (int i = 0; i < n; i++)
            item_delivered(items[i], &again);
        sum += n;
    }
    ready_give_back(ep, &from);
    lock(&epoll_ready_lock);
    list_splice_tail(&ep->ready, &again);
    bool left = !list_empty(&ep->ready);
    unlock(&epoll_ready_lock);
    if (left && sum > 0)
        wq_wake(&ep->wq, POLLIN | POLLRDNORM); /* one more waiter has something to look at */
    return sum;
}

long epoll_collect(struct task *t, struct file *epf, gaddr_t events, int max, bool now)
{
    struct epoll *ep = epoll_of(epf);
    if (!ep)
        return -EINVAL;
    for (;;) {
        lock(&ep->lock);
        long n = collect_locked(t, ep, events, max);
        unlock(&ep->lock);
        if (n)
            return n;
        if (now)
            return 0;
        lock(&epoll_ready_lock);
        int r = list_empty(&ep->ready) ? task_wait(t, &ep->wq, WAIT_EXCL) : 0;
        unlock(&epoll_ready_lock);
        if (r == 0)
            continue;
        if (r == -ETIMEDOUT)
            return 0;
        return r == -ERESTARTSYS ? -EINTR : r;
    }
}

bool epoll_any(struct epoll *ep, struct task *t, bool nested)
{
    struct list from;
    struct epitem *item;
    bool any = false;
    if (nested)
        lock_nested(&ep->lock);
    else
        lock(&ep->lock);
    ready_take(ep, &from);
    while (!any && (item = ready_pop(&from))) {
        if (epitem_poll(item, t, NULL)) {
            ready_push(ep, item, true);
            any = true;
        }
    }
    ready_give_back(ep, &from);
    unlock(&ep->lock);
    return any;
}

static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
    struct epoll *ep = f->priv;
    poll_wait(pt, &ep->wq);
    return epoll_any(ep, pt ? pt->task : NULL, false) ? POLLIN | POLLRDNORM : 0;
}

static size_t epoll_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct epoll *ep = f->priv;
    size_t used = 0;
    LOCK_SCOPE(&ep->lock);
    for (unsigned h = 0; h < ep->nhash; h++) {
        for (struct epitem *i = ep->hash[h]; i && used < cap; i = i->next) {
            struct inode *ino = i->file->inode;
            int n = snprintf(buf + used, cap - used,
                             "tfd: %8d events: %8x data: %16" PRIx64 "  pos:%lli ino:%" PRIx64
                             " sdev:%" PRIx64 "\n",
                             i->fd, i->ev.events, (uint64_t)i->ev.data, (long long)i->file->pos,
                             ino ? ino->ino : 0, ino && ino->sb ? ino->sb->dev : 0);
            used += n < 0 ? 0 : (size_t)n;
        }
    }
    return MIN(used, cap);
}

void epoll_put(struct epoll *ep)
{
    if (atomic_fetch_sub(&ep->refs, 1) != 1)
        return;
    wq_done(&ep->wq);
    lock_done(&ep->lock);
    kfree(ep->hash);
    kfree(ep);
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->priv;
    lock(&ep->lock);
    for (unsigned h = 0; h < ep->nhash; h++)
        while (ep->hash[h])
            epitem_remove(ep->hash[h]);
    unlock(&ep->lock);
    epoll_put(ep);
}

const struct file_ops epoll_ops = {
    .name = "eventpoll",
    .poll = epoll_poll,
    .fdinfo = epoll_fdinfo,
    .release = epoll_release,
};

struct file *epoll_new(void)
{
    struct epoll *ep = kzalloc(sizeof *ep);
    if (!ep)
        return ERR_PTR(-ENOMEM);
    lock_init(&ep->lock, LOCK_EPOLL);
    wq_init_epoll(&ep->wq);
    list_init(&ep->ready);
    list_init(&ep->nested);
    atomic_init(&ep->refs, 1);
    struct file *f = anon_file_new("eventpoll", &epoll_ops, ep, O_RDWR);
    if (IS_ERR(f)) {
        epoll_put(ep);
        return f;
    }
    f->mode |= FMODE_STREAM;
    ep->file = f;
    return f;
}

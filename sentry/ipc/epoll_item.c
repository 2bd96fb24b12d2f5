/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of epoll sets: adding, changing and removing them, their hooks on the wait queues of what
 * they watch, and the check that sets which watch sets form no loop and are not too deep.
 *
 * A member whose file is itself a set has no hooks: the watched set finds its watchers through
 * file->epoll_items (wake_up_graph in epoll.c).
 */
#include <errno.h>
#include <linux/capability.h>

#include "sentry/ipc/epoll_priv.h"
#include "sentry/ipc/signalfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/task.h"

static _Atomic uint64_t nitems;

/* ---- hooks ---- */

/* A wake of something that a member watches; under that queue's lock. */
static bool hook_wake(struct wait_entry *e, uint32_t events)
{
    struct epitem *item = container_of(e, struct ephook, e)->item;
    LOCK_SCOPE(&epoll_ready_lock);
    uint32_t want = item->ev.events & ~EP_PRIVATE;
    if (!want || (events && !(events & want)))
        return false;
    return epoll_mark_ready_locked(item);
}

struct hook_table {
    struct poll_table pt;
    struct epitem *item;
};

static void hook_queue(struct poll_table *pt, struct waitqueue *q)
{
    struct epitem *item = container_of(pt, struct hook_table, pt)->item;
    struct ephook *h = kzalloc(sizeof *h);
    if (!h) {
        pt->error = -ENOMEM;
        return;
    }
    h->e.func = hook_wake;
    h->e.excl = item->ev.events & EPOLLEXCLUSIVE;
    h->item = item;
    h->next = item->hooks;
    item->hooks = h;
    wq_add(q, &h->e);
}

uint32_t epitem_poll(struct epitem *item, struct task *t, struct poll_table *pt)
{
    struct poll_table ask = { .task = t ? t : item->task };
    uint32_t got;
    assert_locked(&item->ep->lock);
    struct epoll *inner = epoll_of(item->file);
    if (inner)
        got = epoll_any(inner, t, true) ? POLLIN | POLLRDNORM : 0;
    else
        got = file_poll(item->file, pt ? pt : &ask);
    lock(&epoll_ready_lock);
    got &= item->ev.events & ~EP_PRIVATE;
    unlock(&epoll_ready_lock);
    return got;
}

/* ---- the table of members ---- */

static struct epitem **item_slot(struct epoll *ep, int fd, struct file *f)
{
    struct epitem **p = &ep->hash[(unsigned)fd & (ep->nhash - 1)];
    while (*p && !((*p)->fd == fd && (*p)->file == f))
        p = &(*p)->next;
    return p;
}

struct file *epoll_watched(struct file *epf, int fd, unsigned nth)
{
    struct epoll *ep = epoll_of(epf);
    struct epitem *item;

    if (!ep)
        return ERR_PTR(-EINVAL);
    LOCK_SCOPE(&ep->lock);
    item = ep->nhash ? ep->hash[(unsigned)fd & (ep->nhash - 1)] : NULL;
    for (; item; item = item->next) {
        if (item->fd == fd && nth-- == 0)
            return item->file;
    }
    return ERR_PTR(-ENOENT);
}

static int table_grow(struct epoll *ep)
{
    if (ep->count < ep->nhash)
        return 0;
    unsigned n = ep->nhash ? ep->nhash * 2 : 8;
    struct epitem **hash = kzalloc(n * sizeof(struct epitem *));
    if (!hash)
        return -ENOMEM;
    for (unsigned h = 0; h < ep->nhash; h++) {
        struct epitem *i = ep->hash[h];
        while (i) {
            struct epitem *next = i->next;
            struct epitem **to = &hash[(unsigned)i->fd & (n - 1)];
            i->next = *to;
            *to = i;
            i = next;
        }
    }
    kfree(ep->hash);
    ep->hash = hash;
    ep->nhash = n;
    return 0;
}

void epitem_remove(struct epitem *item)
{
    struct epoll *ep = item->ep;
    assert_locked(&ep->lock);
    while (item->hooks) {
        struct ephook *h = item->hooks;
        item->hooks = h->next;
        wq_del(&h->e);
        kfree(h);
    }
    struct epitem **slot = item_slot(ep, item->fd, item->file);
    if (*slot == item) {
        *slot = item->next;
        ep->count--;
    }
    lock(&epoll_ready_lock);
    list_del(&item->ready_link);
    list_del(&item->nested_link);
    list_del(&item->file_link); /* from here on the file may go */
    unlock(&epoll_ready_lock);
    if (item->task)
        task_put(item->task);
    kfree(item);
    limit_give(&nitems);
}

void epoll_file_gone(struct file *f)
{
    for (;;) {
        lock(&epoll_ready_lock);
        struct epoll *ep = NULL;
        int fd = -1;
        if (!list_empty(&f->epoll_items)) {
            struct epitem *item = list_first(&f->epoll_items, struct epitem, file_link);
            ep = item->ep;
            fd = item->fd;
            atomic_fetch_add(&ep->refs, 1);
        }
        unlock(&epoll_ready_lock);
        if (!ep)
            return;
        lock(&ep->lock);
        /* the set may have been released meanwhile, the member with it */
        struct epitem *item = ep->nhash ? *item_slot(ep, fd, f) : NULL;
        if (item)
            epitem_remove(item);
        unlock(&ep->lock);
        epoll_put(ep);
    }
}

/* ---- loops ---- */

static uint64_t walk_gen; /* epoll_ready_lock; odd, see epoll_mark_ready_locked */

/* How many levels of sets lie below ep; -1 when one of them is (or is deeper than) the target. */
static int levels_below(struct epoll *ep, const struct epoll *target, int depth)
{
    if (ep == target || depth > EP_MAX_NESTS)
        return -1;
    if (ep->stamp == walk_gen)
        return ep->memo;
    int most = 0;
    struct epitem *i;
    list_for_each(i, &ep->nested, nested_link) {
        int n = levels_below(i->file->priv, target, depth + 1);
        if (n < 0)
            return -1;
        most = MAX(most, n + 1);
    }
    ep->stamp = walk_gen;
    return ep->memo = most;
}

static int levels_above(struct epoll *ep, int depth)
{
    if (depth > EP_MAX_NESTS)
        return depth;
    if (ep->stamp == walk_gen)
        return ep->memo;
    int most = 0;
    struct epitem *i;
    list_for_each(i, &ep->file->epoll_items, file_link)
        most = MAX(most, levels_above(i->ep, depth + 1) + 1);
    ep->stamp = walk_gen;
    return ep->memo = most;
}

/* May outer watch inner? */
static int nesting_check_locked(struct epoll *outer, struct epoll *inner)
{
    assert_locked(&epoll_ready_lock);
    walk_gen += walk_gen & 1 ? 2 : 1;
    int below = levels_below(inner, outer, 0);
    if (below < 0)
        return -ELOOP;
    walk_gen += 2;
    return below + 1 + levels_above(outer, 0) > EP_MAX_NESTS ? -ELOOP : 0;
}

/* ---- control ---- */

static int item_link(struct epitem *item)
{
    struct epoll *inner = epoll_of(item->file);
    LOCK_SCOPE(&epoll_ready_lock);
    if (inner) {
        int r = nesting_check_locked(item->ep, inner);
        if (r)
            return r;
        list_add_tail(&item->ep->nested, &item->nested_link);
    }
    list_add_tail(&item->file->epoll_items, &item->file_link);
    item->file->in_epoll = true;
    return 0;
}

static void item_check_now(struct epitem *item, struct task *t, struct poll_table *pt)
{
    uint32_t got = epitem_poll(item, t, pt);
    if (!got)
        return;
    lock(&epoll_ready_lock);
    epoll_mark_ready_locked(item);
    unlock(&epoll_ready_lock);
}

static int item_add(struct task *t, struct epoll *ep, int fd, struct file *f,
                    const struct lx_epoll_event *ev)
{
    int r = table_grow(ep);
    if (r)
        return r;
    if (!limit_take(LIMIT_EPOLL_ITEMS, &nitems))
        return -ENOSPC;
    struct epitem *item = kzalloc(sizeof *item);
    if (!item) {
        limit_give(&nitems);
        return -ENOMEM;
    }
    item->ep = ep;
    item->file = f;
    item->fd = fd;
    item->ev = *ev;
    list_init(&item->ready_link);
    list_init(&item->file_link);
    list_init(&item->nested_link);
    r = item_link(item);
    if (r) {
        kfree(item);
        limit_give(&nitems);
        return r;
    }
    struct epitem **slot = item_slot(ep, fd, f);
    item->next = *slot;
    *slot = item;
    ep->count++;
    if (f->ops == &signalfd_ops)
        item->task = task_ref(t);
    struct hook_table ht = { .pt = { .queue = hook_queue, .task = t }, .item = item };
    item_check_now(item, t, &ht.pt);
    if (ht.pt.error)
        epitem_remove(item);
    return ht.pt.error;
}

static int item_modify(struct task *t, struct epitem *item, const struct lx_epoll_event *ev)
{
    if (item->ev.events & EPOLLEXCLUSIVE)
        return -EINVAL;
    lock(&epoll_ready_lock);
    item->ev = *ev;
    unlock(&epoll_ready_lock);
    item_check_now(item, t, NULL);
    return 0;
}

static int exclusive_check(int op, uint32_t events, struct file *target)
{
    const uint32_t fine = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET |
                          EPOLLEXCLUSIVE;
    if (!(events & EPOLLEXCLUSIVE))
        return 0;
    if (op == EPOLL_CTL_MOD)
        return -EINVAL;
    return epoll_of(target) || (events & ~fine) ? -EINVAL : 0;
}

int epoll_control(struct task *t, struct file *epf, int op, int fd, struct file *target,
                  const struct lx_epoll_event *ev)
{
    struct epoll *ep = epoll_of(epf);
    struct lx_epoll_event want = ev ? *ev : (struct lx_epoll_event){ 0, 0 };
    if (!target->ops->poll)
        return -EPERM;
    if (!ep || target == epf)
        return -EINVAL;
    if (ev && !task_capable(t, CAP_BLOCK_SUSPEND))
        want.events &= ~EPOLLWAKEUP;
    if (ev && exclusive_check(op, want.events, target))
        return -EINVAL;
    want.events |= EPOLLERR | EPOLLHUP;
    LOCK_SCOPE(&ep->lock);
    struct epitem *item = ep->nhash ? *item_slot(ep, fd, target) : NULL;
    switch (op) {
    case EPOLL_CTL_ADD:
        return item ? -EEXIST : item_add(t, ep, fd, target, &want);
    case EPOLL_CTL_MOD:
        return item ? item_modify(t, item, &want) : -ENOENT;
    case EPOLL_CTL_DEL:
        if (!item)
            return -ENOENT;
        epitem_remove(item);
        return 0;
    default:
        return -EINVAL;
    }
}

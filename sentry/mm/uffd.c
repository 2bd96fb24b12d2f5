/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a userfaultfd, and what is registered with it; see uffd.h. */
#include "sentry/mm/uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"

#define RANGES_MAX 32768 /* more than the host has mappings for */

struct lock uffds_lock = { .class = LOCK_LEAF };

void uffd_ref(struct uffd *u)
{
    atomic_fetch_add(&u->refs, 1);
}

void uffd_put(struct uffd *u)
{
    if (atomic_fetch_sub(&u->refs, 1) != 1)
        return;
    wq_done(&u->rd_wq);
    wq_done(&u->fault_wq);
    lock_done(&u->lock);
    kfree(u->ranges);
    kfree(u);
}

/* ---- what is registered ---- */

/* One entry more at i. */
static void insert_locked(struct uffd *u, unsigned i, struct uffd_range r)
{
    memmove(&u->ranges[i + 1], &u->ranges[i], (u->nranges - i) * sizeof *u->ranges);
    u->ranges[i] = r;
    u->nranges++;
}

static void drop_locked(struct uffd *u, unsigned i)
{
    u->nranges--;
    memmove(&u->ranges[i], &u->ranges[i + 1], (u->nranges - i) * sizeof *u->ranges);
}

/* Takes [start, end) out of what is noted; there is room for one entry more. */
static void cut_locked(struct uffd *u, gaddr_t start, gaddr_t end)
{
    for (unsigned i = 0; i < u->nranges;) {
        struct uffd_range *r = &u->ranges[i];

        if (r->end <= start || r->start >= end) {
            i++;
        } else if (r->start < start && r->end > end) {
            struct uffd_range tail = { end, r->end, r->mode };

            r->end = start;
            insert_locked(u, i + 1, tail);
            return;
        } else if (r->start < start) {
            r->end = start;
            i++;
        } else if (r->end > end) {
            r->start = end;
            i++;
        } else {
            drop_locked(u, i);
        }
    }
}

static void add_locked(struct uffd *u, struct uffd_range n)
{
    unsigned i = 0;

    while (i < u->nranges && u->ranges[i].start < n.start)
        i++;
    insert_locked(u, i, n);
    if (i + 1 < u->nranges && u->ranges[i + 1].start == n.end && u->ranges[i + 1].mode == n.mode) {
        u->ranges[i].end = u->ranges[i + 1].end;
        drop_locked(u, i + 1);
    }
    if (i > 0 && u->ranges[i - 1].end == n.start && u->ranges[i - 1].mode == n.mode) {
        u->ranges[i - 1].end = u->ranges[i].end;
        drop_locked(u, i);
    }
}

int uffd_note_range(struct uffd *u, gaddr_t start, gaddr_t end, uint64_t mode)
{
    LOCK_SCOPE(&uffds_lock);
    if (u->nranges + 2 > u->cap) {
        unsigned cap = u->cap ? 2 * u->cap : 8;
        struct uffd_range *more = cap > RANGES_MAX ? NULL : krealloc(u->ranges, cap * sizeof *more);

        if (!more)
            return -ENOMEM;
        u->ranges = more;
        u->cap = cap;
    }
    if (mode && !u->nranges && u->mm)
        atomic_fetch_add(&u->mm->nuffd, 1);
    else if (!mode && !u->nranges)
        return 0;
    cut_locked(u, start, end);
    if (mode)
        add_locked(u, (struct uffd_range){ start, end, mode });
    if (!u->nranges && u->mm)
        atomic_fetch_sub(&u->mm->nuffd, 1);
    return 0;
}

static void leave_mm_locked(struct uffd *u)
{
    if (!u->mm)
        return;
    list_del(&u->mm_link);
    if (u->nranges)
        atomic_fetch_sub(&u->mm->nuffd, 1);
    u->nranges = 0;
    u->mm = NULL;
}

void uffd_mm_gone(struct mm *mm)
{
    LOCK_SCOPE(&uffds_lock);
    while (!list_empty(&mm->uffds))
        leave_mm_locked(list_first(&mm->uffds, struct uffd, mm_link));
}

/* ---- who waits ---- */

void uffd_wake(struct uffd *u, gaddr_t start, gaddr_t len)
{
    struct uffd_wait *w;
    bool any = false;

    LOCK_SCOPE(&u->lock);
    list_for_each(w, &u->waits, link) {
        if (w->at < start || w->at - start >= len)
            continue;
        w->woken = true;
        any = true;
        if (!w->told)
            u->unread--;
        w->told = true;
    }
    if (any)
        wq_wake_all(&u->fault_wq, 0);
}

/* ---- reading ---- */

/* A message of ours that nobody has read yet. */
static bool own_msg_locked(struct uffd *u, struct lx_uffd_msg *ret)
{
    struct uffd_wait *w;

    if (!u->unread)
        return false;
    list_for_each(w, &u->waits, link) {
        if (w->told)
            continue;
        w->told = true;
        u->unread--;
        *ret = (struct lx_uffd_msg){ .event = LX_UFFD_EVENT_PAGEFAULT };
        ret->fault.flags = w->flags;
        ret->fault.address = u->features & LX_UFFD_EXACT_ADDRESS ? w->at : PAGE_ALIGN_DOWN(w->at);
        return true;
    }
    return false;
}

/* The host's, which blocks nobody: it was made with O_NONBLOCK. */
static bool host_msg(struct uffd *u, struct lx_uffd_msg *ret)
{
    struct iovec iov = { ret, sizeof *ret };

    return preadv2(u->fd, &iov, 1, -1, 0) == (ssize_t)sizeof *ret;
}

static ssize_t uffd_read(struct task *t, struct file *f, struct iter *it, loff_t *pos)
{
    struct uffd *u = f->priv;
    struct lx_uffd_msg m;
    ssize_t done = 0;

    (void)pos;
    LOCK_SCOPE(&u->lock);
    if (!u->ready || it->left < sizeof m)
        return -EINVAL;
    while (it->left >= sizeof m) {
        if (!own_msg_locked(u, &m) && !host_msg(u, &m))
            break;
        if (iter_put(it, &m, sizeof m) != sizeof m)
            return done ? done : -EFAULT;
        done += (ssize_t)sizeof m;
    }
    if (done)
        return done;
    return file_nonblock(f) ? -EAGAIN : task_wait(t, &u->rd_wq, 0);
}

/* On the event thread: the host has told of a fault. */
static void host_ready(void *arg, uint32_t events)
{
    struct uffd *u = arg;

    (void)events;
    LOCK_SCOPE(&u->lock);
    wq_wake_all(&u->rd_wq, POLLIN);
}

static bool host_has(const struct uffd *u)
{
    struct pollfd p = { .fd = u->fd, .events = POLLIN };

    return hostio_poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

/* As on Linux, one that would block is nothing to be polled. */
static uint32_t uffd_poll(struct file *f, struct poll_table *pt)
{
    struct uffd *u = f->priv;

    poll_wait(pt, &u->rd_wq);
    LOCK_SCOPE(&u->lock);
    if (!u->ready || !file_nonblock(f))
        return POLLERR;
    return u->unread || host_has(u) ? POLLIN : 0;
}

static size_t uffd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct uffd *u = f->priv;
    struct uffd_wait *w;
    unsigned total = 0;
    int n;

    LOCK_SCOPE(&u->lock);
    list_for_each(w, &u->waits, link)
        total += !w->woken;
    n = snprintf(buf, cap, "pending:\t%u\ntotal:\t%u\nAPI:\t%llx:%x:%" PRIx64 "\n", u->unread,
                 total, LX_UFFD_API, u->ready ? 1 : 0, u->features);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

/* The host lets its waiters go with its file; they find pages of zeros. */
static void uffd_release(struct file *f)
{
    struct uffd *u = f->priv;

    lock(&uffds_lock);
    leave_mm_locked(u);
    unlock(&uffds_lock);
    event_unwatch(u->fd);
    close(u->fd);
    lock(&u->lock);
    u->closed = true;
    unlock(&u->lock);
    uffd_wake(u, 0, UINT64_MAX);
    uffd_put(u);
}

static const struct file_ops uffd_ops = {
    .name = "userfaultfd",
    .read = uffd_read,
    .poll = uffd_poll,
    .ioctl = uffd_ioctl,
    .fdinfo = uffd_fdinfo,
    .release = uffd_release,
};

struct file *uffd_file_new(struct mm *mm, int fd, unsigned flags)
{
    struct uffd *u = hostfd_may(fd, HOSTFD_FILE) ? kzalloc(sizeof *u) : NULL;
    struct file *f;

    if (!u)
        return ERR_PTR(-ENOMEM);
    u->refs = 1;
    u->fd = fd;
    u->user_only = flags & LX_UFFD_USER_MODE_ONLY;
    lock_init(&u->lock, LOCK_OBJECT);
    wq_init(&u->rd_wq);
    wq_init(&u->fault_wq);
    list_init(&u->waits);
    if (event_watch(fd, EPOLLIN | EPOLLET, host_ready, u) < 0) {
        uffd_put(u);
        return ERR_PTR(-ENOMEM);
    }
    f = anon_file_new("userfaultfd", &uffd_ops, u, O_RDONLY | (flags & O_NONBLOCK));
    if (IS_ERR(f)) {
        event_unwatch(fd);
        uffd_put(u);
        return f;
    }
    lock(&uffds_lock);
    u->mm = mm;
    list_add_tail(&mm->uffds, &u->mm_link);
    unlock(&uffds_lock);
    return f;
}

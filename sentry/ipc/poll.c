/* SPDX-License-Identifier: Apache-2.0 */
/*
 * poll and ppoll, and the core that select has too.
 *
 * A run looks at all files; when nothing holds it makes the record wait (task_sleep), hangs it on
 * the queue of every file, looks again, and wakes itself when something has come meanwhile. So it
 * needs no lock of its own. Descriptor numbers are looked up in the first run only.
 */
#include "sentry/ipc/poll.h"

#include <errno.h>
#include <poll.h>
#include <sys/personality.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/async.h"
#include "sentry/kernel/task.h"

/* ---- the core ---- */

struct item_table {
    struct poll_table pt;
    struct task *task;
    uint32_t mask;
    unsigned count;
};

static void item_count(struct poll_table *pt, struct waitqueue *q)
{
    (void)q;
    container_of(pt, struct item_table, pt)->count++;
}

static void item_queue(struct poll_table *pt, struct waitqueue *q)
{
    struct item_table *it = container_of(pt, struct item_table, pt);
    if (!task_wait_more(it->task, q, it->mask))
        pt->error = -ENOMEM;
}

/* Wakers name one of a pair at times, askers the other. */
static uint32_t both_names(uint32_t want)
{
    if (want & (POLLIN | POLLRDNORM))
        want |= POLLIN | POLLRDNORM;
    if (want & (POLLOUT | POLLWRNORM))
        want |= POLLOUT | POLLWRNORM;
    return want | POLLERR | POLLHUP;
}

static int items_scan(struct item_table *table, struct poll_item *items, unsigned n)
{
    int ready = 0;
    for (unsigned i = 0; i < n; i++) {
        struct poll_item *it = &items[i];
        if (!it->file)
            continue;
        table->mask = both_names(it->want);
        it->got = file_poll(it->file,
                            ready ? &(struct poll_table){ .task = table->task } : &table->pt) &
                  (it->want | POLLERR | POLLHUP);
        ready += it->got != 0;
    }
    return ready;
}

static int more_reserve(struct task *t, unsigned n)
{
    struct call *c = &t->call;
    if (c->more_cap >= n)
        return 0;
    struct wait_entry *more = kzalloc(n * sizeof *more);
    if (!more)
        return -ENOMEM;
    kfree(c->more);
    c->more = more;
    c->more_cap = n;
    return 0;
}

int poll_items(struct task *t, struct poll_item *items, unsigned n, bool now)
{
    struct task *who = async_thread(t);
    struct item_table count = { .pt = { .queue = item_count, .task = who }, .task = t };
    struct item_table queue = { .pt = { .queue = item_queue, .task = who }, .task = t };
    int ready = items_scan(&count, items, n);
    if (ready)
        return ready;
    if (now)
        return task_signal_pending(t) ? -ERESTARTNOHAND : 0;
    int r = more_reserve(t, count.count);
    if (r)
        return r;
    r = task_sleep(t);
    if (r == -ETIMEDOUT)
        return 0;
    if (r != -EWAITING)
        return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
    if (items_scan(&queue, items, n) || queue.pt.error)
        task_interrupt(t); /* run again at once: what has come is found by the first scan */
    return -EWAITING;
}

int poll_limit_set(struct task *t, struct poll_limit *l, const struct timespec *ts)
{
    ktime_t rel;
    if (!ts)
        return 0;
    if (timespec_to_ktime(ts, &rel))
        return -EINVAL;
    l->set = true;
    l->now = rel == 0;
    l->when = ktime_add(ktime_now(), rel);
    if (!l->now)
        call_deadline(t, l->when);
    return 0;
}

struct timespec poll_limit_left(const struct poll_limit *l)
{
    ktime_t left = l->now ? 0 : l->when - ktime_now();
    return ktime_to_timespec(left > 0 ? left : 0);
}

int poll_set_mask(struct task *t, gaddr_t mask, size_t size)
{
    sigset64 set;
    if (!mask)
        return 0;
    if (size != sizeof set)
        return -EINVAL;
    if (get_guest(t, &set, mask))
        return -EFAULT;
    signal_set_call_mask(t, set & ~SIG_UNBLOCKABLE);
    return 0;
}

/* ---- poll ---- */

struct poll_call { /* scratch */
    struct poll_limit limit;
    unsigned n;
    struct pollfd *fds; /* both behind it */
    struct poll_item *items;
};

static void poll_call_done(void *scratch)
{
    struct poll_call *pc = scratch;
    for (unsigned i = 0; pc->items && i < pc->n; i++)
        file_put(pc->items[i].file);
}

/* First run: copies the array in and takes the files. */
static int poll_begin(struct task *t, struct poll_call *pc, gaddr_t fds, unsigned nfds)
{
    pc->n = nfds;
    pc->fds = (struct pollfd *)(void *)(pc + 1);
    if (nfds && copy_in(t, pc->fds, fds, nfds * sizeof *pc->fds))
        return -EFAULT;
    pc->items = (struct poll_item *)(void *)(pc->fds + nfds);
    t->call.scratch_free = poll_call_done;
    for (unsigned i = 0; i < nfds; i++) {
        struct pollfd *p = &pc->fds[i];
        p->revents = 0;
        if (p->fd < 0)
            continue;
        pc->items[i].want = (uint16_t)p->events;
        pc->items[i].file = fd_get(t, p->fd);
        if (!pc->items[i].file)
            p->revents = POLLNVAL;
    }
    return 0;
}

static long poll_finish(struct task *t, struct poll_call *pc, gaddr_t fds)
{
    long n = 0;
    for (unsigned i = 0; i < pc->n; i++) {
        if (pc->items[i].file)
            pc->fds[i].revents = (short)pc->items[i].got;
        n += pc->fds[i].revents != 0;
    }
    if (pc->n && copy_out(t, fds, pc->fds, pc->n * sizeof *pc->fds))
        return -EFAULT;
    return n;
}

static struct poll_call *poll_scratch(struct task *t, unsigned nfds, int *ret_err)
{
    if (nfds > task_rlimit(t, RLIMIT_NOFILE)->rlim_cur) {
        *ret_err = -EINVAL;
        return NULL;
    }
    *ret_err = -ENOMEM;
    return call_scratch(t, sizeof(struct poll_call) +
                               nfds * (sizeof(struct pollfd) + sizeof(struct poll_item)));
}

static long poll_run(struct task *t, struct poll_call *pc, gaddr_t fds)
{
    bool bad = false;
    for (unsigned i = 0; i < pc->n; i++)
        bad |= pc->fds[i].fd >= 0 && !pc->items[i].file;
    int r = poll_items(t, pc->items, pc->n, pc->limit.now || bad);
    if (r < 0 && !(bad && r == -ERESTARTNOHAND))
        return r;
    return poll_finish(t, pc, fds);
}

/* restart_syscall after a poll that a stop interrupted: the deadline stays. */
static long poll_restart(struct task *t);

static long poll_common(struct task *t, gaddr_t fds, unsigned nfds, const ktime_t *when, int ms)
{
    int err;
    struct poll_call *pc = poll_scratch(t, nfds, &err);
    if (!pc)
        return err;
    if (t->call.phase == 0) {
        if (ms >= 0 || when) {
            pc->limit.set = true;
            pc->limit.now = !when && ms == 0;
            pc->limit.when = when ? *when : ktime_add(ktime_now(), (ktime_t)ms * 1000000);
            if (!pc->limit.now)
                call_deadline(t, pc->limit.when);
        }
        err = poll_begin(t, pc, fds, nfds);
        if (err)
            return err;
        t->call.phase = 1;
    }
    long r = poll_run(t, pc, fds);
    if (r == -ERESTARTNOHAND) {
        t->restart_fn = poll_restart;
        t->restart_arg[0] = fds;
        t->restart_arg[1] = nfds;
        t->restart_arg[2] = pc->limit.set;
        t->restart_arg[3] = (uint64_t)pc->limit.when;
        return -ERESTART_RESTARTBLOCK;
    }
    return r;
}

static long poll_restart(struct task *t)
{
    ktime_t when = (ktime_t)t->restart_arg[3];
    return poll_common(t, t->restart_arg[0], (unsigned)t->restart_arg[1],
                       t->restart_arg[2] ? &when : NULL, -1);
}

long do_poll(struct task *t, gaddr_t fds, unsigned nfds, int timeout_ms)
{
    return poll_common(t, fds, nfds, NULL, timeout_ms);
}

long do_ppoll(struct task *t, gaddr_t fds, unsigned nfds, gaddr_t ts, gaddr_t mask, size_t masksize)
{
    int err;
    struct timespec limit;
    if (t->call.phase == 0 && ts && get_guest(t, &limit, ts))
        return -EFAULT;
    struct poll_call *pc = poll_scratch(t, nfds, &err);
    if (!pc)
        return err;
    if (t->call.phase == 0) {
        err = poll_limit_set(t, &pc->limit, ts ? &limit : NULL);
        if (!err)
            err = poll_set_mask(t, mask, masksize);
        if (!err)
            err = poll_begin(t, pc, fds, nfds);
        if (err)
            return err;
        t->call.phase = 1;
    }
    long r = poll_run(t, pc, fds);
    if (r != -EWAITING && ts && !(t->personality & STICKY_TIMEOUTS)) {
        limit = poll_limit_left(&pc->limit);
        if (put_guest(t, ts, &limit) && r == -ERESTARTNOHAND)
            r = -EINTR;
    }
    return r;
}

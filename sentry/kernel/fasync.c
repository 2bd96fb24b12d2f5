/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals for I/O. An entry hangs on each wait queue that a poll of the file looks at. A wake runs
 * under the queue's lock, where no signal can be sent, so it arms a timer that is due at once, and
 * the event thread sends. Wakes that come close together give one signal.
 *
 * fasync_lock guards f->fasync; the owner is read under it too (fcntl.c writes it word by word, and
 * a signal to a half-changed owner is checked against that owner's rights all the same).
 */
#include "sentry/kernel/fasync.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#define ENTRIES 6

struct fasync {
    struct file *f; /* not a reference: f holds us */
    int fd;
    struct ktimer timer;
    _Atomic uint32_t events;
    unsigned n;
    struct wait_entry entries[ENTRIES];
};

struct hang { /* hangs entries while a poll goes through its queues */
    struct poll_table pt;
    struct fasync *fa;
};

static pthread_mutex_t fasync_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t owner_lock = PTHREAD_MUTEX_INITIALIZER; /* f->owner, while it is written */

bool fasync_possible(const struct file *f)
{
    uint32_t kind = f->inode ? f->inode->mode & S_IFMT : 0;

    return f->ops->poll && f->mode & FMODE_STREAM &&
           (kind == S_IFIFO || kind == S_IFSOCK || kind == S_IFCHR);
}

static bool woken(struct wait_entry *e, uint32_t events)
{
    struct fasync *fa = (struct fasync *)(void *)e->task;

    atomic_fetch_or(&fa->events, events ? events : POLLIN | POLLOUT);
    ktimer_arm(&fa->timer, 0);
    return false;
}

static void hang_on(struct poll_table *pt, struct waitqueue *q)
{
    struct fasync *fa = container_of(pt, struct hang, pt)->fa;
    struct wait_entry *e;

    if (fa->n == ENTRIES)
        return;
    e = &fa->entries[fa->n++];
    e->func = woken;
    e->task = (struct task *)(void *)fa; /* a func entry's own; nobody else looks at it */
    wq_add(q, e);
}

/* May the owner be signalled with the rights of who set it? tasks_lock held. */
static bool permitted_locked(const struct file *f, const struct task *to)
{
    const struct cred *c = to->cred;

    return f->owner.euid == 0 || f->owner.euid == c->suid || f->owner.euid == c->uid ||
           f->owner.uid == c->suid || f->owner.uid == c->uid;
}

static void send_group_locked(const struct file *f, struct tgroup *g, int sig,
                              const struct lx_siginfo *info)
{
    if (g->leader && permitted_locked(f, g->leader))
        (void)signal_send_group_locked(g, sig, info);
}

static void send(const struct file *f, int sig, const struct lx_siginfo *info)
{
    struct pid_entry *e;
    struct tgroup *g;
    struct task *t;

    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(f->owner.ns);
    if (!ns)
        return;
    switch (f->owner.type) {
    case F_OWNER_TID:
        t = task_find_locked(ns, f->owner.pid);
        if (t && permitted_locked(f, t))
            (void)signal_send_task_locked(t, sig, info);
        return;
    case F_OWNER_PGRP:
        e = pid_find_locked(ns, f->owner.pid);
        if (e)
            list_for_each(g, &e->pgrp, pgrp_link)
                send_group_locked(f, g, sig, info);
        return;
    default:
        t = task_find_locked(ns, f->owner.pid);
        if (t)
            send_group_locked(f, t->group, sig, info);
    }
}

void fasync_tell(struct file *f, int fd, int code, int64_t band)
{
    int sig = f->owner.sig ? f->owner.sig : SIGIO;
    struct lx_siginfo info = { .signo = sig, .code = code, .poll = { band, fd } };

    if (!f->owner.pid)
        return;
    send(f, sig, f->owner.sig ? &info : NULL);
}

void fasync_set_owner(struct task *t, struct file *f, int type, int pid)
{
    pthread_mutex_lock(&owner_lock);
    f->owner.type = type;
    f->owner.pid = pid;
    f->owner.ns = t->group->pidns->id;
    f->owner.uid = t->cred->uid;
    f->owner.euid = t->cred->euid;
    pthread_mutex_unlock(&owner_lock);
}

void fasync_own(struct task *t, struct file *f)
{
    if (!f->owner.pid)
        fasync_set_owner(t, f, F_OWNER_PID, t->group->pid);
}

void fasync_disown(struct file *f)
{
    pthread_mutex_lock(&owner_lock);
    f->owner.pid = 0;
    f->owner.sig = 0;
    pthread_mutex_unlock(&owner_lock);
}

/* One of the bands that came: what poll says of it now. */
static void tell(struct fasync *fa, int code, int64_t band)
{
    fasync_tell(fa->f, fa->fd, code, band);
}

static void expired(struct ktimer *tm)
{
    struct fasync *fa = container_of(tm, struct fasync, timer);
    uint32_t came = atomic_exchange(&fa->events, 0), now = file_poll(fa->f, NULL);

    if (came & (POLLIN | POLLRDNORM) && now & POLLIN)
        tell(fa, /* POLL_IN */ 1, POLLIN | POLLRDNORM);
    if (came & (POLLOUT | POLLWRNORM) && now & POLLOUT)
        tell(fa, /* POLL_OUT */ 2, POLLOUT | POLLWRNORM | POLLWRBAND);
    if (came & (POLLHUP | POLLERR) && now & (POLLHUP | POLLERR))
        tell(fa, /* POLL_HUP */ 6, POLLHUP | POLLERR);
}

static void fasync_free(struct fasync *fa)
{
    for (unsigned i = 0; i < fa->n; i++)
        wq_del(&fa->entries[i]);
    ktimer_cancel_sync(&fa->timer);
    kfree(fa);
}

static int switch_on(struct file *f, int fd)
{
    struct fasync *fa = kzalloc(sizeof *fa);
    struct hang h = { .pt.queue = hang_on, .fa = fa };

    if (!fa)
        return -ENOMEM;
    fa->f = f;
    fa->fd = fd;
    ktimer_init(&fa->timer, expired);
    f->fasync = fa;
    (void)file_poll(f, &h.pt);
    atomic_fetch_or(&f->flags, O_ASYNC);
    return 0;
}

int fasync_set(struct file *f, int fd, bool on)
{
    struct fasync *fa = NULL;
    int r = 0;

    pthread_mutex_lock(&fasync_lock);
    if (on && !f->fasync) {
        r = switch_on(f, fd);
    } else if (!on) {
        fa = f->fasync;
        f->fasync = NULL;
        atomic_fetch_and(&f->flags, ~(unsigned)O_ASYNC);
    }
    pthread_mutex_unlock(&fasync_lock);
    if (fa)
        fasync_free(fa);
    return r;
}

void fasync_gone(struct file *f)
{
    if (f->fasync)
        fasync_free(f->fasync);
    f->fasync = NULL;
}

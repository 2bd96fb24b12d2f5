/* SPDX-License-Identifier: Apache-2.0 */
/* mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <time.h>

#include "sentry/ipc/mqueue.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/net/netlink.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"

static int read_name(struct task *t, char name[PATH_MAX], gaddr_t from)
{
    ssize_t n = copy_in_str(t, name, from, PATH_MAX);

    return n < 0 ? (int)n : n == 0 ? -ENOENT : 0;
}

long sys_mq_open(struct task *t, gaddr_t uname, int flags, mode_t mode, gaddr_t uattr)
{
    char name[PATH_MAX];
    struct lx_mq_attr attr;
    struct file *f;
    int r;

    if (uattr && get_guest(t, &attr, uattr) < 0)
        return -EFAULT;
    r = read_name(t, name, uname);
    if (r < 0)
        return r;
    f = mqueue_open(t, name, (unsigned)flags, mode, uattr ? &attr : NULL);
    return IS_ERR(f) ? PTR_ERR(f) : fd_install(t, f, 0, true);
}

long sys_mq_unlink(struct task *t, gaddr_t uname)
{
    char name[PATH_MAX];
    int r = read_name(t, name, uname);

    return r < 0 ? r : mqueue_unlink(t, name);
}

/* The queue of a descriptor that was opened for mode. */
static struct mqueue *queue(struct task *t, int fd, unsigned mode, struct file **ret)
{
    struct file *f = call_file(t, 0, fd);
    struct mqueue *q = IS_ERR(f) ? NULL : mqueue_of(f);

    *ret = f;
    return q && (f->mode & mode) == mode ? q : NULL;
}

static int set_deadline(struct task *t, gaddr_t utimeout)
{
    struct timespec ts;
    ktime_t at, deadline;
    int r;

    if (!utimeout)
        return 0;
    if (get_guest(t, &ts, utimeout) < 0)
        return -EFAULT;
    r = timespec_to_ktime(&ts, &at);
    if (r == 0)
        r = kclock_deadline(CLOCK_REALTIME, true, at, &deadline);
    if (r == 0)
        call_deadline(t, deadline);
    return r;
}

static int prepare_send(struct task *t, struct mq_wait *w, gaddr_t from, size_t len, unsigned prio)
{
    w->msg = kzalloc(sizeof *w->msg + len);
    if (!w->msg)
        return -ENOMEM;
    list_init(&w->msg->link);
    w->msg->len = len;
    w->msg->prio = prio;
    return copy_in(t, w->msg->text, from, len);
}

long sys_mq_timedsend(struct task *t, int fd, gaddr_t from, size_t len, unsigned prio,
                      gaddr_t utimeout)
{
    struct mq_wait *w = call_scratch(t, sizeof *w);
    struct mqueue *q;
    struct file *f;
    int r;

    if (!w)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = mq_wait_free;
        r = set_deadline(t, utimeout);
        if (r < 0)
            return r;
        if (prio >= MQ_PRIO_LIMIT)
            return -EINVAL;
    }
    q = queue(t, fd, FMODE_WRITE, &f);
    if (!q)
        return -EBADF;
    if (t->call.phase == 0) {
        if (len > (uint64_t)q->msgsize)
            return -EMSGSIZE;
        r = prepare_send(t, w, from, len, prio);
        if (r < 0)
            return r;
        t->call.phase = 1;
    }
    return mqueue_send(t, q, w, file_nonblock(f));
}

long sys_mq_timedreceive(struct task *t, int fd, gaddr_t to, size_t len, gaddr_t uprio,
                         gaddr_t utimeout)
{
    struct mq_wait *w = call_scratch(t, sizeof *w);
    struct mqueue *q;
    struct file *f;
    int r;

    if (!w)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = mq_wait_free;
        r = set_deadline(t, utimeout);
        if (r < 0)
            return r;
        t->call.phase = 1;
    }
    q = queue(t, fd, FMODE_READ, &f);
    if (!q)
        return -EBADF;
    if (len < (uint64_t)q->msgsize)
        return -EMSGSIZE;
    r = (int)mqueue_receive(t, q, w, file_nonblock(f));
    if (r < 0)
        return r;
    if ((uprio && put_guest(t, uprio, &w->msg->prio) < 0) ||
        copy_out(t, to, w->msg->text, w->msg->len) < 0)
        return -EFAULT;
    return (long)w->msg->len;
}

/* Of SIGEV_THREAD: signo is a netlink socket, value where the cookie stands. */
static int read_cookie(struct task *t, const struct lx_sigevent *ev, struct mq_cookie **ret)
{
    struct mq_cookie *c = kzalloc(sizeof *c);
    int r = c ? copy_in(t, c->bytes, ev->value, sizeof c->bytes) : -ENOMEM;

    if (r == 0) {
        c->to = fd_get(t, ev->signo);
        r = c->to ? netlink_check(c->to) : -EBADF;
    }
    if (r < 0) {
        if (c)
            file_put(c->to);
        kfree(c);
        return r;
    }
    *ret = c;
    return 0;
}

long sys_mq_notify(struct task *t, int fd, gaddr_t uev)
{
    struct lx_sigevent ev = { 0 };
    struct mq_cookie *c = NULL;
    struct mqueue *q;
    struct file *f;
    int r = 0;

    if (uev && get_guest(t, &ev, uev) < 0)
        return -EFAULT;
    if (uev && ev.notify != SIGEV_NONE && ev.notify != SIGEV_SIGNAL && ev.notify != SIGEV_THREAD)
        return -EINVAL;
    if (uev && ev.notify == SIGEV_SIGNAL && (ev.signo < 0 || ev.signo > LX_NSIG))
        return -EINVAL;
    if (uev && ev.notify == SIGEV_THREAD)
        r = read_cookie(t, &ev, &c);
    if (r < 0)
        return r;
    q = queue(t, fd, 0, &f);
    r = q ? mqueue_notify(t, q, uev ? &ev : NULL, c) : -EBADF;
    if (r < 0 && c) {
        file_put(c->to);
        kfree(c);
    }
    return r;
}

long sys_mq_getsetattr(struct task *t, int fd, gaddr_t new, gaddr_t old)
{
    struct lx_mq_attr in, out;
    struct mqueue *q;
    struct file *f;
    unsigned flags;

    if (new &&get_guest(t, &in, new) < 0)
        return -EFAULT;
    if (new &&in.flags & ~(int64_t)O_NONBLOCK)
        return -EINVAL;
    q = queue(t, fd, 0, &f);
    if (!q)
        return -EBADF;
    mqueue_attr(q, &out);
    flags = atomic_load(&f->flags);
    out.flags = flags & O_NONBLOCK;
    if (new) {
        while (!atomic_compare_exchange_weak(&f->flags, &flags,
                                             (flags & ~(unsigned)O_NONBLOCK) | (unsigned)in.flags))
            ;
    }
    return old ? put_guest(t, old, &out) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One queue; see mqueue.h. */
#include "sentry/ipc/mqueue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/net/netlink.h"
#include "sentry/vfs/file.h"

struct mqueue *mqueue_new(const struct lx_mq_attr *attr)
{
    struct mqueue *q = kzalloc(sizeof *q);

    if (!q)
        return NULL;
    lock_init(&q->lock, LOCK_OBJECT);
    wq_init(&q->wq);
    list_init(&q->messages);
    list_init(&q->receivers);
    list_init(&q->senders);
    list_init(&q->all);
    q->maxmsg = attr->maxmsg;
    q->msgsize = attr->msgsize;
    return q;
}

void mqueue_free(struct mqueue *q)
{
    while (!list_empty(&q->messages)) {
        struct mq_msg *m = list_first(&q->messages, struct mq_msg, link);

        list_del(&m->link);
        kfree(m);
    }
    if (q->notify_owner)
        tgroup_put(q->notify_owner);
    if (q->cookie)
        file_put(q->cookie->to);
    kfree(q->cookie);
    wq_done(&q->wq);
    lock_done(&q->lock);
    kfree(q);
}

/* ---- messages ---- */

static void insert(struct mqueue *q, struct mq_msg *m)
{
    struct list *at = q->messages.prev;

    while (at != &q->messages && list_entry(at, struct mq_msg, link)->prio < m->prio)
        at = at->prev;
    list_add_head(at, &m->link);
    q->count++;
    q->bytes += m->len;
}

static struct mq_msg *take(struct mqueue *q)
{
    struct mq_msg *m = list_first(&q->messages, struct mq_msg, link);

    list_del(&m->link);
    q->count--;
    q->bytes -= m->len;
    return m;
}

static void finish(struct mq_wait *w, struct mq_msg *m)
{
    list_del(&w->link);
    w->queued = false;
    w->done = true;
    w->msg = m;
    wq_wake_all(&w->wq, 0);
}

enum { NOTIFY_WOKENUP = 1, NOTIFY_REMOVED = 2 };

/* Nobody is told any more. What is to be sent for that, without the lock; NULL: nothing. */
static struct mq_cookie *end_notify(struct mqueue *q, uint8_t why)
{
    struct mq_cookie *c = q->cookie;

    tgroup_put(q->notify_owner);
    q->notify_owner = NULL;
    q->cookie = NULL;
    if (c)
        c->bytes[MQ_COOKIE - 1] = why;
    return c;
}

static void send_cookie(struct mq_cookie *c)
{
    if (!c)
        return;
    netlink_deliver(c->to, c->bytes, sizeof c->bytes);
    file_put(c->to);
    kfree(c);
}

/* A message came into an empty queue that nobody waited at. As end_notify. */
static struct mq_cookie *tell(struct task *t, struct mqueue *q)
{
    struct lx_siginfo si = { .signo = q->notify.signo, .code = SI_MESGQ };

    if (!q->notify_owner)
        return NULL;
    si.rt.pid = t->group->pid;
    si.rt.uid = t->cred->uid;
    si.rt.value = q->notify.value;
    if (q->notify.notify == SIGEV_SIGNAL && q->notify.signo)
        (void)signal_send_group(q->notify_owner, q->notify.signo, &si);
    return end_notify(q, NOTIFY_WOKENUP);
}

static void begin(struct mqueue *q, struct mq_wait *w, struct list *waiters)
{
    if (!w->q) {
        wq_init(&w->wq);
        list_init(&w->link);
        w->q = q;
    }
    if (!w->queued)
        list_add_tail(waiters, &w->link);
    w->queued = true;
}

static long send_locked(struct task *t, struct mqueue *q, struct mq_wait *w, bool nonblock,
                        struct mq_cookie **ret_cookie)
{
    struct mq_msg *m = w->msg;

    assert_locked(&q->lock);
    if (w->done)
        return 0;
    if (!w->queued && !list_empty(&q->receivers)) {
        w->msg = NULL;
        finish(list_first(&q->receivers, struct mq_wait, link), m);
        return 0;
    }
    if (!w->queued && q->count < (uint64_t)q->maxmsg) {
        w->msg = NULL;
        insert(q, m);
        if (q->count == 1)
            *ret_cookie = tell(t, q);
        wq_wake(&q->wq, POLLIN | POLLRDNORM);
        return 0;
    }
    if (nonblock)
        return -EAGAIN;
    begin(q, w, &q->senders);
    return task_wait(t, &w->wq, WAIT_EXCL);
}

long mqueue_send(struct task *t, struct mqueue *q, struct mq_wait *w, bool nonblock)
{
    struct mq_cookie *c = NULL;
    long r;

    lock(&q->lock);
    r = send_locked(t, q, w, nonblock, &c);
    unlock(&q->lock);
    send_cookie(c);
    return r;
}

long mqueue_receive(struct task *t, struct mqueue *q, struct mq_wait *w, bool nonblock)
{
    LOCK_SCOPE(&q->lock);

    if (w->done)
        return 0;
    if (!w->queued && q->count > 0) {
        w->msg = take(q);
        if (!list_empty(&q->senders)) {
            struct mq_wait *s = list_first(&q->senders, struct mq_wait, link);

            insert(q, s->msg);
            finish(s, NULL);
        } else {
            wq_wake(&q->wq, POLLOUT | POLLWRNORM);
        }
        return 0;
    }
    if (nonblock)
        return -EAGAIN;
    begin(q, w, &q->receivers);
    return task_wait(t, &w->wq, WAIT_EXCL);
}

void mq_wait_free(void *scratch)
{
    struct mq_wait *w = scratch;

    if (w->q) {
        lock(&w->q->lock);
        list_del(&w->link);
        unlock(&w->q->lock);
        wq_done(&w->wq);
    }
    kfree(w->msg);
}

/* ---- notification, figures ---- */

int mqueue_notify(struct task *t, struct mqueue *q, const struct lx_sigevent *ev,
                  struct mq_cookie *cookie)
{
    if (!ev) {
        mqueue_closed(q, t->group);
        return 0;
    }
    LOCK_SCOPE(&q->lock);
    if (q->notify_owner)
        return -EBUSY;
    q->notify = *ev;
    q->notify_owner = tgroup_ref(t->group);
    q->cookie = cookie;
    return 0;
}

void mqueue_closed(struct mqueue *q, struct tgroup *g)
{
    struct mq_cookie *c = NULL;

    lock(&q->lock);
    if (q->notify_owner && q->notify_owner == g)
        c = end_notify(q, NOTIFY_REMOVED);
    unlock(&q->lock);
    send_cookie(c);
}

uint32_t mqueue_poll(struct mqueue *q, struct poll_table *pt)
{
    poll_wait(pt, &q->wq);
    LOCK_SCOPE(&q->lock);
    return (q->count > 0 ? POLLIN | POLLRDNORM : 0u) |
           (q->count < (uint64_t)q->maxmsg ? POLLOUT | POLLWRNORM : 0u);
}

void mqueue_attr(struct mqueue *q, struct lx_mq_attr *ret)
{
    LOCK_SCOPE(&q->lock);
    *ret = (struct lx_mq_attr){ .maxmsg = q->maxmsg,
                                .msgsize = q->msgsize,
                                .curmsgs = (int64_t)q->count };
}

size_t mqueue_text(struct mqueue *q, char *buf, size_t cap)
{
    LOCK_SCOPE(&q->lock);
    bool told = q->notify_owner;
    bool by_signal = told && q->notify.notify == SIGEV_SIGNAL;
    int n = snprintf(buf, cap, "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n",
                     (unsigned long)q->bytes, told ? q->notify.notify : 0,
                     by_signal ? q->notify.signo : 0, told ? q->notify_owner->pid : 0);

    return n < 0 ? 0 : MIN((size_t)n, cap - 1);
}

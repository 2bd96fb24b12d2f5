/* SPDX-License-Identifier: Apache-2.0 */
/* Sending and receiving; see msg.h. */
#include "sentry/ipc/sysv/msg.h"

#include <errno.h>

#include "abi/types.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

static void drop(struct msg_queue *q, struct sysv_msg *m)
{
    list_del(&m->link);
    q->bytes -= m->len;
    q->count--;
    msg_bytes -= m->len;
    msg_count--;
}

static void queue_free(struct ipc_obj *o)
{
    struct msg_queue *q = (struct msg_queue *)o;

    while (!list_empty(&q->messages)) {
        struct sysv_msg *m = list_first(&q->messages, struct sysv_msg, link);

        drop(q, m);
        kfree(m);
    }
    wq_done(&q->room);
    kfree(q);
}

struct ipc_ids msg_ids = {
    .lock = { .class = LOCK_IPC },
    .max = SYSCTL_MSGMNI,
    .next_id = SYSCTL_MSG_NEXT_ID,
    .last = -1,
    .free = queue_free,
};
uint64_t msg_count, msg_bytes;

struct sysv_msg *sysv_msg_new(size_t len)
{
    struct sysv_msg *m = kzalloc(sizeof *m + len);

    if (m) {
        list_init(&m->link);
        m->len = len;
    }
    return m;
}

static bool wanted(const struct msg_receiver *r, const struct sysv_msg *m)
{
    switch (r->want) {
    case MSG_WANT_TYPE:
        return m->type == r->type;
    case MSG_WANT_OTHER:
        return m->type != r->type;
    case MSG_WANT_UP_TO:
        return m->type <= r->type;
    default:
        return true;
    }
}

/* ---- sending ---- */

static void hand_over(struct msg_receiver *r, struct sysv_msg *m, int error)
{
    list_del(&r->link);
    r->queued = false;
    r->got = m;
    r->error = error;
    wq_wake_all(&r->wq, 0);
}

/* To a receiver that waits for it: true. One that wants it but has no room is told so. */
static bool deliver(struct msg_queue *q, struct sysv_msg *m)
{
    struct msg_receiver *r, *tmp;

    list_for_each_safe(r, tmp, &q->receivers, link) {
        if (!wanted(r, m))
            continue;
        if (r->room < m->len && !r->cut) {
            hand_over(r, NULL, -E2BIG);
            continue;
        }
        q->lrpid = r->pid;
        q->rtime = ipc_now();
        hand_over(r, m, 0);
        return true;
    }
    return false;
}

static int send_begin(struct msg_sender *s, int id)
{
    struct msg_queue *q = (struct msg_queue *)ipc_find_locked(&msg_ids, id);

    if (IS_ERR(q))
        return PTR_ERR(q);
    s->queue = q;
    q->obj.refs++;
    return 0;
}

long msg_send(struct task *t, struct msg_sender *s, int id, bool nonblock)
{
    LOCK_SCOPE(&msg_ids.lock);
    int r = s->queue ? 0 : send_begin(s, id);
    struct msg_queue *q = s->queue;

    if (r < 0)
        return r;
    if (q->obj.gone)
        return -EIDRM;
    r = ipc_may(t, &q->obj, 0222);
    if (r < 0)
        return r;
    if (s->msg->len + q->bytes > q->bytes_max || q->count + 1 > q->bytes_max) {
        r = nonblock ? -EAGAIN : task_wait(t, &q->room, 0);
        return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
    }
    q->lspid = t->group->pid;
    q->stime = ipc_now();
    if (!deliver(q, s->msg)) {
        list_add_tail(&q->messages, &s->msg->link);
        q->bytes += s->msg->len;
        q->count++;
        msg_bytes += s->msg->len;
        msg_count++;
    }
    s->msg = NULL;
    return 0;
}

void msg_sender_free(void *scratch)
{
    struct msg_sender *s = scratch;

    kfree(s->msg);
    if (!s->queue)
        return;
    LOCK_SCOPE(&msg_ids.lock);
    ipc_put_locked(&msg_ids, &s->queue->obj);
}

/* ---- receiving ---- */

static struct sysv_msg *find(struct msg_queue *q, const struct msg_receiver *r)
{
    struct sysv_msg *m, *best = NULL;
    long n = 0;

    list_for_each(m, &q->messages, link) {
        if (r->want == MSG_WANT_NTH) {
            if (n++ == r->type)
                return m;
        } else if (wanted(r, m)) {
            if (r->want != MSG_WANT_UP_TO)
                return m;
            if (!best || m->type < best->type)
                best = m;
        }
    }
    return best;
}

static struct sysv_msg *copy_of(const struct sysv_msg *m)
{
    struct sysv_msg *c = kmemdup(m, sizeof *m + m->len);

    if (c)
        list_init(&c->link);
    return c;
}

static int take(struct task *t, struct msg_receiver *r, struct sysv_msg *m)
{
    struct msg_queue *q = r->queue;

    if (r->room < m->len && !r->cut)
        return -E2BIG;
    if (r->want == MSG_WANT_NTH) {
        r->got = copy_of(m);
        return r->got ? 0 : -ENOMEM;
    }
    drop(q, m);
    r->got = m;
    q->lrpid = t->group->pid;
    q->rtime = ipc_now();
    wq_wake_all(&q->room, 0);
    return 0;
}

static int receive_begin(struct task *t, struct msg_receiver *r, int id)
{
    struct msg_queue *q = (struct msg_queue *)ipc_find_locked(&msg_ids, id);

    if (IS_ERR(q))
        return PTR_ERR(q);
    wq_init(&r->wq);
    list_init(&r->link);
    r->pid = t->group->pid;
    r->queue = q;
    q->obj.refs++;
    return 0;
}

long msg_receive(struct task *t, struct msg_receiver *r, int id, bool nonblock)
{
    LOCK_SCOPE(&msg_ids.lock);
    struct sysv_msg *m;
    int e = r->queue ? 0 : receive_begin(t, r, id);

    if (e < 0)
        return e;
    if (r->got || r->error)
        return r->error;
    if (!r->queued) {
        if (r->queue->obj.gone)
            return -EIDRM;
        e = ipc_may(t, &r->queue->obj, 0444);
        if (e < 0)
            return e;
        m = find(r->queue, r);
        if (m)
            return take(t, r, m);
        if (nonblock)
            return -ENOMSG;
        list_add_tail(&r->queue->receivers, &r->link);
        r->queued = true;
    }
    e = task_wait(t, &r->wq, WAIT_EXCL);
    return e == -ERESTARTSYS ? -ERESTARTNOHAND : e;
}

void msg_receiver_free(void *scratch)
{
    struct msg_receiver *r = scratch;

    kfree(r->got);
    if (!r->queue)
        return;
    lock(&msg_ids.lock);
    list_del(&r->link);
    ipc_put_locked(&msg_ids, &r->queue->obj);
    unlock(&msg_ids.lock);
    wq_done(&r->wq);
}

/* ---- the end, and changes ---- */

void msg_remove_locked(struct msg_queue *q)
{
    while (!list_empty(&q->receivers))
        hand_over(list_first(&q->receivers, struct msg_receiver, link), NULL, -EIDRM);
    q->obj.gone = true;
    wq_wake_all(&q->room, 0);
    ipc_remove_locked(&msg_ids, &q->obj);
}

void msg_look_again_locked(struct msg_queue *q)
{
    /* They are run again from the top, with the rights and the room that there are now. */
    while (!list_empty(&q->receivers))
        hand_over(list_first(&q->receivers, struct msg_receiver, link), NULL, 0);
    wq_wake_all(&q->room, 0);
}

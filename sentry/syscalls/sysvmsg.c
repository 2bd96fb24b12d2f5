/* SPDX-License-Identifier: Apache-2.0 */
/* msgget, msgsnd, msgrcv, msgctl. */
#include <errno.h>
#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "sentry/ipc/sysv/msg.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define CAP_SYS_RESOURCE 24
/* What Linux reports and does not use. */
#define MSGSSZ 16
#define MSGSEG 0xffff

static int make_queue(struct task *t, struct ipc_get *g, struct ipc_obj **ret)
{
    struct msg_queue *q = kzalloc(sizeof *q);

    (void)t, (void)g;
    if (!q)
        return -ENOMEM;
    q->ctime = ipc_now();
    q->bytes_max = sysctl_ulong(SYSCTL_MSGMNB);
    list_init(&q->messages);
    list_init(&q->receivers);
    wq_init(&q->room);
    *ret = &q->obj;
    return 0;
}

long sys_msgget(struct task *t, int key, int flags)
{
    struct ipc_get g = { .key = key, .flags = flags, .make = make_queue };

    return ipc_get(t, &msg_ids, &g);
}

/* ---- messages ---- */

static int read_message(struct task *t, struct msg_sender *s, gaddr_t from, size_t len)
{
    long type;

    if (get_guest(t, &type, from) < 0)
        return -EFAULT;
    if (len > sysctl_ulong(SYSCTL_MSGMAX) || type < 1)
        return -EINVAL;
    s->msg = sysv_msg_new(len);
    if (!s->msg)
        return -ENOMEM;
    s->msg->type = type;
    return copy_in(t, s->msg->text, from + sizeof type, len);
}

long sys_msgsnd(struct task *t, int id, gaddr_t from, size_t len, int flags)
{
    struct msg_sender *s = call_scratch(t, sizeof *s);
    int r;

    if (!s)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = msg_sender_free;
        r = read_message(t, s, from, len);
        if (r < 0)
            return r;
        if (id < 0)
            return -EINVAL;
        t->call.phase = 1;
    }
    return msg_send(t, s, id, flags & IPC_NOWAIT);
}

static void what_is_wanted(struct msg_receiver *r, long type, int flags)
{
    r->type = type;
    if (flags & MSG_COPY) {
        r->want = MSG_WANT_NTH;
    } else if (type == 0) {
        r->want = MSG_WANT_ANY;
    } else if (type < 0) {
        r->want = MSG_WANT_UP_TO;
        r->type = type == LONG_MIN ? LONG_MAX : -type;
    } else {
        r->want = flags & MSG_EXCEPT ? MSG_WANT_OTHER : MSG_WANT_TYPE;
    }
}

long sys_msgrcv(struct task *t, int id, gaddr_t to, size_t room, long type, int flags)
{
    struct msg_receiver *r = call_scratch(t, sizeof *r);
    long e;

    if (id < 0 || (ssize_t)room < 0)
        return -EINVAL;
    if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
        return -EINVAL;
    if (!r)
        return -ENOMEM;
    if (t->call.phase == 0) {
        t->call.scratch_free = msg_receiver_free;
        t->call.phase = 1;
        what_is_wanted(r, type, flags);
        r->room = room;
        r->cut = flags & MSG_NOERROR;
    }
    e = msg_receive(t, r, id, flags & IPC_NOWAIT);
    if (e < 0)
        return e;
    room = MIN(room, r->got->len);
    if (put_guest(t, to, &r->got->type) < 0 ||
        copy_out(t, to + sizeof r->got->type, r->got->text, room) < 0)
        return -EFAULT;
    return (long)room;
}

/* ---- msgctl ---- */

static long stat_queue(struct task *t, int id, enum ipc_stat how, gaddr_t to)
{
    struct lx_msqid64_ds ds = { 0 };
    long r;

    lock(&msg_ids.lock);
    struct msg_queue *q = (struct msg_queue *)ipc_stat_locked(t, &msg_ids, id, how, &r);
    if (!IS_ERR(q)) {
        ipc_fill_perm(&q->obj, &ds.msg_perm);
        ds.msg_stime_ = q->stime, ds.msg_rtime_ = q->rtime, ds.msg_ctime_ = q->ctime;
        ds.msg_cbytes = q->bytes, ds.msg_qnum = q->count, ds.msg_qbytes = q->bytes_max;
        ds.msg_lspid = q->lspid, ds.msg_lrpid = q->lrpid;
    }
    unlock(&msg_ids.lock);
    return r < 0 || put_guest(t, to, &ds) == 0 ? r : -EFAULT;
}

static long info(struct task *t, int cmd, gaddr_t to)
{
    int max_bytes = (int)sysctl_of(SYSCTL_MSGMNB), max_queues = (int)sysctl_of(SYSCTL_MSGMNI);
    struct lx_msginfo mi = { .msgpool = (int)(unsigned)((int64_t)max_queues * max_bytes / 1024),
                             .msgmap = max_bytes,
                             .msgmax = (int)sysctl_of(SYSCTL_MSGMAX),
                             .msgmnb = max_bytes,
                             .msgmni = max_queues,
                             .msgssz = MSGSSZ,
                             .msgtql = max_bytes,
                             .msgseg = MSGSEG };
    int highest;

    lock(&msg_ids.lock);
    if (cmd == MSG_INFO) {
        mi.msgpool = (int)msg_ids.count;
        mi.msgmap = (int)MIN(msg_count, (uint64_t)INT_MAX);
        mi.msgtql = (int)MIN(msg_bytes, (uint64_t)INT_MAX);
    }
    highest = ipc_highest_locked(&msg_ids);
    unlock(&msg_ids.lock);
    return put_guest(t, to, &mi) < 0 ? -EFAULT : highest;
}

static int set_queue(struct task *t, struct msg_queue *q, const struct lx_msqid64_ds *ds)
{
    int r;

    if (ds->msg_qbytes > sysctl_ulong(SYSCTL_MSGMNB) && !task_capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    r = ipc_set(&q->obj, &ds->msg_perm);
    if (r < 0)
        return r;
    q->bytes_max = ds->msg_qbytes;
    q->ctime = ipc_now();
    msg_look_again_locked(q);
    return 0;
}

static long control(struct task *t, int id, int cmd, const struct lx_msqid64_ds *ds)
{
    LOCK_SCOPE(&msg_ids.lock);
    struct msg_queue *q = (struct msg_queue *)ipc_find_locked(&msg_ids, id);
    int r;

    if (IS_ERR(q))
        return PTR_ERR(q);
    r = ipc_may_control(t, &q->obj);
    if (r < 0)
        return r;
    if (cmd == IPC_SET)
        return set_queue(t, q, ds);
    msg_remove_locked(q);
    return 0;
}

long sys_msgctl(struct task *t, int id, int cmd, gaddr_t buf)
{
    struct lx_msqid64_ds ds = { 0 };

    if (id < 0 || cmd < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case MSG_INFO:
        return info(t, cmd, buf);
    case IPC_STAT:
        return stat_queue(t, id, IPC_BY_ID, buf);
    case MSG_STAT:
        return stat_queue(t, id, IPC_BY_INDEX, buf);
    case MSG_STAT_ANY:
        return stat_queue(t, id, IPC_BY_INDEX_ANY, buf);
    case IPC_SET:
        if (get_guest(t, &ds, buf) < 0)
            return -EFAULT;
        return control(t, id, cmd, &ds);
    case IPC_RMID:
        return control(t, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}

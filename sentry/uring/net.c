/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets. Requests wait whatever O_NONBLOCK of the socket says; MSG_DONTWAIT of their own is heeded.
 * SIGPIPE never comes.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "abi/socket.h"
#include "sentry/kernel/alloc.h"
#include "sentry/mm/copy.h"
#include "sentry/net/scm.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/ops.h"
#include "sentry/uring/uring.h"

#define FD (-1) /* the file lies in the record */

static bool selects(const struct ureq *q)
{
    return q->sqe.flags & LX_SQE_BUFFER_SELECT;
}

static bool multi(const struct ureq *q)
{
    return q->sqe.ioprio & LX_RECV_MULTISHOT;
}

static bool ready(struct ureq *q, uint32_t events)
{
    return file_poll(q->file, NULL) & (events | POLLHUP | POLLERR);
}

/* IORING_RECVSEND_POLL_FIRST: do not try before the file says that it will work. */
static bool poll_first(struct ureq *q)
{
    return q->sqe.ioprio & LX_RECVSEND_POLL_FIRST && !q->tries && !q->task.async_waited &&
           !q->nowait;
}

static void done(struct ureq *q, long r)
{
    if (r != -EWAITING)
        ureq_expect(q, r, q->sqe.op_flags & MSG_WAITALL ? (long)q->sqe.len : 0);
}

/* ---- sending ---- */

int send_prep(struct ureq *q)
{
    if (q->sqe.ioprio & ~LX_RECVSEND_POLL_FIRST)
        return -EINVAL;
    q->nowait = q->sqe.op_flags & MSG_DONTWAIT;
    return q->sqe.pad3_ ? -EINVAL : 0;
}

long send_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    long r;

    if (poll_first(q))
        return -EAGAIN;
    r = sys_sendto(&q->task, FD, s->addr, s->len, s->op_flags | MSG_NOSIGNAL, s->addr2,
                   s->addr2 ? s->addr_len : 0);
    done(q, r);
    return r;
}

int sendmsg_prep(struct ureq *q)
{
    if (q->sqe.ioprio & ~LX_RECVSEND_POLL_FIRST || q->sqe.addr2 || q->sqe.file_index)
        return -EINVAL;
    q->nowait = q->sqe.op_flags & MSG_DONTWAIT;
    return 0;
}

long sendmsg_issue(struct ureq *q)
{
    if (poll_first(q))
        return -EAGAIN;
    return sys_sendmsg(&q->task, FD, q->sqe.addr, q->sqe.op_flags | MSG_NOSIGNAL);
}

/*
 * Zero copy: what is sent is copied all the same, so the memory is the program's again at once, and
 * says so if asked. Two results: what was sent, then that.
 */
int send_zc_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->flags & LX_SQE_CQE_SKIP || s->addr3 || s->pad2_)
        return -EINVAL;
    if (s->ioprio & ~(LX_RECVSEND_POLL_FIRST | LX_RECVSEND_FIXED_BUF | LX_SEND_ZC_REPORT_USAGE))
        return -EINVAL;
    if (s->opcode == LX_OP_SENDMSG_ZC &&
        (s->addr2 || s->file_index || s->ioprio & LX_RECVSEND_FIXED_BUF))
        return -EINVAL;
    if (s->opcode == LX_OP_SEND_ZC && s->pad3_)
        return -EINVAL;
    q->nowait = s->op_flags & MSG_DONTWAIT;
    return 0;
}

long send_zc_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    long r = 0;

    if (s->ioprio & LX_RECVSEND_FIXED_BUF)
        r = rsrc_buffer_check(q->ring, s->buf_index, s->addr, s->len, &q->nodes[1]);
    if (r == 0)
        r = s->opcode == LX_OP_SEND_ZC ? send_issue(q) : sendmsg_issue(q);
    if (r == -EWAITING || (r == -EAGAIN && !q->nowait && q->file->ops->poll))
        return r;
    if (async_cancelled(&q->task) && r <= -ERESTARTSYS)
        r = -ECANCELED;
    ureq_first(q, r);
    q->cflags = LX_CQE_NOTIF;
    return s->ioprio & LX_SEND_ZC_REPORT_USAGE ? (int32_t)LX_NOTIF_USAGE_COPIED : 0;
}

/* ---- receiving ---- */

int recv_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->addr2 || s->file_index || s->ioprio & ~(LX_RECVSEND_POLL_FIRST | LX_RECV_MULTISHOT))
        return -EINVAL;
    q->nowait = s->op_flags & MSG_DONTWAIT;
    if (multi(q) && (!selects(q) || s->op_flags & MSG_WAITALL))
        return -EINVAL;
    return multi(q) && s->opcode == LX_OP_RECV && s->len ? -EINVAL : 0;
}

static bool is_sock(const struct ureq *q)
{
    return q->file->ops == &sock_file_ops;
}

/* One message into a picked buffer; nothing is held while there is none. */
static long recv_picked(struct ureq *q)
{
    long r;

    if (!ready(q, POLLIN))
        return -EAGAIN;
    r = pbuf_pick(q, q->sqe.len);
    if (r < 0)
        return r;
    r = sys_recvfrom(&q->task, FD, q->buf.addr, q->buf.len, q->sqe.op_flags | MSG_DONTWAIT, 0, 0);
    if (r > 0)
        pbuf_consume(q);
    else
        pbuf_give_back(q);
    return r;
}

long recv_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    long r;

    if (!is_sock(q))
        return -ENOTSOCK;
    if (poll_first(q))
        return -EAGAIN;
    if (!selects(q)) {
        r = sys_recvfrom(&q->task, FD, s->addr, s->len, s->op_flags, 0, 0);
        done(q, r);
        return r;
    }
    for (;;) {
        r = recv_picked(q);
        if (!multi(q) || r <= 0 || !ureq_more(q, r, 0))
            return r;
        q->tries = 0;
        ureq_again(q);
    }
}

/* ---- recvmsg with a picked buffer ---- */

/* What the program's header says; with many results only two lengths of it count. */
int recvmsg_prep(struct ureq *q)
{
    struct lx_msghdr h;
    int r = recv_prep(q);

    if (r < 0 || !selects(q))
        return r;
    if (get_guest(&q->task, &h, q->sqe.addr) < 0)
        return -EFAULT;
    if (h.iovlen > 1)
        return -EINVAL;
    q->u.msg.name = h.name;
    q->u.msg.namelen = h.namelen < 0 ? 0 : (uint32_t)h.namelen;
    q->u.msg.control = h.control;
    q->u.msg.controllen = (uint32_t)MIN(h.controllen, (uint64_t)UINT32_MAX / 2);
    q->sqe.len = 0; /* the whole buffer */
    if (h.iovlen) {
        struct {
            gaddr_t base;
            uint64_t len;
        } v;

        if (get_guest(&q->task, &v, h.iov) < 0)
            return -EFAULT;
        q->sqe.len = (uint32_t)MIN(v.len, (uint64_t)UINT32_MAX);
    }
    return h.namelen < 0 ? -EINVAL : 0;
}

/* The header that stands before a message in its buffer, and how much room that leaves. */
static int split(struct ureq *q, gaddr_t *ret_payload, size_t *ret_room)
{
    size_t head = multi(q) ? sizeof(struct lx_recvmsg_out) + q->u.msg.namelen + q->u.msg.controllen
                           : 0;

    if (head > q->buf.len)
        return -EFAULT;
    *ret_payload = q->buf.addr + head;
    *ret_room = q->buf.len - head;
    return 0;
}

static int tell_multi(struct ureq *q, struct recv_req *rr, size_t control, long n)
{
    struct lx_recvmsg_out out = { .namelen = rr->addrlen,
                                  .controllen = (uint32_t)control,
                                  .payloadlen = (uint32_t)n,
                                  .flags = (uint32_t)rr->msg_flags };
    size_t name = MIN(rr->addrlen, q->u.msg.namelen);

    if (put_guest(&q->task, q->buf.addr, &out) < 0 ||
        copy_out(&q->task, q->buf.addr + sizeof out, &rr->addr, name) < 0)
        return -EFAULT;
    return 0;
}

static int tell_one(struct ureq *q, struct recv_req *rr, uint64_t control)
{
    struct task *t = &q->task;
    gaddr_t msg = q->sqe.addr;
    int32_t namelen = (int32_t)rr->addrlen;
    uint32_t flags = (uint32_t)rr->msg_flags;

    if (q->u.msg.name &&
        (copy_out(t, q->u.msg.name, &rr->addr, MIN(rr->addrlen, q->u.msg.namelen)) < 0 ||
         put_guest(t, msg + offsetof(struct lx_msghdr, namelen), &namelen) < 0))
        return -EFAULT;
    if (put_guest(t, msg + offsetof(struct lx_msghdr, flags), &flags) < 0 ||
        put_guest(t, msg + offsetof(struct lx_msghdr, controllen), &control) < 0)
        return -EFAULT;
    return 0;
}

static long recvmsg_picked(struct ureq *q)
{
    struct sock *sk = file_sock(q->file);
    struct recv_req rr = { .flags = (int)q->sqe.op_flags | MSG_DONTWAIT, .want_ctl = true };
    gaddr_t payload, control;
    uint64_t moved = 0;
    struct iter it;
    size_t room, used;
    long n;
    int r;

    if (!ready(q, POLLIN))
        return -EAGAIN;
    n = pbuf_pick(q, q->sqe.len);
    if (n == 0)
        n = split(q, &payload, &room);
    if (n < 0)
        return n;
    iter_guest(&it, &q->task, payload, room);
    rr.it = &it;
    rr.done = &moved;
    n = sk->ops->recv(&q->task, sk, &rr);
    if (n < 0 || (n == 0 && !multi(q))) {
        scm_free(rr.scm);
        pbuf_give_back(q);
        return n;
    }
    control = multi(q) ? q->buf.addr + sizeof(struct lx_recvmsg_out) + q->u.msg.namelen
                       : q->u.msg.control;
    used = scm_deliver(&q->task, sk, &rr, control, q->u.msg.controllen);
    r = multi(q) ? tell_multi(q, &rr, used, n) : tell_one(q, &rr, used);
    pbuf_consume(q);
    if (r < 0)
        return r;
    if (!multi(q))
        return n;
    q->u.msg.last = n == 0 && sk->ops->stream; /* the end: the last result */
    return (long)(payload - q->buf.addr) + MIN(n, (long)room);
}

long recvmsg_issue(struct ureq *q)
{
    long r;

    if (!is_sock(q))
        return -ENOTSOCK;
    if (poll_first(q))
        return -EAGAIN;
    if (!selects(q))
        return sys_recvmsg(&q->task, FD, q->sqe.addr, q->sqe.op_flags);
    for (;;) {
        r = recvmsg_picked(q);
        if (!multi(q) || r < 0 || q->u.msg.last || !ureq_more(q, r, 0))
            return r;
        q->tries = 0;
        ureq_again(q);
    }
}

/* ---- connections ---- */

int accept_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    bool many = s->ioprio & LX_ACCEPT_MULTISHOT;

    if (s->len || s->buf_index)
        return -EINVAL;
    if (s->ioprio & ~(LX_ACCEPT_MULTISHOT | LX_ACCEPT_DONTWAIT | LX_ACCEPT_POLL_FIRST))
        return -EINVAL;
    if (s->file_index && s->op_flags & SOCK_CLOEXEC)
        return -EINVAL;
    if (s->op_flags & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    q->nowait = s->ioprio & LX_ACCEPT_DONTWAIT;
    return many && s->file_index && s->file_index != LX_FILE_INDEX_ALLOC ? -EINVAL : 0;
}

static bool accept_later(struct ureq *q)
{
    if (q->nowait)
        return !ready(q, POLLIN);
    return q->sqe.ioprio & LX_ACCEPT_POLL_FIRST && !q->tries && !q->task.async_waited;
}

long accept_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (!is_sock(q))
        return -ENOTSOCK;
    if (accept_later(q))
        return -EAGAIN;
    for (;;) {
        long r;

        rsrc_redirect(q);
        r = sys_accept4(&q->task, FD, s->addr, s->addr2, (int)s->op_flags);
        if (!(s->ioprio & LX_ACCEPT_MULTISHOT) || r < 0 || !ureq_more(q, r, 0))
            return r;
        q->tries = 0;
        ureq_again(q);
    }
}

int connect_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->len || s->buf_index || s->op_flags || s->splice_fd_in ? -EINVAL : 0;
}

static long connect_result(struct sock *sk)
{
    struct lock *l = sock_lock(sk);
    int r = sock_take_err(sk);

    unlock(l);
    return r;
}

long connect_issue(struct ureq *q)
{
    long r;

    if (!is_sock(q))
        return -ENOTSOCK;
    if (q->u.sp.started)
        return connect_result(file_sock(q->file));
    r = sys_connect(&q->task, FD, q->sqe.addr, (int)q->sqe.off);
    if (r != -EINPROGRESS)
        return r;
    q->u.sp.started = true; /* O_NONBLOCK: it goes on without us, and can be polled for */
    return -EAGAIN;
}

int shutdown_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->off || s->addr || s->op_flags || s->buf_index || s->splice_fd_in ? -EINVAL : 0;
}

long shutdown_issue(struct ureq *q)
{
    return sys_shutdown(&q->task, FD, (int)q->sqe.len);
}

int socket_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (s->addr || s->op_flags || s->buf_index)
        return -EINVAL;
    return s->file_index && s->off & SOCK_CLOEXEC ? -EINVAL : 0;
}

long socket_issue(struct ureq *q)
{
    rsrc_redirect(q);
    return sys_socket(&q->task, q->sqe.fd, (int)q->sqe.off, (int)q->sqe.len);
}

int bind_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->len || s->buf_index || s->op_flags || s->splice_fd_in ? -EINVAL : 0;
}

long bind_issue(struct ureq *q)
{
    return sys_bind(&q->task, FD, q->sqe.addr, (int)q->sqe.addr2);
}

int listen_prep(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    return s->addr || s->buf_index || s->op_flags || s->splice_fd_in || s->addr2 ? -EINVAL : 0;
}

long listen_issue(struct ureq *q)
{
    return sys_listen(&q->task, FD, (int)q->sqe.len);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that send and receive on sockets: sendto, recvfrom, sendmsg, recvmsg and their
 * many-message forms. The decoded header, the iterator and what is done so far lie in the record's
 * scratch block (struct msg_call), so that a call which waits goes on with what it read at first.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "abi/socket.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/copy.h"
#include "sentry/net/inet.h"
#include "sentry/net/scm.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/sockaddr.h"
#include "sentry/syscalls/table.h"

#define IOV_MAX_ 1024
#define CONTROL_MAX 131072

struct msg_call {
    bool ready;  /* the header was read */
    unsigned n;  /* messages done, for sendmmsg and recvmmsg */
    ktime_t end; /* of recvmmsg */
    struct lx_msghdr hdr;
    struct sockaddr_storage addr;
    struct seg *segs;
    struct iter it;
    uint64_t done;
    struct scm *scm; /* to be sent */
    struct send_req s;
    struct recv_req r;
};

/* Back to the state before a message. */
static void msg_reset(struct msg_call *c)
{
    kfree(c->segs);
    c->segs = NULL;
    scm_free(c->scm);
    c->scm = NULL;
    scm_free(c->r.scm);
    c->r.scm = NULL;
    c->done = 0;
    c->ready = false;
}

static void msg_call_free(void *p)
{
    msg_reset(p);
}

/* The record of a call on the socket fd. ERR_PTR(-EBADF, -ENOTSOCK, -ENOMEM). */
static struct msg_call *begin(struct task *t, int fd, struct sock **ret)
{
    struct sock *sk = call_sock(t, fd);
    struct msg_call *c;

    if (IS_ERR(sk))
        return ERR_PTR(PTR_ERR(sk));
    c = call_scratch(t, sizeof *c);
    if (!c)
        return ERR_PTR(-ENOMEM);
    t->call.scratch_free = msg_call_free;
    *ret = sk;
    return c;
}

/* ---- headers ---- */

static int hdr_in(struct task *t, struct msg_call *c, gaddr_t msg)
{
    struct lx_msghdr *h = &c->hdr;
    ssize_t n;

    if (get_guest(t, h, msg) < 0)
        return -EFAULT;
    if (!h->name)
        h->namelen = 0;
    if (h->namelen < 0)
        return -EINVAL;
    if (h->iovlen > IOV_MAX_)
        return -EMSGSIZE;
    h->namelen = MIN(h->namelen, (int32_t)sizeof c->addr);
    n = copy_in_iovec(t, h->iov, (unsigned)h->iovlen, &c->segs);
    if (n < 0)
        return (int)n;
    iter_segs(&c->it, t, c->segs, (unsigned)h->iovlen);
    return 0;
}

static int cred_in(struct task *t, struct scm *s, const void *data)
{
    struct {
        pid_t pid;
        uid_t uid;
        gid_t gid;
    } u;

    memcpy(&u, data, sizeof u);
    return scm_set_cred(t, s, u.pid, u.uid, u.gid);
}

/* One control message for AF_UNIX. */
static int unix_cmsg(struct task *t, struct msg_call *c, const struct cmsghdr *m)
{
    size_t n = m->cmsg_len - CMSG_LEN(0);

    if (m->cmsg_level != SOL_SOCKET)
        return 0;
    if (!c->scm && !(c->scm = scm_new()))
        return -ENOMEM;
    if (m->cmsg_type == SCM_RIGHTS)
        return scm_add_fds(t, c->scm, (const int *)(const void *)CMSG_DATA(m),
                           (unsigned)(n / sizeof(int)));
    if (m->cmsg_type == SCM_CREDENTIALS && n == 12)
        return cred_in(t, c->scm, CMSG_DATA(m));
    return -EINVAL;
}

static int control_in(struct task *t, struct sock *sk, struct msg_call *c)
{
    size_t n = c->hdr.controllen, at = 0;
    _cleanup_kfree_ uint8_t *buf = NULL;

    if (n > CONTROL_MAX)
        return -ENOBUFS;
    if (!c->hdr.control || n < sizeof(struct cmsghdr))
        return 0;
    buf = kzalloc(n);
    if (!buf)
        return -ENOBUFS;
    if (copy_in(t, buf, c->hdr.control, n) < 0)
        return -EFAULT;
    while (n - at >= sizeof(struct cmsghdr)) {
        const struct cmsghdr *m = (const void *)(buf + at);
        int r = 0;

        if (m->cmsg_len < sizeof *m || m->cmsg_len > n - at)
            return -EINVAL;
        if (sk->family == AF_UNIX)
            r = unix_cmsg(t, c, m);
        else if (sk->family == AF_INET || sk->family == AF_INET6)
            r = inet_cmsg(sk, m, &c->s);
        if (r < 0)
            return r;
        at += MIN(CMSG_ALIGN(m->cmsg_len), n - at);
    }
    return 0;
}

/* ---- sending ---- */

static void send_init(struct msg_call *c, int flags, socklen_t addrlen)
{
    c->s = (struct send_req){ .it = &c->it,
                              .done = &c->done,
                              .flags = flags & ~(MSG_CMSG_CLOEXEC),
                              .addr = addrlen ? &c->addr : NULL,
                              .addrlen = addrlen,
                              .scm = &c->scm,
                              .ttl = -1,
                              .tos = -1,
                              .segment = -1 };
}

long sys_sendto(struct task *t, int fd, gaddr_t buf, size_t len, unsigned flags, gaddr_t addr,
                int addrlen)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);
    int r;

    if (IS_ERR(c))
        return PTR_ERR(c);
    if (!c->ready) {
        r = addr ? sockaddr_in(t, &c->addr, addr, addrlen) : 0;
        if (r < 0)
            return r;
        iter_guest(&c->it, t, buf, MIN(len, MAX_RW_COUNT));
        send_init(c, (int)flags, addr ? (socklen_t)addrlen : 0);
        c->ready = true;
    }
    return sk->ops->send(t, sk, &c->s);
}

static long send_one(struct task *t, struct sock *sk, struct msg_call *c, gaddr_t msg,
                     unsigned flags)
{
    int r;

    if (!c->ready) {
        r = hdr_in(t, c, msg);
        if (r == 0 && c->hdr.namelen)
            r = copy_in(t, &c->addr, c->hdr.name, (size_t)c->hdr.namelen);
        if (r == 0) {
            send_init(c, (int)flags, (socklen_t)c->hdr.namelen);
            r = control_in(t, sk, c);
        }
        if (r < 0)
            return r;
        c->ready = true;
    }
    return sk->ops->send(t, sk, &c->s);
}

long sys_sendmsg(struct task *t, int fd, gaddr_t msg, unsigned flags)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);

    return IS_ERR(c) ? PTR_ERR(c) : send_one(t, sk, c, msg, flags);
}

long sys_sendmmsg(struct task *t, int fd, gaddr_t vec, unsigned vlen, unsigned flags)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);
    long r = 0;

    if (IS_ERR(c))
        return PTR_ERR(c);
    vlen = MIN(vlen, (unsigned)IOV_MAX_);
    while (c->n < vlen) {
        gaddr_t at = vec + c->n * sizeof(struct lx_mmsghdr);
        uint32_t len;

        r = send_one(t, sk, c, at, flags);
        if (r < 0)
            break;
        len = (uint32_t)r;
        r = put_guest(t, at + offsetof(struct lx_mmsghdr, len), &len);
        if (r < 0)
            break;
        c->n++;
        msg_reset(c);
    }
    return r == -EWAITING || !c->n ? r : (long)c->n;
}

/* ---- receiving ---- */

static void recv_init(struct msg_call *c, int flags)
{
    memset(&c->r, 0, sizeof c->r);
    c->r.it = &c->it;
    c->r.done = &c->done;
    c->r.flags = flags;
}

long sys_recvfrom(struct task *t, int fd, gaddr_t buf, size_t len, unsigned flags, gaddr_t addr,
                  gaddr_t addrlen)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);
    ssize_t n;
    int r;

    if (IS_ERR(c))
        return PTR_ERR(c);
    if (!c->ready) {
        iter_guest(&c->it, t, buf, MIN(len, MAX_RW_COUNT));
        recv_init(c, (int)flags);
        c->ready = true;
    }
    n = sk->ops->recv(t, sk, &c->r);
    if (n >= 0 && addr) {
        r = sockaddr_out(t, addr, addrlen, &c->r.addr, (int)c->r.addrlen);
        if (r < 0)
            return r;
    }
    return n;
}

static int name_to_guest(struct task *t, struct msg_call *c, gaddr_t msg)
{
    return sockaddr_out(t, c->hdr.name, msg + offsetof(struct lx_msghdr, namelen), &c->r.addr,
                        (int)c->r.addrlen);
}

static int hdr_out(struct task *t, struct sock *sk, struct msg_call *c, gaddr_t msg)
{
    uint64_t used;
    uint32_t flags;
    int r = 0;

    c->r.msg_flags |= c->r.flags & MSG_CMSG_CLOEXEC;
    used = scm_deliver(t, sk, &c->r, c->hdr.control, c->hdr.controllen);
    if (c->hdr.name)
        r = name_to_guest(t, c, msg);
    flags = (uint32_t)c->r.msg_flags;
    if (r == 0)
        r = put_guest(t, msg + offsetof(struct lx_msghdr, flags), &flags);
    if (r == 0)
        r = put_guest(t, msg + offsetof(struct lx_msghdr, controllen), &used);
    return r;
}

static long recv_one(struct task *t, struct sock *sk, struct msg_call *c, gaddr_t msg,
                     unsigned flags)
{
    ssize_t n;
    int r;

    if (!c->ready) {
        r = hdr_in(t, c, msg);
        if (r < 0)
            return r;
        recv_init(c, (int)flags);
        c->r.want_ctl = true;
        c->ready = true;
    }
    n = sk->ops->recv(t, sk, &c->r);
    if (n < 0)
        return n;
    r = hdr_out(t, sk, c, msg);
    return r < 0 ? r : n;
}

long sys_recvmsg(struct task *t, int fd, gaddr_t msg, unsigned flags)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);

    return IS_ERR(c) ? PTR_ERR(c) : recv_one(t, sk, c, msg, flags);
}

/* The time limit is looked at only between messages, as Linux documents among its bugs. */
static int recvmmsg_start(struct task *t, struct msg_call *c, gaddr_t timeout)
{
    struct timespec ts;
    ktime_t k;
    int r;

    if (c->end)
        return 0;
    c->end = KTIME_NEVER;
    if (!timeout)
        return 0;
    if (get_guest(t, &ts, timeout) < 0)
        return -EFAULT;
    r = timespec_to_ktime(&ts, &k);
    if (r == 0)
        c->end = ktime_add(ktime_now(), k);
    return r;
}

static int recvmmsg_left(struct task *t, struct msg_call *c, gaddr_t timeout)
{
    struct timespec ts;

    if (!timeout)
        return 0;
    ts = ktime_to_timespec(MAX(c->end - ktime_now(), (ktime_t)0));
    return put_guest(t, timeout, &ts);
}

long sys_recvmmsg(struct task *t, int fd, gaddr_t vec, unsigned vlen, unsigned flags,
                  gaddr_t timeout)
{
    struct sock *sk;
    struct msg_call *c = begin(t, fd, &sk);
    long r;

    if (IS_ERR(c))
        return PTR_ERR(c);
    vlen = MIN(vlen, (unsigned)IOV_MAX_); /* fewer than asked for is an answer, too */
    r = recvmmsg_start(t, c, timeout);
    while (r >= 0 && c->n < vlen) {
        gaddr_t at = vec + c->n * sizeof(struct lx_mmsghdr);
        unsigned now = flags & ~(unsigned)MSG_WAITFORONE;
        uint32_t len;

        if (c->n && ((flags & MSG_WAITFORONE) || ktime_now() >= c->end))
            now |= MSG_DONTWAIT;
        r = recv_one(t, sk, c, at, now);
        if (r < 0)
            break;
        len = (uint32_t)r;
        r = put_guest(t, at + offsetof(struct lx_mmsghdr, len), &len);
        if (r < 0)
            break;
        c->n++;
        msg_reset(c);
        if (ktime_now() >= c->end)
            break;
    }
    if (r == -EWAITING || !c->n)
        return r;
    r = recvmmsg_left(t, c, timeout);
    return r < 0 ? r : (long)c->n;
}

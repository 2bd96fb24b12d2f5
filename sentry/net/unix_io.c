/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data of connected Unix sockets: bytes of a stream, records of a seqpacket. The pair's lock is
 * held throughout; a sender fills the way to the other end up to its own SO_SNDBUF.
 *
 * A stream's ancillary data hangs on ranges of bytes (struct mark). A read stops behind the range
 * that gave it descriptors, and, where it shows credentials, before bytes of another sender.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/task.h"
#include "sentry/net/scm.h"
#include "sentry/net/unix.h"

static bool wants_cred(const struct sock *sk)
{
    return sk->passcred || sk->passpidfd;
}

int unix_scm_prepare(struct task *t, struct sock *from, struct sock *to, struct send_req *r)
{
    if (!wants_cred(from) && !wants_cred(to))
        return 0;
    if (!*r->scm)
        *r->scm = scm_new();
    if (!*r->scm)
        return -ENOMEM;
    if (!(*r->scm)->has_cred)
        scm_own_cred(t, *r->scm);
    return 0;
}

/* done, or what w says; -EWAITING goes first. */
static ssize_t result(uint64_t done, ssize_t w)
{
    return done && w != -EWAITING ? (ssize_t)done : w;
}

/* ---- streams ---- */

/* One step of a send: bytes put on the way, with what goes along. */
static ssize_t put_bytes(struct task *t, struct sock *sk, struct sock *to, struct send_req *r)
{
    struct half *out = sock_out(sk);
    struct mark *k = NULL;
    uint64_t start = out->ring.wpos;
    int e = unix_scm_prepare(t, sk, to, r);
    ssize_t n;

    if (e == 0 && *r->scm) {
        k = kzalloc(sizeof *k);
        e = k ? scm_enter(t, *r->scm, to) : -ENOMEM;
    }
    if (e < 0) {
        kfree(k);
        return e;
    }
    n = ring_write(&out->ring, r->it, r->it->left, (size_t)sk->sndbuf);
    if (n <= 0) {
        if (k)
            scm_leave(*r->scm);
        kfree(k);
        return n;
    }
    if (k) {
        k->start = start;
        k->end = start + (uint64_t)n;
        k->scm = *r->scm;
        *r->scm = NULL;
        list_add_tail(&out->marks, &k->link);
    }
    return n;
}

static ssize_t stream_send(struct task *t, struct sock *sk, struct send_req *r)
{
    if (sk->state != SOCK_CONNECTED)
        return r->addr ? -EOPNOTSUPP : -ENOTCONN;
    if (r->addr)
        return -EISCONN;
    for (;;) {
        struct sock *to = sock_other(sk);
        ssize_t n;

        if ((sk->shut & SHUT_W) || !to || (to->shut & SHUT_R))
            return *r->done ? (ssize_t)*r->done : sock_sigpipe(t, r->flags);
        if (!r->it->left)
            return (ssize_t)*r->done;
        if (sk->err)
            return result(*r->done, sock_take_err(sk));
        if (ring_used(&sock_out(sk)->ring) >= (size_t)sk->sndbuf) {
            n = req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->wr_wq, sk->sndtimeo);
            return result(*r->done, n);
        }
        n = put_bytes(t, sk, to, r);
        if (n <= 0)
            return result(*r->done, n);
        *r->done += (uint64_t)n;
        sock_wake_read(to);
    }
}

ssize_t unix_stream_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = stream_send(t, sk, r);
    unlock(l);
    return n;
}

static struct mark *mark_at(struct half *in, uint64_t pos, uint64_t *ret_end)
{
    struct mark *k;

    *ret_end = in->ring.wpos;
    list_for_each(k, &in->marks, link) {
        if (k->start > pos) {
            *ret_end = k->start;
            return NULL;
        }
        if (k->end > pos) {
            *ret_end = k->end;
            return k;
        }
    }
    return NULL;
}

void unix_scm_take(struct recv_req *r, struct scm **s)
{
    struct scm *old = r->scm;

    if (!*s || (r->scm && !(*s)->nfiles))
        return;
    if (r->flags & MSG_PEEK) {
        r->scm = scm_dup(*s);
    } else {
        scm_leave(*s);
        r->scm = *s;
        *s = NULL;
    }
    scm_free(old); /* credentials at most: no file is closed */
}

/* n bytes of k's range were read (not peeked): what it carried goes to r. */
static void mark_read(struct recv_req *r, struct mark *k, uint64_t pos)
{
    if (k->scm && (k->scm->nfiles || pos >= k->end)) {
        unix_scm_take(r, &k->scm);
        if (pos < k->end && r->scm && r->scm->has_cred) { /* the rest has credentials still */
            unsigned n = r->scm->nfiles;

            r->scm->nfiles = 0;
            k->scm = scm_dup(r->scm);
            r->scm->nfiles = n;
        }
    } else if (k->scm && !r->scm) {
        r->scm = scm_dup(k->scm);
    }
    if (pos >= k->end) {
        list_del(&k->link);
        scm_free(k->scm); /* credentials at most */
        kfree(k);
    }
}

static void took_bytes(struct sock *sk, struct half *in, size_t n)
{
    struct sock *from = sock_other(sk);

    ring_consume(&in->ring, n);
    if (sk->peek_off > 0)
        sk->peek_off = (size_t)sk->peek_off > n ? sk->peek_off - (int)n : 0;
    if (from && ring_used(&in->ring) * 4 <= (size_t)from->sndbuf)
        sock_wake_write(from);
}

/* One step of a read: 1 go on, 0 enough, or an error. */
static ssize_t get_bytes(struct sock *sk, struct half *in, struct recv_req *r, uint64_t pos)
{
    bool peek = r->flags & MSG_PEEK;
    uint64_t end;
    struct mark *k = mark_at(in, pos, &end);
    ssize_t n;

    if (*r->done && wants_cred(sk) && !scm_same_cred(r->scm, k ? k->scm : NULL))
        return 0;
    n = ring_copy(&in->ring, r->it, pos, MIN(r->it->left, end - pos));
    if (n < 0)
        return n;
    *r->done += (uint64_t)n;
    if (peek) {
        if (k)
            unix_scm_take(r, &k->scm);
        if (sk->peek_off >= 0)
            sk->peek_off += (int)n;
    } else {
        if (k)
            mark_read(r, k, pos + (uint64_t)n);
        took_bytes(sk, in, (size_t)n);
    }
    return !(r->scm && r->scm->nfiles) && !r->it->fault;
}

static ssize_t stream_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    size_t total = r->it->left + *r->done;
    size_t target = (r->flags & MSG_WAITALL) ? total : MIN((size_t)sk->rcvlowat, total);
    bool peek = r->flags & MSG_PEEK;

    if (sk->state != SOCK_CONNECTED)
        return -EINVAL;
    for (;;) {
        struct half *in = sock_in(sk);
        uint64_t pos = in->ring.rpos;
        ssize_t n;

        if (peek && sk->peek_off >= 0)
            pos += (uint64_t)sk->peek_off;
        else if (peek)
            pos += *r->done;
        if (pos < in->ring.wpos && r->it->left) {
            n = get_bytes(sk, in, r, pos);
            if (n <= 0)
                return result(*r->done, n);
            continue;
        }
        if (!r->it->left || *r->done >= target)
            return (ssize_t)*r->done;
        if (sk->err)
            return result(*r->done, sock_take_err(sk));
        if (sk->shut & SHUT_R)
            return (ssize_t)*r->done;
        n = req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
        return result(*r->done, n);
    }
}

ssize_t unix_stream_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = stream_recv(t, sk, r);
    if (n > 0 && ring_used(&sock_in(sk)->ring))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    unlock(l);
    return n;
}

/* ---- records ---- */

static ssize_t seq_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct sock *to = sock_other(sk);
    struct half *out;
    struct msg *m;
    size_t n = r->it->left;
    int e;

    if (sk->err)
        return sock_take_err(sk);
    if (sk->state != SOCK_CONNECTED)
        return -ENOTCONN;
    if (n > (size_t)sk->sndbuf - 32)
        return -EMSGSIZE;
    if ((sk->shut & SHUT_W) || !to || (to->shut & SHUT_R))
        return -EPIPE;
    out = sock_out(sk);
    if (out->msg_bytes >= (size_t)sk->sndbuf)
        return req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->wr_wq, sk->sndtimeo);
    m = msg_new(r->it, n);
    if (IS_ERR(m))
        return PTR_ERR(m);
    e = unix_scm_prepare(t, sk, to, r);
    if (e == 0 && *r->scm)
        e = scm_enter(t, *r->scm, to);
    if (e < 0) {
        msg_free(m);
        return e;
    }
    m->scm = *r->scm;
    *r->scm = NULL;
    list_add_tail(&out->msgs, &m->link);
    out->msg_bytes += msg_cost(m);
    sock_wake_read(to);
    return (ssize_t)n;
}

ssize_t unix_seq_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = seq_send(t, sk, r);
    unlock(l);
    return n;
}

/* *ret_free: a message that is done with, to be freed without the lock. */
static ssize_t seq_recv(struct task *t, struct sock *sk, struct recv_req *r, struct msg **ret_free)
{
    struct half *in;
    struct sock *from;
    struct msg *m;
    ssize_t n;

    if (sk->state != SOCK_CONNECTED)
        return -ENOTCONN;
    if (sk->err)
        return sock_take_err(sk);
    in = sock_in(sk);
    if (list_empty(&in->msgs)) {
        if (sk->shut & SHUT_R)
            return 0;
        return req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
    }
    m = list_first(&in->msgs, struct msg, link);
    n = msg_deliver(r, m);
    unix_scm_take(r, &m->scm);
    if (r->flags & MSG_PEEK)
        return n;
    list_del(&m->link);
    in->msg_bytes -= msg_cost(m);
    *ret_free = m;
    from = sock_other(sk);
    if (from && in->msg_bytes * 4 <= (size_t)from->sndbuf)
        sock_wake_write(from);
    if (!list_empty(&in->msgs))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    return n;
}

ssize_t unix_seq_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct msg *m = NULL;
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_OOB)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = seq_recv(t, sk, r, &m);
    unlock(l);
    msg_free(m);
    return n;
}

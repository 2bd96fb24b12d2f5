/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of TCP connections. The pair's lock is held throughout. What a sender may have on the
 * way stands for both windows: its own SO_SNDBUF and the receiver's SO_RCVBUF (tcp_cap).
 *
 * Urgent data is Linux's: one byte, marked in the stream; read by MSG_OOB, or in its place with
 * SO_OOBINLINE; a plain read stops before it and then skips it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/net/host.h"
#include "sentry/net/inet.h"
#include "sentry/net/tap.h"

#define SNDBUF_AUTO 262144
#define RCVBUF_AUTO 131072

size_t tcp_cap(struct sock *sk, struct sock *to)
{
    size_t cap = sk->sndbuf_set ? (size_t)sk->sndbuf / 2 : SNDBUF_AUTO;

    return cap + (to && to->rcvbuf_set ? (size_t)to->rcvbuf / 2 : RCVBUF_AUTO);
}

static bool writable(struct sock *sk)
{
    size_t used = ring_used(&sock_out(sk)->ring), cap = tcp_cap(sk, sock_other(sk));

    return used + used / 2 <= cap;
}

static ssize_t result(uint64_t done, ssize_t w)
{
    return done && w != -EWAITING ? (ssize_t)done : w;
}

/* ---- sending ---- */

static ssize_t broken(struct task *t, struct sock *sk, struct send_req *r)
{
    if (*r->done)
        return (ssize_t)*r->done;
    if (sk->err && sk->err != EPIPE)
        return sock_take_err(sk);
    sk->err = 0;
    return sock_sigpipe(t, r->flags);
}

/* May who asked for the signal (F_SETOWN) send it to t? */
static bool owner_may(const struct sock *sk, const struct task *t)
{
    uid_t uid = sk->file.owner.uid, euid = sk->file.owner.euid;

    return t->cred && (euid == 0 || euid == t->cred->suid || euid == t->cred->uid ||
                       uid == t->cred->suid || uid == t->cred->uid);
}

static int urge_group(struct tgroup *g, void *arg)
{
    struct sock *sk = arg;

    if (g->pgrp && g->pgrp->nr == sk->file.owner.pid && !g->zombie && owner_may(sk, g->leader))
        signal_send_group_locked(g, SIGURG, NULL);
    return 0;
}

/* SIGURG to the owner that F_SETOWN named. */
static void urge_owner(struct sock *sk)
{
    pid_t pid = sk->file.owner.pid;
    struct tgroup *g;
    struct task *t;

    if (!pid)
        return;
    LOCK_SCOPE(&kernel.tasks_lock);
    const struct pidns *ns = pidns_find_locked(sk->file.owner.ns);
    if (!ns)
        return;
    if (sk->file.owner.type == F_OWNER_PGRP) {
        tgroup_each_locked(ns, urge_group, sk);
    } else if (sk->file.owner.type == F_OWNER_TID) {
        t = task_find_locked(ns, pid);
        if (t && owner_may(sk, t))
            signal_send_task_locked(t, SIGURG, NULL);
    } else {
        g = tgroup_find_locked(ns, pid);
        if (g && !g->zombie && owner_may(sk, g->leader))
            signal_send_group_locked(g, SIGURG, NULL);
    }
}

static void mark_urgent(struct sock *to, struct half *out)
{
    if (out->urg && out->urg_pos == out->ring.rpos && !to->oobinline)
        ring_consume(&out->ring, 1); /* the last one was not read: it goes */
    out->urg = true;
    out->urg_read = false;
    out->urg_pos = out->ring.wpos - 1;
    urge_owner(to);
    wq_wake(&to->poll_wq, POLLPRI);
}

static void count_lo(size_t n)
{
    atomic_fetch_add(&net_lo_bytes, n + 52);
    atomic_fetch_add(&net_lo_packets, 1 + n / 65483);
}

#define UNTIL_RESET                                                                                \
    (512u << 10) /* what Linux's loopback takes of one call before the answer is seen */

/* The other end is closed: the data gets a reset for an answer. */
static ssize_t send_to_nobody(struct sock *sk, struct send_req *r)
{
    size_t n = MIN(r->it->left, (size_t)UNTIL_RESET);

    iter_skip(r->it, n);
    tcp_got_reset(sk);
    return (ssize_t)(*r->done + n);
}

void tcp_push(struct sock *sk)
{
    struct sock *to;

    if (sk->state != SOCK_CONNECTED || !half_show(sock_out(sk)))
        return;
    to = sock_other(sk);
    if (to)
        sock_wake_read(to);
}

static ssize_t send_loop(struct task *t, struct sock *sk, struct send_req *r)
{
    for (;;) {
        struct half *out = sock_out(sk);
        struct sock *to = sock_other(sk);
        uint64_t from;
        ssize_t n;

        if (sk->err || (sk->shut & SHUT_W))
            return broken(t, sk, r);
        if (!r->it->left)
            return (ssize_t)*r->done;
        if (!to)
            return send_to_nobody(sk, r);
        if (ring_used(&out->ring) >= tcp_cap(sk, to)) {
            tcp_push(sk); /* room comes by reading only */
            out->nospace = true;
            n = req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->wr_wq, sk->sndtimeo);
            return result(*r->done, n);
        }
        from = out->ring.wpos;
        n = ring_write(&out->ring, r->it, r->it->left, tcp_cap(sk, to));
        if (n <= 0)
            return result(*r->done, n);
        *r->done += (uint64_t)n;
        inet_sk(sk)->bytes_out += (uint64_t)n;
        inet_sk(to)->bytes_in += (uint64_t)n;
        count_lo((size_t)n);
        tap_tcp_data(inet_sk(sk), from, (size_t)n);
        if ((r->flags & MSG_OOB) && !r->it->left)
            mark_urgent(to, out);
        if ((r->flags & MSG_MORE || inet_sk(sk)->tcp.cork) && !(r->flags & MSG_OOB))
            half_hold(atomic_load(&sk->conn), !sk->side, from);
        else
            (void)half_show(out);
        if (half_ready(out))
            sock_wake_read(to);
    }
}

ssize_t tcp_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct lock *l = sock_lock(sk);
    ssize_t n;

    if (sk->state == SOCK_HOST) {
        unlock(l);
        n = host_send(t, sk, r);
        l = sock_lock(sk);
    } else if (sk->state == SOCK_CONNECTED)
        n = send_loop(t, sk, r);
    else if (sk->state != SOCK_CONNECTING)
        n = broken(t, sk, r);
    else
        n = req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->wr_wq, sk->sndtimeo);
    if (n > 0)
        inet_zerocopy_sent(inet_sk(sk), r->flags);
    unlock(l);
    return n;
}

/* ---- receiving ---- */

static ssize_t recv_urgent(struct sock *sk, struct recv_req *r)
{
    struct half *in = sock_in(sk);
    uint8_t *ring = in->ring.buf;

    if (sk->oobinline || !in->urg || in->urg_read)
        return -EINVAL;
    r->msg_flags |= MSG_OOB;
    if (!(r->flags & MSG_PEEK))
        in->urg_read = true;
    if (!r->it->left) {
        r->msg_flags |= MSG_TRUNC;
        return 0;
    }
    if (r->flags & MSG_TRUNC)
        return 1;
    return iter_put(r->it, &ring[in->urg_pos & (in->ring.size - 1)], 1);
}

/* Bytes that a plain read may take at pos; steps over the urgent one. */
static size_t readable(struct sock *sk, struct half *in, uint64_t *pos, bool peek)
{
    if (in->urg && *pos == in->urg_pos && !sk->oobinline && *pos < half_end(in)) {
        (*pos)++;
        if (!peek) {
            ring_consume(&in->ring, 1);
            in->urg = false;
        }
    }
    if (*pos >= half_end(in))
        return 0;
    if (in->urg && *pos < in->urg_pos)
        return in->urg_pos - *pos;
    return half_end(in) - *pos;
}

static void took(struct sock *sk, struct half *in, size_t n)
{
    struct sock *from = sock_other(sk);

    ring_consume(&in->ring, n);
    if (sk->peek_off > 0)
        sk->peek_off = (size_t)sk->peek_off > n ? sk->peek_off - (int)n : 0;
    if (in->urg && in->ring.rpos > in->urg_pos)
        in->urg = false;
    if (from && in->nospace && writable(from)) {
        in->nospace = false;
        sock_wake_write(from);
    }
}

/* What recv says when nothing is there; 0 end of file. */
static ssize_t nothing(struct task *t, struct sock *sk, struct recv_req *r)
{
    if (sk->state == SOCK_CONNECTED && sock_in(sk)->fin)
        return 0;
    if (sk->err)
        return sock_take_err(sk);
    if (sk->shut & SHUT_R)
        return 0;
    if (sk->state != SOCK_CONNECTED && sk->state != SOCK_CONNECTING)
        return -ENOTCONN;
    return req_nonblock(sk, r->flags) ? -EAGAIN : sock_wait(t, &sk->rd_wq, sk->rcvtimeo);
}

/* With MSG_TRUNC the bytes are thrown away. */
static ssize_t take(struct half *in, struct recv_req *r, uint64_t pos, size_t n)
{
    if (!(r->flags & MSG_TRUNC))
        return ring_copy(&in->ring, r->it, pos, n);
    iter_skip(r->it, n);
    return (ssize_t)n;
}

static ssize_t recv_loop(struct task *t, struct sock *sk, struct recv_req *r)
{
    size_t total = r->it->left + *r->done;
    size_t target = (r->flags & MSG_WAITALL) ? total : MIN((size_t)sk->rcvlowat, total);
    bool peek = r->flags & MSG_PEEK, peek_off = peek && sk->peek_off >= 0;
    struct half *in = sock_in(sk);

    for (;;) {
        uint64_t pos = in->ring.rpos + (peek_off ? (uint64_t)sk->peek_off : peek ? *r->done : 0);
        size_t n;
        ssize_t got;

        if (!r->it->left)
            return (ssize_t)*r->done;
        if (*r->done && in->urg && pos == in->urg_pos)
            return (ssize_t)*r->done; /* a read stops at the mark */
        n = MIN(readable(sk, in, &pos, peek), r->it->left);
        if (n) {
            got = take(in, r, pos, n);
            if (got <= 0)
                return result(*r->done, got);
            *r->done += (uint64_t)got;
            if (!peek)
                took(sk, in, (size_t)got);
            else if (peek_off)
                sk->peek_off += (int)got;
            if (r->it->fault)
                return (ssize_t)*r->done;
            continue;
        }
        if (*r->done && (*r->done >= target || sk->err || (sk->shut & SHUT_R)))
            return (ssize_t)*r->done;
        return result(*r->done, nothing(t, sk, r));
    }
}

ssize_t tcp_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct lock *l;
    ssize_t n;

    if (r->flags & MSG_ERRQUEUE)
        return inet_recv_errors(inet_sk(sk), r);
    l = sock_lock(sk);
    if (sk->state == SOCK_HOST) {
        unlock(l);
        return host_recv(t, sk, r);
    }
    if (sk->state == SOCK_LISTEN)
        n = -ENOTCONN;
    else if (sk->state != SOCK_CONNECTED)
        n = nothing(t, sk, r);
    else if (r->flags & MSG_OOB)
        n = recv_urgent(sk, r);
    else
        n = recv_loop(t, sk, r);
    if (n > 0 && sk->state == SOCK_CONNECTED && half_ready(sock_in(sk)))
        wq_wake(&sk->rd_wq, POLLIN | POLLRDNORM);
    unlock(l);
    return n;
}

/* ---- looking ---- */

uint32_t tcp_poll(struct sock *sk)
{
    struct isock *s = inet_sk(sk);
    struct half *in;
    uint32_t ev = 0;
    size_t want = (size_t)sk->rcvlowat;

    if (sk->state == SOCK_HOST)
        return host_poll(sk) | (s->zc.pending ? POLLERR : 0);
    if (sk->state == SOCK_LISTEN)
        return list_empty(&sk->acceptq) ? 0 : POLLIN | POLLRDNORM;
    if (sk->shut == SHUT_BOTH || (sk->state != SOCK_CONNECTING && tcp_closed(s)))
        ev |= POLLHUP;
    if (sk->shut & SHUT_R)
        ev |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (sk->err || s->zc.pending)
        ev |= POLLERR;
    if (sk->state == SOCK_CONNECTING)
        return ev;
    if (sk->state != SOCK_CONNECTED)
        return ev | POLLOUT | POLLWRNORM;
    in = sock_in(sk);
    if (in->urg && in->urg_pos == in->ring.rpos && !sk->oobinline)
        want++;
    if (half_ready(in) >= want)
        ev |= POLLIN | POLLRDNORM;
    if (in->urg && !in->urg_read)
        ev |= POLLPRI;
    if ((sk->shut & SHUT_W) || writable(sk))
        ev |= POLLOUT | POLLWRNORM;
    else
        sock_out(sk)->nospace = true;
    return ev;
}

size_t tcp_inq(struct sock *sk)
{
    struct half *in;

    if (sk->state == SOCK_HOST)
        return host_inq(sk);
    if (sk->state != SOCK_CONNECTED)
        return 0;
    in = sock_in(sk);
    if (in->urg && !sk->oobinline && in->urg_pos >= in->ring.rpos)
        return in->urg_pos - in->ring.rpos;
    return half_ready(in);
}

/* What lies in the other's buffer counts as acknowledged: nothing is outstanding. */
size_t tcp_outq(struct sock *sk)
{
    (void)sk;
    return 0;
}

long tcp_ioctl(struct task *t, struct sock *sk, unsigned cmd, uint64_t arg)
{
    struct lock *l;
    int at;

    if (cmd == SIOCOUTQNSD) {
        at = 0;
        return put_guest(t, arg, &at);
    }
    if (cmd != SIOCATMARK)
        return -ENOIOCTLCMD;
    l = sock_lock(sk);
    at = sk->state == SOCK_CONNECTED && sock_in(sk)->urg &&
         sock_in(sk)->urg_pos == sock_in(sk)->ring.rpos;
    unlock(l);
    return put_guest(t, arg, &at);
}

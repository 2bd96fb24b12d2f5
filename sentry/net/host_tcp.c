/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See host.h. The descriptor of a connected socket is read without a lock: it is set before the state
 * is SOCK_HOST and closed with the last reference, also where the socket was left before (old_fds).
 */
#include "sentry/net/host.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/scratch.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/learn.h"
#include "sentry/vfs/hostfile.h"

#define buffer (scratch()->host) /* between guest and host; nothing stays in it over a wait */

/* ---- connecting ---- */

static bool hold(struct bcall *c)
{
    return sock_tryref(&container_of(c, struct isock, host.call)->sk);
}

/* own_lock held. */
static void failed(struct isock *s, int error)
{
    s->sk.state = SOCK_CLOSED;
    s->sk.err = -error;
    s->sk.shut = SHUT_BOTH;
    s->remote = inet_any(s);
    sock_wake_all(&s->sk, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

static void connected(struct isock *s, const struct nb_rep *r, int fd)
{
    s->host.fd = fd;
    s->host.kept = r->arg & 1 ? r->tag : 0;
    s->local = broker_addr_in(&r->local);
    s->remote = broker_addr_in(&r->peer);
    s->sk.state = SOCK_HOST;
    sock_wake_all(&s->sk, POLLOUT | POLLWRNORM);
}

static void answer(struct bcall *c, const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct isock *s = container_of(c, struct isock, host.call);
    int error = r->error;
    bool taken = false;

    if (error == -EACCES)
        broker_note((const char *)data, r->len, &s->remote);
    if (error == 0 && (fd < 0 || !hostfd_may(fd, HOSTFD_FILE)))
        error = -ENFILE;
    lock(&s->sk.own_lock);
    if (s->host.tag == r->tag) { /* else it was given up meanwhile */
        s->host.tag = 0;
        if (error < 0) {
            failed(s, error);
        } else {
            connected(s, r, fd);
            learn_peer((const char *)data, r->len, &s->remote);
            fd = -1;
            taken = true;
        }
    }
    unlock(&s->sk.own_lock);
    if (fd >= 0)
        close(fd);
    if (!taken && r->error == 0)
        broker_closed(r->tag);
    sock_put(&s->sk);
}

int host_connect(struct isock *s, const struct inet_addr *dst)
{
    struct nb_opt opts[NB_OPTS_MAX];
    struct nb_req m = { .op = NB_CONNECT,
                        .proto = IPPROTO_TCP,
                        .addr = broker_addr(dst),
                        .len = (uint32_t)host_options(s, opts) };
    int r;

    lock(&tcp_lock);
    if (s->bound)
        port_release(s); /* the host chooses */
    lock(&s->sk.own_lock);
    r = s->sk.state == SOCK_CLOSED ? 0 : -EISCONN;
    if (r == 0) {
        s->sk.state = SOCK_CONNECTING;
        s->started = true;
        s->sk.shut = 0;
        s->remote = *dst;
        s->host.call.hold = hold;
        s->host.call.answer = answer;
        (void)broker_expect(&s->host.call);
        m.tag = s->host.tag = s->host.call.tag;
    }
    unlock(&s->sk.own_lock);
    unlock(&tcp_lock);
    if (r < 0)
        return r;
    r = broker_send(&m, opts, -1, NULL);
    if (r < 0) {
        LOCK_SCOPE(&s->sk.own_lock);
        if (s->host.tag == m.tag) {
            broker_forget(&s->host.call);
            s->host.tag = 0;
            failed(s, r);
        }
    }
    return 0;
}

int host_leave(struct isock *s)
{
    uint32_t tag, kept = 0;
    int r = 0;

    lock(&s->sk.own_lock);
    tag = broker_forget(&s->host.call);
    s->host.tag = 0;
    if (s->host.fd >= 0 && s->host.nold == ARRAY_SIZE(s->host.old_fds)) {
        r = -ENOBUFS;
    } else if (s->host.fd >= 0) {
        host_unlend(&s->sk, /* gone= */ true);
        shutdown(s->host.fd, SHUT_RDWR);
        s->host.old_fds[s->host.nold++] = s->host.fd;
        s->host.old_watched |= s->host.watched ? 1u << (s->host.nold - 1) : 0;
        s->host.fd = -1;
        s->host.watched = false;
        kept = s->host.kept;
        s->host.kept = 0;
    }
    unlock(&s->sk.own_lock);
    broker_closed(tag);
    broker_closed(kept);
    return r;
}

/*
 * What close(2) waits for with SO_LINGER: that all is with the other end. The host's socket has no such
 * time, or the broker would wait where it has the last one of it.
 */
static void linger(int fd, int seconds)
{
    const ktime_t end = ktime_now() +
                        (ktime_t)(seconds < 0 ? 1 << 20 : MIN(seconds, 1 << 20)) * 1000000000;
    int left = 0;

    shutdown(fd, SHUT_RDWR);
    for (uint64_t ns = 100000; ktime_now() < end; ns = MIN(2 * ns, 10000000ull)) {
        if (ioctl(fd, TIOCOUTQ, &left) < 0 || left == 0)
            return;
        hostio_nap(ns);
    }
}

static void put_fd(struct isock *s, int fd, bool watched, uint32_t kept)
{
    const struct sock *sk = &s->sk;

    if (fd < 0)
        return;
    if (watched)
        event_unwatch(fd);
    kernel.platform->worker_block_begin(); /* SO_LINGER */
    if (sk->type == SOCK_STREAM && sk->linger && sk->linger_time)
        linger(fd, sk->linger_time);
    broker_closed(kept);
    close(fd);
    kernel.platform->worker_block_end();
}

void host_release(struct isock *s)
{
    broker_closed(broker_forget(&s->host.call));
    host_urgent_end(s);
    put_fd(s, s->host.fd, s->host.watched, s->host.kept);
    for (unsigned i = 0; i < s->host.nold; i++)
        put_fd(s, s->host.old_fds[i], s->host.old_watched >> i & 1, 0);
}

/* ---- waiting ---- */

static uint32_t poll_now(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP | POLLOUT };

    if (fd < 0 || hostio_poll(&p, 1, 0) < 0)
        return 0;
    return host_ready((uint32_t)p.revents & 0xffff);
}

static bool is_awaited(struct sock *sk)
{
    return wq_active(&sk->rd_wq) || wq_active(&sk->wr_wq) || wq_active(&sk->poll_wq);
}

static void on_host(void *arg, uint32_t events)
{
    struct isock *s = arg;

    LOCK_SCOPE(&s->sk.own_lock);
    sock_wake_all(&s->sk, host_ready(events));
    /* who uses it by himself would otherwise wake this thread with all that comes */
    if (s->host.lent.on && s->host.watched && !is_awaited(&s->sk)) {
        event_unwatch(s->host.fd);
        s->host.watched = false;
    }
}

static int watch_locked(struct isock *s)
{
    int r;

    assert_locked(&s->sk.own_lock);
    if (s->host.watched || s->host.fd < 0)
        return 0;
    r = event_watch(s->host.fd, EPOLLET | EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI, on_host, s);
    s->host.watched = r == 0;
    return r == 0 ? 0 : -ENOMEM;
}

/* 0: it is ready by now, try again. */
static int wait_for(struct task *t, struct sock *sk, int flags, uint32_t events)
{
    struct isock *s = inet_sk(sk);
    bool in = events & POLLIN;
    int r;

    if (req_nonblock(sk, flags))
        return -EAGAIN;
    LOCK_SCOPE(&sk->own_lock);
    r = watch_locked(s);
    if (s->host.fd < 0 || (poll_now(s->host.fd) & (events | POLLHUP | POLLERR)))
        return 0;
    return r < 0 ? r : sock_wait(t, in ? &sk->rd_wq : &sk->wr_wq, in ? sk->rcvtimeo : sk->sndtimeo);
}

uint32_t host_poll(struct sock *sk)
{
    struct isock *s = inet_sk(sk);
    uint32_t ev = sk->err ? POLLERR : 0;

    if (watch_locked(s) < 0)
        ev |= POLLERR; /* who waited would not be woken */
    return ev | poll_now(s->host.fd);
}

static ssize_t result(const uint64_t *done, ssize_t r)
{
    return *done && r != -EWAITING ? (ssize_t)*done : r;
}

/* ---- data ---- */

static _Atomic uint64_t received, sent;

void host_traffic(uint64_t *ret_received, uint64_t *ret_sent)
{
    *ret_received = atomic_load_explicit(&received, memory_order_relaxed);
    *ret_sent = atomic_load_explicit(&sent, memory_order_relaxed);
    host_lent_traffic(ret_received, ret_sent);
}

void host_count(uint64_t in, uint64_t out)
{
    atomic_fetch_add_explicit(&received, in, memory_order_relaxed);
    atomic_fetch_add_explicit(&sent, out, memory_order_relaxed);
}

/* A piece to the host: bytes moved, 0 by EAGAIN, or an error. */
static ssize_t send_piece(struct isock *s, struct iter *it, size_t most)
{
    ssize_t n = iter_get(it, buffer, MIN(most, sizeof buffer)), r;
    struct iovec iov = { buffer, n > 0 ? (size_t)n : 0 };

    if (n <= 0)
        return n;
    do {
        r = pwritev2(s->host.fd, &iov, 1, -1, 0);
    } while (r < 0 && errno == EINTR);
    r = r < 0 ? -errno : r;
    if (r < n)
        iter_revert(it, (size_t)(n - MAX(r, 0)));
    if (r > 0)
        atomic_fetch_add_explicit(&sent, (uint64_t)r, memory_order_relaxed);
    return r == -EAGAIN ? 0 : r;
}

static ssize_t send_urgent(struct task *t, struct sock *sk, struct send_req *r)
{
    uint8_t byte;
    ssize_t n = iter_get(r->it, &byte, 1);

    if (n != 1)
        return result(r->done, n);
    n = host_urgent(t, sk, byte);
    if (n < 0)
        iter_revert(r->it, 1);
    return n < 0 ? result(r->done, n) : (ssize_t)++ * r->done;
}

ssize_t host_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct isock *s = inet_sk(sk);
    size_t last = r->flags & MSG_OOB ? 1 : 0;
    ssize_t n;

    if (sk->err) {
        LOCK_SCOPE(&sk->own_lock);
        if (sk->err)
            return result(r->done, sock_take_err(sk));
    }
    t->call.lend = true;
    while (r->it->left > last) {
        n = send_piece(s, r->it, r->it->left - last);
        if (n == 0)
            n = wait_for(t, sk, r->flags, POLLOUT);
        else if (n > 0)
            *r->done += (uint64_t)n;
        if (n == -EPIPE && !*r->done)
            return sock_sigpipe(t, r->flags);
        if (n < 0)
            return result(r->done, n);
    }
    return last && r->it->left ? send_urgent(t, sk, r) : (ssize_t)*r->done;
}

static ssize_t recv_piece(struct isock *s, struct recv_req *r)
{
    const int pass = MSG_PEEK | MSG_OOB | MSG_TRUNC;
    struct iovec iov = { buffer, MIN(r->it->left, sizeof buffer) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t n, got;

    do {
        n = recvmsg(s->host.fd, &msg, MSG_DONTWAIT | (r->flags & pass));
    } while (n < 0 && errno == EINTR);
    if (n < 0) /* ENOTCONN: it was cut, and that was told; nothing comes any more */
        return errno == ENOTCONN ? 0 : -errno;
    if (!(r->flags & MSG_PEEK))
        atomic_fetch_add_explicit(&received, (uint64_t)n, memory_order_relaxed);
    r->msg_flags |= msg.msg_flags & (MSG_OOB | MSG_TRUNC);
    if ((r->flags & MSG_TRUNC) && !(r->flags & MSG_OOB)) {
        iter_skip(r->it, (size_t)n);
        return n;
    }
    got = iter_put(r->it, buffer, MIN((size_t)n, iov.iov_len));
    return n > 0 && got <= 0 ? -EFAULT : got;
}

ssize_t host_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct isock *s = inet_sk(sk);
    size_t total = r->it->left + *r->done;
    size_t target = (r->flags & MSG_WAITALL) ? total : MIN((size_t)sk->rcvlowat, total);
    ssize_t n;

    t->call.lend = true;
    for (;;) {
        if (!r->it->left)
            return (ssize_t)*r->done;
        n = recv_piece(s, r);
        if (n == -EAGAIN) {
            if ((*r->done && *r->done >= target) || (r->flags & MSG_OOB))
                return result(r->done, -EAGAIN);
            n = wait_for(t, sk, r->flags, POLLIN);
            if (n == 0)
                continue;
            return result(r->done, n);
        }
        if (n < 0 && n != -EFAULT && *r->done) {
            LOCK_SCOPE(&sk->own_lock);
            sk->err = (int)-n; /* for the next call */
            host_unlend(sk, /* gone= */ false);
        }
        if (n <= 0)
            return result(r->done, n);
        *r->done += (uint64_t)n;
        if (r->it->fault || (r->flags & (MSG_PEEK | MSG_OOB)) ||
            (*r->done >= target && (size_t)n < sizeof buffer))
            return (ssize_t)*r->done;
    }
}

size_t host_inq(struct sock *sk)
{
    int n = 0;

    if (inet_sk(sk)->host.fd < 0 || ioctl(inet_sk(sk)->host.fd, FIONREAD, &n) < 0)
        return 0;
    return (size_t)n;
}

int host_shutdown(struct sock *sk, int how)
{
    int r = shutdown(inet_sk(sk)->host.fd, how - 1) < 0 ? -errno : 0;

    LOCK_SCOPE(&sk->own_lock);
    sk->shut |= (unsigned)how;
    sock_wake_all(sk, POLLIN | POLLOUT | POLLRDHUP | (sk->shut == SHUT_BOTH ? POLLHUP : 0));
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOL_SOCKET options of devices and of buffers that servers set though a loopback has little to do for
 * them: kept, told, and refused to whom Linux refuses them. What would ask for something that is not
 * done is not there (ENOPROTOOPT), so that a program goes its other way: SO_TXTIME,
 * SO_MAX_PACING_RATE, SO_RCVMARK, filters of streams; likewise TCP_TX_DELAY.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <string.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/net/sock.h"

enum { /* numbers that glibc of Debian 12 has not all */
       O_DETACH_REUSEPORT_BPF = 68,
       O_PREFER_BUSY_POLL = 69,
       O_BUSY_POLL_BUDGET = 70,
       O_BUF_LOCK = 72,
       O_RESERVE_MEM = 73,
       O_TXREHASH = 74,
       O_RCVMARK = 75,
};

static bool is_tcp(const struct sock *sk)
{
    return sk->type == SOCK_STREAM && (sk->family == AF_INET || sk->family == AF_INET6);
}

static bool is_udp(const struct sock *sk)
{
    return sk->type == SOCK_DGRAM && sk->protocol == IPPROTO_UDP &&
           (sk->family == AF_INET || sk->family == AF_INET6);
}

static int bind_device(struct task *t, struct sock *sk, int index)
{
    if (sk->bound_if && !task_capable(t, CAP_NET_RAW))
        return -EPERM;
    if (index < 0)
        return -EINVAL;
    if (index > 1) /* Linux takes it, and nothing ever comes from there */
        return -ENODEV;
    sk->bound_if = index;
    return 0;
}

/* Of devices that are polled, which lo is not; who may ask is told as by Linux. */
static int set_busy(struct task *t, struct sock *sk, int opt, int val)
{
    bool admin = task_capable(t, CAP_NET_ADMIN);

    switch (opt) {
    case SO_BUSY_POLL:
        if (val < 0)
            return -EINVAL;
        sk->busy_poll = val;
        return 0;
    case O_PREFER_BUSY_POLL:
        if (val && !admin)
            return -EPERM;
        sk->prefer_busy = val != 0;
        return 0;
    }
    if (val > sk->busy_budget && !admin)
        return -EPERM;
    if (val < 0 || val > UINT16_MAX)
        return -EINVAL;
    sk->busy_budget = val;
    return 0;
}

int sock_set_rare(struct task *t, struct sock *sk, int opt, int val)
{
    switch (opt) {
    case SO_BUSY_POLL:
    case O_PREFER_BUSY_POLL:
    case O_BUSY_POLL_BUDGET:
        return set_busy(t, sk, opt, val);
    case SO_BINDTOIFINDEX:
        return bind_device(t, sk, val);
    case O_BUF_LOCK:
        if (val & ~3)
            return -EINVAL;
        sk->sndbuf_set = val & 1;
        sk->rcvbuf_set = val & 2;
        return 0;
    case O_RESERVE_MEM: /* wants control groups of memory */
        return val < 0 ? -EINVAL : -EOPNOTSUPP;
    case O_TXREHASH:
        if (!is_tcp(sk))
            return -EOPNOTSUPP;
        if (val < -1 || val > 1)
            return -EINVAL;
        sk->no_rehash = val == 0;
        return 0;
    case SO_ZEROCOPY:
        if (!is_tcp(sk) && !is_udp(sk))
            return -EOPNOTSUPP;
        if (val < 0 || val > 1)
            return -EINVAL;
        sk->zerocopy = val;
        return 0;
    case SO_CNX_ADVICE: /* another route, of which there is none */
    case SO_BSDCOMPAT:
        return 0;
    case O_DETACH_REUSEPORT_BPF:
        return sk->reuseport ? -ENOENT : -EINVAL;
    case SO_DETACH_FILTER:
        return -ENOENT;
    }
    return -ENOPROTOOPT;
}

/* There is one device. */
int sock_bind_device(struct task *t, struct sock *sk, const char *name, socklen_t n)
{
    int index = n == 0 || *name == 0 ? 0 : 1;
    struct lock *l;
    int r;

    if (index && (n < 2 || strncmp(name, "lo", n) != 0))
        return -ENODEV;
    l = sock_lock(sk);
    r = bind_device(t, sk, index);
    unlock(l);
    return r;
}

int sock_get_rare(const struct sock *sk, int opt, int *ret)
{
    switch (opt) {
    case SO_INCOMING_NAPI_ID:
    case O_RESERVE_MEM:
    case O_RCVMARK:
    case SO_BSDCOMPAT:
        *ret = 0;
        return 0;
    case SO_ZEROCOPY:
        *ret = sk->zerocopy;
        return 0;
    case SO_BPF_EXTENSIONS:
        *ret = SKF_AD_MAX;
        return 0;
    case SO_BUSY_POLL:
        *ret = sk->busy_poll;
        return 0;
    case O_PREFER_BUSY_POLL:
        *ret = sk->prefer_busy;
        return 0;
    case SO_BINDTOIFINDEX:
        *ret = sk->bound_if;
        return 0;
    case O_BUF_LOCK:
        *ret = sk->sndbuf_set | sk->rcvbuf_set << 1;
        return 0;
    case O_TXREHASH:
        if (!is_tcp(sk))
            return -EOPNOTSUPP;
        *ret = !sk->no_rehash;
        return 0;
    }
    return -ENOPROTOOPT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls of sockets but for those that move data (sockmsg.c): decode, call the socket's
 * operation, encode. Errors come in the order in which Linux looks.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "sentry/ipc/pidfd.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/host.h"
#include "sentry/net/sock.h"
#include "sentry/net/vsock.h"
#include "sentry/syscalls/sockaddr.h"
#include "sentry/syscalls/table.h"

#define TYPE_MASK 0xf
#define OPT_MAX 1024
#define SO_PEERPIDFD_ 77

int sockaddr_in(struct task *t, struct sockaddr_storage *to, gaddr_t from, int n)
{
    if (n < 0 || (size_t)n > sizeof *to)
        return -EINVAL;
    return n ? copy_in(t, to, from, (size_t)n) : 0;
}

int sockaddr_out(struct task *t, gaddr_t addr, gaddr_t lenp, const void *from, int n)
{
    int room;

    if (get_guest(t, &room, lenp) < 0)
        return -EFAULT;
    if (room < 0)
        return -EINVAL;
    room = MIN(room, n);
    if (room && copy_out(t, addr, from, (size_t)room) < 0)
        return -EFAULT;
    return put_guest(t, lenp, &n);
}

static int create(struct task *t, int family, int type, int protocol, struct sock **ret)
{
    if (family < 0 || family >= 46)
        return -EAFNOSUPPORT;
    if (type < 0 || type >= 11)
        return -EINVAL;
    switch (family) {
    case AF_UNIX:
        return unix_create(t, type, protocol, ret);
    case AF_INET:
    case AF_INET6:
        return inet_create(t, family, type, protocol, ret);
    case AF_NETLINK:
        return netlink_create(t, type, protocol, ret);
    case AF_PACKET:
        return packet_create(t, type, protocol, ret);
    case AF_VSOCK:
        return vsock_create(t, type, protocol, ret);
    }
    return -EAFNOSUPPORT;
}

static int install(struct task *t, struct sock *sk, int flags)
{
    if (flags & SOCK_NONBLOCK)
        atomic_fetch_or(&sk->file.flags, SOCK_NONBLOCK);
    return fd_install(t, &sk->file, 0, (flags & SOCK_CLOEXEC) != 0);
}

long sys_socket(struct task *t, int family, int type, int protocol)
{
    struct sock *sk;
    int r;

    if (type & ~TYPE_MASK & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    r = create(t, family, type & TYPE_MASK, protocol, &sk);
    return r < 0 ? r : install(t, sk, type);
}

/* Linux makes two sockets and asks their family to join them: only AF_UNIX can. */
static int pair(struct task *t, int family, int type, int protocol, struct sock *sk[2])
{
    int r = create(t, family, type, protocol, &sk[0]);

    if (r < 0)
        return r;
    sock_put(sk[0]);
    return family == AF_UNIX ? unix_pair(t, type, sk) : -EOPNOTSUPP;
}

long sys_socketpair(struct task *t, int family, int type, int protocol, gaddr_t fds)
{
    struct sock *sk[2];
    int fd[2], r;

    if (type & ~TYPE_MASK & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    r = pair(t, family, type & TYPE_MASK, protocol, sk);
    if (r < 0)
        return r;
    fd[0] = install(t, sk[0], type);
    if (fd[0] < 0) {
        sock_put(sk[1]);
        return fd[0];
    }
    fd[1] = install(t, sk[1], type);
    if (fd[1] < 0) {
        fd_close(t, fd[0]);
        return fd[1];
    }
    if (copy_out(t, fds, fd, sizeof fd) < 0) {
        fd_close(t, fd[0]);
        fd_close(t, fd[1]);
        return -EFAULT;
    }
    return 0;
}

long sys_bind(struct task *t, int fd, gaddr_t addr, int addrlen)
{
    struct sock *sk = call_sock(t, fd);
    struct sockaddr_storage a = { 0 };
    int r;

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    r = sockaddr_in(t, &a, addr, addrlen);
    return r < 0 ? r : sk->ops->bind(t, sk, (struct sockaddr *)&a, (socklen_t)addrlen);
}

long sys_listen(struct task *t, int fd, int backlog)
{
    struct sock *sk = call_sock(t, fd);

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    return sk->ops->listen ? sk->ops->listen(t, sk, backlog) : -EOPNOTSUPP;
}

long sys_accept4(struct task *t, int fd, gaddr_t addr, gaddr_t addrlen, int flags)
{
    struct sock *sk = call_sock(t, fd), *new;
    struct sockaddr_storage a = { 0 };
    int r;

    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
        return -EINVAL;
    if (IS_ERR(sk))
        return PTR_ERR(sk);
    if (!sk->ops->accept)
        return -EOPNOTSUPP;
    r = sk->ops->accept(t, sk, &new);
    if (r < 0)
        return r;
    if (addr) {
        r = new->ops->getname(new, /* peer= */ true, &a);
        r = r < 0 ? -ECONNABORTED : sockaddr_out(t, addr, addrlen, &a, r);
        if (r < 0) {
            sock_put(new);
            return r;
        }
    }
    r = install(t, sock_ref(new), flags);
    if (r == -EMFILE)
        sk->ops->unaccept(sk, new);
    else
        sock_put(new);
    return r;
}

long sys_accept(struct task *t, int fd, gaddr_t addr, gaddr_t addrlen)
{
    return sys_accept4(t, fd, addr, addrlen, 0);
}

/* The address is read once: a guest may change it while the call waits. */
long sys_connect(struct task *t, int fd, gaddr_t addr, int addrlen)
{
    struct sock *sk = call_sock(t, fd);
    struct addr_call {
        bool ready;
        struct sockaddr_storage a;
    } * c;
    int r;

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    c = call_scratch(t, sizeof *c);
    if (!c)
        return -ENOMEM;
    if (!c->ready) {
        r = sockaddr_in(t, &c->a, addr, addrlen);
        if (r < 0)
            return r;
        c->ready = true;
    }
    return sk->ops->connect(t, sk, (struct sockaddr *)&c->a, (socklen_t)addrlen);
}

static long name_out(struct task *t, int fd, gaddr_t addr, gaddr_t addrlen, bool peer)
{
    struct sock *sk = call_sock(t, fd);
    struct sockaddr_storage a = { 0 };
    int r;

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    r = sk->ops->getname(sk, peer, &a);
    return r < 0 ? r : sockaddr_out(t, addr, addrlen, &a, r);
}

long sys_getsockname(struct task *t, int fd, gaddr_t addr, gaddr_t addrlen)
{
    return name_out(t, fd, addr, addrlen, false);
}

long sys_getpeername(struct task *t, int fd, gaddr_t addr, gaddr_t addrlen)
{
    return name_out(t, fd, addr, addrlen, true);
}

long sys_shutdown(struct task *t, int fd, int how)
{
    struct sock *sk = call_sock(t, fd);

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    if (how < SHUT_RD || how > SHUT_RDWR)
        return -EINVAL;
    return sk->ops->shutdown ? sk->ops->shutdown(t, sk, how + 1) : -EOPNOTSUPP;
}

/* ---- options ---- */

long sys_setsockopt(struct task *t, int fd, int level, int optname, gaddr_t optval, int optlen)
{
    struct sock *sk = call_sock(t, fd);
    uint64_t v[OPT_MAX / 8] = { 0 };
    socklen_t n = (socklen_t)MIN(MAX(optlen, 0), OPT_MAX);
    int r;

    if (optlen < 0)
        return -EINVAL;
    if (IS_ERR(sk))
        return PTR_ERR(sk);
    if (n && copy_in(t, v, optval, n) < 0)
        return -EFAULT;
    if (level == SOL_SOCKET)
        r = sock_setsockopt(t, sk, optname, v, n);
    else if (sk->ops->setsockopt)
        r = sk->ops->setsockopt(t, sk, level, optname, v, n);
    else
        r = -EOPNOTSUPP;
    if (r == 0 && sk->state == SOCK_HOST)
        host_setsockopt(t, sk, level, optname, v, n, &r);
    if (sk->ops->unlend) /* times, marks */
        sk->ops->unlend(sk, /* gone= */ false);
    return r;
}

static long peer_pidfd(struct task *t, struct sock *sk, gaddr_t optval, gaddr_t optlen, int len)
{
    struct tgroup *g = NULL;
    struct lock *l = sock_lock(sk);
    struct file *f;
    int fd, n = sizeof fd;

    if (sk->peer.group)
        g = tgroup_ref(sk->peer.group);
    unlock(l);
    if (!g)
        return -ENODATA;
    f = pidfd_new(g, 0);
    tgroup_put(g);
    if (IS_ERR(f))
        return PTR_ERR(f);
    fd = fd_install(t, f, 0, /* cloexec= */ true);
    if (fd < 0)
        return fd;
    n = MIN(len, n);
    if (copy_out(t, optval, &fd, (size_t)n) < 0 || put_guest(t, optlen, &n) < 0) {
        fd_close(t, fd);
        return -EFAULT;
    }
    return 0;
}

long sys_getsockopt(struct task *t, int fd, int level, int optname, gaddr_t optval, gaddr_t optlen)
{
    struct sock *sk = call_sock(t, fd);
    _cleanup_kfree_ void *v = NULL;
    socklen_t n;
    int len, r;

    if (IS_ERR(sk))
        return PTR_ERR(sk);
    if (get_guest(t, &len, optlen) < 0)
        return -EFAULT;
    if (len < 0)
        return -EINVAL;
    if (level == SOL_SOCKET && optname == SO_PEERPIDFD_)
        return peer_pidfd(t, sk, optval, optlen, len);
    n = (socklen_t)MIN(len, optname == SO_PEERGROUPS ? 65536 * 4 : OPT_MAX);
    v = kzalloc(n + sizeof(uint64_t));
    if (!v)
        return -ENOMEM;
    if (level == SOL_SOCKET && optname == SO_GET_FILTER) {
        r = sock_filter_get(t, sk, optval, &n);
        len = (int)n;
        return r < 0 ? r : put_guest(t, optlen, &len);
    }
    /* Of this one the value says what is asked about. */
    if (level == SOL_PACKET && optname == PACKET_HDRLEN && n && copy_in(t, v, optval, n) < 0)
        return -EFAULT;
    if (sk->state == SOCK_HOST && host_getsockopt(t, sk, level, optname, v, &n, &r))
        ; /* the host's */
    else if (level == SOL_SOCKET)
        r = sock_getsockopt(t, sk, optname, v, &n);
    else if (sk->ops->getsockopt)
        r = sk->ops->getsockopt(t, sk, level, optname, v, &n);
    else
        r = -EOPNOTSUPP;
    if (r < 0 && r != -ERANGE)
        return r;
    if (r == 0 && n && copy_out(t, optval, v, n) < 0)
        return -EFAULT;
    len = (int)n;
    if (put_guest(t, optlen, &len) < 0)
        return -EFAULT;
    return r;
}

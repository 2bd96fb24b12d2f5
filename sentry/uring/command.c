/* SPDX-License-Identifier: Apache-2.0 */
/* IORING_OP_URING_CMD: what files do beside the ordinary. Here only sockets know commands. */
#include <asm/ioctls.h>
#include <errno.h>
#include <sys/socket.h>

#include "sentry/kernel/alloc.h"
#include "sentry/mm/copy.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/table.h"
#include "sentry/uring/ops.h"
#include "sentry/uring/uring.h"

#define OPT_MAX 1024u

static int level_of(const struct lx_sqe *s)
{
    return (int)(uint32_t)s->addr;
}

static int name_of(const struct lx_sqe *s)
{
    return (int)(s->addr >> 32);
}

/* The value's length is the result. */
static long get(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;
    _cleanup_kfree_ void *v = NULL;
    socklen_t n;
    int r;

    if (level_of(s) != SOL_SOCKET)
        return -EOPNOTSUPP;
    if (s->splice_fd_in < 0)
        return -EINVAL;
    n = MIN((socklen_t)s->splice_fd_in, OPT_MAX);
    v = kzalloc(n + sizeof(uint64_t));
    if (!v)
        return -ENOMEM;
    r = sock_getsockopt(&q->task, file_sock(q->file), name_of(s), v, &n);
    if (r < 0)
        return r;
    return copy_out(&q->task, s->addr3, v, n) < 0 ? -EFAULT : (long)n;
}

static long queued(struct ureq *q, bool in)
{
    struct sock *sk = file_sock(q->file);
    size_t (*fn)(struct sock *) = in ? sk->ops->inq : sk->ops->outq;
    struct lock *l;
    size_t n;

    if (!fn)
        return -EOPNOTSUPP;
    l = sock_lock(sk);
    n = fn(sk);
    unlock(l);
    return (long)n;
}

long command_issue(struct ureq *q)
{
    const struct lx_sqe *s = &q->sqe;

    if (q->file->ops != &sock_file_ops)
        return -EOPNOTSUPP;
    switch ((uint32_t)s->off) {
    case LX_SOCKET_INQ:
        return queued(q, /* in= */ true);
    case LX_SOCKET_OUTQ:
        return queued(q, /* in= */ false);
    case LX_SOCKET_GETSOCKOPT:
        return get(q);
    case LX_SOCKET_SETSOCKOPT:
        return sys_setsockopt(&q->task, -1, level_of(s), name_of(s), s->addr3, s->splice_fd_in);
    default:
        return -EOPNOTSUPP;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SO_ZEROCOPY: what MSG_ZEROCOPY has sent is told on the queue of errors, by its number. Here bytes are
 * always copied, as Linux's loopback does, so it is told at once, and that they were (so that a
 * program which looks stops asking for it). What has not been read yet is one notice.
 */
#include <errno.h>
#include <time.h>
#include <linux/errqueue.h>
#include <string.h>

#include "sentry/net/inet.h"

void inet_zerocopy_sent(struct isock *s, int flags)
{
    if (!(flags & MSG_ZEROCOPY) || !s->sk.zerocopy)
        return;
    if (!s->zc.pending)
        s->zc.from = s->zc.next;
    s->zc.pending = true;
    s->zc.next++;
    wq_wake(&s->sk.poll_wq, POLLERR);
}

ssize_t inet_recv_errors(struct isock *s, struct recv_req *r)
{
    struct {
        struct sock_extended_err e;
        union {
            struct sockaddr_in in;
            struct sockaddr_in6 in6;
        } offender;
    } told = { .e = { .ee_origin = SO_EE_ORIGIN_ZEROCOPY, .ee_code = SO_EE_CODE_ZEROCOPY_COPIED } };
    struct lock *l = sock_lock(&s->sk);
    bool some = s->zc.pending, v4 = s->sk.family == AF_INET;

    told.e.ee_info = s->zc.from;
    told.e.ee_data = s->zc.next - 1;
    if (!(r->flags & MSG_PEEK))
        s->zc.pending = false;
    unlock(l);
    if (!some)
        return -EAGAIN;
    r->msg_flags |= MSG_ERRQUEUE;
    if (v4)
        ctl_add(r, SOL_IP, IP_RECVERR, &told, sizeof told.e + sizeof told.offender.in);
    else
        ctl_add(r, SOL_IPV6, IPV6_RECVERR, &told, sizeof told);
    return 0;
}

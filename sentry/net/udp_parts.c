/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams that are put together from many calls (MSG_MORE, UDP_CORK), and calls that are many datagrams. */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/inet.h"

#define UDP4_MAX 65507
#define UDP6_MAX 65527
#define SEGMENTS_MAX 128

int udp_deliver_segments(struct isock *s, struct send_req *r, struct inet_addr *named,
                         struct msg *m)
{
    size_t size = r->segment >= 0 ? (size_t)r->segment : (size_t)s->udp.segment;
    struct iter it;
    int e = 0;

    if (!size || m->len <= size)
        return udp_deliver(s, r, named, m);
    if (m->len > size * SEGMENTS_MAX || s->sk.no_check) {
        msg_free(m);
        return -EINVAL;
    }
    iter_kernel(&it, m->data, m->len);
    while (e >= 0 && it.left) {
        struct msg *part = msg_new(&it, MIN(it.left, size));

        e = IS_ERR(part) ? (int)PTR_ERR(part) : udp_deliver(s, r, named, part);
    }
    msg_free(m);
    return e;
}

/* ---- datagrams in parts ---- */

/* The parts so far and m, which is used up; NULL: no memory. Its parts are not. */
static struct msg *join(struct msg *a, struct msg *m)
{
    struct msg *all = kzalloc(sizeof *all + a->len + m->len);

    if (!all)
        return NULL;
    list_init(&all->link);
    all->len = a->len + m->len;
    memcpy(all->data, a->data, a->len);
    memcpy(all->data + a->len, m->data, m->len);
    msg_free(a);
    msg_free(m);
    return all;
}

int udp_gather(struct isock *s, struct send_req *r, struct inet_addr *named, struct msg *m,
               struct msg **ret)
{
    bool more = r->flags & MSG_MORE || s->udp.cork, connected;
    size_t max = s->sk.family == AF_INET ? UDP4_MAX : UDP6_MAX;
    struct msg *all = m;

    lock(&udp_lock);
    connected = s->remote.port;
    unlock(&udp_lock);
    LOCK_SCOPE(&s->sk.own_lock);
    if (!s->corked && !r->addr && !connected)
        return -EDESTADDRREQ;
    if (s->corked) {
        if (s->corked->len + m->len > max) { /* all of it is lost, as on Linux */
            msg_free(s->corked);
            s->corked = NULL;
            return -EMSGSIZE;
        }
        all = join(s->corked, m);
        if (!all)
            return -ENOMEM;
        s->corked = NULL;
    } else {
        s->corked_named = r->addr != NULL;
        s->corked_to = *named;
    }
    if (more) {
        s->corked = all;
        *ret = NULL;
        return 0;
    }
    if (!s->corked_named)
        r->addr = NULL;
    *named = s->corked_to;
    *ret = all;
    return 0;
}

int udp_push(struct isock *s)
{
    struct send_req r = { .ttl = -1, .tos = -1, .segment = -1 };
    struct inet_addr named;
    struct msg *m;
    int e;

    lock(&s->sk.own_lock);
    m = s->corked;
    s->corked = NULL;
    named = s->corked_to;
    r.addr = s->corked_named ? &named : NULL;
    unlock(&s->sk.own_lock);
    if (!m)
        return 0;
    e = udp_deliver_segments(s, &r, &named, m);
    return MIN(e, 0);
}

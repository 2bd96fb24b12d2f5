/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of TCP and UDP: who is bound where, who may be beside whom, and who gets a connection
 * or a datagram. One table a protocol, under its own lock of class LOCK_NET; IPv4 and IPv6 share
 * it.
 *
 * Rules as Linux has them: two sockets clash on a port when their addresses overlap, unless both
 * have SO_REUSEADDR (TCP: and the other does not listen), or both SO_REUSEPORT and one owner.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/timer.h"
#include "sentry/net/inet.h"

#define BUCKETS 4096
#define EPHEMERAL_MIN 32768u
#define EPHEMERAL_MAX 60999u

struct lock tcp_lock, udp_lock;
static struct list tcp_ports[BUCKETS], udp_ports[BUCKETS];
static uint32_t next_port;

void port_init(void)
{
    lock_init(&tcp_lock, LOCK_NET);
    lock_init(&udp_lock, LOCK_NET);
    for (int i = 0; i < BUCKETS; i++) {
        list_init(&tcp_ports[i]);
        list_init(&udp_ports[i]);
    }
    next_port = (uint32_t)(ktime_real() / 1000);
}

static struct list *bucket(const struct isock *s, uint16_t port)
{
    return &(s->sk.type == SOCK_STREAM ? tcp_ports : udp_ports)[port % BUCKETS];
}

static bool any6(const struct inet_addr *a)
{
    return IN6_IS_ADDR_UNSPECIFIED(&a->ip);
}

static bool overlap(const struct isock *a, const struct isock *b)
{
    bool a4 = inet_is_v4(&a->local), b4 = inet_is_v4(&b->local);

    if (any6(&a->local))
        return !b4 || !a->v6only;
    if (any6(&b->local))
        return !a4 || !b->v6only;
    if (a4 != b4)
        return false;
    if (a4 && (inet_is_any(&a->local) || inet_is_any(&b->local)))
        return true;
    return !memcmp(&a->local.ip, &b->local.ip, sizeof a->local.ip);
}

static bool clash(const struct isock *s, const struct isock *o)
{
    const struct sock *a = &s->sk, *b = &o->sk;

    if (s == o || a->protocol != b->protocol || !overlap(s, o))
        return false;
    if (a->reuseport && b->reuseport && a->uid == b->uid)
        return false;
    return !(a->reuseaddr && b->reuseaddr && !o->listening);
}

static bool port_ok(struct isock *s, uint16_t port, bool alone)
{
    struct isock *o;

    list_for_each(o, bucket(s, port), port_link) {
        if (o->local.port == port && o != s && (alone || clash(s, o)))
            return false;
    }
    return true;
}

static void enter(struct isock *s, uint16_t port)
{
    s->local.port = port;
    s->bound = true;
    list_add_tail(bucket(s, port), &s->port_link);
}

/* First a port that nobody has, then one that can be shared. */
static int pick(struct isock *s)
{
    unsigned n = EPHEMERAL_MAX - EPHEMERAL_MIN + 1;

    for (int alone = 1; alone >= 0; alone--) {
        for (unsigned i = 0; i < n; i++) {
            uint16_t port = (uint16_t)(EPHEMERAL_MIN + next_port++ % n);

            if (port_ok(s, port, alone))
                return port;
        }
    }
    return -EADDRINUSE;
}

int port_bind(struct isock *s, uint16_t port)
{
    assert_locked(port_lock(s));
    if (!port) {
        int r = pick(s);

        if (r < 0)
            return r;
        port = (uint16_t)r;
    } else if (!port_ok(s, port, /* alone= */ false)) {
        return -EADDRINUSE;
    }
    enter(s, port);
    return 0;
}

/* May a connection from port to s->remote be made beside those there are? */
static bool tuple_free(struct isock *s, uint16_t port)
{
    struct isock *o;

    list_for_each(o, bucket(s, port), port_link) {
        if (o->local.port != port || o == s)
            continue;
        if (!o->remote.port ||
            (o->remote.port == s->remote.port && inet_same(&o->remote, &s->remote)))
            return false;
    }
    return true;
}

int port_connect(struct isock *s)
{
    unsigned n = EPHEMERAL_MAX - EPHEMERAL_MIN + 1;

    assert_locked(port_lock(s));
    for (int alone = 1; alone >= 0; alone--) {
        for (unsigned i = 0; i < n; i++) {
            uint16_t port = (uint16_t)(EPHEMERAL_MIN + next_port++ % n);

            if (alone ? port_ok(s, port, true) : tuple_free(s, port)) {
                enter(s, port);
                return 0;
            }
        }
    }
    return -EADDRNOTAVAIL;
}

void port_share(struct isock *s, uint16_t port)
{
    assert_locked(port_lock(s));
    enter(s, port);
}

void port_release(struct isock *s)
{
    assert_locked(port_lock(s));
    list_del(&s->port_link);
    s->bound = false;
    s->listening = false;
    s->local.port = 0;
}

int port_may_listen(struct isock *s)
{
    assert_locked(port_lock(s));
    return port_ok(s, s->local.port, false) ? 0 : -EADDRINUSE;
}

/* How well s fits a packet to dst: 0 not, more for what is said more exactly. */
static int score(const struct isock *s, const struct inet_addr *dst)
{
    if (s->local.port != dst->port)
        return 0;
    if (any6(&s->local)) {
        if (inet_is_v4(dst))
            return s->v6only ? 0 : 1;
        return 2;
    }
    if (inet_is_any(&s->local))
        return inet_is_v4(dst) ? 2 : 0;
    return !memcmp(&s->local.ip, &dst->ip, sizeof dst->ip) ? 4 : 0;
}

/* One of the sockets that share a port by SO_REUSEPORT is chosen by the sender's port. */
static struct isock *choose(struct list *b, const struct inet_addr *dst,
                            const struct inet_addr *src,
                            int (*fit)(const struct isock *, const struct inet_addr *,
                                       const struct inet_addr *))
{
    struct isock *s, *best = NULL;
    int top = 0, n = 0, want;

    list_for_each(s, b, port_link) {
        int v = fit(s, dst, src);

        if (v > top) {
            top = v;
            best = s;
            n = 1;
        } else if (v && v == top && s->sk.reuseport && best->sk.reuseport) {
            n++;
        }
    }
    if (n <= 1)
        return best;
    want = (int)((src->port * 2654435761u >> 8) % (unsigned)n);
    list_for_each(s, b, port_link) {
        if (fit(s, dst, src) == top && want-- == 0)
            return s;
    }
    return best;
}

static int fit_listener(const struct isock *s, const struct inet_addr *dst,
                        const struct inet_addr *src)
{
    (void)src;
    return s->listening ? score(s, dst) : 0;
}

static int fit_udp(const struct isock *s, const struct inet_addr *dst, const struct inet_addr *src)
{
    int v = s->sk.protocol == IPPROTO_UDP ? score(s, dst) : 0; /* else: ICMP echo */

    if (!v || !s->remote.port)
        return v;
    return s->remote.port == src->port && inet_same(&s->remote, src) ? v + 8 : 0;
}

struct isock *port_find_listener(const struct inet_addr *dst, const struct inet_addr *src)
{
    assert_locked(&tcp_lock);
    return choose(&tcp_ports[dst->port % BUCKETS], dst, src, fit_listener);
}

struct isock *port_find_udp(const struct inet_addr *dst, const struct inet_addr *src)
{
    assert_locked(&udp_lock);
    return choose(&udp_ports[dst->port % BUCKETS], dst, src, fit_udp);
}

struct list *port_udp_bucket(uint16_t port)
{
    assert_locked(&udp_lock);
    return &udp_ports[port % BUCKETS];
}

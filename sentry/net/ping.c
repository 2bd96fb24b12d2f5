/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ping sockets (SOCK_DGRAM of ICMP and ICMPv6) on the loopback, where every request is answered. They are
 * datagram sockets as UDP's, and their number inside is a port of its own kind (port.c). Outside, the
 * broker has them (host_udp.c).
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"
#include "sentry/net/host.h"
#include "sentry/net/ping.h"
#include "sentry/net/tap.h"

bool ping_allowed(const struct task *t)
{
    int64_t first = sysctl_of(SYSCTL_PING_FIRST), last = sysctl_of(SYSCTL_PING_LAST);

    if (t->cred->egid >= first && t->cred->egid <= last)
        return true;
    for (unsigned i = 0; i < t->cred->ngroups; i++)
        if (t->cred->groups[i] >= first && t->cred->groups[i] <= last)
            return true;
    return false;
}

/* The checksum that m has on its way, which its receiver sees. False: no memory. */
static bool sum(struct msg *m, int proto, const struct inet_addr *src, const struct inet_addr *dst)
{
    size_t head = TAP_ETH + (proto == IPPROTO_ICMP ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
    uint8_t *p = kzalloc(head + m->len);

    if (!p)
        return false;
    memset(m->data + 2, 0, 2);
    memcpy(p + head, m->data, m->len);
    tap_fill(p, head + m->len, (uint8_t)proto, src, dst, 64, 0, 2);
    memcpy(m->data + 2, p + head + 2, 2);
    kfree(p);
    return true;
}

int ping_transmit(struct isock *s, struct msg *m, const struct inet_addr *src,
                  const struct inet_addr *dst)
{
    bool v4 = s->sk.family == AF_INET;
    uint16_t id = htons(s->local.port);
    struct inet_addr from = { .ip = dst->ip };

    assert_locked(&udp_lock);
    if (m->len < sizeof(struct icmphdr) || m->data[0] != (v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST) ||
        m->data[1])
        return -EINVAL;
    if (inet_is_multicast(dst))
        return 0; /* nobody there says that it has heard */
    memcpy(m->data + 4, &id, sizeof id);
    tap_icmp(src, dst, m->data, m->len);
    m->data[0] = v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (!sum(m, s->sk.protocol, dst, src))
        return 0; /* lost */
    tap_icmp(dst, src, m->data, m->len);
    if (s->sk.state == SOCK_CONNECTED && !inet_same(&s->remote, dst))
        return 0;
    m->stamp = ktime_real();
    m->addrlen = (socklen_t)inet_addr_out(s, &from, &m->addr);
    memcpy(&m->to, src, sizeof *src);
    m->ttl = 64;
    m->tos = 0;
    return udp_put(s, m);
}

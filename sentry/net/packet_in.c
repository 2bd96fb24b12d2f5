/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was sent by hand over lo arrives at the stack. IPv6 only: a packet of 127.0.0.0/8 that comes without
 * a route is a martian on Linux, and dropped. A datagram goes to its socket, an echo request is answered; a
 * segment of TCP reaches nobody, for connections here are not made of segments.
 */
#include <arpa/inet.h>
#include <linux/icmpv6.h>
#include <net/ethernet.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/host.h"
#include "sentry/net/packet.h"
#include "sentry/net/tap.h"

struct arrived {
    struct inet_addr src, dst;
    uint8_t proto, ttl, tos;
    const uint8_t *l4;
    size_t n;
};

static bool read_ipv6(const uint8_t *p, size_t n, struct arrived *ret)
{
    struct ip6_hdr ip;
    size_t len;

    if (n < sizeof ip)
        return false;
    memcpy(&ip, p, sizeof ip);
    len = ntohs(ip.ip6_plen);
    if (ip.ip6_vfc >> 4 != 6 || len > n - sizeof ip)
        return false;
    *ret = (struct arrived){ .src.ip = ip.ip6_src,
                             .dst.ip = ip.ip6_dst,
                             .proto = ip.ip6_nxt,
                             .ttl = ip.ip6_hlim,
                             .tos = (uint8_t)(ntohl(ip.ip6_flow) >> 20),
                             .l4 = p + sizeof ip,
                             .n = len };
    return true;
}

static void datagram(struct arrived *a)
{
    struct udphdr udp;
    struct isock *to;
    struct iter it;
    struct msg *m;
    bool queued = false;

    if (a->n < sizeof udp)
        return;
    memcpy(&udp, a->l4, sizeof udp);
    if (ntohs(udp.len) < sizeof udp || ntohs(udp.len) > a->n)
        return;
    if (udp.check && !tap_l4_good(&a->src, &a->dst, a->proto, a->l4, ntohs(udp.len)))
        return;
    a->src.port = ntohs(udp.source);
    a->dst.port = ntohs(udp.dest);
    iter_kernel(&it, (void *)(uintptr_t)(a->l4 + sizeof udp), ntohs(udp.len) - sizeof udp);
    m = msg_new(&it, ntohs(udp.len) - sizeof udp);
    if (IS_ERR(m))
        return;
    m->ttl = a->ttl;
    m->tos = a->tos;
    lock(&udp_lock);
    to = port_find_udp(&a->dst, &a->src);
    if (to) {
        m->stamp = ktime_real();
        m->addrlen = (socklen_t)inet_addr_out(to, &a->src, &m->addr);
        memcpy(&m->to, &a->dst, sizeof a->dst);
        queued = udp_put(to, m);
    } else {
        tap_unreachable(&a->src, &a->dst, m);
    }
    unlock(&udp_lock);
    if (!queued)
        msg_free(m);
}

static void echo(const struct arrived *a)
{
    uint8_t *back;

    if (a->n < 8 || a->l4[0] != ICMPV6_ECHO_REQUEST ||
        !tap_l4_good(&a->src, &a->dst, a->proto, a->l4, a->n))
        return;
    back = kmemdup(a->l4, a->n);
    if (!back)
        return;
    back[0] = ICMPV6_ECHO_REPLY;
    tap_icmp(&a->dst, &a->src, back, a->n);
    kfree(back);
}

void packet_in(const uint8_t *frame, size_t n)
{
    static const uint8_t us[ETH_ALEN] = { 0 };
    struct arrived a;
    uint16_t type;

    if (n < TAP_ETH || memcmp(frame, us, ETH_ALEN) != 0)
        return;
    memcpy(&type, frame + 12, sizeof type);
    if (ntohs(type) != ETH_P_IPV6 || !read_ipv6(frame + TAP_ETH, n - TAP_ETH, &a))
        return;
    if (!inet_is_local(&a.dst) || !inet_is_local(&a.src))
        return;
    if (a.proto == IPPROTO_UDP)
        datagram(&a);
    else if (a.proto == IPPROTO_ICMPV6)
        echo(&a);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was sent by hand over lo arrives at the stack. Of packet sockets, IPv6 only: a packet of 127.0.0.0/8
 * that comes without a route is a martian on Linux, and dropped. A datagram goes to its socket, an echo request
 * is answered; a segment of TCP reaches nobody, for connections here are not made of segments.
 */
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/host.h"
#include "sentry/net/packet.h"
#include "sentry/net/raw.h"
#include "sentry/net/tap.h"

#define QUOTED4 548 /* of a packet, in what ICMP says about it */
#define QUOTED6 1232

static struct inet_addr of_v4(uint32_t be)
{
    struct inet_addr a = inet_loopback(/* v4= */ true, 0);

    memcpy(a.ip.s6_addr + 12, &be, sizeof be);
    return a;
}

/* Parts of packets are none: nothing is put together here. */
static bool read_ipv4(const uint8_t *p, size_t len, struct ip_packet *ret)
{
    struct iphdr ip;
    size_t head, all;

    if (len < sizeof ip)
        return false;
    memcpy(&ip, p, sizeof ip);
    head = ip.ihl * 4u;
    all = ntohs(ip.tot_len);
    if (ip.version != 4 || head < sizeof ip || all < head || all > len ||
        ntohs(ip.frag_off) & (IP_MF | IP_OFFMASK))
        return false;
    *ret = (struct ip_packet){ .data = p,
                               .len = all,
                               .src = of_v4(ip.saddr),
                               .dst = of_v4(ip.daddr),
                               .proto = ip.protocol,
                               .ttl = ip.ttl,
                               .tos = ip.tos,
                               .l4 = p + head,
                               .n = all - head };
    return true;
}

static bool read_ipv6(const uint8_t *p, size_t len, struct ip_packet *ret)
{
    struct ip6_hdr ip;
    size_t n;

    if (len < sizeof ip)
        return false;
    memcpy(&ip, p, sizeof ip);
    n = ntohs(ip.ip6_plen);
    if (ip.ip6_vfc >> 4 != 6 || n > len - sizeof ip)
        return false;
    *ret = (struct ip_packet){ .data = p,
                               .len = sizeof ip + n,
                               .src.ip = ip.ip6_src,
                               .dst.ip = ip.ip6_dst,
                               .proto = ip.ip6_nxt,
                               .ttl = ip.ip6_hlim,
                               .tos = (uint8_t)(ntohl(ip.ip6_flow) >> 20),
                               .l4 = p + sizeof ip,
                               .n = n };
    return true;
}

bool ip_packet_read(const uint8_t *p, size_t len, struct ip_packet *ret)
{
    return len && (p[0] >> 4 == 4 ? read_ipv4(p, len, ret) : read_ipv6(p, len, ret));
}

static void datagram(struct ip_packet *a)
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
    } else if (inet_is_local(&a->src)) {
        tap_unreachable(&a->src, &a->dst, m);
    }
    unlock(&udp_lock);
    if (!queued)
        msg_free(m);
}

static void echo(const struct ip_packet *a)
{
    bool v4 = inet_is_v4(&a->dst);
    uint8_t *back;

    if (a->n < 8 || a->l4[0] != (v4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST) ||
        !tap_l4_good(&a->src, &a->dst, a->proto, a->l4, a->n))
        return;
    back = kmemdup(a->l4, a->n);
    if (!back)
        return;
    back[0] = v4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;
    tap_icmp(&a->dst, &a->src, back, a->n);
    kfree(back);
}

/* Nobody takes packets of its protocol. */
static void no_protocol(const struct ip_packet *a)
{
    uint8_t icmp[8 + QUOTED6] = { 0 };
    bool v4 = inet_is_v4(&a->dst);
    size_t n = MIN(a->len, (size_t)(v4 ? QUOTED4 : QUOTED6));

    icmp[0] = v4 ? ICMP_DEST_UNREACH : ICMPV6_PARAMPROB;
    icmp[1] = v4 ? ICMP_PROT_UNREACH : ICMPV6_UNK_NEXTHDR;
    icmp[7] = v4 ? 0 : offsetof(struct ip6_hdr, ip6_nxt);
    memcpy(icmp + 8, a->data, n);
    tap_icmp(&a->dst, &a->src, icmp, 8 + n);
}

static void arrive(struct ip_packet *a)
{
    bool back = inet_is_local(&a->src), v4 = inet_is_v4(&a->dst);

    if (!inet_is_local(&a->dst))
        return;
    switch (a->proto) {
    case IPPROTO_UDP:
        datagram(a);
        break;
    case IPPROTO_TCP:
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if (back && (a->proto == IPPROTO_ICMP) == v4)
            echo(a);
        break;
    case IPPROTO_HOPOPTS: /* headers of IPv6 that come before others */
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_NONE:
    case IPPROTO_DSTOPTS:
        if (!v4)
            break;
        /* fall through */
    default:
        if (back && !raw_listens(a))
            no_protocol(a);
    }
}

void packet_in_routed(const uint8_t *packet, size_t n)
{
    struct ip_packet a;

    if (ip_packet_read(packet, n, &a))
        arrive(&a);
}

void packet_in(const uint8_t *frame, size_t n)
{
    static const uint8_t us[ETH_ALEN] = { 0 };
    struct ip_packet a;
    uint16_t type;

    if (n < TAP_ETH || memcmp(frame, us, ETH_ALEN) != 0)
        return;
    memcpy(&type, frame + 12, sizeof type);
    if (ntohs(type) != ETH_P_IPV6 || !read_ipv6(frame + TAP_ETH, n - TAP_ETH, &a))
        return;
    if (!inet_is_local(&a.dst) || !inet_is_local(&a.src))
        return;
    raw_pass(a.data, a.len);
    arrive(&a);
}

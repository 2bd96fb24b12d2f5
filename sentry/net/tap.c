/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of what the loopback carries. See tap.h. */
#include "sentry/net/tap.h"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/net/packet.h"

#define MSS 65483  /* of lo, with the time stamps that Linux sends */
#define QUOTED 548 /* of a datagram, in what ICMP says about it */

_Atomic unsigned tap_count;

struct frame {
    uint8_t *buf, *l4; /* NULL: no memory, nothing is seen */
    size_t len;
    bool v4;
    uint8_t proto;
    struct inet_addr src, dst;
};

/* ---- checksums ---- */

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
    for (; n > 1; n -= 2, p += 2)
        s += (uint32_t)(p[0] << 8 | p[1]);
    if (n)
        s += (uint32_t)(p[0] << 8);
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return s;
}

static uint16_t fold(uint32_t s)
{
    return htons((uint16_t)~sum(s, NULL, 0));
}

static uint16_t l4_checksum(const struct frame *f)
{
    size_t at = f->v4 ? 12 : 0, n = f->len - (size_t)(f->l4 - f->buf);
    uint8_t tail[4] = { (uint8_t)(n >> 8), (uint8_t)n, 0, f->proto };
    uint32_t s = 0;

    if (f->proto != IPPROTO_ICMP) { /* the pseudo header */
        s = sum(s, f->src.ip.s6_addr + at, 16 - at);
        s = sum(s, f->dst.ip.s6_addr + at, 16 - at);
        s = sum(s, tail, sizeof tail);
    }
    return fold(sum(s, f->l4, n));
}

bool tap_l4_good(const struct inet_addr *src, const struct inet_addr *dst, uint8_t proto,
                 const void *p, size_t n)
{
    struct frame f = { .buf = (uint8_t *)(uintptr_t)p,
                       .l4 = (uint8_t *)(uintptr_t)p,
                       .len = n,
                       .v4 = inet_is_v4(dst),
                       .proto = proto,
                       .src = *src,
                       .dst = *dst };

    return l4_checksum(&f) == 0;
}

uint16_t tap_checksum(const void *p, size_t n)
{
    return fold(sum(0, p, n));
}

/* ---- a frame ---- */

uint16_t tap_ip_id(void)
{
    static _Atomic uint16_t next;

    return htons(atomic_fetch_add(&next, 1));
}

static void put_ipv4(struct frame *f, size_t n, int ttl, int tos)
{
    struct iphdr ip = { .version = 4,
                        .ihl = 5,
                        .tos = (uint8_t)tos,
                        .tot_len = htons((uint16_t)n),
                        .id = tap_ip_id(),
                        .frag_off = htons(IP_DF),
                        .ttl = (uint8_t)ttl,
                        .protocol = f->proto };

    memcpy(&ip.saddr, f->src.ip.s6_addr + 12, 4);
    memcpy(&ip.daddr, f->dst.ip.s6_addr + 12, 4);
    ip.check = fold(sum(0, (const uint8_t *)&ip, sizeof ip));
    memcpy(f->buf + TAP_ETH, &ip, sizeof ip);
}

static void put_ipv6(struct frame *f, size_t n, int ttl, int tos)
{
    struct ip6_hdr ip = { .ip6_src = f->src.ip, .ip6_dst = f->dst.ip };

    ip.ip6_flow = htonl(6u << 28 | (uint32_t)tos << 20);
    ip.ip6_plen = htons((uint16_t)(n - sizeof ip));
    ip.ip6_nxt = f->proto;
    ip.ip6_hlim = (uint8_t)ttl;
    memcpy(f->buf + TAP_ETH, &ip, sizeof ip);
}

void tap_fill(uint8_t *frame, size_t n, uint8_t proto, const struct inet_addr *src,
              const struct inet_addr *dst, int ttl, int tos, int check)
{
    bool v4 = inet_is_v4(dst);
    struct frame f = { .buf = frame, .len = n, .v4 = v4, .proto = proto, .src = *src, .dst = *dst };
    uint16_t c;

    f.l4 = frame + TAP_ETH + (v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr));
    if (v4)
        put_ipv4(&f, n - TAP_ETH, ttl, tos);
    else
        put_ipv6(&f, n - TAP_ETH, ttl, tos);
    if (check < 0)
        return;
    memset(f.l4 + check, 0, sizeof c);
    c = l4_checksum(&f);
    c = c ? c : UINT16_MAX;
    memcpy(f.l4 + check, &c, sizeof c);
}

/* Room for n bytes behind the network's header; false: no memory. */
static bool begin(struct frame *f, uint8_t proto, const struct inet_addr *src,
                  const struct inet_addr *dst, size_t n, int ttl, int tos)
{
    bool v4 = inet_is_v4(dst);
    size_t ip = v4 ? sizeof(struct iphdr) : sizeof(struct ip6_hdr);
    uint16_t type = htons(v4 ? ETH_P_IP : ETH_P_IPV6);

    *f = (struct frame){ .v4 = v4, .proto = proto, .src = *src, .dst = *dst };
    f->len = TAP_ETH + ip + n;
    if (ip + n > UINT16_MAX || !(f->buf = kzalloc(f->len)))
        return false;
    f->l4 = f->buf + TAP_ETH + ip;
    memcpy(f->buf + 12, &type, sizeof type);
    if (v4)
        put_ipv4(f, ip + n, ttl, tos);
    else
        put_ipv6(f, ip + n, ttl, tos);
    return true;
}

/* It is seen. check: where its checksum belongs. */
static void end(struct frame *f, size_t check)
{
    uint16_t c = l4_checksum(f);

    if (f->proto == IPPROTO_UDP && !c)
        c = UINT16_MAX;
    memcpy(f->l4 + check, &c, sizeof c);
    packet_pass(f->buf, f->len, NULL);
    kfree(f->buf);
}

/* ---- datagrams ---- */

static bool udp_frame(struct frame *f, const struct inet_addr *src, const struct inet_addr *dst,
                      const struct msg *m)
{
    struct udphdr udp = { .source = htons(src->port),
                          .dest = htons(dst->port),
                          .len = htons((uint16_t)(sizeof udp + m->len)) };

    if (!begin(f, IPPROTO_UDP, src, dst, sizeof udp + m->len, m->ttl, m->tos))
        return false;
    memcpy(f->l4, &udp, sizeof udp);
    memcpy(f->l4 + sizeof udp, m->data, m->len);
    return true;
}

void tap_udp(const struct inet_addr *src, const struct inet_addr *dst, const struct msg *m)
{
    struct frame f;

    if (tap_on() && udp_frame(&f, src, dst, m))
        end(&f, offsetof(struct udphdr, check));
}

void tap_icmp(const struct inet_addr *src, const struct inet_addr *dst, const void *icmp, size_t n)
{
    struct frame f;
    bool v4 = inet_is_v4(dst);

    if (n < 8 || !begin(&f, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, src, dst, n, 64, 0))
        return;
    memcpy(f.l4, icmp, n);
    memset(f.l4 + 2, 0, 2);
    end(&f, 2);
}

void tap_unreachable(const struct inet_addr *src, const struct inet_addr *dst, const struct msg *m)
{
    uint8_t icmp[8 + QUOTED] = { 0 };
    struct frame f;
    size_t n;

    if (!tap_on() || !udp_frame(&f, src, dst, m))
        return;
    n = MIN(f.len - TAP_ETH, (size_t)QUOTED);
    icmp[0] = f.v4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH;
    icmp[1] = f.v4 ? ICMP_PORT_UNREACH : ICMPV6_PORT_UNREACH;
    memcpy(icmp + 8, f.buf + TAP_ETH, n);
    kfree(f.buf);
    tap_icmp(dst, src, icmp, 8 + n);
}

/* ---- segments ---- */

struct segment {
    const struct inet_addr *src, *dst;
    uint32_t seq, ack;
    uint8_t flags;
    const struct ring *ring; /* what it carries: n bytes from pos on */
    uint64_t pos;
    size_t n;
};

static void segment(const struct segment *g)
{
    static const uint8_t options[8] = { TCPOPT_MAXSEG, 4, 0xff, 0xd7, TCPOPT_NOP,
                                        TCPOPT_WINDOW, 3, 7 };
    size_t opts = g->flags & TH_SYN ? sizeof options : 0;
    struct tcphdr tcp = { .th_sport = htons(g->src->port),
                          .th_dport = htons(g->dst->port),
                          .th_seq = htonl(g->seq),
                          .th_ack = htonl(g->flags & TH_ACK ? g->ack : 0),
                          .th_off = (uint8_t)((sizeof tcp + opts) / 4) & 0xf,
                          .th_win = htons(g->flags & TH_RST   ? 0
                                          : g->flags & TH_SYN ? 65495
                                                              : 512) };
    struct frame f;
    uint8_t *to;

    tcp.th_flags = g->flags;
    if (!begin(&f, IPPROTO_TCP, g->src, g->dst, sizeof tcp + opts + g->n, 64, 0))
        return;
    memcpy(f.l4, &tcp, sizeof tcp);
    memcpy(f.l4 + sizeof tcp, options, opts);
    to = f.l4 + sizeof tcp + opts;
    for (size_t i = 0, part; i < g->n; i += part) {
        size_t at = (g->pos + i) & (g->ring->size - 1);

        part = MIN(g->n - i, g->ring->size - at);
        memcpy(to + i, g->ring->buf + at, part);
    }
    end(&f, offsetof(struct tcphdr, th_sum));
}

/* What end `side` of c sends next, and what it has got. */
static struct segment of(const struct conn *c, int side, const struct inet_addr *src,
                         const struct inet_addr *dst)
{
    const struct half *out = &c->to[!side], *in = &c->to[side];

    return (struct segment){ .src = src,
                             .dst = dst,
                             .seq = c->isn[side] + 1 + (uint32_t)out->ring.wpos + out->fin,
                             .ack = c->isn[!side] + 1 + (uint32_t)in->ring.wpos + in->fin,
                             .flags = TH_ACK };
}

void tap_tcp_open(struct isock *client)
{
    const struct conn *c = atomic_load(&client->sk.conn);
    struct segment g;

    if (!tap_on())
        return;
    g = of(c, client->sk.side, &client->local, &client->remote);
    g.seq--;
    g.flags = TH_SYN;
    segment(&g);
    g = of(c, !client->sk.side, &client->remote, &client->local);
    g.seq--;
    g.flags = TH_SYN | TH_ACK;
    segment(&g);
    g = of(c, client->sk.side, &client->local, &client->remote);
    segment(&g);
}

void tap_tcp_refused(const struct inet_addr *src, const struct inet_addr *dst)
{
    const uint32_t isn = 0x5b0c1e75u + ((uint32_t)src->port << 16) + dst->port;

    if (!tap_on())
        return;
    segment(&(struct segment){ .src = src, .dst = dst, .seq = isn, .flags = TH_SYN });
    segment(&(struct segment){ .src = dst, .dst = src, .ack = isn + 1, .flags = TH_RST | TH_ACK });
}

/* The other end has got it. */
static void acknowledge(const struct isock *s)
{
    struct segment g = of(atomic_load(&s->sk.conn), !s->sk.side, &s->remote, &s->local);

    segment(&g);
}

void tap_tcp_data(struct isock *s, uint64_t from, size_t n)
{
    const struct conn *c = atomic_load(&s->sk.conn);
    const struct ring *r = &c->to[!s->sk.side].ring;

    if (!tap_on())
        return;
    for (size_t i = 0, part; i < n; i += part) {
        struct segment g = of(c, s->sk.side, &s->local, &s->remote);

        part = MIN(n - i, (size_t)MSS);
        g.seq = c->isn[s->sk.side] + 1 + (uint32_t)(from + i);
        g.ring = r;
        g.pos = from + i;
        g.n = part;
        if (i + part == n)
            g.flags |= TH_PUSH;
        segment(&g);
    }
    acknowledge(s);
}

void tap_tcp_fin(struct isock *s)
{
    const struct conn *c = atomic_load(&s->sk.conn);
    struct segment g;

    if (!tap_on())
        return;
    g = of(c, s->sk.side, &s->local, &s->remote);
    g.seq--; /* it counts as a byte, which fin has added */
    g.flags |= TH_FIN;
    segment(&g);
    acknowledge(s);
}

void tap_tcp_reset(struct isock *s)
{
    struct segment g;

    if (!tap_on())
        return;
    g = of(atomic_load(&s->sk.conn), !s->sk.side, &s->remote, &s->local);
    g.flags |= TH_RST;
    segment(&g);
}

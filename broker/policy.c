/* SPDX-License-Identifier: Apache-2.0 */
/* See policy.h: the check. policy_parse.c reads the options. */
#include "broker/policy.h"

#include <string.h>

#include "abi/types.h"

#define V4(a, b, c, d, n)                                                                          \
    {                                                                                              \
        { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d } }, 96 + (n)                     \
    }

static const struct range {
    struct net_ip ip;
    unsigned bits;
} special[] = {
    V4(0, 0, 0, 0, 8),                         /* this network */
    V4(10, 0, 0, 0, 8),                        /* private */
    V4(100, 64, 0, 0, 10),                     /* carrier-grade NAT */
    V4(127, 0, 0, 0, 8),                       /* loopback */
    V4(169, 254, 0, 0, 16),                    /* link-local, metadata */
    V4(172, 16, 0, 0, 12),                     /* private */
    V4(192, 0, 0, 0, 24),                      /* protocol assignments */
    V4(192, 0, 2, 0, 24),                      /* documentation */
    V4(192, 88, 99, 0, 24),                    /* 6to4 relays */
    V4(192, 168, 0, 0, 16),                    /* private */
    V4(198, 18, 0, 0, 15),                     /* benchmarks */
    V4(198, 51, 100, 0, 24),                   /* documentation */
    V4(203, 0, 113, 0, 24),                    /* documentation */
    V4(224, 0, 0, 0, 4),                       /* multicast */
    V4(240, 0, 0, 0, 4),                       /* reserved, broadcast */
    { { { 0 } }, 96 },                         /* ::, ::1, v4-compatible */
    { { { 0, 0x64, 0xff, 0x9b, 0, 1 } }, 48 }, /* local NAT64 */
    { { { 1 } }, 64 },                         /* discard */
    { { { 0x20, 0x01 } }, 23 },                /* Teredo, ORCHID, ... */
    { { { 0x20, 0x01, 0x0d, 0xb8 } }, 32 },    /* documentation */
    { { { 0x20, 0x02 } }, 16 },                /* 6to4: an IPv4 address inside */
    { { { 0xfc } }, 7 },                       /* unique local, metadata */
    { { { 0xfe, 0x80 } }, 10 },                /* link-local */
    { { { 0xfe, 0xc0 } }, 10 },                /* site-local */
    { { { 0xff } }, 8 },                       /* multicast */
};

bool net_within(const struct net_ip *ip, const struct net_ip *net, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(ip->b, net->b, whole) != 0)
        return false;
    return !rest || ((ip->b[whole] ^ net->b[whole]) >> (8 - rest)) == 0;
}

bool net_is_v4(const struct net_ip *ip)
{
    static const struct net_ip mapped = { { [10] = 0xff, [11] = 0xff } };

    return net_within(ip, &mapped, 96);
}

struct net_ip net_normal(const struct net_ip *ip)
{
    static const struct net_ip nat64 = { { 0, 0x64, 0xff, 0x9b } };
    struct net_ip n = *ip;

    if (net_within(ip, &nat64, 96)) {
        memset(n.b, 0, 10);
        n.b[10] = n.b[11] = 0xff;
    }
    if (net_is_v4(&n) && !n.b[12] && !n.b[13] && !n.b[14] && !n.b[15]) {
        n.b[12] = 127;
        n.b[15] = 1;
    } else if (memcmp(n.b, (const uint8_t[16]){ 0 }, 16) == 0) {
        n.b[15] = 1;
    }
    return n;
}

bool net_special_range(unsigned i, struct net_ip *ret, unsigned *ret_bits)
{
    if (i >= ARRAY_SIZE(special))
        return false;
    *ret = special[i].ip;
    *ret_bits = special[i].bits;
    return true;
}

bool net_special(const struct net_ip *ip)
{
    for (unsigned i = 0; i < ARRAY_SIZE(special); i++)
        if (net_within(ip, &special[i].ip, special[i].bits))
            return true;
    return false;
}

bool net_rule_port(const struct net_rule *r, uint16_t port)
{
    for (unsigned i = 0; i < r->nports; i++)
        if (port >= r->ports[i].from && port <= r->ports[i].to)
            return true;
    return r->nports == 0;
}

bool net_rule_name(const struct net_rule *r, const char *name)
{
    size_t n = strlen(name), s = strlen(r->name);

    switch (r->kind) {
    case NET_ANY:
        return true;
    case NET_NAME:
        return strcmp(name, r->name) == 0;
    case NET_SUFFIX:
        return n > s + 1 && name[n - s - 1] == '.' && strcmp(name + n - s, r->name) == 0;
    case NET_CIDR:
        break;
    }
    return false;
}

static bool fits(const struct net_rule *r, const struct net_ip *ip, uint16_t port,
                 net_names_fn *names, void *arg)
{
    if (!net_rule_port(r, port))
        return false;
    switch (r->kind) {
    case NET_CIDR:
        return net_within(ip, &r->ip, r->bits);
    case NET_ANY:
        return r->deny || !net_special(ip);
    default:
        return (r->deny || !net_special(ip)) && names && names(arg, ip, r);
    }
}

bool net_allows(const struct net_policy *p, const struct net_ip *given, uint16_t port,
                net_names_fn *names, void *arg)
{
    struct net_ip ip = net_normal(given);
    bool yes = p->host;

    for (unsigned i = 0; i < p->nrules; i++) {
        if ((p->rules[i].deny || !yes) && fits(&p->rules[i], &ip, port, names, arg)) {
            if (p->rules[i].deny)
                return false;
            yes = true;
        }
    }
    return p->on && yes;
}

bool net_allows_name(const struct net_policy *p, const char *name)
{
    bool yes = p->host;

    for (unsigned i = 0; i < p->nrules; i++) {
        const struct net_rule *r = &p->rules[i];

        if (!net_rule_name(r, name))
            continue;
        if (r->deny && r->nports == 0)
            return false;
        yes |= !r->deny;
    }
    return p->on && yes;
}

bool net_reaches_loopback(const struct net_policy *p)
{
    static const struct net_ip lo4 = { { [10] = 0xff, [11] = 0xff, [12] = 127 } };
    static const struct net_ip lo6 = { { [15] = 1 } };
    bool yes = p->host;

    for (unsigned i = 0; i < p->nrules && !yes; i++) {
        const struct net_rule *r = &p->rules[i];

        if (!r->deny && r->kind == NET_CIDR)
            yes = net_within(&lo6, &r->ip, r->bits) ||
                  net_within(&lo4, &r->ip, MIN(r->bits, 104u)) || net_within(&r->ip, &lo4, 104);
    }
    return p->on && yes;
}

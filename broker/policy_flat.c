/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules by address alone, for a fence that only finds the longest prefix. The prefixes of one address
 * are a chain, so each gets the verdict of all that it lies within. A set of ports is 65536 bits; bit 0
 * stands for what has no ports, as in net_allows().
 */
#include <stdlib.h>
#include <string.h>

#include "abi/types.h"
#include "broker/policy.h"

struct ports {
    uint64_t bits[1024];
};

static void put(struct ports *p, unsigned from, unsigned to, bool on)
{
    for (unsigned i = from; i <= to;) {
        if (i % 64 == 0 && to - i >= 63) {
            p->bits[i / 64] = on ? ~0ull : 0;
            i += 64;
        } else {
            if (on)
                p->bits[i / 64] |= 1ull << i % 64;
            else
                p->bits[i / 64] &= ~(1ull << i % 64);
            i++;
        }
    }
}

static void put_rule(struct ports *p, const struct net_rule *r)
{
    if (r->nports == 0)
        put(p, 0, 65535, !r->deny);
    for (unsigned i = 0; i < r->nports; i++)
        put(p, r->ports[i].from, r->ports[i].to, !r->deny);
}

/* Does all that f stands for lie in there? */
static bool inside(const struct net_flat *f, const struct net_ip *net, unsigned bits)
{
    return f->bits >= bits && net_within(&f->ip, net, bits);
}

static bool is_special(const struct net_flat *f)
{
    struct net_ip ip;
    unsigned bits;

    for (unsigned i = 0; net_special_range(i, &ip, &bits); i++)
        if (inside(f, &ip, bits))
            return true;
    return false;
}

/* Which addresses a name has is not known here: it is taken for every public one, and not for a deny. */
static bool concerns(const struct net_rule *r, const struct net_flat *f, bool special)
{
    switch (r->kind) {
    case NET_CIDR:
        return inside(f, &r->ip, r->bits);
    case NET_ANY:
        return r->deny || !special;
    default:
        return !r->deny && !special;
    }
}

/* Ranges; more than there is room for become wider. */
static void to_ranges(const struct ports *p, struct net_flat *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 65536;) {
        if (p->bits[i / 64] == 0 && i % 64 == 0) {
            i += 64;
            continue;
        }
        if (!(p->bits[i / 64] >> i % 64 & 1)) {
            i++;
            continue;
        }
        if (n == NET_FLAT_RANGES) {
            f->ports[n - 1].to = 65535;
            return;
        }
        f->ports[n].from = (uint16_t)i;
        while (i < 65536 && (p->bits[i / 64] >> i % 64 & 1))
            i += i % 64 == 0 && p->bits[i / 64] == ~0ull ? 64 : 1;
        f->ports[n++].to = (uint16_t)(i - 1);
    }
    for (; n < NET_FLAT_RANGES; n++) {
        f->ports[n].from = 65535;
        f->ports[n].to = 0;
    }
}

static void judge(const struct net_policy *p, struct net_flat *f)
{
    bool special = is_special(f);
    struct ports ports;

    memset(&ports, p->host ? 0xff : 0, sizeof ports);
    for (int deny = 0; deny < 2; deny++)
        for (unsigned i = 0; i < p->nrules; i++)
            if (p->rules[i].deny == deny && concerns(&p->rules[i], f, special))
                put_rule(&ports, &p->rules[i]);
    if (f->nameserver)
        put(&ports, 53, 53, true);
    to_ranges(&ports, f);
}

static void add(struct net_flat *all, unsigned *n, const struct net_ip *ip, unsigned bits)
{
    for (unsigned i = 0; i < *n; i++)
        if (all[i].bits == bits && memcmp(&all[i].ip, ip, sizeof *ip) == 0)
            return;
    all[(*n)++] = (struct net_flat){ .ip = *ip, .bits = (uint8_t)bits };
}

/* NAT64 leads to the IPv4 address in it. */
static void add_images(struct net_flat *all, unsigned *n)
{
    static const struct net_ip nat64 = { { 0, 0x64, 0xff, 0x9b } };

    for (unsigned i = 0, most = *n; i < most; i++) {
        if (all[i].bits < 96 || !net_is_v4(&all[i].ip))
            continue;
        all[*n] = all[i];
        memcpy(all[(*n)++].ip.b, nat64.b, 12);
    }
}

struct net_flat *net_flatten(const struct net_policy *p, const struct net_ip *servers,
                             unsigned nservers, unsigned *ret_n)
{
    static const struct net_ip none, v4 = { { [10] = 0xff, [11] = 0xff } };
    struct net_ip ip;
    struct net_flat *all;
    unsigned bits, n = 0, nspecial = 0;

    while (net_special_range(nspecial, &ip, &bits))
        nspecial++;
    all = calloc(2ul * (p->nrules + nservers + nspecial + 2), sizeof *all);
    if (!all)
        return NULL;
    add(all, &n, &none, 0);
    add(all, &n, &v4, 96);
    for (unsigned i = 0; net_special_range(i, &ip, &bits); i++)
        add(all, &n, &ip, bits);
    for (unsigned i = 0; i < p->nrules; i++)
        if (p->rules[i].kind == NET_CIDR)
            add(all, &n, &p->rules[i].ip, p->rules[i].bits);
    for (unsigned i = 0; i < nservers; i++)
        add(all, &n, &servers[i], 128);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < nservers; k++)
            all[i].nameserver |= all[i].bits == 128 && memcmp(&all[i].ip, &servers[k], 16) == 0;
        judge(p, &all[i]);
    }
    add_images(all, &n);
    *ret_n = n;
    return all;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns.h. Reading is the C library's (ns_initparse and its kin, in musl and glibc); what a client
 * gets is written anew, record by record, so that nothing of a nameserver's message passes unread.
 */
#include <arpa/nameser.h>
#include <string.h>

#undef MIN /* sys/param.h came along */
#undef MAX
#include "abi/types.h"
#include "broker/dns.h"
#include "broker/server.h"

#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define CHAIN_MAX 16 /* CNAMEs that are followed */
#define TTL_MAX 86400u

struct out {
    uint8_t *p;
    size_t len, cap;
    unsigned n; /* records */
    bool full;
};

static void put(struct out *o, const void *bytes, size_t n)
{
    if (o->full || n > o->cap - o->len) {
        o->full = true;
        return;
    }
    memcpy(o->p + o->len, bytes, n);
    o->len += n;
}

static void put16(struct out *o, unsigned v)
{
    put(o, (const uint8_t[2]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* To lower case, without the dot at the end; only letters, digits, '-', '_' and dots are names. */
static bool clean_name(const char *from, char to[NET_NAME_MAX + 1])
{
    size_t n = strlen(from);

    if (n && from[n - 1] == '.')
        n--;
    if (n == 0 || n > NET_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];

        c = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
        to[i] = c;
    }
    to[n] = 0;
    return true;
}

static void put_name(struct out *o, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        uint8_t len = (uint8_t)MIN(n, 63u);

        put(o, &len, 1);
        put(o, name, len);
        name += n;
        name += *name == '.';
    }
    put(o, "", 1);
}

static void put_head(struct out *o, const struct question *q, unsigned flags)
{
    put16(o, q->id);
    put16(o, 0x8080u | (q->rd ? 0x100u : 0) | flags);
    put16(o, q->wire_len ? 1 : 0);
    put16(o, 0);
    put16(o, 0);
    put16(o, 0);
    put(o, q->wire, q->wire_len);
}

int dns_parse(const uint8_t *msg, size_t len, struct question *ret)
{
    struct question q = { 0 };
    size_t at = 12;
    ns_msg m;
    ns_rr rr;

    if (len < 12 || len > DNS_MAX || (msg[2] & 0x80))
        return -1;
    q.id = (uint16_t)get16(msg);
    q.rd = msg[2] & 1;
    *ret = q;
    if (msg[2] & 0x78)
        return DNS_NOTIMP;
    if (ns_initparse(msg, (int)len, &m) < 0 || ns_msg_count(m, ns_s_qd) != 1 ||
        ns_parserr(&m, ns_s_qd, 0, &rr) < 0)
        return DNS_FORMERR;
    while (at < len && msg[at] && msg[at] < 64) /* a question's name has no pointers */
        at += 1u + msg[at];
    if (at + 5 > len || msg[at] || at + 5 - 12 > sizeof q.wire)
        return DNS_FORMERR;
    q.wire_len = at + 5 - 12;
    memcpy(q.wire, msg + 12, q.wire_len);
    q.type = (uint16_t)ns_rr_type(rr);
    *ret = q;
    if (!clean_name(ns_rr_name(rr), ret->name))
        return DNS_FORMERR;
    if (ns_rr_class(rr) != ns_c_in ||
        (q.type != TYPE_A && q.type != TYPE_AAAA && q.type != TYPE_CNAME))
        return DNS_NOTIMP;
    return DNS_OK;
}

size_t dns_query(const struct question *q, const uint8_t *random, uint8_t ret[DNS_QUESTION_MAX])
{
    struct out o = { .p = ret, .cap = DNS_QUESTION_MAX };

    put(&o, random, 2);
    put16(&o, 0x0100);
    put16(&o, 1);
    put16(&o, 0);
    put16(&o, 0);
    put16(&o, 0);
    put(&o, q->wire, q->wire_len);
    for (size_t i = 12, bit = 0; i + 4 < o.len;) { /* letters, label by label */
        size_t end = i + 1 + ret[i];

        for (i++; i < end; i++, bit++) {
            uint8_t low = ret[i] | 0x20;

            if (low >= 'a' && low <= 'z')
                ret[i] = random[2 + bit / 8] >> bit % 8 & 1 ? low : low & 0xdf;
        }
        if (!ret[i])
            break;
    }
    return o.len;
}

bool dns_is_answer(const uint8_t *query, size_t qlen, const uint8_t *msg, size_t len, bool *ret_tc)
{
    if (len < qlen || memcmp(msg, query, 2) != 0 || !(msg[2] & 0x80) || get16(msg + 4) != 1 ||
        memcmp(msg + 12, query + 12, qlen - 12) != 0)
        return false;
    *ret_tc = msg[2] & 2;
    return true;
}

size_t dns_error(const struct question *q, int code, uint8_t ret[DNS_QUESTION_MAX])
{
    struct out o = { .p = ret, .cap = DNS_QUESTION_MAX };

    put_head(&o, q, (unsigned)code);
    return o.len;
}

static void put_record(struct out *o, const char *name, unsigned type, uint32_t ttl,
                       const void *data, size_t n)
{
    size_t before = o->len;

    put_name(o, name);
    put16(o, type);
    put16(o, ns_c_in);
    put16(o, ttl >> 16);
    put16(o, ttl & 0xffff);
    put16(o, (unsigned)n);
    put(o, data, n);
    if (o->full)
        o->len = before;
    else
        o->n++;
}

/* A name that a rule denies is not led to by another one either. */
static bool denied(const struct net_policy *p, const char *name)
{
    for (unsigned i = 0; i < p->nrules; i++)
        if (p->rules[i].deny && p->rules[i].nports == 0 && net_rule_name(&p->rules[i], name))
            return true;
    return false;
}

/* May a name lead there: not into a special range, unless a rule speaks of it by number. */
static bool may_lead_to(const struct net_policy *p, const struct net_ip *given)
{
    struct net_ip ip = net_normal(given);

    if (!net_special(&ip) || p->host)
        return true;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct net_rule *r = &p->rules[i];
        uint16_t port = r->nports ? r->ports[0].from : 1;

        if (!r->deny && r->kind == NET_CIDR && net_allows(p, &ip, port, NULL, NULL))
            return true;
    }
    return false;
}

static void take_address(const struct net_policy *p, const struct question *q, const char *name,
                         const ns_rr *rr, uint32_t ttl, struct out *o)
{
    struct net_ip ip = { { 0 } };
    size_t n = q->type == TYPE_A ? 4 : 16;

    if (ns_rr_rdlen(*rr) != n)
        return;
    if (n == 4)
        ip.b[10] = ip.b[11] = 0xff;
    memcpy(ip.b + 16 - n, ns_rr_rdata(*rr), n);
    if (!may_lead_to(p, &ip))
        return;
    put_record(o, name, q->type, ttl, ns_rr_rdata(*rr), n);
    if (!o->full)
        names_add(q->name, &ip, ttl);
}

static void take_cname(ns_msg *m, const ns_rr *rr, const char *name, uint32_t ttl, struct out *o,
                       char to[NET_NAME_MAX + 1])
{
    uint8_t wire[256];
    struct out target = { .p = wire, .cap = sizeof wire };
    char text[NS_MAXDNAME];

    if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(*rr), text, sizeof text) <
            0 ||
        !clean_name(text, to)) {
        to[0] = 0;
        return;
    }
    put_name(&target, to);
    put_record(o, name, TYPE_CNAME, ttl, wire, target.len);
}

/* One pass over the answers for the records of name; *ret_to: where a CNAME leads, or "". */
static void take_name(const struct net_policy *p, const struct question *q, ns_msg *m,
                      const char *name, uint32_t *ttl, struct out *o, char *ret_to)
{
    char owner[NET_NAME_MAX + 1];
    ns_rr rr;

    ret_to[0] = 0;
    for (int i = 0; i < (int)ns_msg_count(*m, ns_s_an); i++) {
        if (ns_parserr(m, ns_s_an, i, &rr) < 0)
            return;
        if (!clean_name(ns_rr_name(rr), owner) || strcmp(owner, name) != 0 ||
            ns_rr_class(rr) != ns_c_in)
            continue;
        *ttl = MIN(*ttl, (uint32_t)ns_rr_ttl(rr));
        if ((int)ns_rr_type(rr) == TYPE_CNAME && !ret_to[0])
            take_cname(m, &rr, name, *ttl, o, ret_to);
        else if ((int)ns_rr_type(rr) == q->type && q->type != TYPE_CNAME)
            take_address(p, q, name, &rr, *ttl, o);
    }
}

size_t dns_answer(const struct net_policy *p, const struct question *q, const uint8_t *msg,
                  size_t len, uint8_t *ret, size_t cap)
{
    struct out o = { .p = ret, .cap = cap };
    char name[NET_NAME_MAX + 1], to[NET_NAME_MAX + 1];
    uint32_t ttl = TTL_MAX;
    ns_msg m;

    if (ns_initparse(msg, (int)len, &m) < 0)
        return dns_error(q, DNS_SERVFAIL, ret);
    put_head(&o, q, msg[3] & 15u);
    strcpy(name, q->name);
    for (int i = 0; i < CHAIN_MAX && name[0]; i++) {
        take_name(p, q, &m, name, &ttl, &o, to);
        if (to[0] && denied(p, to))
            return dns_error(q, DNS_REFUSED, ret);
        strcpy(name, to);
    }
    ret[6] = (uint8_t)(o.n >> 8);
    ret[7] = (uint8_t)o.n;
    if (o.full)
        ret[2] |= 2; /* cut: it is asked for again by TCP */
    return o.len;
}

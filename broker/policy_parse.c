/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as people write them. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/policy.h"

static int no(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

/* Decimal, no sign, at most max. */
static bool number(const char *s, size_t n, unsigned max, unsigned *ret)
{
    unsigned v = 0;

    if (n == 0 || n > 5)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    *ret = v;
    return v <= max;
}

static int parse_ports(const char *s, struct net_rule *r, const char **ret_why)
{
    do {
        size_t n = strcspn(s, ","), first = strcspn(s, ",-");
        unsigned from, to;

        if (r->nports == NET_PORTS_MAX)
            return no(ret_why, "at most 16 ports; give a second rule");
        if (!number(s, first, 65535, &from) || from == 0)
            return no(ret_why, "a port is a number of 1 to 65535");
        to = from;
        if (first < n && (!number(s + first + 1, n - first - 1, 65535, &to) || to < from))
            return no(ret_why, "a range of ports is LOW-HIGH");
        r->ports[r->nports].from = (uint16_t)from;
        r->ports[r->nports++].to = (uint16_t)to;
        s += n;
    } while (*s++ == ',');
    return 0;
}

static bool parse_ip(const char *s, struct net_ip *ret, unsigned *ret_bits)
{
    *ret = (struct net_ip){ 0 };
    if (inet_pton(AF_INET, s, ret->b + 12) == 1) {
        ret->b[10] = ret->b[11] = 0xff;
        *ret_bits = 32;
        return true;
    }
    *ret_bits = 128;
    return inet_pton(AF_INET6, s, ret->b) == 1;
}

/* 1: it is none; 0; -EINVAL. */
static int parse_cidr(char *s, struct net_rule *r, const char **ret_why)
{
    char *slash = strchr(s, '/');
    unsigned width, bits;

    if (slash)
        *slash = 0;
    if (!parse_ip(s, &r->ip, &width)) {
        if (slash)
            return no(ret_why, "what stands before the / is no address");
        return 1;
    }
    bits = width;
    if (slash && !number(slash + 1, strlen(slash + 1), width, &bits))
        return no(ret_why, width == 32 ? "behind the / stands a number of 0 to 32"
                                       : "behind the / stands a number of 0 to 128");
    r->kind = NET_CIDR;
    r->bits = (uint8_t)(bits + (width == 32 ? 96 : 0));
    for (unsigned i = r->bits; i < 128; i++)
        if (r->ip.b[i / 8] & 0x80 >> i % 8)
            return no(ret_why, "the address has bits behind the /; give the network's own");
    return 0;
}

static int parse_name(const char *s, struct net_rule *r, const char **ret_why)
{
    size_t n, label = 0;
    bool digits = true; /* the last label is a number */

    if (strcmp(s, "*") == 0) {
        r->kind = NET_ANY;
        return 0;
    }
    r->kind = strncmp(s, "*.", 2) == 0 ? NET_SUFFIX : NET_NAME;
    s += r->kind == NET_SUFFIX ? 2 : 0;
    n = strlen(s);
    if (n && s[n - 1] == '.')
        n--;
    if (n == 0 || n > NET_NAME_MAX)
        return no(ret_why, "give NAME, *.NAME, or an address, with :PORT");
    for (size_t i = 0; i < n; i++) {
        char c = s[i];

        c = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (c == '*')
            return no(ret_why, "a * stands alone, or as *. at the beginning");
        if (c != '.' && c != '-' && c != '_' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return no(ret_why, (unsigned char)c >= 0x80 ? "a name is ASCII; give its xn-- form"
                                                        : "no name has such a character");
        if (c == '.' ? label == 0 : label == 63)
            return no(ret_why, "a part of the name is empty or longer than 63");
        label = c == '.' ? 0 : label + 1;
        digits = c == '.' || (digits && c >= '0' && c <= '9');
        r->name[i] = c;
    }
    if (digits)
        return no(ret_why, "this is no address");
    if (strcmp(r->name, "localhost") == 0)
        return no(ret_why, "localhost is the sandbox itself; for the host's give 127.0.0.1");
    return 0;
}

int net_rule_parse(const char *text, bool deny, struct net_rule *ret, const char **ret_why)
{
    struct net_rule r = { .deny = deny };
    char what[NET_NAME_MAX + 16], *ports = NULL, *at = what;
    int e;

    if (strlen(text) >= sizeof what)
        return no(ret_why, "it is too long");
    strcpy(what, text);
    if (*at == '[') { /* an IPv6 address, with a port behind it */
        char *end = strchr(at, ']');

        if (!end || (end[1] && end[1] != ':'))
            return no(ret_why, "give [ADDRESS]:PORT");
        *end = 0;
        at++;
        ports = end[1] ? end + 2 : NULL;
    } else if (strchr(at, ':') && strchr(at, ':') == strrchr(at, ':')) {
        ports = strchr(at, ':');
        *ports++ = 0;
    }
    e = parse_cidr(at, &r, ret_why);
    if (e == 1)
        e = what[0] == '[' || strchr(at, ':') ? no(ret_why, "this is no address")
                                              : parse_name(at, &r, ret_why);
    if (e == 0 && ports)
        e = parse_ports(ports, &r, ret_why);
    if (e == 0)
        *ret = r;
    return e;
}

int net_publish_parse(const char *text, struct net_publish *ret, const char **ret_why)
{
    static const char form[] = "give [IP:]HOSTPORT:PORT[/tcp|/udp]";
    struct net_publish p = { .fd = -1 };
    char what[80], *slash, *inner, *outer;
    unsigned a, b, width;

    if (strlen(text) >= sizeof what)
        return no(ret_why, form);
    strcpy(what, text);
    slash = strchr(what, '/');
    if (slash) {
        *slash++ = 0;
        p.udp = strcmp(slash, "udp") == 0;
        if (!p.udp && strcmp(slash, "tcp") != 0)
            return no(ret_why, form);
    }
    inner = strrchr(what, ':');
    if (!inner)
        return no(ret_why, form);
    *inner++ = 0;
    outer = strrchr(what, ':');
    if (outer) {
        char *ip = what;

        *outer++ = 0;
        if (*ip == '[' && ip[strlen(ip) - 1] == ']') {
            ip[strlen(ip) - 1] = 0;
            ip++;
        }
        if (!parse_ip(ip, &p.ip, &width))
            return no(ret_why, form);
    } else {
        outer = what;
    }
    if (!number(outer, strlen(outer), 65535, &a) || !number(inner, strlen(inner), 65535, &b) ||
        a == 0 || b == 0)
        return no(ret_why, "a port is a number of 1 to 65535");
    p.host_port = (uint16_t)a;
    p.port = (uint16_t)b;
    *ret = p;
    return 0;
}

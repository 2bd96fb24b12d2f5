/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox may reach: rules as the options gave them, and the check of one address. The front
 * end parses, the broker (its child) decides; nothing else does.
 *
 * An address is 16 bytes, IPv4 as v4-mapped. It is brought to the form that the host would use
 * before it is looked at (net_normal). Rules that deny come first; then one that allows must fit. A
 * rule of a name fits the addresses that the broker itself has resolved for it, never one of a special
 * range (loopback, private, link-local, ...): who wants those says so by number, or --net=host.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_PORTS_MAX 16
#define NET_NAME_MAX 253

struct net_ip {
    uint8_t b[16];
};

enum net_kind { NET_CIDR, NET_NAME, NET_SUFFIX, NET_ANY };

struct net_rule {
    enum net_kind kind;
    bool deny;
    struct net_ip ip; /* NET_CIDR */
    uint8_t bits;     /* of 128 */
    char name[NET_NAME_MAX +
              1];    /* lower case, without a dot at the end; NET_SUFFIX: what follows "*." */
    unsigned nports; /* 0: all */
    struct {
        uint16_t from, to;
    } ports[NET_PORTS_MAX];
};

struct net_publish {
    struct net_ip ip; /* of the host; all zero: any */
    uint16_t host_port, port;
    bool udp;
    int fd; /* bound, before the broker is fenced */
};

struct net_policy {
    bool on;   /* there is a network */
    bool host; /* all of the host's, but for what is denied */
    struct net_rule *rules;
    unsigned nrules;
    struct net_publish *pub;
    unsigned npub;
};

/* NAME, *.NAME, *, or CIDR, with :PORT[-PORT],... 0, or -EINVAL and *ret_why for the user. */
int net_rule_parse(const char *text, bool deny, struct net_rule *ret, const char **ret_why);
/* [IP:]HOSTPORT:PORT[/tcp|/udp]; the same. */
int net_publish_parse(const char *text, struct net_publish *ret, const char **ret_why);

bool net_is_v4(const struct net_ip *ip);
bool net_within(const struct net_ip *ip, const struct net_ip *net, unsigned bits);
/* As the host takes it: NAT64 is the address inside, the unspecified address is the host itself. */
struct net_ip net_normal(const struct net_ip *ip);
/* Of a range that no name may lead to. */
bool net_special(const struct net_ip *ip);
/* The i-th of those ranges; false: there are no more. */
bool net_special_range(unsigned i, struct net_ip *ret, unsigned *ret_bits);
/* Does the rule speak of that port? */
bool net_rule_port(const struct net_rule *r, uint16_t port);
/* name: lower case, without a dot at the end. Of rules of names alone. */
bool net_rule_name(const struct net_rule *r, const char *name);

/*
 * Is any of the names known for ip fit for the rule? Asked by net_allows for rules of names.
 * port 0: whatever the port.
 */
typedef bool net_names_fn(void *arg, const struct net_ip *ip, const struct net_rule *r);
bool net_allows(const struct net_policy *p, const struct net_ip *ip, uint16_t port,
                net_names_fn *names, void *arg);
/* May the name be resolved: some rule that allows speaks of it, none that denies every port of it. */
bool net_allows_name(const struct net_policy *p, const char *name);
/* Does a rule by number reach the host's own loopback? */
bool net_reaches_loopback(const struct net_policy *p);

/* ---- policy_flat.c ---- */

/*
 * What the longest of these prefixes that an address lies in says of its ports: sorted ranges; the rest from
 * 65535 to 0, which is none. Port 0: what has no ports. Never less than the policy allows; more by a name's
 * rule (any public address), by a deny of a name (nothing), and where there are too many ranges.
 */
#define NET_FLAT_RANGES 32
struct net_flat {
    struct net_ip ip;
    uint8_t bits;
    bool nameserver; /* port 53 in any case */
    struct {
        uint16_t from, to;
    } ports[NET_FLAT_RANGES];
};
/* free() it; NULL: no memory. servers: nameservers. */
struct net_flat *net_flatten(const struct net_policy *p, const struct net_ip *servers,
                             unsigned nservers, unsigned *ret_n);

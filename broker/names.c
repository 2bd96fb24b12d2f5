/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names an address was resolved for, by us, and until when. Bounded: the oldest goes first. That
 * makes a flood of names forget others, which are then resolved again.
 */
#include <string.h>

#include "abi/types.h"
#include "broker/server.h"

#define NAMES_MAX 4096
#define TTL_MIN 60 /* programs keep addresses longer than they should */
#define TTL_MAX 86400

static struct known {
    struct net_ip ip;
    int64_t until; /* ms; 0: unused */
    char name[NET_NAME_MAX + 1];
} known[NAMES_MAX];

static bool same(const struct net_ip *a, const struct net_ip *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void names_add(const char *name, const struct net_ip *given, uint32_t ttl)
{
    const struct net_ip ip = net_normal(given);
    int64_t until = now_ms() + 1000ll * MIN(MAX(ttl, (uint32_t)TTL_MIN), (uint32_t)TTL_MAX);
    struct known *at = &known[0];

    for (unsigned i = 0; i < NAMES_MAX; i++) {
        struct known *k = &known[i];

        if (k->until && same(&k->ip, &ip) && strcmp(k->name, name) == 0) {
            k->until = MAX(k->until, until);
            return;
        }
        if (k->until < at->until)
            at = k;
    }
    at->ip = ip;
    at->until = until;
    strncpy(at->name, name, sizeof at->name - 1);
    at->name[sizeof at->name - 1] = 0;
}

static bool fits_since(int64_t when, const struct net_ip *ip, const struct net_rule *r)
{
    for (unsigned i = 0; i < NAMES_MAX; i++)
        if (known[i].until > when && same(&known[i].ip, ip) && net_rule_name(r, known[i].name))
            return true;
    return false;
}

bool names_fit(void *arg, const struct net_ip *ip, const struct net_rule *r)
{
    (void)arg;
    return fits_since(now_ms(), ip, r);
}

bool names_were(void *arg, const struct net_ip *ip, const struct net_rule *r)
{
    (void)arg;
    return fits_since(0, ip, r);
}

const char *names_of(const struct net_ip *given)
{
    const struct net_ip ip = net_normal(given);
    int64_t now = now_ms();

    for (unsigned i = 0; i < NAMES_MAX; i++)
        if (known[i].until > now && same(&known[i].ip, &ip))
            return known[i].name;
    return NULL;
}

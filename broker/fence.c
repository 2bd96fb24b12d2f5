/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's start: everything that fences it, before the first foreign byte is read. Namespaces,
 * its uid and PDEATHSIG are the front end's. It stays in the host's network namespace: that is what
 * it is for. Landlock: no file, and where the host knows it for TCP, connects to the ports that the
 * policy has, where these are few and cannot change, and no bind but with --net=host.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/landlock.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "broker/server.h"
#include "fence_broker.h"

#define DATA_MAX (64u << 20)
#define FDS_MAX 16384u
#define PORTS_MAX 256u

/* Are the ports that may be connected to few, and which? 0: they are not. */
static unsigned ports_of(const struct net_policy *p, uint16_t *ret)
{
    unsigned n = 0;

    if (p->host)
        return 0;
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct net_rule *r = &p->rules[i];

        if (!r->deny && r->nports == 0)
            return 0;
        for (unsigned k = 0; k < r->nports && !r->deny; k++)
            for (unsigned port = r->ports[k].from; port <= r->ports[k].to; port++) {
                if (n == PORTS_MAX)
                    return 0;
                ret[n++] = (uint16_t)port;
            }
    }
    ret[n++] = 53; /* nameservers, by TCP */
    return n;
}

static int put_up_landlock(const struct broker_config *cfg)
{
    uint16_t ports[PORTS_MAX + 1];
    /*
     * Rules that may change cannot be held so: Landlock's never get wider, and who it is put on later is
     * this process, which has to be believed until then.
     */
    unsigned n = cfg->rules_sock > 0 ? 0 : ports_of(cfg->policy, ports);
    /* What is published is bound already. */
    int ruleset = landlock_new_net((cfg->policy->host ? 0 : LANDLOCK_TCP_BIND) |
                                   (n > 0 ? LANDLOCK_TCP_CONNECT : 0)),
        r = 0;

    if (ruleset < 0)
        return ruleset == -EOPNOTSUPP ? 0 : ruleset;
    for (unsigned i = 0; i < n && r == 0; i++)
        r = landlock_allow_connect(ruleset, ports[i]);
    if (r == 0)
        return landlock_enter(ruleset);
    close(ruleset);
    return r;
}

int broker_fence(const struct broker_config *cfg)
{
    static const int none[] = { RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK };
    int r = fence_limits(none, ARRAY_SIZE(none));

    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
#ifndef SBX_WIDE_FILTERS
    if (r == 0)
        r = fence_limit(RLIMIT_DATA, DATA_MAX);
#endif
    if (r == 0)
        r = fence_limit(RLIMIT_NOFILE, FDS_MAX);
    if (r == 0 && !(cfg->without & SBX_WITHOUT_LANDLOCK) && !unfenced("landlock"))
        r = put_up_landlock(cfg);
    if (r == 0)
        r = fence_capabilities(/* keep= */ 0);
    fence_no_new_code();
    if (r == 0 && !unfenced("brokerfilter"))
        r = fence_apply(fence_broker, ARRAY_SIZE(fence_broker));
    return r;
}

void broker_main(const struct broker_config *cfg)
{
    if (broker_epoll() < 0 || broker_fence(cfg) < 0)
        _exit(1);
    broker_serve(cfg);
    _exit(1);
}

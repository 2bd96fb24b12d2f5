/* SPDX-License-Identifier: Apache-2.0 */
/* Options of packet sockets (SOL_PACKET). What is not done is not there: ENOPROTOOPT. */
#include <errno.h>
#include <net/ethernet.h>
#include <string.h>

#include "sentry/kernel/task.h"
#include "sentry/net/packet.h"

/* One device that hears all there is: memberships are counted, and change nothing. */
static int member(struct psock *p, const void *v, socklen_t n, bool add)
{
    struct packet_mreq m = { 0 };
    int free_at = -1;

    if (n < sizeof m)
        return -EINVAL;
    memcpy(&m, v, sizeof m);
    if (m.mr_ifindex != LO_INDEX)
        return -ENODEV;
    if (add && m.mr_alen > ETH_ALEN)
        return -EINVAL;
    if (add && m.mr_type > PACKET_MR_UNICAST)
        return -EINVAL;
    for (int i = PACKET_MEMBERS - 1; i >= 0; i--) {
        const struct packet_mreq *k = &p->members[i];

        if (!p->counts[i]) {
            free_at = i;
        } else if (k->mr_type == m.mr_type && k->mr_alen == m.mr_alen &&
                   memcmp(k->mr_address, m.mr_address, MIN(m.mr_alen, sizeof m.mr_address)) == 0) {
            p->counts[i] += add ? 1 : -1u;
            return 0;
        }
    }
    if (!add)
        return 0;
    if (free_at < 0)
        return -ENOBUFS;
    p->members[free_at] = m;
    p->counts[free_at] = 1;
    return 0;
}

/* Numbers; some are flags, some cannot be changed while there is a ring. */
static int *number(struct psock *p, int opt)
{
    switch (opt) {
    case PACKET_COPY_THRESH:
        return &p->copy_thresh;
    case PACKET_TIMESTAMP:
        return &p->timestamp;
    case PACKET_RESERVE:
        return &p->reserve;
    case PACKET_VERSION:
        return &p->version;
    case PACKET_LOSS:
        return &p->loss;
    case PACKET_TX_HAS_OFF:
        return &p->tx_has_off;
    case PACKET_QDISC_BYPASS:
        return &p->bypass;
    }
    return NULL;
}

static bool *flag(struct psock *p, int opt)
{
    switch (opt) {
    case PACKET_AUXDATA:
        return &p->auxdata;
    case PACKET_ORIGDEV:
        return &p->origdev;
    case PACKET_IGNORE_OUTGOING:
        return &p->no_outgoing;
    }
    return NULL;
}

static int set_number(struct psock *p, int opt, int val)
{
    int *to = number(p, opt);

    switch (opt) {
    case PACKET_VERSION:
        if (!pring_header(val))
            return -EINVAL;
        break;
    case PACKET_RESERVE:
        if (val < 0)
            return -EINVAL;
        break;
    case PACKET_LOSS:
    case PACKET_TX_HAS_OFF:
    case PACKET_QDISC_BYPASS:
        val = val != 0;
        break;
    }
    if ((opt == PACKET_VERSION || opt == PACKET_RESERVE || opt == PACKET_LOSS) && p->ring.pages)
        return -EBUSY;
    *to = val;
    return 0;
}

static int set_locked(struct psock *p, int opt, const void *v, socklen_t n, struct rpages **old)
{
    bool *on = flag(p, opt);
    int val;

    switch (opt) {
    case PACKET_ADD_MEMBERSHIP:
    case PACKET_DROP_MEMBERSHIP:
        return member(p, v, n, opt == PACKET_ADD_MEMBERSHIP);
    case PACKET_RX_RING:
        return pring_set(p, v, n, old);
    }
    if (!on && !number(p, opt))
        return -ENOPROTOOPT;
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    if (!on)
        return set_number(p, opt, val);
    if (opt == PACKET_IGNORE_OUTGOING && (val < 0 || val > 1))
        return -EINVAL;
    *on = val;
    return 0;
}

int packet_setsockopt(struct task *t, struct sock *sk, int level, int opt, const void *v,
                      socklen_t n)
{
    struct psock *p = packet_sk(sk);
    struct rpages *old = NULL;
    int r;

    (void)t;
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    lock(&packet_lock);
    r = set_locked(p, opt, v, n, &old);
    unlock(&packet_lock);
    rpages_put(old);
    return r;
}

/* What was counted since the last time. */
static socklen_t statistics(struct psock *p, void *to)
{
    struct tpacket_stats_v3 s = { p->packets, p->drops, p->freezes };
    socklen_t n = p->version == TPACKET_V3 ? sizeof s : sizeof(struct tpacket_stats);

    p->packets = p->drops = p->freezes = 0;
    memcpy(to, &s, n);
    return n;
}

int packet_getsockopt(struct task *t, struct sock *sk, int level, int opt, void *v, socklen_t *n)
{
    struct psock *p = packet_sk(sk);
    struct tpacket_stats_v3 out;
    socklen_t size = sizeof(int);
    int val = 0;

    (void)t;
    if (level != SOL_PACKET)
        return -ENOPROTOOPT;
    LOCK_SCOPE(&packet_lock);
    if (opt == PACKET_STATISTICS) {
        size = statistics(p, &out);
    } else if (opt == PACKET_HDRLEN) { /* of the version that is asked about */
        if (*n < sizeof val)
            return -EINVAL;
        memcpy(&val, v, sizeof val);
        val = (int)pring_header(val);
        if (!val)
            return -EINVAL;
        memcpy(&out, &val, sizeof val);
    } else if (flag(p, opt) || number(p, opt)) {
        val = flag(p, opt) ? *flag(p, opt) : *number(p, opt);
        memcpy(&out, &val, sizeof val);
    } else {
        return -ENOPROTOOPT;
    }
    *n = MIN(*n, size);
    memcpy(v, &out, *n);
    return 0;
}

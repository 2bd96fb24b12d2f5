/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of TCP. There are no segments to be held back, timed or probed, so most are kept and
 * shown again: what they ask for is true of a loopback that never loses and never waits.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "abi/socket.h"
#include "sentry/net/inet.h"

#define MSS 32741 /* what Linux uses over lo's 64 KiB */
#define TCP_TX_DELAY_ 37
#define SOMAXCONN_ 4096 /* net.core.somaxconn */
#define RTO_FIRST 1     /* seconds before a SYN is sent again, then twice that, and so on */
#define RTO_MAX 120
#define CLAMP_MIN 1152

struct range {
    int opt;
    size_t at;
    int min, max;
};

#define AT(m) offsetof(struct isock, tcp.m)

static const struct range ranges[] = {
    { TCP_KEEPIDLE, AT(keepidle), 1, 32767 },
    { TCP_KEEPINTVL, AT(keepintvl), 1, 32767 },
    { TCP_KEEPCNT, AT(keepcnt), 1, 127 },
    { TCP_SYNCNT, AT(syncnt), 1, 127 },
    { TCP_USER_TIMEOUT, AT(user_timeout), 0, INT32_MAX },
    { TCP_FASTOPEN_CONNECT, AT(fastopen_connect), 0, 1 },
    { TCP_SAVE_SYN, AT(save_syn), 0, 2 },
    { TCP_INQ, AT(inq), 0, 1 },
    { TCP_THIN_LINEAR_TIMEOUTS, AT(thin), 0, 1 },
    { TCP_NOTSENT_LOWAT, AT(notsent_lowat), INT32_MIN, INT32_MAX },
};

static const struct range *find(int opt)
{
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
        if (ranges[i].opt == opt)
            return &ranges[i];
    return NULL;
}

static int set_congestion(struct isock *s, const char *v, socklen_t n)
{
    char name[16] = "";

    if (n < 1)
        return -EINVAL;
    memcpy(name, v, MIN(n, (socklen_t)15));
    if (strcmp(name, "cubic") != 0 && strcmp(name, "reno") != 0)
        return -ENOENT;
    strcpy(s->tcp.cc, name);
    return 0;
}

/* What is kept of TCP_DEFER_ACCEPT is after how many SYN-ACKs: the time until the last of those. */
static int defer_seconds(int wanted)
{
    int wait = RTO_FIRST, all = 0;

    for (int n = 0; all < wanted && n < UINT8_MAX; n++) {
        all += wait;
        wait = MIN(2 * wait, RTO_MAX);
    }
    return all;
}

static int set_clamp(struct isock *s, int val)
{
    if (val == 0 && s->sk.state != SOCK_CLOSED)
        return -EINVAL;
    s->tcp.clamp = val ? MAX(val, CLAMP_MIN) : 0;
    return 0;
}

static int set_int(struct isock *s, int opt, int val)
{
    const struct range *r = find(opt);

    if (r) {
        if (val < r->min || val > r->max)
            return -EINVAL;
        *(int *)(void *)((char *)s + r->at) = val;
        return 0;
    }
    switch (opt) {
    case TCP_NODELAY:
        s->tcp.nodelay = val != 0;
        if (val)
            tcp_push(&s->sk);
        return 0;
    case TCP_CORK:
        s->tcp.cork = val != 0;
        if (!val)
            tcp_push(&s->sk);
        return 0;
    case TCP_QUICKACK:
        s->tcp.quickack = val != 0;
        return 0;
    case TCP_THIN_DUPACK:
        return val < 0 || val > 1 ? -EINVAL : 0;
    case TCP_LINGER2:
        s->tcp.linger2 = val < 0 ? -1 : MIN(val, 120);
        return 0;
    case TCP_DEFER_ACCEPT:
        s->tcp.defer = defer_seconds(val);
        return 0;
    case TCP_WINDOW_CLAMP:
        return set_clamp(s, val);
    case TCP_MAXSEG: /* 0: as the device says */
        if (val && (val < 88 || val > 32767))
            return -EINVAL;
        s->tcp.maxseg = val;
        return 0;
    case TCP_FASTOPEN:
        if (val < 0)
            return -EINVAL;
        s->tcp.fastopen = MIN(val, SOMAXCONN_);
        return 0;
    case TCP_FASTOPEN_NO_COOKIE:
        if (val < 0 || val > 1)
            return -EINVAL;
        s->tcp.fastopen_nokey = val;
        return 0;
    case TCP_TIMESTAMP:
    case TCP_REPAIR:
        return -EPERM;
    }
    return -ENOPROTOOPT;
}

int tcp_setsockopt(struct task *t, struct isock *s, int opt, const void *v, socklen_t n)
{
    struct lock *l;
    int val, r;

    (void)t;
    if (opt == TCP_ULP)
        return -ENOENT;
    if (opt == TCP_CONGESTION)
        return set_congestion(s, v, n);
    if (n < sizeof val)
        return -EINVAL;
    memcpy(&val, v, sizeof val);
    l = sock_lock(&s->sk);
    r = set_int(s, opt, val);
    unlock(l);
    return r;
}

/* ---- get ---- */

static void fill_info(struct isock *s, struct lx_tcp_info *i)
{
    bool up = s->sk.state == SOCK_CONNECTED;

    i->state = (uint8_t)tcp_state(s);
    i->options = up ? 7 : 0;
    i->wscale = up ? 0xaa : 0;
    i->rto = up ? 200000 : 1000000;
    i->snd_mss = up ? MSS : 536;
    i->rcv_mss = 536;
    i->pmtu = up ? 65535 : 0;
    i->rcv_ssthresh = up ? 65495 : 0;
    i->rtt = up ? 30 : 0;
    i->rttvar = up ? 15 : 250000;
    i->snd_ssthresh = 0x7fffffff;
    i->snd_cwnd = 10;
    i->advmss = up ? 65483 : 536;
    i->reordering = 3;
    i->rcv_space = up ? 65495 : 0;
    i->pacing_rate = i->max_pacing_rate = UINT64_MAX;
    i->bytes_received = s->bytes_in;
    i->bytes_acked = i->bytes_sent = s->bytes_out;
    i->min_rtt = up ? 10 : UINT32_MAX;
    i->snd_wnd = up ? 65536 : 0;
    if (s->sk.state == SOCK_LISTEN) {
        i->unacked = s->sk.naccept;
        i->sacked = s->sk.backlog;
    }
}

static int put(void *v, socklen_t *n, const void *from, size_t size)
{
    *n = (socklen_t)MIN((size_t)*n, size);
    memcpy(v, from, *n);
    return 0;
}

static int get_int(struct isock *s, int opt, int *val)
{
    const struct range *r = find(opt);

    if (r) {
        *val = *(int *)(void *)((char *)s + r->at);
        return 0;
    }
    switch (opt) {
    case TCP_NODELAY:
        *val = s->tcp.nodelay;
        return 0;
    case TCP_CORK:
        *val = s->tcp.cork;
        return 0;
    case TCP_QUICKACK:
        *val = s->tcp.quickack;
        return 0;
    case TCP_THIN_DUPACK:
        *val = 0;
        return 0;
    case TCP_LINGER2:
        *val = s->tcp.linger2 ? s->tcp.linger2 : 60; /* net.ipv4.tcp_fin_timeout */
        return 0;
    case TCP_DEFER_ACCEPT:
        *val = s->tcp.defer;
        return 0;
    case TCP_WINDOW_CLAMP:
        *val = s->tcp.clamp ? s->tcp.clamp : s->sk.state == SOCK_CONNECTED ? 65536 : 0;
        return 0;
    case TCP_FASTOPEN_NO_COOKIE:
        *val = s->tcp.fastopen_nokey;
        return 0;
    case TCP_MAXSEG:
        *val = s->sk.state == SOCK_CONNECTED ? MSS : s->tcp.maxseg ? s->tcp.maxseg : 536;
        return 0;
    case TCP_FASTOPEN:
        *val = s->tcp.fastopen;
        return 0;
    case TCP_REPAIR:
    case TCP_TIMESTAMP:
        *val = 0;
        return 0;
    case TCP_TX_DELAY_:
        *val = 0;
        return 0;
    }
    return -ENOPROTOOPT;
}

int tcp_getsockopt(struct isock *s, int opt, void *v, socklen_t *n)
{
    struct lx_tcp_info info = { 0 };
    struct lock *l;
    int val = 0, r;

    if (opt == TCP_CONGESTION)
        return put(v, n, s->tcp.cc, sizeof s->tcp.cc);
    if (opt == TCP_ULP || opt == TCP_SAVED_SYN || opt == TCP_CC_INFO || opt == TCP_FASTOPEN_KEY) {
        *n = 0;
        return 0;
    }
    l = sock_lock(&s->sk);
    if (opt == TCP_INFO) {
        fill_info(s, &info);
        r = put(v, n, &info, sizeof info);
    } else {
        r = get_int(s, opt, &val);
        if (r == 0)
            r = put(v, n, &val, sizeof val);
    }
    unlock(l);
    return r;
}

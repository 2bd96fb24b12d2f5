/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of sockets, by list: none that lets a socket go elsewhere, be seen elsewhere or reach
 * devices. The descriptor comes from the sentry and may be anything: all that is done with it is what
 * stands here.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "broker/server.h"

static const struct {
    int level, name;
    bool get_only;
} allowed[] = {
    { SOL_SOCKET, SO_KEEPALIVE, false },
    { SOL_SOCKET, SO_LINGER, false },
    { SOL_SOCKET, SO_SNDBUF, false },
    { SOL_SOCKET, SO_RCVBUF, false },
    { SOL_SOCKET, SO_RCVLOWAT, false },
    { SOL_SOCKET, SO_OOBINLINE, false },
    { SOL_SOCKET, SO_REUSEADDR, false },
    { SOL_SOCKET, SO_REUSEPORT, false },
    { SOL_SOCKET, SO_ERROR, true },
    { IPPROTO_TCP, TCP_NODELAY, false },
    { IPPROTO_TCP, TCP_CORK, false },
    { IPPROTO_TCP, TCP_QUICKACK, false },
    { IPPROTO_TCP, TCP_MAXSEG, false },
    { IPPROTO_TCP, TCP_KEEPIDLE, false },
    { IPPROTO_TCP, TCP_KEEPINTVL, false },
    { IPPROTO_TCP, TCP_KEEPCNT, false },
    { IPPROTO_TCP, TCP_SYNCNT, false },
    { IPPROTO_TCP, TCP_USER_TIMEOUT, false },
    { IPPROTO_TCP, TCP_LINGER2, false },
    { IPPROTO_TCP, TCP_DEFER_ACCEPT, false },
    { IPPROTO_TCP, TCP_WINDOW_CLAMP, false },
    { IPPROTO_TCP, TCP_INFO, true },
    { IPPROTO_IP, IP_TTL, false },
    { IPPROTO_IP, IP_TOS, false },
    { IPPROTO_IP, IP_MTU_DISCOVER, false },
    { IPPROTO_IP, IP_MTU, true },
    { IPPROTO_IPV6, IPV6_UNICAST_HOPS, false },
    { IPPROTO_IPV6, IPV6_TCLASS, false },
    { IPPROTO_IPV6, IPV6_V6ONLY, false },
    { IPPROTO_IPV6, IPV6_MTU, true },
};

static bool is_allowed(int level, int name, bool get)
{
    for (unsigned i = 0; i < ARRAY_SIZE(allowed); i++)
        if (allowed[i].level == level && allowed[i].name == name)
            return get || !allowed[i].get_only;
    return false;
}

/*
 * Who closes the last descriptor of a socket with SO_LINGER waits for it, and that may be us, who have it for a
 * moment. Its time is the sentry's to wait for; here it is off, or zero.
 */
static bool would_wait(int level, int name, const void *value, size_t n)
{
    struct linger l = { 0, 0 };

    if (level != SOL_SOCKET || name != SO_LINGER || unfenced("brokerlinger"))
        return false;
    memcpy(&l, value, MIN(n, sizeof l));
    return l.l_onoff && l.l_linger;
}

void apply_options(int fd, const uint8_t *data, uint32_t len)
{
    struct nb_opt o;

    for (uint32_t at = 0; at + sizeof o <= len && at < NB_OPTS_MAX * sizeof o; at += sizeof o) {
        memcpy(&o, data + at, sizeof o);
        if (!is_allowed(o.level, o.name, false))
            continue;
        const struct linger linger = { 1, o.value };
        if (would_wait(o.level, o.name, &linger, sizeof linger))
            continue;
        if (o.level == SOL_SOCKET && o.name == SO_LINGER)
            setsockopt(fd, o.level, o.name, &linger, sizeof linger);
        else
            setsockopt(fd, o.level, o.name, &o.value, sizeof o.value);
    }
}

void serve_setopt(const struct nb_req *m, const uint8_t *data, int fd)
{
    struct nb_opt o;
    int r = 0;

    if (m->len < sizeof o || m->len > sizeof o + NB_OPT_MAX || fd < 0) {
        answer_error(m->tag, -EPROTO);
        return;
    }
    memcpy(&o, data, sizeof o);
    if (!is_allowed(o.level, o.name, false))
        r = -ENOPROTOOPT;
    else if (would_wait(o.level, o.name, data + sizeof o, m->len - sizeof o))
        r = -EINVAL;
    else if (setsockopt(fd, o.level, o.name, data + sizeof o, m->len - (uint32_t)sizeof o) < 0)
        r = -errno;
    answer_error(m->tag, r);
}

void serve_getopt(const struct nb_req *m, const uint8_t *data, int fd)
{
    struct nb_rep r = { .op = NB_ANSWER, .tag = m->tag };
    uint8_t value[NB_OPT_MAX];
    socklen_t n = MIN(m->arg, (uint32_t)NB_OPT_MAX);
    struct nb_opt o;

    if (m->len != sizeof o || fd < 0) {
        answer_error(m->tag, -EPROTO);
        return;
    }
    memcpy(&o, data, sizeof o);
    if (!is_allowed(o.level, o.name, true))
        r.error = -ENOPROTOOPT;
    else if (getsockopt(fd, o.level, o.name, value, &n) < 0)
        r.error = -errno;
    else
        r.len = MIN(n, (socklen_t)NB_OPT_MAX);
    reply(&r, value, -1);
}

void serve_urgent(const struct nb_req *m, const uint8_t *data, int fd)
{
    int r = 0;

    if (m->len != 1 || fd < 0)
        r = -EPROTO;
    else if (send(fd, data, 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        r = -errno;
    answer_error(m->tag, r);
}

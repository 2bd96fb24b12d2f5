/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the outside. The address is checked in the form in which the host is then called
 * with it, so that there is nothing between check and use. What is handed over is connected: a
 * nonblocking socket without options that would let it go elsewhere.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "broker/server.h"

#define CONNECT_MS 300000 /* longer than the host tries; the sentry cancels what it gives up */

socklen_t to_sockaddr(const struct nb_addr *a, struct sockaddr_storage *ret)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };
    struct net_ip ip;

    memcpy(ip.b, a->ip, sizeof ip.b);
    memset(ret, 0, sizeof *ret);
    if (net_is_v4(&ip)) {
        memcpy(&in.sin_addr, ip.b + 12, 4);
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    memcpy(&in6.sin6_addr, ip.b, 16);
    memcpy(ret, &in6, sizeof in6);
    return sizeof in6;
}

void from_sockaddr(const struct sockaddr_storage *ss, struct nb_addr *ret)
{
    const struct sockaddr_in *in = (const void *)ss;
    const struct sockaddr_in6 *in6 = (const void *)ss;

    *ret = (struct nb_addr){ 0 };
    if (ss->ss_family == AF_INET) {
        ret->ip[10] = ret->ip[11] = 0xff;
        memcpy(ret->ip + 12, &in->sin_addr, 4);
        ret->port = ntohs(in->sin_port);
    } else if (ss->ss_family == AF_INET6) {
        memcpy(ret->ip, &in6->sin6_addr, 16);
        ret->port = ntohs(in6->sin6_port);
    }
}

bool may_reach(const struct nb_addr *a)
{
    struct net_ip ip;

    if (unfenced("netpolicy"))
        return true;
    memcpy(ip.b, a->ip, sizeof ip.b);
    return net_allows(broker->policy, &ip, a->port, names_fit, NULL);
}

bool may_stay(const struct nb_addr *a)
{
    struct net_ip ip;

    memcpy(ip.b, a->ip, sizeof ip.b);
    return net_allows(broker->policy, &ip, a->port, names_were, NULL);
}

/* True: fd stays open. It is kept first: rules may change while it is sent. */
static bool hand_over(uint32_t tag, uint32_t proto, int fd, const struct nb_addr *peer)
{
    struct nb_rep r = { .op = NB_ANSWER, .tag = tag, .peer = *peer };
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof ss;
    const char *name = NULL;
    struct net_ip ip;

    if (kept_wanted(proto) && !kept_add(fd, tag, proto == IPPROTO_TCP, peer)) {
        answer_error(tag, -ENOBUFS); /* what could not be cut is not handed over */
        return false;
    }
    memcpy(ip.b, peer->ip, sizeof ip.b);
    if (broker->tell_names && !net_special(&ip)) /* which no name may lead to */
        name = names_of(&ip);
    r.len = name ? (uint32_t)strlen(name) : 0;
    r.arg = kept_wanted(proto);
    if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
        from_sockaddr(&ss, &r.local);
    if (reply(&r, name, fd))
        return r.arg;
    answer_error(tag, -ENFILE);
    if (proto != IPPROTO_TCP)
        return true; /* what it was asked for with may be followed by more, though the sentry is gone */
    if (r.arg)
        kept_take(tag);
    return false;
}

static void on_connect(struct watch *w, uint32_t events)
{
    int err = ETIMEDOUT;
    socklen_t n = sizeof err;
    bool keep = false;

    if (w->refused) {
        answer_refused(w->tag, &w->peer);
        watch_free(w, /* keep= */ false);
        return;
    }
    if (events && getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
        err = errno;
    if (err)
        answer_error(w->tag, -err);
    else
        keep = hand_over(w->tag, w->proto, w->fd, &w->peer);
    watch_free(w, keep);
}

static int make_socket(const struct nb_req *m, int family)
{
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = -1;

    switch (m->proto) {
    case IPPROTO_TCP:
        fd = socket(family, SOCK_STREAM | flags, IPPROTO_TCP);
        break;
    case IPPROTO_UDP:
        fd = socket(family, SOCK_DGRAM | flags, IPPROTO_UDP);
        break;
    case IPPROTO_ICMP:
        fd = socket(family, SOCK_DGRAM | flags, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
        break;
    default:
        return -EPROTO;
    }
    return fd < 0 ? -errno : fd;
}

static bool to_nameserver(const struct nb_addr *a)
{
    static const uint8_t server[16] = { [10] = 0xff,
                                        0xff,
                                        NB_DNS_IP >> 24 & 0xff,
                                        NB_DNS_IP >> 16 & 0xff,
                                        NB_DNS_IP >> 8 & 0xff,
                                        NB_DNS_IP & 0xff };

    return a->port == 53 && memcmp(a->ip, server, sizeof server) == 0;
}

static void connect_nameserver(const struct nb_req *m)
{
    struct nb_rep r = { .op = NB_ANSWER, .tag = m->tag, .peer = m->addr };
    int fd = dns_stream();

    if (fd < 0) {
        answer_error(m->tag, fd);
        return;
    }
    r.local.ip[10] = r.local.ip[11] = 0xff;
    for (int i = 0; i < 4; i++)
        r.local.ip[12 + i] = (uint8_t)(NB_OWN_IP >> (24 - 8 * i));
    r.local.port = 40000;
    reply(&r, NULL, fd);
    close(fd);
}

/* Often it is done when connect(2) says that it has begun: on the host itself. Else errno says why. */
static bool connect_now(int fd, const struct sockaddr_storage *to, socklen_t n)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    socklen_t len = sizeof(int);
    int err = 0;

    if (connect(fd, (const struct sockaddr *)to, n) == 0)
        return true;
    if (errno != EINPROGRESS)
        return false;
    if (poll(&p, 1, 0) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0) {
        errno = err;
        return err == 0;
    }
    errno = EINPROGRESS;
    return false;
}

void serve_connect(const struct nb_req *m, const uint8_t *data)
{
    struct sockaddr_storage ss;
    struct nb_addr a = m->addr;
    struct net_ip ip;
    socklen_t n;
    int fd;

    if (m->proto == IPPROTO_TCP && to_nameserver(&m->addr)) {
        connect_nameserver(m);
        return;
    }
    memcpy(ip.b, a.ip, sizeof ip.b);
    ip = net_normal(&ip);
    if (m->proto == IPPROTO_ICMP) /* it has no ports */
        a.port = 0;
    if (!may_reach(&a)) {
        answer_refused(m->tag, &a);
        return;
    }
    if (memcmp(ip.b + 12, a.ip + 12, 4) != 0) /* the unspecified address */
        memcpy(a.ip, ip.b, sizeof a.ip);
    n = to_sockaddr(&a, &ss);
    fd = make_socket(m, ss.ss_family);
    if (fd < 0) {
        answer_error(m->tag, fd);
        return;
    }
    const bool first = m->proto != IPPROTO_TCP && (m->arg & NB_FIRST);
    const uint32_t options = first ? MIN(m->arg & ~NB_FIRST, m->len) : m->len;
    apply_options(fd, data, options);
    if (connect_now(fd, &ss, n)) {
        if (first)
            sendto(fd, data + options, m->len - options, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
        if (!hand_over(m->tag, m->proto, fd, &a))
            close(fd);
        return;
    }
    struct watch *w = errno == EINPROGRESS ? watch_new(fd, EPOLLOUT, on_connect) : NULL;
    if (!w) {
        answer_error(m->tag, errno == EINPROGRESS ? -EAGAIN : -errno);
        close(fd);
        return;
    }
    w->tag = m->tag;
    w->proto = m->proto;
    w->peer = a;
    w->deadline = now_ms() + CONNECT_MS;
}

void serve_cancel(const struct nb_req *m)
{
    struct watch *w = watch_find(m->tag, on_connect);

    if (w)
        watch_free(w, /* keep= */ false);
    else
        kept_end(m->tag);
}

static unsigned ncut;

/* The answer is sent from the loop, where its time is up. */
static void cut_one(struct watch *w)
{
    if (w->refused || may_stay(&w->peer))
        return;
    w->refused = true;
    w->deadline = now_ms();
    disconnect(w->fd, /* tcp= */ true);
    ncut++;
}

unsigned connects_cut(void)
{
    ncut = 0;
    watch_each(on_connect, cut_one);
    return ncut;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening for the outside, and published UDP. Published ports are bound by the front end, before
 * anything runs; listening begins when the program inside listens, and ends with it: the port stays
 * ours. With --net=host a program may listen on any port of the host that is free.
 *
 * No more connections are accepted than the sentry has room for; the rest waits in the host's queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/server.h"

#define PEERS_MAX 1024

static void set_gateway(struct nb_addr *a)
{
    memset(a->ip, 0, 10);
    a->ip[10] = a->ip[11] = 0xff;
    for (int i = 0; i < 4; i++)
        a->ip[12 + i] = (uint8_t)(NB_GATEWAY_IP >> (24 - 8 * i));
}

/*
 * Who comes from the host itself is shown as the gateway: 127.0.0.1 is the sandbox inside, which
 * servers trust more than others.
 */
static void show_peer(struct nb_addr *a)
{
    struct net_ip ip;

    memcpy(ip.b, a->ip, sizeof ip.b);
    if (!(net_is_v4(&ip) ? ip.b[12] == 127 : memcmp(ip.b, &in6addr_loopback, 16) == 0))
        return;
    set_gateway(a);
}

static void on_datagram(struct watch *w, uint32_t events);

static void on_accept(struct watch *w, uint32_t events)
{
    (void)events;
    while (w->more) {
        struct nb_rep r = { .op = NB_ACCEPTED, .tag = w->tag };
        struct sockaddr_storage ss = { 0 };
        socklen_t n = sizeof ss;
        int fd = accept4(w->fd, (struct sockaddr *)&ss, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        from_sockaddr(&ss, &r.peer);
        show_peer(&r.peer);
        n = sizeof ss;
        if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
            from_sockaddr(&ss, &r.local);
        if (reply(&r, NULL, fd) && --w->more == 0)
            watch_set(w, 0);
        close(fd);
    }
}

/* The socket bound for that port; NULL. */
static struct net_publish *published(uint16_t port, bool udp)
{
    for (unsigned i = 0; i < broker->policy->npub; i++) {
        struct net_publish *p = &broker->policy->pub[i];

        if (p->port == port && p->udp == udp && p->fd >= 0)
            return p;
    }
    return NULL;
}

static int bind_host(const struct nb_req *m, const uint8_t *data, int type)
{
    struct sockaddr_storage ss;
    socklen_t n = to_sockaddr(&m->addr, &ss);
    int fd, r = 0;

    if (!broker->policy->host)
        return -EACCES;
    fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
    if (fd < 0)
        return -errno;
    apply_options(fd, data, m->len);
    if (bind(fd, (struct sockaddr *)&ss, n) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

void serve_listen(const struct nb_req *m, const uint8_t *data)
{
    struct net_publish *p = published(m->addr.port, false);
    struct nb_rep r = { .op = NB_ANSWER, .tag = m->tag };
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof ss;
    int fd = p ? fcntl(p->fd, F_DUPFD_CLOEXEC, 3) : bind_host(m, data, SOCK_STREAM);
    struct watch *w;

    if (fd >= 0 && p)
        apply_options(fd, data, m->len);
    if (fd >= 0 && listen(fd, (int)MIN(m->arg, 4096u)) < 0) {
        r.error = -errno;
        close(fd);
        fd = r.error;
    }
    w = fd >= 0 ? watch_new(fd, m->arg ? EPOLLIN : 0, on_accept) : NULL;
    if (!w) {
        if (fd >= 0)
            close(fd);
        answer_error(m->tag, fd < 0 ? fd : -ENOBUFS);
        return;
    }
    w->tag = m->tag;
    w->more = MIN(m->arg, 65536u);
    if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
        from_sockaddr(&ss, &r.local);
    reply(&r, NULL, -1);
}

void serve_more(const struct nb_req *m)
{
    struct watch *w = watch_find(m->tag, on_accept);

    if (!w)
        return;
    if (w->more == 0 && m->arg)
        watch_set(w, EPOLLIN);
    w->more = MIN(w->more + MIN(m->arg, 65536u), 65536u);
}

/* The socket itself may live on with the policy: it goes back to being bound. */
void serve_unlisten(const struct nb_req *m)
{
    struct watch *w = watch_find(m->tag, on_accept);

    if (!w)
        w = watch_find(m->tag, on_datagram);
    if (!w || !w->tag) /* published ports have none, and stay */
        return;
    shutdown(w->fd, SHUT_RD);
    watch_free(w, /* keep= */ false);
}

/* ---- published UDP ---- */

/* Who has sent to a published port may be answered from it: the last so many. */
static struct {
    struct nb_addr addr; /* as it is shown */
    struct sockaddr_storage real;
    socklen_t len;
    uint16_t port; /* inside */
} peers[PEERS_MAX];
static unsigned next_peer;

static int find_peer(uint16_t port, const struct nb_addr *a)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (peers[i].port == port && peers[i].addr.port == a->port &&
            memcmp(peers[i].addr.ip, a->ip, sizeof a->ip) == 0)
            return (int)i;
    return -1;
}

/* An IPv4 socket inside knows a peer of IPv6 as the gateway's port: the last that came from it. */
static int find_behind_gateway(uint16_t port, const struct nb_addr *a)
{
    struct nb_addr gateway = { .port = a->port };
    unsigned i = next_peer;

    set_gateway(&gateway);
    if (memcmp(gateway.ip, a->ip, sizeof a->ip) != 0)
        return -1;
    for (unsigned n = 0; n < PEERS_MAX; n++) {
        const struct sockaddr_in6 *real;

        i = (i + PEERS_MAX - 1) % PEERS_MAX;
        real = (const void *)&peers[i].real;
        if (peers[i].port == port && peers[i].addr.port == a->port &&
            real->sin6_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&real->sin6_addr))
            return (int)i;
    }
    return -1;
}

static void on_datagram(struct watch *w, uint32_t events)
{
    static uint8_t bytes[NB_DATA_MAX];

    (void)events;
    for (int i = 0; i < 64; i++) { /* others have their turn */
        struct nb_rep r = { .op = NB_DATAGRAM, .arg = w->port };
        struct sockaddr_storage ss = { 0 };
        socklen_t alen = sizeof ss;
        ssize_t n = recvfrom(w->fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&ss,
                             &alen);

        if (n < 0)
            return;
        from_sockaddr(&ss, &r.peer);
        show_peer(&r.peer);
        int at = find_peer((uint16_t)w->port, &r.peer);
        if (at < 0)
            at = (int)(next_peer++ % PEERS_MAX);
        peers[at].addr = r.peer;
        peers[at].port = (uint16_t)w->port;
        peers[at].real = ss;
        peers[at].len = alen;
        r.len = (uint32_t)n;
        reply(&r, bytes, -1);
    }
}

void serve_bind(const struct nb_req *m, const uint8_t *data)
{
    struct nb_rep r = { .op = NB_ANSWER, .tag = m->tag };
    struct sockaddr_storage ss = { 0 };
    socklen_t n = sizeof ss;
    int fd = m->tag ? bind_host(m, data, SOCK_DGRAM) : -EPROTO;
    struct watch *w = fd >= 0 ? watch_new(fd, EPOLLIN, on_datagram) : NULL;

    if (!w) {
        if (fd >= 0)
            close(fd);
        answer_error(m->tag, fd < 0 ? fd : -ENOBUFS);
        return;
    }
    w->tag = m->tag;
    w->port = m->addr.port;
    if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
        from_sockaddr(&ss, &r.local);
    reply(&r, NULL, -1);
}

/* The socket of that port inside; -1. */
static int udp_socket(uint16_t port)
{
    const struct net_publish *p = published(port, true);
    const struct watch *w = p ? NULL : watch_find_port(port, on_datagram);

    return p ? p->fd : w ? w->fd : -1;
}

void serve_sendto(const struct nb_req *m, const uint8_t *data)
{
    const uint16_t port = (uint16_t)m->arg;
    const int fd = udp_socket(port);
    struct sockaddr_storage ss;
    socklen_t n = to_sockaddr(&m->addr, &ss);
    int at = fd >= 0 ? find_peer(port, &m->addr) : -1;

    if (fd >= 0 && at < 0)
        at = find_behind_gateway(port, &m->addr);
    if (at >= 0)
        sendto(fd, data, m->len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&peers[at].real,
               peers[at].len);
    else if (fd >= 0 && may_reach(&m->addr))
        sendto(fd, data, m->len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, n);
}

void publish_init(void)
{
    for (unsigned i = 0; i < broker->policy->npub; i++) {
        struct net_publish *p = &broker->policy->pub[i];
        struct watch *w = p->udp ? watch_new(p->fd, EPOLLIN, on_datagram) : NULL;

        if (w)
            w->port = p->port;
    }
}

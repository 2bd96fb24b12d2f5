/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop: requests of the sentry, and what is waited for. When the sentry does not read its answers
 * the broker waits for it: that is nobody's harm but the sentry's own. Rules are changed meanwhile.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "abi/types.h"
#include "broker/server.h"

const struct broker_config *broker;

static int epoll = -1;
static struct watch *all, *unused;
static unsigned nwatches;
static bool untold; /* the sentry has not heard of new rules */
static uint8_t data[NB_DATA_MAX];

int64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* ---- what is waited for ---- */

struct watch *watch_new(int fd, uint32_t events, void (*fn)(struct watch *, uint32_t))
{
    struct watch *w = unused;
    struct epoll_event ev = { .events = events };

    if (!w && nwatches < WATCHES_MAX && (w = calloc(1, sizeof *w)))
        nwatches++;
    else if (w)
        unused = w->next;
    if (!w)
        return NULL;
    memset(w, 0, sizeof *w);
    w->fd = fd;
    w->fn = fn;
    ev.data.ptr = w;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        w->next = unused;
        unused = w;
        return NULL;
    }
    w->next = all;
    w->prev = &all;
    if (all)
        all->prev = &w->next;
    all = w;
    return w;
}

void watch_set(struct watch *w, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = w };

    epoll_ctl(epoll, EPOLL_CTL_MOD, w->fd, &ev);
}

void watch_free(struct watch *w, bool keep)
{
    epoll_ctl(epoll, EPOLL_CTL_DEL, w->fd, NULL);
    if (!keep)
        close(w->fd);
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->fn = NULL;
    w->next = unused;
    unused = w;
}

void watch_each(void (*fn)(struct watch *, uint32_t), void (*visit)(struct watch *w))
{
    for (struct watch *w = all; w; w = w->next)
        if (w->fn == fn)
            visit(w);
}

struct watch *watch_find(uint32_t tag, void (*fn)(struct watch *, uint32_t))
{
    for (struct watch *w = all; w; w = w->next)
        if (w->tag == tag && w->fn == fn)
            return w;
    return NULL;
}

struct watch *watch_find_port(unsigned port, void (*fn)(struct watch *, uint32_t))
{
    for (struct watch *w = all; w; w = w->next)
        if (w->fn == fn && w->port == port)
            return w;
    return NULL;
}

/* Runs what is over its time; how long until the next, in ms, -1: none. */
static int run_deadlines(void)
{
    int64_t now = now_ms(), next = INT64_MAX;

    for (struct watch *w = all, *n; w; w = n) {
        n = w->next;
        if (w->deadline && w->deadline <= now) {
            w->fn(w, 0);
            return 0; /* others may have gone with it: look again */
        }
        if (w->deadline)
            next = MIN(next, w->deadline);
    }
    return next == INT64_MAX ? -1 : (int)MIN(next - now, INT_MAX);
}

/* ---- answers ---- */

/* Until the sentry reads; what the front end wants is not kept waiting. */
static void wait_for_sentry(void)
{
    struct pollfd p[] = { { .fd = broker->sock, .events = POLLOUT },
                          { .fd = broker->rules_sock > 0 ? broker->rules_sock : -1,
                            .events = POLLIN } };

    if (poll(p, 2, -1) > 0 && p[1].revents && !rules_serve())
        poll(p, 1, 100); /* the front end is gone: we are next */
}

bool reply(const struct nb_rep *r, const void *bytes, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS,
                     .cmsg_len = CMSG_LEN(sizeof(int)) } };
    struct iovec iov[2] = { { (void *)(uintptr_t)r, sizeof *r },
                            { (void *)(uintptr_t)bytes, r->len } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = r->len ? 2 : 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof ctl.space;
    }
    for (;;) {
        if (sendmsg(broker->sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return true;
        if (errno == EAGAIN) {
            wait_for_sentry();
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != ENOBUFS && errno != ENOMEM) /* ETOOMANYREFS; EPIPE: it is gone */
            return false;
        struct pollfd nobody = { .fd = -1 };
        poll(&nobody, 1, 1);
    }
}

void answer_error(uint32_t tag, int error)
{
    const struct nb_rep r = { .op = NB_ANSWER, .tag = tag, .error = error };

    reply(&r, NULL, -1);
}

void answer_refused(uint32_t tag, const struct nb_addr *a)
{
    struct net_ip ip;
    const char *name;

    memcpy(ip.b, a->ip, sizeof ip.b);
    name = names_of(&ip);
    note_refused(name, a);
    const struct nb_rep r = {
        .op = NB_ANSWER, .tag = tag, .error = -EACCES, .len = name ? (uint32_t)strlen(name) : 0
    };
    reply(&r, name, -1);
}

/* ---- requests ---- */

static void serve(const struct nb_req *m, int fd)
{
    switch (m->op) {
    case NB_CONNECT:
        serve_connect(m, data);
        break;
    case NB_CANCEL:
        serve_cancel(m);
        break;
    case NB_LISTEN:
        serve_listen(m, data);
        break;
    case NB_BIND:
        serve_bind(m, data);
        break;
    case NB_MORE:
        serve_more(m);
        break;
    case NB_UNLISTEN:
        serve_unlisten(m);
        break;
    case NB_SETOPT:
        serve_setopt(m, data, fd);
        break;
    case NB_GETOPT:
        serve_getopt(m, data, fd);
        break;
    case NB_URGENT:
        serve_urgent(m, data, fd);
        break;
    case NB_DNS:
        serve_dns(m, data);
        break;
    case NB_SENDTO:
        serve_sendto(m, data);
        break;
    case NB_SEND:
        serve_send(m, data);
        break;
    default:
        answer_error(m->tag, -EPROTO);
    }
}

/* Every descriptor that came along; the first is kept for the request, others are closed. */
static int take_fd(struct msghdr *msg)
{
    int fd = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++) {
            int one;

            memcpy(&one, CMSG_DATA(c) + i * sizeof one, sizeof one);
            if (fd < 0)
                fd = one;
            else
                close(one);
        }
    }
    return fd;
}

/* False: the sentry is gone. */
static bool take_request(void)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl;
    struct nb_req m = { 0 };
    struct iovec iov[2] = { { &m, sizeof m }, { data, sizeof data } };
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
    };
    ssize_t n = recvmsg(broker->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    int fd;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR || errno == EMFILE || errno == ENFILE;
    if (n == 0)
        return false;
    fd = take_fd(&msg);
    if ((size_t)n < sizeof m || (msg.msg_flags & MSG_TRUNC) || m.len != (size_t)n - sizeof m)
        answer_error((size_t)n < sizeof m ? 0 : m.tag, -EPROTO);
    else
        serve(&m, fd);
    if (fd >= 0)
        close(fd);
    return true;
}

int broker_epoll(void)
{
    if (epoll < 0)
        epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -errno : 0;
}

void rules_changed(void)
{
    untold = true;
}

static void tell_rules(void)
{
    const struct nb_rep r = { .op = NB_POLICY, .arg = net_reaches_loopback(broker->policy) };

    untold = false;
    reply(&r, NULL, -1);
}

void broker_serve(const struct broker_config *cfg)
{
    struct epoll_event ev[64] = { { .events = EPOLLIN } };

    broker = cfg;
    if (broker_epoll() < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, cfg->sock, ev) < 0)
        return;
    publish_init();
    rules_init();
    for (;;) {
        if (untold)
            tell_rules();
        int wait = run_deadlines();
        int n = epoll_wait(epoll, ev, ARRAY_SIZE(ev), wait);

        if (n < 0 && errno != EINTR)
            return;
        for (int i = 0; i < n; i++) {
            struct watch *w = ev[i].data.ptr;

            if (w && w->fn) /* else it ended while others were run */
                w->fn(w, ev[i].events);
            else if (!w && !take_request())
                return;
        }
    }
}

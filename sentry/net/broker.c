/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See broker.h. Locks, both leaves: calls.lock guards who waits; out.lock what could not be sent yet,
 * and is held over sends that do not wait.
 */
#include "sentry/net/broker.h"
#include "sentry/net/netdev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "cli/control.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/net/host.h"
#include "sentry/sentry.h"
#include "sentry/start.h"

#define BUCKETS 256u
#define NOTES_MAX 10

static const struct sentry_net *net;
static _Atomic bool loopback; /* the host's can be reached */

static struct {
    struct lock lock;
    struct list waiting[BUCKETS];
    uint32_t next_tag;
} calls;

struct queued {
    struct list link;
    struct nb_req req;
    int fd;
    struct sock *keep;
    uint8_t data[];
};

static struct {
    struct lock lock;
    struct list queue;
} out;

bool broker_on(void)
{
    return net != NULL;
}

bool broker_is_host(void)
{
    return net && net->host;
}

/* ---- who waits ---- */

void bcall_init(struct bcall *c)
{
    list_init(&c->link);
}

bool broker_expect(struct bcall *c)
{
    LOCK_SCOPE(&calls.lock);
    if (c->tag)
        return false;
    if (++calls.next_tag == 0)
        ++calls.next_tag;
    c->tag = calls.next_tag;
    list_add_tail(&calls.waiting[c->tag % BUCKETS], &c->link);
    return true;
}

uint32_t broker_forget(struct bcall *c)
{
    uint32_t tag;

    if (!net)
        return 0;
    LOCK_SCOPE(&calls.lock);
    tag = c->tag;
    c->tag = 0;
    list_del(&c->link);
    return tag;
}

static struct bcall *find(uint32_t tag)
{
    struct bcall *c;

    LOCK_SCOPE(&calls.lock);
    list_for_each(c, &calls.waiting[tag % BUCKETS], link) {
        if (c->tag != tag)
            continue;
        if (!c->hold(c))
            return NULL;
        if (!c->stays) {
            c->tag = 0;
            list_del(&c->link);
        }
        return c;
    }
    return NULL;
}

/* ---- sending ---- */

static int send_now(const struct nb_req *m, const void *data, int fd)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } ctl = { .h = { .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS,
                     .cmsg_len = CMSG_LEN(sizeof(int)) } };
    struct iovec iov[2] = { { (void *)(uintptr_t)m, sizeof *m },
                            { (void *)(uintptr_t)data, m->len } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = m->len ? 2 : 1 };

    if (fd >= 0) {
        memcpy(CMSG_DATA(&ctl.h), &fd, sizeof fd);
        msg.msg_control = &ctl;
        msg.msg_controllen = sizeof ctl.space;
    }
    return sendmsg(net->sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static bool would_wait(int r)
{
    return r == -EAGAIN || r == -EINTR || r == -ENOBUFS || r == -ETOOMANYREFS;
}

int broker_send(const struct nb_req *m, const void *data, int fd, struct sock *keep)
{
    struct queued *q;
    bool first;
    int r = -EAGAIN;

    if (!net)
        return -ENETDOWN;
    lock(&out.lock);
    first = list_empty(&out.queue);
    if (first)
        r = send_now(m, data, fd);
    unlock(&out.lock);
    if (!would_wait(r))
        return r < 0 ? -ENETDOWN : 0;
    q = kzalloc(sizeof *q + m->len);
    if (!q)
        return -ENOMEM;
    list_init(&q->link);
    q->req = *m;
    q->fd = fd;
    q->keep = keep ? sock_ref(keep) : NULL;
    memcpy(q->data, data, m->len);
    lock(&out.lock);
    list_add_tail(&out.queue, &q->link);
    unlock(&out.lock);
    event_rearm(net->sock, EPOLLIN | EPOLLOUT);
    return 0;
}

void broker_closed(uint32_t tag)
{
    const struct nb_req m = { .op = NB_CANCEL, .tag = tag };

    if (tag)
        (void)broker_send(&m, NULL, -1, NULL);
}

static void flush(void)
{
    for (;;) {
        struct queued *q = NULL;
        int r;

        lock(&out.lock);
        if (!list_empty(&out.queue))
            q = list_first(&out.queue, struct queued, link);
        r = q ? send_now(&q->req, q->data, q->fd) : 0;
        if (q && !would_wait(r))
            list_del(&q->link);
        unlock(&out.lock);
        if (!q)
            event_rearm(net->sock, EPOLLIN);
        if (!q || would_wait(r))
            return;
        sock_put(q->keep);
        kfree(q);
    }
}

/* ---- receiving ---- */

static int take_fd(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len >= CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static void dispatch(const struct nb_rep *r, const uint8_t *data, int fd)
{
    struct inet_addr peer = broker_addr_in(&r->peer);
    struct bcall *c;

    if (r->op == NB_DATAGRAM) {
        host_udp_published(r, data, &peer);
    } else if (r->op == NB_POLICY) {
        atomic_store(&loopback, r->arg & 1);
    } else if (r->tag == 0) {
        if (r->error == -EACCES)
            broker_note((const char *)data, r->len, NULL);
    } else if ((c = find(r->tag))) {
        c->answer(c, r, data, fd);
        fd = -1;
    }
    if (fd >= 0)
        close(fd);
}

static void on_broker(void *arg, uint32_t events)
{
    static uint8_t data[NB_DATA_MAX]; /* the event thread's */

    (void)arg;
    if (events & EPOLLOUT)
        flush();
    for (int i = 0; i < 64; i++) {
        union {
            struct cmsghdr h;
            char space[CMSG_SPACE(sizeof(int))];
        } ctl;
        struct nb_rep r;
        struct iovec iov[2] = { { &r, sizeof r }, { data, sizeof data } };
        struct msghdr msg = {
            .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof ctl.space
        };
        ssize_t n = recvmsg(net->sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            sandbox_lost("net broker", -1);
            return;
        }
        if ((size_t)n >= sizeof r && r.len == (size_t)n - sizeof r)
            dispatch(&r, data, take_fd(&msg));
    }
}

int broker_init(const struct sentry_net *n)
{
    if (n->sock < 0)
        return 0;
    lock_init(&calls.lock, LOCK_LEAF);
    lock_init(&out.lock, LOCK_LEAF);
    list_init(&out.queue);
    for (unsigned i = 0; i < BUCKETS; i++)
        list_init(&calls.waiting[i]);
    net = n;
    atomic_store(&sysctl_values[SYSCTL_PING_FIRST], 0);
    atomic_store(&sysctl_values[SYSCTL_PING_LAST], INT32_MAX);
    atomic_store(&loopback, n->loopback);
    return event_watch(n->sock, EPOLLIN, on_broker, NULL);
}

/* ---- addresses ---- */

struct nb_addr broker_addr(const struct inet_addr *a)
{
    struct nb_addr n = { .port = a->port };

    memcpy(n.ip, &a->ip, sizeof n.ip);
    return n;
}

struct inet_addr broker_addr_in(const struct nb_addr *a)
{
    struct inet_addr n = { .port = a->port };

    memcpy(&n.ip, a->ip, sizeof n.ip);
    return n;
}

static bool is_v4(const struct inet_addr *a, uint32_t ip)
{
    uint32_t be = htonl(ip);

    return inet_is_v4(a) && memcmp(a->ip.s6_addr + 12, &be, sizeof be) == 0;
}

bool broker_is_nameserver(const struct inet_addr *a)
{
    return net && a->port == 53 && is_v4(a, NB_DNS_IP);
}

bool broker_own_address(const struct inet_addr *a)
{
    bool own;

    return net && (netdevs_own(a, &own) ? own : is_v4(a, NB_OWN_IP));
}

static void set_v4(struct inet_addr *ret, uint32_t ip)
{
    uint32_t be = htonl(ip);

    *ret = (struct inet_addr){ .port = ret->port };
    ret->ip.s6_addr[10] = ret->ip.s6_addr[11] = 0xff;
    memcpy(ret->ip.s6_addr + 12, &be, sizeof be);
}

void broker_own(struct inet_addr *ret)
{
    NETDEVS_SCOPE(d);
    const struct nlmsghdr *h = d ? netdevs_ipv4(d, 0) : NULL;
    const uint32_t *ip = h ? netdevs_attr(h, IFA_LOCAL, sizeof *ip) : NULL;

    set_v4(ret, ip ? ntohl(*ip) : NB_OWN_IP);
}

void broker_gateway(struct inet_addr *ret)
{
    set_v4(ret, NB_GATEWAY_IP);
}

bool broker_publishes(bool tcp, uint16_t port)
{
    if (!net)
        return false;
    if (net->host && tcp)
        return true;
    for (unsigned i = 0; i < net->npub; i++)
        if (net->pub[i].port == port && net->pub[i].udp == !tcp)
            return true;
    return false;
}

bool broker_wants(const struct isock *s, const struct inet_addr *dst)
{
    bool nobody;

    if (!net || inet_is_any(dst))
        return false;
    if (inet_is_v4(dst) && s->sk.family == AF_INET6 && s->v6only)
        return false;
    if (s->addr_bound && inet_is_local(&s->local) && !broker_own_address(&s->local))
        return false; /* from lo nothing leads out */
    if (!inet_is_local(dst))
        return true;
    if (!atomic_load(&loopback))
        return false;
    /*
     * Who listens inside comes first, then the host's: also on an address of ours, where another container of the
     * same pod may.
     */
    LOCK_SCOPE(port_lock(s));
    nobody = s->sk.type == SOCK_STREAM ? !port_find_listener(dst, &s->local)
                                       : !port_find_udp(dst, &s->local);
    return nobody;
}

/* ---- what was refused ---- */

static struct {
    char target[300];
    unsigned count;
} notes[NOTES_MAX];
static unsigned nnotes, more_notes;
static struct lock notes_lock = { .class = LOCK_LEAF };

void broker_note(const char *name, size_t len, const struct inet_addr *a)
{
    char target[sizeof notes[0].target], ip[INET6_ADDRSTRLEN + 2] = "?";

    if (len == 0 && a) {
        if (inet_is_v4(a)) {
            inet_ntop(AF_INET, a->ip.s6_addr + 12, ip, sizeof ip);
        } else {
            inet_ntop(AF_INET6, &a->ip, ip + 1, sizeof ip - 2);
            ip[0] = '[';
            strcat(ip, "]");
        }
        name = ip;
        len = strlen(ip);
    }
    snprintf(target, sizeof target, a && a->port ? "%.*s:%u" : "%.*s", (int)MIN(len, 255u), name,
             a ? a->port : 0u);
    LOCK_SCOPE(&notes_lock);
    for (unsigned i = 0; i < nnotes; i++) {
        if (strcmp(notes[i].target, target) == 0) {
            notes[i].count++;
            return;
        }
    }
    if (nnotes == NOTES_MAX) {
        more_notes++;
        return;
    }
    strcpy(notes[nnotes].target, target);
    notes[nnotes++].count = 1;
}

static uint16_t bound[NOTES_MAX];
static unsigned nbound;

void broker_note_bound(uint16_t port)
{
    if (!broker_is_host() || broker_publishes(false, port))
        return;
    LOCK_SCOPE(&notes_lock);
    for (unsigned i = 0; i < nbound; i++)
        if (bound[i] == port)
            return;
    if (nbound < NOTES_MAX)
        bound[nbound++] = port;
}

void broker_notes_send(void)
{
    LOCK_SCOPE(&notes_lock);
    for (unsigned i = 0; i < nbound; i++)
        control_send(CTL_REFUSED, 0, "UDP port %u was not bound on the host; -p %u:%u/udp",
                     bound[i], bound[i], bound[i]);
    for (unsigned i = 0; i < nnotes; i++)
        control_send(CTL_REFUSED, 0, "the network refused %s (%u time%s); --allow-net %s",
                     notes[i].target, notes[i].count, notes[i].count == 1 ? "" : "s",
                     notes[i].target);
    if (more_notes)
        control_send(CTL_REFUSED, 0, "the network refused %u other targets", more_notes);
}

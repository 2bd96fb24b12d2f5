/* SPDX-License-Identifier: Apache-2.0 */
/* Packet sockets: what passes lo, received and sent. See packet.h. */
#include "sentry/net/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/cred.h"
#include "sentry/kernel/task.h"
#include "sentry/net/cbpf.h"
#include "sentry/net/raw.h"
#include "sentry/net/tap.h"

#define LO_MTU 65536
#define RECV_FLAGS                                                                                 \
    (MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_ERRQUEUE | MSG_CMSG_CLOEXEC | MSG_WAITALL)

struct lock packet_lock = { .class = LOCK_OBJECT };
static struct list all = { &all, &all }; /* [packet_lock] psock.link */

/* ---- receiving ---- */

static bool queue(struct psock *p, const struct pframe *f)
{
    struct tpacket_auxdata aux = { .tp_status = TP_STATUS_USER,
                                   .tp_len = (uint32_t)f->len,
                                   .tp_snaplen = (uint32_t)f->snap,
                                   .tp_net = (uint16_t)f->mac };
    struct iter it;
    struct msg *m;

    if (p->msg_bytes + f->snap + sizeof *m > (size_t)p->sk.rcvbuf)
        return false;
    iter_kernel(&it, (void *)(uintptr_t)f->data, f->snap);
    m = msg_new(&it, f->snap);
    if (IS_ERR(m))
        return false;
    m->stamp = f->stamp;
    memcpy(&m->addr, &f->from, sizeof f->from);
    m->addrlen = sizeof f->from;
    memcpy(&m->to, &aux, sizeof aux); /* it goes to nobody else: room for what recvmsg tells */
    list_add_tail(&p->msgs, &m->link);
    p->msg_bytes += msg_cost(m);
    return true;
}

static void receive(struct psock *p, const uint8_t *frame, size_t n, uint8_t type)
{
    bool cooked = p->sk.type == SOCK_DGRAM;
    struct pframe f = { .data = cooked ? frame + TAP_ETH : frame,
                        .len = cooked ? n - TAP_ETH : n,
                        .mac = cooked ? 0 : TAP_ETH,
                        .stamp = ktime_real() };
    struct cbpf_data d = { .body = f.data,
                           .body_len = f.len,
                           .net = f.mac,
                           .pkttype = type,
                           .ifindex = LO_INDEX,
                           .hatype = ARPHRD_LOOPBACK };
    bool taken;

    f.from = (struct sockaddr_ll){ .sll_family = AF_PACKET,
                                   .sll_ifindex = LO_INDEX,
                                   .sll_hatype = ARPHRD_LOOPBACK,
                                   .sll_pkttype = type,
                                   .sll_halen = ETH_ALEN };
    memcpy(&f.from.sll_protocol, frame + 12, 2);
    memcpy(f.from.sll_addr, frame + 6, ETH_ALEN);
    d.protocol = ntohs(f.from.sll_protocol);
    f.snap = MIN(f.len, (size_t)sock_filter_run(&p->sk, &d));
    if (!f.snap)
        return;
    taken = p->ring.pages ? pring_put(p, &f) : queue(p, &f);
    p->packets++;
    if (!taken)
        p->drops++;
    else if (!p->ring.pages || pring_ready(p))
        sock_wake_read(&p->sk);
}

static uint8_t type_of(const uint8_t *to)
{
    static const uint8_t lo[ETH_ALEN] = { 0 },
                         everybody[ETH_ALEN] = { 255, 255, 255, 255, 255, 255 };

    if (memcmp(to, everybody, ETH_ALEN) == 0)
        return PACKET_BROADCAST;
    if (to[0] & 1)
        return PACKET_MULTICAST;
    return memcmp(to, lo, ETH_ALEN) == 0 ? PACKET_HOST : PACKET_OTHERHOST;
}

/* As Linux: on its way out it passes those that want all; on its way in those that want its kind, too. */
void packet_pass(const uint8_t *frame, size_t n, struct psock *from)
{
    const uint16_t any = htons(ETH_P_ALL);
    struct psock *p;
    uint16_t kind;

    memcpy(&kind, frame + 12, sizeof kind);
    lock(&packet_lock);
    list_for_each(p, &all, link)
        if (p != from && p->proto == any && !p->no_outgoing)
            receive(p, frame, n, PACKET_OUTGOING);
    list_for_each(p, &all, link)
        if (p->proto == any || (p->proto && p->proto == kind))
            receive(p, frame, n, type_of(frame));
    unlock(&packet_lock);
    if (!from) /* else it has to arrive first */
        raw_pass(frame + TAP_ETH, n - TAP_ETH);
}

static ssize_t packet_recv(struct task *t, struct sock *sk, struct recv_req *r)
{
    struct psock *p = packet_sk(sk);
    struct msg *m;
    ssize_t n;

    if (r->flags & ~RECV_FLAGS)
        return -EINVAL;
    if (r->flags & MSG_ERRQUEUE)
        return -EAGAIN;
    lock(&packet_lock);
    n = msg_recv_first(t, sk, &p->msgs, r, &m);
    if (m && n >= 0) {
        sock_put_stamp(sk, r, m->stamp);
        if (p->auxdata)
            ctl_add(r, SOL_PACKET, PACKET_AUXDATA, &m->to, sizeof(struct tpacket_auxdata));
    }
    if (m && (r->flags & MSG_PEEK))
        m = NULL;
    if (m)
        msg_taken(sk, &p->msgs, &p->msg_bytes, m);
    unlock(&packet_lock);
    msg_free(m);
    return n;
}

/* ---- sending ---- */

/* Where it goes: the device, the type, and the address that a cooked socket's header gets. */
static int destination(struct psock *p, const struct send_req *r, uint16_t *proto, uint8_t *to)
{
    const struct sockaddr_ll *a = r->addr;
    int index;

    memset(to, 0, ETH_ALEN);
    if (a) {
        size_t head = offsetof(struct sockaddr_ll, sll_addr);

        if (r->addrlen < sizeof *a || r->addrlen < head + a->sll_halen)
            return -EINVAL;
        *proto = a->sll_protocol;
        index = a->sll_ifindex;
        memcpy(to, a->sll_addr, ETH_ALEN);
    } else {
        LOCK_SCOPE(&packet_lock);
        *proto = p->proto;
        index = p->ifindex;
    }
    return index == LO_INDEX ? 0 : -ENXIO;
}

static ssize_t packet_send(struct task *t, struct sock *sk, struct send_req *r)
{
    struct psock *p = packet_sk(sk);
    size_t n = r->it->left, head = sk->type == SOCK_DGRAM ? TAP_ETH : 0;
    _cleanup_kfree_ uint8_t *frame = NULL;
    uint8_t to[ETH_ALEN];
    uint16_t proto;
    int e = destination(p, r, &proto, to);

    (void)t;
    if (e < 0)
        return e;
    if (n + head > LO_MTU + TAP_ETH)
        return -EMSGSIZE;
    if (n + head < TAP_ETH || (!n && !head))
        return -EINVAL;
    frame = kzalloc(head + n);
    if (!frame)
        return -ENOBUFS;
    if (n && iter_get(r->it, frame + head, n) != (ssize_t)n)
        return -EFAULT;
    if (head) {
        memcpy(frame, to, ETH_ALEN);
        memcpy(frame + 12, &proto, sizeof proto);
    }
    atomic_fetch_add(&net_lo_bytes, head + n);
    atomic_fetch_add(&net_lo_packets, 1);
    packet_pass(frame, head + n, p);
    packet_in(frame, head + n);
    return (ssize_t)n;
}

/* ---- names ---- */

static int packet_bind(struct task *t, struct sock *sk, const struct sockaddr *addr, socklen_t n)
{
    const struct sockaddr_ll *a = (const void *)addr;
    struct psock *p = packet_sk(sk);

    (void)t;
    if (n < sizeof *a || a->sll_family != AF_PACKET)
        return -EINVAL;
    if (a->sll_ifindex && a->sll_ifindex != LO_INDEX)
        return -ENODEV;
    LOCK_SCOPE(&packet_lock);
    p->ifindex = a->sll_ifindex;
    if (a->sll_protocol)
        p->proto = a->sll_protocol;
    return 0;
}

static int packet_connect(struct task *t, struct sock *sk, const struct sockaddr *a, socklen_t n)
{
    (void)t, (void)sk, (void)a, (void)n;
    return -EOPNOTSUPP;
}

static int packet_getname(struct sock *sk, bool peer, struct sockaddr_storage *ret)
{
    struct psock *p = packet_sk(sk);
    struct sockaddr_ll a = { .sll_family = AF_PACKET };

    if (peer)
        return -EOPNOTSUPP;
    LOCK_SCOPE(&packet_lock);
    a.sll_ifindex = p->ifindex;
    a.sll_protocol = p->proto;
    if (p->ifindex) {
        a.sll_hatype = ARPHRD_LOOPBACK;
        a.sll_halen = ETH_ALEN;
    }
    memcpy(ret, &a, sizeof a);
    return (int)offsetof(struct sockaddr_ll, sll_addr) + a.sll_halen;
}

/* ---- the rest ---- */

static uint32_t packet_poll(struct sock *sk)
{
    struct psock *p = packet_sk(sk);
    uint32_t ev = POLLOUT | POLLWRNORM | POLLWRBAND;

    LOCK_SCOPE(&packet_lock);
    ev |= dgram_events(sk, &p->msgs);
    return pring_ready(p) ? ev | POLLIN | POLLRDNORM : ev;
}

static size_t packet_inq(struct sock *sk)
{
    LOCK_SCOPE(&packet_lock);
    return dgram_first(&packet_sk(sk)->msgs);
}

static void packet_release(struct sock *sk)
{
    struct psock *p = packet_sk(sk);
    struct msg *m, *mn;

    lock(&packet_lock);
    list_del(&p->link);
    unlock(&packet_lock);
    atomic_fetch_sub(&tap_count, 1);
    ktimer_cancel_sync(&p->ring.retire);
    rpages_put(p->ring.pages);
    list_for_each_safe(m, mn, &p->msgs, link)
        msg_free(m);
}

static void packet_info(struct sock *sk, struct net_info *ret)
{
    struct psock *p = packet_sk(sk);

    LOCK_SCOPE(&packet_lock);
    ret->state = ntohs(p->proto);
    ret->flags = (uint32_t)p->ifindex;
    ret->rx = (uint32_t)p->msg_bytes;
}

static const struct sock_ops packet_ops = {
    .bind = packet_bind,
    .connect = packet_connect,
    .getname = packet_getname,
    .send = packet_send,
    .recv = packet_recv,
    .setsockopt = packet_setsockopt,
    .getsockopt = packet_getsockopt,
    .poll = packet_poll,
    .inq = packet_inq,
    .outq = dgram_outq,
    .mmap = packet_mmap,
    .release = packet_release,
    .info = packet_info,
};

int packet_create(struct task *t, int type, int protocol, struct sock **ret)
{
    struct psock *p;
    struct sock *sk;

    if (!task_capable(t, CAP_NET_RAW))
        return -EPERM;
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    sk = sock_new(t, sizeof *p, &packet_ops, AF_PACKET, type, (uint16_t)protocol);
    if (IS_ERR(sk))
        return (int)PTR_ERR(sk);
    p = packet_sk(sk);
    list_init(&p->msgs);
    p->proto = (uint16_t)protocol;
    pring_init(&p->ring);
    lock(&packet_lock);
    list_add_tail(&all, &p->link);
    unlock(&packet_lock);
    atomic_fetch_add(&tap_count, 1);
    *ret = sk;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The client's socket: slots, and the caller that reads for all. See channel.h. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "gofer/channel.h"

static struct gmsg *msg_new_locked(struct gofer *g)
{
    struct gmsg *m = g->spare;

    if (m) {
        g->spare = m->next;
        return m;
    }
    if (g->nmsgs == CHANNEL_MSGS)
        return NULL;
    m = malloc(sizeof(*m));
    if (m)
        g->nmsgs++;
    return m;
}

static void msg_free_locked(struct gofer *g, struct gmsg *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
    if (g->nmsgs > 4) { /* a long listing came through: do not keep it all */
        g->nmsgs--;
        free(m);
        return;
    }
    m->next = g->spare;
    g->spare = m;
}

void channel_msg_free(struct gofer *g, struct gmsg *m)
{
    pthread_mutex_lock(&g->lock);
    msg_free_locked(g, m);
    pthread_mutex_unlock(&g->lock);
}

/* All of the descriptors in a control message; keeps the first, closes what should not be there. */
static int take_fd(struct msghdr *msg)
{
    int keep = -1;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
            if (keep < 0)
                keep = fd;
            else
                close(fd);
        }
    }
    return keep;
}

/* One datagram, checked as far as every datagram must be right. -EIO when it is not. */
static int receive(struct gofer *g, struct gmsg *m)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } ctl;
    struct iovec iov[2] = {
        { .iov_base = &m->rep, .iov_len = sizeof(m->rep) },
        { .iov_base = m->data, .iov_len = sizeof(m->data) },
    };
    struct msghdr msg = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &ctl, .msg_controllen = sizeof(ctl)
    };
    bool full = false;
    ssize_t n;

    m->fd = -1;
    m->next = NULL;
    do
        n = recvmsg(g->sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ENOMEM || errno == ENOBUFS));
    if (n < 0)
        return -EIO;
    m->fd = take_fd(&msg);
    if (m->fd >= 0 && !hostfd_may(m->fd, HOSTFD_FILE)) {
        close(m->fd);
        m->fd = -1;
        full = true;
    }
    full |= m->fd < 0 && (msg.msg_flags & MSG_CTRUNC);
    if (full && n >= (ssize_t)sizeof(m->rep)) {
        m->rep.flags &= ~(uint32_t)GW_FD; /* our own table is full: only this request fails */
        m->rep.error = -ENFILE;
    }
    if (n < (ssize_t)sizeof(m->rep) || (msg.msg_flags & MSG_TRUNC) ||
        m->rep.version != GW_VERSION || m->rep.len != (size_t)n - sizeof(m->rep) ||
        m->rep.error > 0 || m->rep.error < -4095 || !!(m->rep.flags & GW_FD) != (m->fd >= 0))
        return -EIO;
    return 0;
}

static void break_locked(struct gofer *g)
{
    g->broken = true;
    shutdown(g->sock, SHUT_RDWR);
    for (unsigned i = 0; i < CHANNEL_SLOTS; i++)
        pthread_cond_signal(&g->slots[i].cond);
    pthread_cond_broadcast(&g->free_slot);
}

/* Receives once and hangs the answer into its slot. */
static void read_one_locked(struct gofer *g)
{
    struct gmsg *m = msg_new_locked(g);
    if (!m) {
        break_locked(g);
        return;
    }
    g->reading = true;
    pthread_mutex_unlock(&g->lock);
    int r = receive(g, m);
    pthread_mutex_lock(&g->lock);
    g->reading = false;

    struct gslot *s = &g->slots[m->rep.tag % CHANNEL_SLOTS];
    if (r < 0 || !s->used || s->tag != m->rep.tag || s->op != m->rep.op) {
        msg_free_locked(g, m);
        break_locked(g);
        return;
    }
    *s->last = m;
    s->last = &m->next;
    pthread_cond_signal(&s->cond);
}

/* To one that sleeps: one that is still sending will find that nobody reads, and read itself. */
static void pass_reading_on_locked(struct gofer *g)
{
    for (unsigned i = 0; !g->reading && i < CHANNEL_SLOTS; i++)
        if (g->slots[i].waiting && !g->slots[i].first) {
            pthread_cond_signal(&g->slots[i].cond);
            return;
        }
}

int channel_next(struct gofer *g, struct gslot *s, struct gmsg **ret)
{
    pthread_mutex_lock(&g->lock);
    while (!s->first && !g->broken) {
        if (!g->reading) {
            read_one_locked(g);
            continue;
        }
        s->waiting = true;
        pthread_cond_wait(&s->cond, &g->lock);
        s->waiting = false;
    }
    struct gmsg *m = s->first;
    if (m) {
        s->first = m->next;
        if (!s->first)
            s->last = &s->first;
        *ret = m;
    }
    /* With more to come for this caller it reads on itself. */
    if (m && !(m->rep.flags & GW_MORE) && g->nused > 1)
        pass_reading_on_locked(g);
    pthread_mutex_unlock(&g->lock);
    return m ? 0 : -EIO;
}

/* Drops what is still to come: the last datagram of an answer has no GW_MORE. */
void channel_end(struct gofer *g, struct gslot *s)
{
    pthread_mutex_lock(&g->lock);
    while (s->first) {
        struct gmsg *m = s->first;
        s->first = m->next;
        msg_free_locked(g, m);
    }
    s->last = &s->first;
    s->used = false;
    g->nused--;
    pthread_cond_signal(&g->free_slot);
    if (g->nused)
        pass_reading_on_locked(g);
    pthread_mutex_unlock(&g->lock);
}

static int slot_take(struct gofer *g, uint16_t op, struct gslot **ret, bool *ret_busy)
{
    struct gslot *s = NULL;

    pthread_mutex_lock(&g->lock);
    while (!s && !g->broken) {
        for (unsigned i = 0; !s && i < CHANNEL_SLOTS; i++)
            if (!g->slots[i].used)
                s = &g->slots[i];
        if (!s)
            pthread_cond_wait(&g->free_slot, &g->lock);
    }
    if (!g->broken) {
        s->used = true;
        s->op = op;
        s->tag = g->next_tag++ * CHANNEL_SLOTS + (uint32_t)(s - g->slots);
        *ret_busy = ++g->nused > 1;
        *ret = s;
    }
    bool broken = g->broken;
    pthread_mutex_unlock(&g->lock);
    return broken ? -EIO : 0;
}

/* A datagram of a plain one is written: that bears no address, nor descriptors, and is let pass for any number. */
static ssize_t send_message(struct gofer *g, const struct msghdr *m, int flags)
{
    const int count = (int)m->msg_iovlen;
    ssize_t n = -1;

    if (!g->plain)
        return sendmsg(g->sock, m, MSG_NOSIGNAL | flags);
    if (flags & MSG_DONTWAIT)
        n = pwritev2(g->sock, m->msg_iov, count, -1, RWF_NOWAIT);
    if (!(flags & MSG_DONTWAIT) || (n < 0 && errno == EOPNOTSUPP))
        n = pwritev2(g->sock, m->msg_iov, count, -1, 0);
    return n;
}

static int send_request(struct gofer *g, const struct gw_request *req, const struct gcall *c,
                        int flags)
{
    struct iovec iov[1 + CHANNEL_PIECES] = {
        { .iov_base = (void *)(uintptr_t)req, .iov_len = sizeof(*req) },
    };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };

    for (unsigned i = 0; i < CHANNEL_PIECES; i++)
        if (c->inlen[i])
            iov[msg.msg_iovlen++] = (struct iovec){ (void *)(uintptr_t)c->in[i], c->inlen[i] };

    for (;;) {
        if (send_message(g, &msg, flags) >= 0)
            return 0;
        if (errno == ENOBUFS || errno == ENOMEM)
            return -ENOMEM; /* it was not sent, and the next one may be */
        if (errno != EINTR)
            return errno == EAGAIN ? -EAGAIN : -EIO;
    }
}

int channel_begin(struct gofer *g, const struct gcall *c, struct gslot **ret)
{
    bool busy = false;
    struct gw_request req = {
        .version = GW_VERSION,
        .op = c->op,
        .node = c->node,
        .flags = c->flags,
        .arg = c->arg,
        .cpu = hostio_cpu(),
    };

    for (unsigned i = 0; i < CHANNEL_PIECES; i++)
        req.len += (uint32_t)c->inlen[i];
    if (req.len > GW_MAX - sizeof(req))
        return -E2BIG;
    int r = slot_take(g, c->op, ret, &busy);
    if (r < 0)
        return r;
    atomic_fetch_add(&g->trips, 1);
    req.tag = (*ret)->tag;
    if (busy)
        req.flags |= GW_BUSY;
    r = send_request(g, &req, c, 0);
    if (r == -ENOMEM) {
        channel_end(g, *ret);
    } else if (r < 0) {
        pthread_mutex_lock(&g->lock);
        break_locked(g);
        pthread_mutex_unlock(&g->lock);
        channel_end(g, *ret);
    }
    return r;
}

int channel_call(struct gofer *g, const struct gcall *c, bool keep_error, struct gmsg **ret)
{
    struct gslot *s;
    struct gmsg *m;

    int r = channel_begin(g, c, &s);
    if (r < 0)
        return r;
    r = channel_next(g, s, &m);
    channel_end(g, s);
    if (r < 0)
        return r;
    if (m->rep.error < 0 && !keep_error) {
        r = m->rep.error;
        channel_msg_free(g, m);
        return r;
    }
    *ret = m;
    return 0;
}

bool channel_post(struct gofer *g, uint16_t op, const void *data, size_t n)
{
    struct gw_request req = { .version = GW_VERSION, .op = op, .len = (uint32_t)n };
    struct gcall c = { .in = { data }, .inlen = { n } };

    /* A gofer that is gone has nothing left to forget: that counts as sent. */
    int r = send_request(g, &req, &c, MSG_DONTWAIT);

    return r != -EAGAIN && r != -ENOMEM;
}

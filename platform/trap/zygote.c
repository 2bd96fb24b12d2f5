/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote (shared/zygote.c) forks blank stubs on request.
 *
 * A blank stub: request (with a nonce) -> its listener arrives on the socket -> its first bell shows
 * the nonce -> it waits, held, in the pool. Once the guest has forked two are kept ready, so that the
 * path of an exec only takes one (pool.c); before it there is the one for the first program.
 */
#include "platform/shared/zygote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "platform/trap/trap.h"

void zygote_request_locked(void)
{
    struct zygote_request rq;
    ssize_t n;

    if (trap.npending == ARRAY_SIZE(trap.pending))
        return;
    while (getrandom(&rq.nonce, sizeof rq.nonce, 0) != sizeof rq.nonce || rq.nonce == 0)
        ;
    trap.pending[trap.npending++] = rq.nonce;
    do
        n = hostio_send(trap.zygote_sock, &rq, sizeof rq, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        trap.npending--;
        trap.lost++;
    }
    atomic_fetch_add(&trap.st.blanks, 1);
}

int zygote_start(const struct platform_config *cfg)
{
    struct bpf_asm base, listen;
    struct blob_header h;
    struct zygote_plan plan = { .base = &base, .listen = &listen };
    int sv[2], r = zygote_prepare(&h, &plan);

    if (r < 0)
        return r;
    trap.light_entry = h.light_entry;
    trap.light_plain = h.light_plain;
    trap.light_exit = h.light_exit;
    trap.light_end = h.light_end;
    trap.light_framed = h.light_framed;
    trap.light_class = h.light_class;
    trap.use_gs = getauxval(AT_HWCAP2) & 2 /* FSGSBASE */;
    plan.handler = h.handler;
    plan.restorer = h.restorer;
    plan.use_killable = trap.use_killable;
    plan.use_gs = trap.use_gs;
    if (getrandom(&plan.secret, sizeof plan.secret, 0) != sizeof plan.secret)
        return -EIO;
    bpf_init(&base);
    bpf_init(&listen);
    trap.lends = cfg->lends && trap.use_gs;
    r = filter_base(&base, (uint32_t)(stubs.slot >> 32), h.size, plan.secret, (uint32_t)plan.sock,
                    trap.lends);
    if (r < 0 || (r = filter_listen(&listen)) < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    trap.zygote_sock = sv[0];
    if (!hostfd_settle(&trap.zygote_sock, HOSTFD_ZYGOTE)) {
        close(sv[1]);
        return -EMFILE;
    }
    zygote_request_locked(); /* there before it is born: the first blank is its first act */
    r = zygote_make(cfg, &plan, sv[1], &trap.zygote);
    close(sv[1]);
    explicit_bzero(&plan, sizeof plan);
    explicit_bzero(&base, sizeof base);
    return r;
}

/* ---- what comes from it ---- */

const char *zygote_lost(int *ret_status)
{
    return zygote_is_lost(trap.zygote, ret_status) ? "zygote" : NULL;
}

/* -EPIPE: there is no zygote any more. */
static int receive_fd(int sock, uint64_t *ret_nonce)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = { ret_nonce, sizeof *ret_nonce };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *cm;
    ssize_t n;
    int fd;

    n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    if (n != sizeof *ret_nonce)
        return -EIO;
    cm = CMSG_FIRSTHDR(&msg);
    if (!cm || cm->cmsg_type != SCM_RIGHTS) /* no room for a descriptor of ours, or for a process */
        return -EMFILE;
    memcpy(&fd, CMSG_DATA(cm), sizeof fd);
    return fd;
}

/* Was it asked for? Nothing else can write to that socket, but a stub is not believed. */
static bool take_pending_locked(uint64_t nonce)
{
    for (unsigned i = 0; i < trap.npending; i++) {
        if (trap.pending[i] == nonce) {
            trap.pending[i] = trap.pending[--trap.npending];
            return true;
        }
    }
    return false;
}

/* It was asked for and will not come: who waits for it asks for another. */
void blank_lost(void)
{
    pthread_mutex_lock(&trap.lock);
    trap.lost++;
    pthread_cond_broadcast(&trap.pool_cond);
    pthread_mutex_unlock(&trap.lock);
}

/* On the reaper: a pending blank has its listener; its first bell is awaited. */
void zygote_listener_arrived(void)
{
    uint64_t nonce;
    int fd = receive_fd(trap.zygote_sock, &nonce);
    struct listener *l;
    struct aspace *as;
    struct stub *s;
    struct ctx *c;
    bool asked;

    if (fd == -EINTR || fd == -ENOMEM || fd == -ENOBUFS)
        return;         /* it is still there */
    if (fd == -EPIPE) { /* the zygote is gone, and with it every stub */
        epoll_ctl(trap.epoll_fd, EPOLL_CTL_DEL, trap.zygote_sock, NULL);
        if (!atomic_load(&trap.stopping) && trap.client->lost) {
            int status;

            (void)zygote_is_lost(trap.zygote, &status);
            trap.client->lost("zygote", status);
        }
    }
    if (fd < 0 && fd != -EMFILE)
        return;
    pthread_mutex_lock(&trap.lock);
    asked = take_pending_locked(nonce);
    pthread_mutex_unlock(&trap.lock);
    if (fd < 0) { /* who waits for it asks for another */
        if (asked)
            blank_lost();
        return;
    }
    l = listener_new(fd);
    if (!l)
        close(fd);
    as = l ? aspace_make() : NULL;
    s = as ? stub_new(as, l) : NULL;
    c = s ? ctx_new(as, s, l, 0) : NULL;
    if (c) {
        pthread_mutex_lock(&trap.lock);
        c->nonce = asked ? nonce : 0;
        pthread_mutex_unlock(&trap.lock);
        c->blank = true;
        frame_make_blank(c);
        if (!listener_start(l))
            blank_lost();
    } else if (asked) { /* no memory or descriptor: the closed listener ends it */
        blank_lost();
    }
    if (s)
        stub_put(s);
    if (as)
        aspace_put(as);
    if (l)
        listener_put(l);
}

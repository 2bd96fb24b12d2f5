/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The zygote (shared/zygote.c) forks blank stubs on request.
 *
 * A blank stub: request (with a nonce) -> its listener arrives on the socket -> its first bell shows
 * the nonce -> it waits, held, in the pool. Once the guest has forked two are kept ready, so that the
 * path of an exec only takes one; before it there is the one for the first program.
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

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define POOL_READY 2

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
    int sv[2], r = zygote_prepare(&h);

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
    r = filter_base(&base, (uint32_t)(stubs.slot >> 32), h.size, plan.secret);
    if (r < 0 || (r = filter_listen(&listen)) < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    trap.zygote_sock = sv[0];
    zygote_request_locked(); /* there before it is born: the first blank is its first act */
    r = zygote_make(cfg, &plan, sv[1], &trap.zygote);
    close(sv[1]);
    explicit_bzero(&plan, sizeof plan);
    explicit_bzero(&base, sizeof base);
    return r;
}

/* ---- the pool ---- */

const char *zygote_lost(void)
{
    return zygote_is_lost(trap.zygote) ? "zygote" : NULL;
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
    if (!cm || cm->cmsg_type != SCM_RIGHTS) /* no room for a descriptor, at this moment */
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
        if (!atomic_load(&trap.stopping) && trap.client->lost)
            trap.client->lost("zygote");
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

void pool_put(struct ctx *c)
{
    pthread_mutex_lock(&trap.lock);
    if (trap.npool < ARRAY_SIZE(trap.pool))
        trap.pool[trap.npool++] = c;
    pthread_cond_signal(&trap.pool_cond);
    pthread_mutex_unlock(&trap.lock);
}

/* At least so many; more once the guest forks: most programs never exec another. */
static void fill_pool_locked(unsigned least)
{
    if (trap.npool + trap.npending < (trap.forks ? POOL_READY : least))
        zygote_request_locked();
}

void pool_expect_exec(void)
{
    if (__atomic_load_n(&trap.forks, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&trap.lock);
    __atomic_store_n(&trap.forks, true, __ATOMIC_RELAXED);
    fill_pool_locked(0);
    pthread_mutex_unlock(&trap.lock);
}

#define LOST_PAUSE_NS 100000000

int trap_blank(struct ctx **ret_ctx, struct aspace **ret_as)
{
    struct timespec until;
    struct ctx *c = NULL;
    unsigned lost;
    int tries = 5;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&trap.lock);
    lost = trap.lost;
    while (!c && r == 0) {
        if (trap.npool > 0) {
            c = trap.pool[0];
            memmove(trap.pool, trap.pool + 1, --trap.npool * sizeof trap.pool[0]);
            if (c->stub->dead) /* somebody killed it in the pool */
                c = NULL;
        }
        fill_pool_locked(c ? 0 : 1);
        if (!c && trap.npool == 0) {
            pthread_mutex_unlock(&trap.lock);
            worker_block_begin();
            pthread_mutex_lock(&trap.lock);
            if (trap.npool == 0 && trap.lost == lost)
                r = pthread_cond_timedwait(&trap.pool_cond, &trap.lock, &until);
            if (r == 0 && trap.npool == 0 && trap.lost != lost) {
                lost = trap.lost;
                r = --tries > 0 ? 0 : EAGAIN;
                pthread_mutex_unlock(&trap.lock); /* what was missing may come back */
                hostio_nap(LOST_PAUSE_NS);
                pthread_mutex_lock(&trap.lock);
            }
            if (r && trap.npool == 0 && --tries > 0) { /* killed before it was known: another one */
                until.tv_sec += 2;
                r = 0;
                if (trap.npending > 0)
                    memmove(trap.pending, trap.pending + 1,
                            --trap.npending * sizeof trap.pending[0]);
                zygote_request_locked();
            }
            pthread_mutex_unlock(&trap.lock);
            worker_block_end();
            pthread_mutex_lock(&trap.lock);
        }
    }
    pthread_mutex_unlock(&trap.lock);
    if (!c)
        return -EAGAIN;
    as_ref(c->stub->as);
    *ret_ctx = c;
    *ret_as = c->stub->as;
    return 0;
}

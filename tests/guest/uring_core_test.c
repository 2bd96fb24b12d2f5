/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: entries and results, links, drains, overflow, waiting. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "scratch.h"
#include "uring.h"

static void nops(unsigned flags)
{
    struct ring r;

    ring_flags(&r, 8, flags);
    for (unsigned round = 0; round < 5; round++) {
        for (uint64_t i = 0; i < 8; i++)
            ring_sqe(&r, LX_OP_NOP, -1, 100 + i);
        CHECK_EQ(ring_submit_wait(&r, 8), 8);
        CHECK_EQ(ring_ready(&r), 8);
        for (uint64_t i = 0; i < 8; i++)
            CHECK_EQ(ring_result(&r, 100 + i), 0);
    }
    CHECK_EQ(uring_enter(&r, 3, 0, 0), 0); /* there are none */
    CHECK_ERR(uring_enter(&r, 0, 0, 1u << 20), EINVAL);
    ring_close(&r);
}

static void nops_all(void)
{
    nops(0);
    nops(LX_URING_SQE128);
    nops(LX_URING_CQE32);
    nops(LX_URING_SQE128 | LX_URING_CQE32);
    nops(LX_URING_NO_SQARRAY);
    nops(LX_URING_COOP_TASKRUN | LX_URING_TASKRUN_FLAG);
    nops(LX_URING_SINGLE_ISSUER | LX_URING_DEFER_TASKRUN);
    nops(LX_URING_SUBMIT_ALL);
}

static void not_a_ring(void)
{
    struct ring r = { .fd = 0 };

    CHECK_ERR(uring_enter(&r, 0, 0, 0), EOPNOTSUPP);
    CHECK_ERR(uring_register(&r, LX_REGISTER_PROBE, NULL, 0), EOPNOTSUPP);
    r.fd = 999;
    CHECK_ERR(uring_enter(&r, 0, 0, 0), EBADF);
}

static void bad_entries(void)
{
    struct ring r;
    struct lx_sqe *s;

    ring_open(&r, 8);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, 200, -1, 1)), -EINVAL);
    s = ring_sqe(&r, LX_OP_NOP, -1, 2);
    s->flags = 1 << 7;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = ring_sqe(&r, LX_OP_NOP, -1, 3);
    s->flags = LX_SQE_BUFFER_SELECT;
    CHECK_EQ(ring_do(&r, s), -EOPNOTSUPP);
    s = ring_sqe(&r, LX_OP_FSYNC, 0, 4);
    s->ioprio = 1;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = ring_sqe(&r, LX_OP_NOP, -1, 5);
    s->personality = 7;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_FSYNC, 999, 6)), -EBADF);
    /* an entry that is refused ends the batch, but for SUBMIT_ALL */
    ring_sqe(&r, 200, -1, 7);
    ring_sqe(&r, LX_OP_NOP, -1, 8);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 7), -EINVAL);
    CHECK_EQ(uring_enter(&r, 1, 0, 0), 1);
    CHECK_EQ(ring_result(&r, 8), 0);
    /* an index beyond the ring is dropped */
    ring_sqe(&r, LX_OP_NOP, -1, 9);
    for (unsigned i = 0; i < 8; i++)
        atomic_store(ring_word(&r, r.p.sq_off.array) + i, 99u);
    CHECK_EQ(ring_submit(&r), 0);
    CHECK_EQ(*ring_word(&r, r.p.sq_off.dropped), 1);
    ring_close(&r);
    ring_flags(&r, 8, LX_URING_SUBMIT_ALL);
    ring_sqe(&r, 200, -1, 1);
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(ring_result(&r, 1), -EINVAL);
    CHECK_EQ(ring_result(&r, 2), 0);
    ring_close(&r);
}

static int got[8];

/* n results in whatever order. */
static void collect(struct ring *r, unsigned n)
{
    memset(got, 1, sizeof got);
    while (n--) {
        struct lx_cqe c = ring_next(r);

        if (c.user_data < 8)
            got[c.user_data] = c.res;
    }
}

static void links(void)
{
    struct ring r;
    int p[2];
    char c;

    ring_open(&r, 16);
    for (uint64_t i = 0; i < 4; i++)
        ring_sqe(&r, LX_OP_NOP, -1, i)->flags = i < 3 ? LX_SQE_LINK : 0;
    CHECK_EQ(ring_submit_wait(&r, 4), 4);
    for (uint64_t i = 0; i < 4; i++)
        CHECK_EQ(ring_result(&r, i), 0);
    /* the second fails: the rest is cancelled */
    ring_sqe(&r, LX_OP_NOP, -1, 1)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_FSYNC, 999, 2)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 3)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 4);
    ring_sqe(&r, LX_OP_NOP, -1, 5);
    CHECK_EQ(ring_submit_wait(&r, 5), 5);
    collect(&r, 5);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got[2], -EBADF);
    CHECK_EQ(got[3], -ECANCELED);
    CHECK_EQ(got[4], -ECANCELED);
    CHECK_EQ(got[5], 0);
    /* but not behind a hard link */
    ring_sqe(&r, LX_OP_FSYNC, 999, 1)->flags = LX_SQE_HARDLINK;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit_wait(&r, 2), 2);
    CHECK_EQ(ring_result(&r, 1), -EBADF);
    CHECK_EQ(ring_result(&r, 2), 0);
    /* a refused entry takes its whole chain with it */
    ring_sqe(&r, LX_OP_NOP, -1, 1)->flags = LX_SQE_LINK;
    ring_sqe(&r, 200, -1, 2)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 3);
    CHECK_EQ(ring_submit(&r), 3);
    collect(&r, 3);
    CHECK_EQ(got[1], -ECANCELED);
    CHECK_EQ(got[2], -EINVAL);
    CHECK_EQ(got[3], -ECANCELED);
    /* a chain waits for a member that waits */
    CHECK_EQ(pipe(p), 0);
    struct lx_sqe *s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1, s->off = (uint64_t)-1, s->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ring_result(&r, 1), 1);
    CHECK_EQ(ring_result(&r, 2), 0);
    /* a short read breaks it */
    char two[2];
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)two, s->len = 2, s->off = (uint64_t)-1, s->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(ring_result(&r, 1), 1);
    CHECK_EQ(ring_result(&r, 2), -ECANCELED);
    close(p[0]), close(p[1]);
    ring_close(&r);
}

static void long_chain(void)
{
    struct ring r;

    CHECK_EQ(ring_try(&r, 4096, (struct lx_uring_params){ 0 }), 0);
    for (uint64_t i = 0; i < 4096; i++)
        ring_sqe(&r, LX_OP_NOP, -1, i)->flags = i < 4095 ? LX_SQE_LINK : 0;
    CHECK_EQ(ring_submit_wait(&r, 4096), 4096);
    for (uint64_t i = 0; i < 4096; i++)
        CHECK_EQ(ring_result(&r, i), 0);
    ring_sqe(&r, LX_OP_FSYNC, 999, 0)->flags = LX_SQE_LINK;
    for (uint64_t i = 1; i < 4096; i++)
        ring_sqe(&r, LX_OP_NOP, -1, i)->flags = i < 4095 ? LX_SQE_LINK : 0;
    CHECK_EQ(ring_submit_wait(&r, 4096), 4096);
    CHECK_EQ(ring_result(&r, 0), -EBADF);
    for (uint64_t i = 1; i < 4096; i++)
        CHECK_EQ(ring_result(&r, i), -ECANCELED);
    ring_close(&r);
}

static void drains(void)
{
    struct ring r;
    struct lx_sqe *s;
    int p[2];
    char c;

    ring_open(&r, 8);
    CHECK_EQ(pipe(p), 0);
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1, s->off = (uint64_t)-1;
    ring_sqe(&r, LX_OP_NOP, -1, 2)->flags = LX_SQE_DRAIN;
    ring_sqe(&r, LX_OP_NOP, -1, 3);
    CHECK_EQ(ring_submit(&r), 3);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(ring_result(&r, 1), 1);
    CHECK_EQ(ring_result(&r, 2), 0);
    CHECK_EQ(ring_result(&r, 3), 0);
    close(p[0]), close(p[1]);
    ring_close(&r);
}

static void skipped(void)
{
    struct ring r;

    ring_open(&r, 8);
    ring_sqe(&r, LX_OP_NOP, -1, 1)->flags = LX_SQE_CQE_SKIP;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit_wait(&r, 1), 2);
    CHECK_EQ(ring_result(&r, 2), 0);
    CHECK_EQ(ring_ready(&r), 0);
    ring_sqe(&r, LX_OP_FSYNC, 999, 3)->flags = LX_SQE_CQE_SKIP | LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 4);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(ring_result(&r, 3), -EBADF);
    usleep(1000);
    CHECK_EQ(ring_ready(&r), 0);
    ring_sqe(&r, LX_OP_NOP, -1, 5)->flags = LX_SQE_DRAIN;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_result(&r, 5), -EOPNOTSUPP);
    ring_close(&r);
}

/* More results than there is room for: none is lost, and their order stays. */
static void overflow(void)
{
    struct ring r;

    ring_open(&r, 4);
    for (uint64_t i = 0; i < 20; i++) {
        ring_sqe(&r, LX_OP_NOP, -1, i);
        CHECK_EQ(ring_submit(&r), 1);
    }
    CHECK_EQ(ring_ready(&r), 8);
    CHECK(*ring_word(&r, r.p.sq_off.flags) & LX_SQ_CQ_OVERFLOW);
    struct pollfd pf = { .fd = r.fd, .events = POLLIN };
    CHECK_EQ(poll(&pf, 1, 0), 1);
    for (uint64_t i = 0; i < 20; i++) {
        if (!ring_ready(&r))
            CHECK_EQ(uring_enter(&r, 0, 1, LX_ENTER_GETEVENTS), 0);
        CHECK_EQ(ring_result(&r, i), 0);
    }
    CHECK(!(*ring_word(&r, r.p.sq_off.flags) & LX_SQ_CQ_OVERFLOW));
    CHECK_EQ(*ring_word(&r, r.p.cq_off.overflow), 0);
    CHECK_EQ(poll(&pf, 1, 0), 0);
    ring_close(&r);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void waits(void)
{
    struct ring r;
    struct timespec ts = { 0, 20000000 }, a, b;
    struct lx_uring_getevents_arg arg = { .ts = (uintptr_t)&ts };
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

    ring_open(&r, 4);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_ERR(syscall(SYS_io_uring_enter, r.fd, 0, 1, LX_ENTER_GETEVENTS | LX_ENTER_EXT_ARG, &arg,
                      sizeof arg),
              ETIME);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec >= 20000000);
    CHECK_ERR(
        syscall(SYS_io_uring_enter, r.fd, 0, 1, LX_ENTER_GETEVENTS | LX_ENTER_EXT_ARG, &arg, 8),
        EINVAL);
    CHECK_EQ(uring_enter(&r, 0, 0, LX_ENTER_GETEVENTS), 0);
    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(uring_enter(&r, 0, 1, LX_ENTER_GETEVENTS), EINTR);
    /* a signal that is let in only while it waits */
    sigset_t block;
    uint64_t none = 0;
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    CHECK_ERR(syscall(SYS_io_uring_enter, r.fd, 0, 1, LX_ENTER_GETEVENTS, &none, 8), EINTR);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    /* some results are better than a timeout */
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(syscall(SYS_io_uring_enter, r.fd, 0, 2, LX_ENTER_GETEVENTS | LX_ENTER_EXT_ARG, &arg,
                     sizeof arg),
             0);
    ring_close(&r);
}

static void signalled(void)
{
    struct ring r;
    int e = eventfd(0, EFD_NONBLOCK), p[2], ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN };
    uint64_t n = 0;
    char c;

    ring_open(&r, 4);
    CHECK_EQ(uring_register(&r, LX_REGISTER_EVENTFD, &e, 1), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_EVENTFD, &e, 1), EBUSY);
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(read(e, &n, 8), 8);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_EVENTFD, NULL, 0), 0);
    CHECK_ERR(uring_register(&r, LX_UNREGISTER_EVENTFD, NULL, 0), ENXIO);
    /* only of what did not end at once */
    CHECK_EQ(uring_register(&r, LX_REGISTER_EVENTFD_ASYNC, &e, 1), 0);
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_ERR(read(e, &n, 8), EAGAIN);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, r.fd, &ev), 0);
    CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
    CHECK_EQ(pipe(p), 0);
    struct lx_sqe *s = ring_sqe(&r, LX_OP_READ, p[0], 2);
    s->addr = (uintptr_t)&c, s->len = 1, s->flags = LX_SQE_ASYNC;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(epoll_wait(ep, &ev, 1, 1000), 1);
    CHECK_EQ(ring_result(&r, 2), 1);
    CHECK_EQ(read(e, &n, 8), 8);
    CHECK_EQ(epoll_wait(ep, &ev, 1, 0), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_EVENTFD, &p[0], 1), EBUSY);
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_EVENTFD, NULL, 0), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_EVENTFD, &p[0], 1), EINVAL);
    close(p[0]), close(p[1]), close(e), close(ep);
    ring_close(&r);
}

int main(void)
{
    ring_need();
    scratch_begin();
    RUN(nops_all);
    RUN(not_a_ring);
    RUN(bad_entries);
    RUN(links);
    RUN(long_chain);
    RUN(drains);
    RUN(skipped);
    RUN(overflow);
    RUN(waits);
    RUN(signalled);
    scratch_end();
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: polls, timeouts, linked timeouts, cancellation. */
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"
#include "uring.h"

struct kts {
    int64_t s, ns;
};

static struct ring r;
static const struct kts ms20 = { 0, 20000000 }, hour = { 3600, 0 };

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static struct lx_sqe *poll_sqe(int fd, unsigned events, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, LX_OP_POLL_ADD, fd, user_data);

    s->op_flags = events;
    return s;
}

static struct lx_sqe *timeout_sqe(int op, const struct kts *ts, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, op, -1, user_data);

    s->addr = (uintptr_t)ts;
    s->len = 1;
    return s;
}

static struct lx_sqe *about(int op, uint64_t other, uint64_t user_data)
{
    struct lx_sqe *s = ring_sqe(&r, op, -1, user_data);

    s->addr = other;
    return s;
}

static int got[16];
static unsigned got_flags[16];

static void collect(unsigned n)
{
    memset(got, 1, sizeof got);
    while (n--) {
        struct lx_cqe c = ring_next(&r);

        if (c.user_data < 16) {
            got[c.user_data] = c.res;
            got_flags[c.user_data] = c.flags;
        }
    }
}

static void polls(void)
{
    int p[2], fd = open("f", O_CREAT | O_RDWR, 0644);
    struct lx_sqe *s;
    char c;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(ring_do(&r, poll_sqe(p[1], POLLOUT, 1)), POLLOUT);
    CHECK(ring_do(&r, poll_sqe(fd, POLLIN, 1)) & POLLIN);
    poll_sqe(p[0], POLLIN, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_ready(&r), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK(ring_result(&r, 1) & POLLIN);
    CHECK_EQ(read(p[0], &c, 1), 1);
    s = poll_sqe(p[0], POLLIN, 1);
    s->off = 1;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = poll_sqe(p[0], POLLIN, 1);
    s->len = 1 << 8;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    CHECK_EQ(ring_do(&r, poll_sqe(999, POLLIN, 1)), -EBADF);
    poll_sqe(p[0], POLLIN, 1);
    CHECK_EQ(ring_submit(&r), 1);
    close(p[1]);
    CHECK_EQ(ring_result(&r, 1), POLLHUP);
    close(p[0]), close(fd);
}

static void many_results(void)
{
    int e = eventfd(0, EFD_NONBLOCK);
    uint64_t n = 1;
    struct lx_cqe c;

    poll_sqe(e, POLLIN, 3)->len = LX_POLL_MULTI;
    CHECK_EQ(ring_submit(&r), 1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(write(e, &n, 8), 8);
        c = ring_next(&r);
        CHECK_EQ(c.user_data, 3);
        CHECK(c.res & POLLIN);
        CHECK_EQ(c.flags, LX_CQE_MORE);
    }
    usleep(2000);
    CHECK_EQ(ring_ready(&r), 0); /* it holds still, and was told */
    about(LX_OP_POLL_REMOVE, 3, 4);
    CHECK_EQ(ring_submit_wait(&r, 2), 1);
    collect(2);
    CHECK_EQ(got[4], 0);
    CHECK_EQ(got[3], -ECANCELED);
    CHECK_EQ(got_flags[3], 0);
    CHECK_EQ(ring_do(&r, about(LX_OP_POLL_REMOVE, 3, 4)), -ENOENT);
    close(e);
}

static void changed(void)
{
    int p[2];
    struct lx_sqe *s;

    CHECK_EQ(pipe(p), 0);
    poll_sqe(p[1], POLLPRI, 3);
    CHECK_EQ(ring_submit(&r), 1);
    s = about(LX_OP_POLL_REMOVE, 3, 4);
    s->len = LX_POLL_UPDATE_USER_DATA, s->off = 5;
    CHECK_EQ(ring_do(&r, s), 0);
    s = about(LX_OP_POLL_REMOVE, 5, 4);
    s->len = LX_POLL_UPDATE_EVENTS, s->op_flags = POLLOUT;
    CHECK_EQ(ring_submit_wait(&r, 2), 1);
    collect(2);
    CHECK_EQ(got[4], 0);
    CHECK_EQ(got[5], POLLOUT);
    s = about(LX_OP_POLL_REMOVE, 5, 4);
    s->len = LX_POLL_UPDATE_EVENTS, s->op_flags = POLLOUT;
    CHECK_EQ(ring_do(&r, s), -ENOENT);
    s = about(LX_OP_POLL_REMOVE, 5, 4);
    s->off = 1;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    close(p[0]), close(p[1]);
}

static void timeouts(void)
{
    int64_t start = now();
    struct lx_sqe *s;
    struct kts abs;

    CHECK_EQ(ring_do(&r, timeout_sqe(LX_OP_TIMEOUT, &ms20, 1)), -ETIME);
    CHECK(now() - start >= 20000000);
    abs.s = (start = now() + 20000000) / 1000000000, abs.ns = start % 1000000000;
    s = timeout_sqe(LX_OP_TIMEOUT, &abs, 1);
    s->op_flags = LX_TIMEOUT_ABS;
    CHECK_EQ(ring_do(&r, s), -ETIME);
    CHECK(now() >= start);
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    abs.s = t.tv_sec, abs.ns = t.tv_nsec;
    s = timeout_sqe(LX_OP_TIMEOUT, &abs, 1);
    s->op_flags = LX_TIMEOUT_ABS | LX_TIMEOUT_REALTIME;
    CHECK_EQ(ring_do(&r, s), -ETIME);
    /* so many results, whichever comes first */
    s = timeout_sqe(LX_OP_TIMEOUT, &hour, 1);
    s->off = 2;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(ring_result(&r, 2), 0);
    usleep(1000);
    CHECK_EQ(ring_ready(&r), 0);
    ring_sqe(&r, LX_OP_NOP, -1, 3);
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[3], 0);
    CHECK_EQ(got[1], 0);
    s = timeout_sqe(LX_OP_TIMEOUT, &hour, 1);
    s->len = 2;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    s = timeout_sqe(LX_OP_TIMEOUT, &hour, 1);
    s->op_flags = LX_TIMEOUT_REALTIME | LX_TIMEOUT_BOOTTIME;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    CHECK_EQ(ring_do(&r, timeout_sqe(LX_OP_TIMEOUT, (void *)8, 1)), -EFAULT);
    CHECK_EQ(ring_do(&r, timeout_sqe(LX_OP_TIMEOUT, &(struct kts){ -1, 0 }, 1)), -EINVAL);
    /* an expired one breaks its chain, unless it is told not to */
    timeout_sqe(LX_OP_TIMEOUT, &ms20, 1)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit(&r), 2);
    collect(2);
    CHECK_EQ(got[1], -ETIME);
    CHECK_EQ(got[2], -ECANCELED);
    s = timeout_sqe(LX_OP_TIMEOUT, &ms20, 1);
    s->flags = LX_SQE_LINK, s->op_flags = LX_TIMEOUT_ETIME_SUCCESS;
    ring_sqe(&r, LX_OP_NOP, -1, 2);
    CHECK_EQ(ring_submit(&r), 2);
    collect(2);
    CHECK_EQ(got[1], -ETIME);
    CHECK_EQ(got[2], 0);
}

static void repeated(void)
{
    static const struct kts ms2 = { 0, 2000000 };
    struct lx_sqe *s = timeout_sqe(LX_OP_TIMEOUT, &ms2, 1);

    s->op_flags = LX_TIMEOUT_MULTISHOT;
    s->off = 3;
    CHECK_EQ(ring_submit(&r), 1);
    for (int i = 0; i < 3; i++) {
        struct lx_cqe c = ring_next(&r);

        CHECK_EQ(c.user_data, 1);
        CHECK_EQ(c.res, -ETIME);
        CHECK_EQ(c.flags, i < 2 ? LX_CQE_MORE : 0);
    }
    usleep(5000);
    CHECK_EQ(ring_ready(&r), 0);
}

static void timeouts_changed(void)
{
    struct lx_sqe *s;
    int64_t start = now();

    timeout_sqe(LX_OP_TIMEOUT, &hour, 1);
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_do(&r, about(LX_OP_TIMEOUT_REMOVE, 9, 2)), -ENOENT);
    s = about(LX_OP_TIMEOUT_REMOVE, 1, 2);
    s->op_flags = LX_TIMEOUT_UPDATE, s->addr2 = (uintptr_t)&ms20;
    CHECK_EQ(ring_do(&r, s), 0);
    CHECK_EQ(ring_result(&r, 1), -ETIME);
    CHECK(now() - start >= 20000000 && now() - start < 5000000000ll);
    timeout_sqe(LX_OP_TIMEOUT, &hour, 1);
    CHECK_EQ(ring_submit(&r), 1);
    about(LX_OP_TIMEOUT_REMOVE, 1, 2);
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[1], -ECANCELED);
    CHECK_EQ(got[2], 0);
}

/* The kernel goes back to the program when a timeout has passed, however few results there are. */
static void a_timeout_ends_the_wait(void)
{
    timeout_sqe(LX_OP_TIMEOUT, &ms20, 1);
    CHECK_EQ(ring_submit_wait(&r, 4), 1);
    CHECK_EQ(ring_ready(&r), 1);
    CHECK_EQ(ring_result(&r, 1), -ETIME);
}

static void linked(void)
{
    int p[2];
    char c;
    struct lx_sqe *s;

    CHECK_EQ(pipe(p), 0);
    /* too late */
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1, s->flags = LX_SQE_LINK;
    timeout_sqe(LX_OP_LINK_TIMEOUT, &ms20, 2);
    CHECK_EQ(ring_submit(&r), 2);
    collect(2);
    CHECK(got[1] == -ECANCELED || got[1] == -EINTR);
    CHECK_EQ(got[2], -ETIME);
    /* in time */
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1, s->flags = LX_SQE_LINK;
    timeout_sqe(LX_OP_LINK_TIMEOUT, &hour, 2);
    CHECK_EQ(ring_submit(&r), 2);
    CHECK_EQ(write(p[1], "x", 1), 1);
    collect(2);
    CHECK_EQ(got[1], 1);
    CHECK_EQ(got[2], -ECANCELED);
    /* at once, and with more behind it */
    ring_sqe(&r, LX_OP_NOP, -1, 1)->flags = LX_SQE_LINK;
    timeout_sqe(LX_OP_LINK_TIMEOUT, &hour, 2)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 3);
    CHECK_EQ(ring_submit(&r), 3);
    collect(3);
    CHECK_EQ(got[1], 0);
    CHECK_EQ(got[2], -ECANCELED);
    CHECK_EQ(got[3], 0);
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1, s->flags = LX_SQE_LINK;
    timeout_sqe(LX_OP_LINK_TIMEOUT, &ms20, 2)->flags = LX_SQE_LINK;
    ring_sqe(&r, LX_OP_NOP, -1, 3);
    CHECK_EQ(ring_submit(&r), 3);
    collect(3);
    CHECK_EQ(got[2], -ETIME);
    CHECK_EQ(got[3], -ECANCELED);
    /* of nothing */
    CHECK_EQ(ring_do(&r, timeout_sqe(LX_OP_LINK_TIMEOUT, &ms20, 2)), -EINVAL);
    close(p[0]), close(p[1]);
}

static void cancelled(void)
{
    int p[2], q[2];
    char c;
    struct lx_sqe *s;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pipe(q), 0);
    s = ring_sqe(&r, LX_OP_READ, p[0], 1);
    s->addr = (uintptr_t)&c, s->len = 1;
    CHECK_EQ(ring_submit(&r), 1);
    CHECK_EQ(ring_do(&r, about(LX_OP_ASYNC_CANCEL, 9, 2)), -ENOENT);
    about(LX_OP_ASYNC_CANCEL, 1, 2);
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[1], -ECANCELED);
    CHECK_EQ(got[2], 0);
    /* all of one file */
    poll_sqe(p[0], POLLIN, 3);
    poll_sqe(p[0], POLLIN, 4);
    poll_sqe(q[0], POLLIN, 5);
    CHECK_EQ(ring_submit(&r), 3);
    s = ring_sqe(&r, LX_OP_ASYNC_CANCEL, p[0], 2);
    s->op_flags = LX_CANCEL_FD | LX_CANCEL_ALL;
    CHECK_EQ(ring_submit(&r), 1);
    collect(3);
    CHECK_EQ(got[2], 2);
    CHECK_EQ(got[3], -ECANCELED);
    CHECK_EQ(got[4], -ECANCELED);
    s = ring_sqe(&r, LX_OP_ASYNC_CANCEL, -1, 2);
    s->op_flags = LX_CANCEL_ANY;
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[2], 1);
    CHECK_EQ(got[5], -ECANCELED);
    s = ring_sqe(&r, LX_OP_ASYNC_CANCEL, 999, 2);
    s->op_flags = LX_CANCEL_FD;
    CHECK_EQ(ring_do(&r, s), -EBADF);
    s = ring_sqe(&r, LX_OP_ASYNC_CANCEL, -1, 2);
    s->op_flags = 1 << 20;
    CHECK_EQ(ring_do(&r, s), -EINVAL);
    /* from outside */
    poll_sqe(p[0], POLLIN, 3);
    CHECK_EQ(ring_submit(&r), 1);
    struct lx_sync_cancel a = { .addr = 3, .fd = -1, .tv_sec = -1, .tv_nsec = -1 };
    CHECK_EQ(uring_register(&r, LX_REGISTER_SYNC_CANCEL, &a, 1), 0);
    CHECK_EQ(ring_result(&r, 3), -ECANCELED);
    CHECK_ERR(uring_register(&r, LX_REGISTER_SYNC_CANCEL, &a, 1), ENOENT);
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

/* Of a waitid the result is how many were found, not 0. */
static void cancelled_waitid(void)
{
    struct lx_sqe *s;
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    s = ring_sqe(&r, LX_OP_WAITID, pid, 1);
    s->len = P_PID, s->splice_fd_in = WEXITED;
    CHECK_EQ(ring_submit(&r), 1);
    about(LX_OP_ASYNC_CANCEL, 1, 2);
    CHECK_EQ(ring_submit(&r), 1);
    collect(2);
    CHECK_EQ(got[1], -ECANCELED);
    CHECK_EQ(got[2], 1);
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    ring_need();
    scratch_begin();
    ring_open(&r, 16);
    RUN(polls);
    RUN(many_results);
    RUN(changed);
    RUN(timeouts);
    RUN(repeated);
    RUN(timeouts_changed);
    RUN(a_timeout_ends_the_wait);
    RUN(linked);
    RUN(cancelled);
    RUN(cancelled_waitid);
    ring_close(&r);
    scratch_end();
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring: rings: making, restricting, sharing and ending them. */
#include <pthread.h>
#include <sys/wait.h>

#include "guest.h"
#include "uring.h"

static void setup_refused(void)
{
    static const unsigned bad[] = {
        1u << 30,
        LX_URING_SQ_AFF,
        LX_URING_TASKRUN_FLAG,
        LX_URING_DEFER_TASKRUN,
        LX_URING_SQPOLL | LX_URING_COOP_TASKRUN,
        LX_URING_REGISTERED_FD_ONLY,
        LX_URING_CQSIZE,
    };
    struct lx_uring_params p = { 0 };

    CHECK_ERR(uring_setup(0, &p), EINVAL);
    CHECK_ERR(uring_setup(40000, &p), EINVAL);
    CHECK_ERR(uring_setup(1, (void *)8), EFAULT);
    p.resv[1] = 1;
    CHECK_ERR(uring_setup(1, &p), EINVAL);
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        p = (struct lx_uring_params){ .flags = bad[i] };
        CHECK_ERR(uring_setup(1, &p), EINVAL);
    }
    p = (struct lx_uring_params){ .flags = LX_URING_CQSIZE, .cq_entries = 2 };
    CHECK_ERR(uring_setup(4, &p), EINVAL);
    p = (struct lx_uring_params){ .flags = LX_URING_ATTACH_WQ, .wq_fd = 999 };
    CHECK_ERR(uring_setup(4, &p), ENXIO);
    p.wq_fd = 0;
    CHECK_ERR(uring_setup(4, &p), EINVAL);
}

static void sizes(void)
{
    struct ring r;

    ring_open(&r, 5);
    CHECK_EQ(r.p.sq_entries, 8);
    CHECK_EQ(r.p.cq_entries, 16);
    CHECK_EQ(*ring_word(&r, r.p.sq_off.ring_mask), 7);
    CHECK_EQ(*ring_word(&r, r.p.cq_off.ring_mask), 15);
    CHECK_EQ(*ring_word(&r, r.p.sq_off.ring_entries), 8);
    CHECK_EQ(*ring_word(&r, r.p.cq_off.ring_entries), 16);
    CHECK(r.p.features & LX_FEAT_SINGLE_MMAP);
    CHECK(r.p.features & LX_FEAT_NODROP);
    CHECK(r.p.features & LX_FEAT_EXT_ARG);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0x20000000) == MAP_FAILED);
    ring_close(&r);
    CHECK_EQ(ring_try(&r, 100000, (struct lx_uring_params){ .flags = LX_URING_CLAMP }), 0);
    CHECK_EQ(r.p.sq_entries, 32768);
    ring_close(&r);
    CHECK_EQ(
        ring_try(&r, 4, (struct lx_uring_params){ .flags = LX_URING_CQSIZE, .cq_entries = 100 }),
        0);
    CHECK_EQ(r.p.cq_entries, 128);
    ring_close(&r);
}

static void sqpoll(void)
{
    struct ring r;
    int p[2];
    char c;

    CHECK_EQ(
        ring_try(&r, 4, (struct lx_uring_params){ .flags = LX_URING_SQPOLL, .sq_thread_idle = 10 }),
        0);
    CHECK_EQ(pipe(p), 0);
    for (uint64_t i = 0; i < 50; i++) {
        struct lx_sqe *s = ring_sqe(&r, i & 1 ? LX_OP_READ : LX_OP_NOP, p[0], i);

        if (i & 1) {
            s->addr = (uintptr_t)&c, s->len = 1;
            CHECK_EQ(write(p[1], "x", 1), 1);
        }
        ring_publish(&r);
        atomic_thread_fence(memory_order_seq_cst);
        if (*ring_word(&r, r.p.sq_off.flags) & LX_SQ_NEED_WAKEUP)
            CHECK_EQ(uring_enter(&r, 1, 0, LX_ENTER_SQ_WAKEUP), 1);
        CHECK_EQ(ring_result(&r, i), i & 1);
        if (i == 25)
            usleep(100000);
    }
    CHECK_EQ(uring_enter(&r, 0, 0, LX_ENTER_SQ_WAIT), 0);
    close(p[0]), close(p[1]);
    ring_close(&r);
}

static void disabled(void)
{
    struct ring r;
    struct lx_restriction x[3] = {
        { .opcode = LX_RESTRICTION_SQE_OP, .arg = LX_OP_NOP },
        { .opcode = LX_RESTRICTION_REGISTER_OP, .arg = LX_REGISTER_ENABLE_RINGS },
        { .opcode = LX_RESTRICTION_SQE_FLAGS_ALLOWED, .arg = LX_SQE_LINK },
    };

    ring_flags(&r, 4, LX_URING_R_DISABLED);
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    CHECK_ERR(ring_submit(&r), EBADFD);
    CHECK_EQ(uring_register(&r, LX_REGISTER_RESTRICTIONS, x, 3), 0);
    CHECK_ERR(uring_register(&r, LX_REGISTER_RESTRICTIONS, x, 3), EBUSY);
    CHECK_EQ(uring_register(&r, LX_REGISTER_ENABLE_RINGS, NULL, 0), 0);
    CHECK_EQ(uring_enter(&r, 1, 0, 0), 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_FSYNC, 0, 2)), -EACCES);
    struct lx_sqe *s = ring_sqe(&r, LX_OP_NOP, -1, 3);
    s->flags = LX_SQE_ASYNC;
    CHECK_EQ(ring_do(&r, s), -EACCES);
    CHECK_ERR(uring_register(&r, LX_UNREGISTER_FILES, NULL, 0), EACCES);
    ring_close(&r);
    ring_open(&r, 4);
    CHECK_ERR(uring_register(&r, LX_REGISTER_ENABLE_RINGS, NULL, 0), EBADFD);
    CHECK_ERR(uring_register(&r, LX_REGISTER_RESTRICTIONS, x, 3), EBADFD);
    ring_close(&r);
}

static void probed(void)
{
    struct ring r;
    struct {
        struct lx_probe p;
        struct lx_probe_op op[256];
    } x = { 0 };

    ring_open(&r, 4);
    CHECK_EQ(uring_register(&r, LX_REGISTER_PROBE, &x, 256), 0);
    CHECK(x.p.last_op >= LX_OP_LISTEN);
    for (unsigned i = 0; i <= LX_OP_URING_CMD; i++)
        CHECK(x.op[i].op == i && x.op[i].flags & LX_OP_SUPPORTED);
    CHECK_ERR(uring_register(&r, LX_REGISTER_PROBE, &x, 256), EINVAL); /* not zero */
    CHECK_ERR(uring_register(&r, LX_REGISTER_PROBE, &x, 257), EINVAL);
    CHECK_ERR(uring_register(&r, 500, NULL, 0), EINVAL);
    ring_close(&r);
}

static void own_index(void)
{
    struct ring r;
    struct {
        uint32_t offset, resv;
        uint64_t data;
    } u = { .offset = UINT32_MAX };

    ring_open(&r, 4);
    u.data = (uint64_t)r.fd;
    CHECK_EQ(uring_register(&r, LX_REGISTER_RING_FDS, &u, 1), 1);
    CHECK_EQ(u.offset, 0);
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    ring_publish(&r);
    CHECK_EQ(syscall(SYS_io_uring_enter, u.offset, 1, 0, LX_ENTER_REGISTERED_RING, NULL, 0), 1);
    CHECK_EQ(ring_result(&r, 1), 0);
    CHECK_ERR(syscall(SYS_io_uring_enter, 3, 0, 0, LX_ENTER_REGISTERED_RING, NULL, 0), EBADF);
    CHECK_ERR(syscall(SYS_io_uring_enter, 99, 0, 0, LX_ENTER_REGISTERED_RING, NULL, 0), EINVAL);
    u.data = 0;
    CHECK_EQ(uring_register(&r, LX_UNREGISTER_RING_FDS, &u, 1), 1);
    ring_close(&r);
}

static void *other_thread(void *arg)
{
    CHECK_ERR(uring_enter(arg, 1, 0, 0), EEXIST);
    return NULL;
}

static void single_issuer(void)
{
    struct ring r;
    pthread_t th;

    ring_flags(&r, 4, LX_URING_SINGLE_ISSUER);
    ring_sqe(&r, LX_OP_NOP, -1, 1);
    ring_publish(&r);
    pthread_create(&th, NULL, other_thread, &r);
    pthread_join(th, NULL);
    CHECK_EQ(uring_enter(&r, 1, 0, 0), 1);
    ring_close(&r);
}

/* The program gives the pages itself. */
static void own_pages(void)
{
    struct ring r = { .p = { .flags = LX_URING_NO_MMAP } };

    r.rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    r.sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    r.rings_len = r.sqes_len = 4096;
    r.p.cq_off.user_addr = (uintptr_t)r.rings;
    r.p.sq_off.user_addr = (uintptr_t)r.sqes;
    r.fd = uring_setup(8, &r.p);
    CHECK(r.fd >= 0);
    CHECK_EQ(ring_do(&r, ring_sqe(&r, LX_OP_NOP, -1, 5)), 0);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, r.fd, 0) == MAP_FAILED);
    ring_close(&r);
    r.p = (struct lx_uring_params){ .flags = LX_URING_NO_MMAP };
    r.p.cq_off.user_addr = 17;
    CHECK_ERR(uring_setup(8, &r.p), EINVAL);
}

/* What is in flight ends with who submitted it, and closes what it held. */
static void ends_with_the_process(void)
{
    int p[2], status, how;
    char c;

    for (how = 0; how < 3; how++) {
        CHECK_EQ(pipe(p), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct ring r;
            close(p[0]);
            ring_flags(&r, 4, how == 2 ? LX_URING_SQPOLL : 0);
            struct lx_sqe *s = ring_sqe(&r, LX_OP_POLL_ADD, p[1], 1);
            s->op_flags = POLLERR;
            s = ring_sqe(&r, LX_OP_POLL_ADD, r.fd, 2);
            s->op_flags = POLLPRI;
            ring_publish(&r);
            if (uring_enter(&r, 2, 0, how == 2 ? LX_ENTER_SQ_WAKEUP : 0) != 2)
                _exit(1);
            if (how == 1)
                execl("/proc/self/exe", "uring", "execed", NULL);
            _exit(0);
        }
        close(p[1]);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        CHECK_EQ(read(p[0], &c, 1), 0);
        close(p[0]);
    }
}

static void *leaver(void *arg)
{
    struct lx_sqe *s = ring_sqe(arg, LX_OP_TIMEOUT, -1, 1);
    static struct {
        int64_t s, ns;
    } hour = { 3600, 0 };

    s->addr = (uintptr_t)&hour, s->len = 1;
    CHECK_EQ(ring_submit(arg), 1);
    return NULL;
}

static void ends_with_the_ring(void)
{
    struct ring r;
    struct lx_sqe *s;
    int p[2];
    pthread_t th;

    CHECK_EQ(pipe(p), 0);
    ring_open(&r, 4);
    pthread_create(&th, NULL, leaver, &r);
    pthread_join(th, NULL);
    s = ring_sqe(&r, LX_OP_POLL_ADD, p[1], 2);
    s->op_flags = POLLERR;
    ring_sqe(&r, LX_OP_NOP, -1, 3)->flags = LX_SQE_DRAIN;
    CHECK_EQ(ring_submit(&r), 2);
    close(p[1]);
    ring_close(&r);
    struct pollfd pf = { .fd = p[0], .events = POLLIN };
    CHECK_EQ(poll(&pf, 1, 1000), 1);
    CHECK_EQ(pf.revents, POLLHUP);
    close(p[0]);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    ring_need();
    RUN(setup_refused);
    RUN(sizes);
    RUN(sqpoll);
    RUN(disabled);
    RUN(probed);
    RUN(own_index);
    RUN(single_issuer);
    RUN(own_pages);
    RUN(ends_with_the_process);
    RUN(ends_with_the_ring);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* io_setup and its kin, by raw calls; the ring as libaio reads it. */
#include "abi/aio.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "scratch.h"

typedef unsigned long ctx_t;

static long io_setup(unsigned n, ctx_t *c)
{
    return syscall(SYS_io_setup, n, c);
}

static long io_destroy(ctx_t c)
{
    return syscall(SYS_io_destroy, c);
}

static long io_submit(ctx_t c, long n, struct lx_iocb **cb)
{
    return syscall(SYS_io_submit, c, n, cb);
}

static long io_getevents(ctx_t c, long min, long nr, struct lx_io_event *ev, struct timespec *ts)
{
    return syscall(SYS_io_getevents, c, min, nr, ev, ts);
}

static struct timespec soon = { 0, 0 };

static ctx_t setup(unsigned n)
{
    ctx_t c = 0;

    CHECK_EQ(io_setup(n, &c), 0);
    CHECK(c != 0);
    return c;
}

static struct lx_iocb request(int op, int fd, void *buf, size_t n, long off)
{
    return (struct lx_iocb){ .data = 77,
                             .key = 5,
                             .opcode = (uint16_t)op,
                             .fildes = (uint32_t)fd,
                             .buf = (uintptr_t)buf,
                             .nbytes = n,
                             .offset = off };
}

/* Submits one and gives its result. */
static long run(ctx_t c, struct lx_iocb *cb)
{
    struct lx_io_event ev = { 0 };
    struct lx_iocb *list[1] = { cb };

    CHECK_EQ(io_submit(c, 1, list), 1);
    CHECK_EQ(cb->key, 0);
    CHECK_EQ(io_getevents(c, 1, 1, &ev, NULL), 1);
    CHECK_EQ(ev.data, 77);
    CHECK_EQ(ev.obj, (uintptr_t)cb);
    CHECK_EQ(ev.res2, 0);
    return ev.res;
}

static void contexts(void)
{
    ctx_t c = 0, d = 1;

    CHECK_ERR(io_setup(0, &c), EINVAL);
    CHECK_ERR(io_setup(1, &d), EINVAL);
    CHECK_ERR(io_setup(1, (ctx_t *)8), EFAULT);
    CHECK_ERR(io_setup(0x7fffffff, &c), EINVAL);
    CHECK_ERR(io_setup(200000, &c), EAGAIN);
    c = setup(10);
    struct lx_aio_ring *r = (void *)c;
    CHECK_EQ(r->magic, LX_AIO_RING_MAGIC);
    CHECK_EQ(r->header_length, sizeof *r);
    CHECK_EQ(r->compat, 1);
    CHECK_EQ(r->incompat, 0);
    CHECK_EQ(r->head, 0);
    CHECK_EQ(r->tail, 0);
    CHECK(r->nr >= 22);
    CHECK_EQ(io_destroy(c), 0);
    CHECK_ERR(io_destroy(c), EINVAL);
    unsigned char vec;
    CHECK_ERR(mincore((void *)c, 4096, &vec), ENOMEM);
    CHECK_ERR(io_destroy(12345), EINVAL);
}

static long number(const char *path)
{
    char buf[32] = "";
    int fd = open(path, O_RDONLY);

    CHECK(read(fd, buf, sizeof buf - 1) > 0);
    close(fd);
    return atol(buf);
}

static void counted(void)
{
    long before = number("/proc/sys/fs/aio-nr");
    ctx_t c = setup(100);

    CHECK(number("/proc/sys/fs/aio-nr") >= before + 100);
    CHECK(number("/proc/sys/fs/aio-max-nr") >= 65536);
    CHECK_EQ(io_destroy(c), 0);
}

static void files(void)
{
    ctx_t c = setup(8);
    char in[64] = "", one[3] = "", two[4] = "";
    int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
    struct lx_iocb cb = request(LX_IOCB_PWRITE, fd, "hello world", 11, 0);

    CHECK_EQ(run(c, &cb), 11);
    cb = request(LX_IOCB_PREAD, fd, in, sizeof in, 6);
    CHECK_EQ(run(c, &cb), 5);
    CHECK(!memcmp(in, "world", 5));
    struct iovec v[2] = { { one, 2 }, { two, 3 } };
    cb = request(LX_IOCB_PREADV, fd, v, 2, 0);
    CHECK_EQ(run(c, &cb), 5);
    CHECK(!strcmp(one, "he") && !strcmp(two, "llo"));
    v[0].iov_base = "AB", v[1].iov_base = "CDE";
    cb = request(LX_IOCB_PWRITEV, fd, v, 2, 11);
    CHECK_EQ(run(c, &cb), 5);
    cb = request(LX_IOCB_FSYNC, fd, NULL, 0, 0);
    CHECK_EQ(run(c, &cb), 0);
    cb = request(LX_IOCB_FDSYNC, fd, NULL, 0, 0);
    CHECK_EQ(run(c, &cb), 0);
    CHECK_TEXT("f", "hello worldABCDE");
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    cb = request(LX_IOCB_PREAD, fd, in, sizeof in, 100);
    CHECK_EQ(run(c, &cb), 0);
    cb = request(LX_IOCB_PREAD, fd, (void *)8, 4, 0);
    CHECK_EQ(run(c, &cb), -EFAULT);
    close(fd);
    CHECK_EQ(io_destroy(c), 0);
}

static void refuse(ctx_t c, struct lx_iocb cb, int err)
{
    struct lx_iocb *list[1] = { &cb };

    CHECK_ERR(io_submit(c, 1, list), err);
}

static void refused(void)
{
    ctx_t c = setup(8);
    char buf[16];
    int fd = open("f", O_RDWR), ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
    int dir = open(".", O_RDONLY);
    struct lx_iocb ok = request(LX_IOCB_PREAD, fd, buf, 4, 0), cb;
    struct lx_iocb *list[2] = { &ok, (void *)8 };

    refuse(c, request(LX_IOCB_PREAD, 999, buf, 4, 0), EBADF);
    refuse(c, request(LX_IOCB_PREAD, wo, buf, 4, 0), EBADF);
    refuse(c, request(LX_IOCB_PWRITE, ro, buf, 4, 0), EBADF);
    refuse(c, request(LX_IOCB_PREAD, dir, buf, 4, 0), EINVAL);
    refuse(c, request(LX_IOCB_NOOP, fd, NULL, 0, 0), EINVAL);
    refuse(c, request(4, fd, NULL, 0, 0), EINVAL);
    refuse(c, request(99, fd, NULL, 0, 0), EINVAL);
    refuse(c, request(LX_IOCB_PREAD, fd, buf, (size_t)-1, 0), EINVAL);
    refuse(c, request(LX_IOCB_PREADV, fd, NULL, 2000, 0), EINVAL);
    refuse(c, request(LX_IOCB_FSYNC, fd, buf, 0, 0), EINVAL);
    refuse(c, request(LX_IOCB_POLL, fd, (void *)0x10000, 0, 0), EINVAL);
    cb = ok, cb.reserved2 = 1;
    refuse(c, cb, EINVAL);
    cb = ok, cb.rw_flags = 0x40000000;
    refuse(c, cb, EOPNOTSUPP);
    cb = ok, cb.flags = LX_IOCB_FLAG_RESFD, cb.resfd = 999;
    refuse(c, cb, EBADF);
    cb.resfd = (uint32_t)fd;
    refuse(c, cb, EINVAL);
    cb = ok, cb.flags = LX_IOCB_FLAG_IOPRIO, cb.reqprio = (short)(5 << 13);
    refuse(c, cb, EINVAL);
    CHECK_ERR(io_submit(c, -1, list), EINVAL);
    CHECK_ERR(io_submit(c, 1, (void *)8), EFAULT);
    CHECK_ERR(io_submit(c + 4096, 1, list), EINVAL);
    CHECK_EQ(io_submit(c, 0, NULL), 0);
    CHECK_EQ(io_submit(c, 2, list), 1);
    CHECK_ERR(io_getevents(c, 2, 1, NULL, NULL), EINVAL);
    CHECK_ERR(io_getevents(c, -1, 1, NULL, NULL), EINVAL);
    CHECK_ERR(io_getevents(c, 1, 1, (void *)8, NULL), EFAULT);
    CHECK_ERR(io_getevents(c, 1, 1, NULL, (void *)8), EFAULT);
    CHECK_ERR(io_getevents(77, 0, 1, NULL, NULL), EINVAL);
    close(fd), close(ro), close(wo), close(dir);
    CHECK_EQ(io_destroy(c), 0);
}

static void waiting(void)
{
    ctx_t c = setup(8);
    struct lx_io_event ev[8];
    struct timespec ts = { 0, 20000000 }, a, b;

    CHECK_EQ(io_getevents(c, 0, 8, ev, NULL), 0);
    CHECK_EQ(io_getevents(c, 1, 8, ev, &soon), 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    CHECK_EQ(io_getevents(c, 1, 8, ev, &ts), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec >= 20000000);
    CHECK_EQ(io_destroy(c), 0);
}

/* The program takes events off by itself, and the kernel believes the head it leaves. */
static void by_hand(void)
{
    ctx_t c = setup(4);
    struct lx_aio_ring *r = (void *)c;
    struct lx_io_event *at = (void *)(r + 1), ev;
    char buf[4];
    int fd = open("f", O_RDONLY);
    struct lx_iocb cb = request(LX_IOCB_PREAD, fd, buf, 4, 0);
    struct lx_iocb *list[1] = { &cb };

    for (unsigned i = 0; i < 3 * r->nr; i++) {
        CHECK_EQ(io_submit(c, 1, list), 1);
        unsigned h = r->head;
        CHECK(h != *(volatile unsigned *)&r->tail);
        CHECK_EQ(at[h].res, 4);
        CHECK_EQ(at[h].obj, (uintptr_t)&cb);
        r->head = (h + 1) % r->nr;
    }
    CHECK_EQ(io_getevents(c, 0, 1, &ev, &soon), 0);
    unsigned n = 0;
    while (n < 2 * r->nr && io_submit(c, 1, list) == 1)
        n++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(n >= r->nr / 2 && n < r->nr); /* Linux keeps a few for each processor */
    CHECK_EQ(io_getevents(c, 1, 1, &ev, NULL), 1);
    CHECK_EQ(io_submit(c, 1, list), 1);
    r->head = 0xfffffff0u; /* nonsense harms nobody else */
    (void)io_submit(c, 1, list);
    (void)io_getevents(c, 0, 1, &ev, &soon);
    close(fd);
    CHECK_EQ(io_destroy(c), 0);
}

static void polls(void)
{
    ctx_t c = setup(8);
    int p[2], e = eventfd(0, EFD_NONBLOCK);
    struct lx_iocb cb, *list[1] = { &cb };
    struct lx_io_event ev;
    uint64_t n = 0;

    CHECK_EQ(pipe(p), 0);
    cb = request(LX_IOCB_POLL, p[1], (void *)(long)POLLOUT, 0, 0);
    CHECK_EQ(run(c, &cb), POLLOUT);
    cb = request(LX_IOCB_POLL, p[0], (void *)(long)POLLIN, 0, 0);
    cb.flags = LX_IOCB_FLAG_RESFD, cb.resfd = (uint32_t)e;
    CHECK_EQ(io_submit(c, 1, list), 1);
    CHECK_EQ(io_getevents(c, 1, 1, &ev, &soon), 0);
    CHECK_ERR(read(e, &n, 8), EAGAIN);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(io_getevents(c, 1, 1, &ev, NULL), 1);
    CHECK(ev.res & POLLIN);
    CHECK_EQ(read(e, &n, 8), 8);
    CHECK_EQ(n, 1);
    CHECK_EQ(read(p[0], &n, 1), 1);
    CHECK_EQ(io_submit(c, 1, list), 1);
    close(p[1]);
    CHECK_EQ(io_getevents(c, 1, 1, &ev, NULL), 1);
    CHECK_EQ(ev.res, POLLHUP);
    close(p[0]), close(e);
    CHECK_EQ(io_destroy(c), 0);
}

static void cancelled(void)
{
    ctx_t c = setup(8);
    int p[2];
    struct lx_iocb cb, *list[1] = { &cb };
    struct lx_io_event ev;

    CHECK_EQ(pipe(p), 0);
    cb = request(LX_IOCB_POLL, p[0], (void *)(long)POLLIN, 0, 0);
    CHECK_ERR(syscall(SYS_io_cancel, c, &cb, &ev), EINVAL); /* its key is not the kernel's */
    cb.key = 0;
    CHECK_ERR(syscall(SYS_io_cancel, c, &cb, &ev), EINVAL);
    CHECK_EQ(io_submit(c, 1, list), 1);
    CHECK_ERR(syscall(SYS_io_cancel, c, &cb, &ev), EINPROGRESS);
    CHECK_EQ(io_getevents(c, 1, 1, &ev, NULL), 1);
    CHECK_EQ(ev.obj, (uintptr_t)&cb);
    CHECK_EQ(ev.res, 0);
    CHECK_ERR(syscall(SYS_io_cancel, c, &cb, &ev), EINVAL);
    CHECK_ERR(syscall(SYS_io_cancel, c, (void *)8, &ev), EFAULT);
    CHECK_EQ(io_submit(c, 1, list), 1); /* in flight when its context ends */
    CHECK_EQ(io_destroy(c), 0);
    close(p[0]), close(p[1]);
}

/* Resubmission with an eventfd: its count is that of events. */
static void with_eventfd(void)
{
    ctx_t c = setup(8);
    int e = eventfd(0, 0), fd = open("f", O_RDONLY);
    char buf[4];
    struct lx_iocb cb = request(LX_IOCB_PREAD, fd, buf, 4, 0);
    struct lx_iocb *list[3] = { &cb, &cb, &cb };
    struct lx_io_event ev[3];
    uint64_t n = 0;

    cb.flags = LX_IOCB_FLAG_RESFD, cb.resfd = (uint32_t)e;
    CHECK_EQ(io_submit(c, 3, list), 3);
    CHECK_EQ(read(e, &n, 8), 8);
    CHECK_EQ(n, 3);
    CHECK_EQ(io_getevents(c, 3, 3, ev, NULL), 3);
    close(e), close(fd);
    CHECK_EQ(io_destroy(c), 0);
}

static void *destroyer(void *arg)
{
    usleep(20000);
    CHECK_EQ(io_destroy(*(ctx_t *)arg), 0);
    return NULL;
}

static void destroyed_while_waited_for(void)
{
    ctx_t c = setup(4);
    struct lx_io_event ev;
    pthread_t th;

    pthread_create(&th, NULL, destroyer, &c);
    CHECK_ERR(io_getevents(c, 1, 1, &ev, NULL), EINVAL);
    pthread_join(th, NULL);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void signals(void)
{
    ctx_t c = setup(4);
    struct lx_io_event ev;
    struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    uint64_t alrm = 1ull << (SIGALRM - 1), none = 0;
    struct lx_aio_sigset set = { (uintptr_t)&none, 8 };
    sigset_t block;

    sigaction(SIGALRM, &sa, NULL);
    ualarm(20000, 0);
    CHECK_ERR(io_getevents(c, 1, 1, &ev, NULL), EINTR);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, NULL);
    raise(SIGALRM);
    CHECK_ERR(syscall(SYS_io_pgetevents, c, 1, 1, &ev, NULL, &set), EINTR);
    sigprocmask(SIG_UNBLOCK, &block, NULL);
    set.sigmask = (uintptr_t)&alrm;
    struct timespec ts = { 0, 1000000 };
    CHECK_EQ(syscall(SYS_io_pgetevents, c, 1, 1, &ev, &ts, &set), 0);
    set.size = 4;
    CHECK_ERR(syscall(SYS_io_pgetevents, c, 1, 1, &ev, &ts, &set), EINVAL);
    CHECK_ERR(syscall(SYS_io_pgetevents, c, 1, 1, &ev, &ts, 8), EFAULT);
    CHECK_EQ(io_destroy(c), 0);
}

/* A child has the pages, and no context; the parent's goes on. */
static void forked(void)
{
    ctx_t c = setup(4);
    struct lx_io_event ev;
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(io_getevents(c, 0, 1, &ev, &soon) == -1 && errno == EINVAL ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(io_getevents(c, 0, 1, &ev, &soon), 0);
    /* what a program leaves behind ends with it */
    pid = fork();
    if (pid == 0) {
        int p[2];
        struct lx_iocb cb, *list[1] = { &cb };

        if (pipe(p))
            _exit(1);
        c = 0;
        cb = request(LX_IOCB_POLL, p[0], (void *)(long)POLLIN, 0, 0);
        if (io_setup(4, &c) || io_submit(c, 1, list) != 1)
            _exit(2);
        execl("/proc/self/exe", "aio", "execed", NULL);
        _exit(3);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_EQ(io_destroy(c), 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    scratch_begin();
    RUN(contexts);
    RUN(counted);
    RUN(files);
    RUN(refused);
    RUN(waiting);
    RUN(by_hand);
    RUN(polls);
    RUN(cancelled);
    RUN(with_eventfd);
    RUN(destroyed_while_waited_for);
    RUN(signals);
    RUN(forked);
    scratch_end();
    DONE();
}

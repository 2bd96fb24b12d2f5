/* SPDX-License-Identifier: Apache-2.0 */
/* userfaultfd: what is told, of guest code and of calls; and what an answer does. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "abi/uffd.h"
#include "guest.h"

#define PAGE 4096ul
#define PAGES 16
#define MISSING LX_UFFD_MODE_MISSING
#define WP LX_UFFD_MODE_WP

static int uffd(unsigned flags)
{
    return (int)syscall(SYS_userfaultfd, flags);
}

static int with_features(unsigned flags, uint64_t features)
{
    struct lx_uffdio_api a = { .api = LX_UFFD_API, .features = features };
    int fd = uffd(flags);

    CHECK(fd >= 0);
    CHECK_EQ(ioctl(fd, LX_UFFDIO_API, &a), 0);
    return fd;
}

static char *memory(int flags, int fd)
{
    char *m = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

    CHECK(m != MAP_FAILED);
    return m;
}

static int reg(int fd, char *m, size_t pages, uint64_t mode)
{
    struct lx_uffdio_register r = { .range = { (uintptr_t)m, pages * PAGE }, .mode = mode };

    return ioctl(fd, LX_UFFDIO_REGISTER, &r);
}

static int copy(int fd, char *to, char c, uint64_t mode)
{
    static _Thread_local char page[PAGE];
    struct lx_uffdio_copy u = {
        .dst = (uintptr_t)to & ~(PAGE - 1), .src = (uintptr_t)page, .len = PAGE, .mode = mode
    };

    memset(page, c, PAGE);
    return ioctl(fd, LX_UFFDIO_COPY, &u);
}

static int protect(int fd, char *at, int on)
{
    struct lx_uffdio_wp w = { { (uintptr_t)at & ~(PAGE - 1), PAGE }, on ? 1 : 0 };

    return ioctl(fd, LX_UFFDIO_WP, &w);
}

/* Answers faults until it is told to stop: pages of their own number, 'a' and on. */
struct server {
    pthread_t thread;
    int fd, stop[2];
    char *m;
    unsigned n, wp;
    uint64_t flags[64];
    unsigned page[64];
};

static void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN }, { .fd = s->stop[0], .events = POLLIN } };

    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        struct lx_uffd_msg m;
        char *at;

        if (read(s->fd, &m, sizeof m) != sizeof m)
            continue;
        CHECK_EQ(m.event, LX_UFFD_EVENT_PAGEFAULT);
        at = (char *)(uintptr_t)m.fault.address;
        if (s->n < 64) {
            s->flags[s->n] = m.fault.flags;
            s->page[s->n] = (unsigned)((size_t)(at - s->m) / PAGE);
        }
        s->n++;
        if (m.fault.flags & LX_UFFD_FAULT_WP) {
            s->wp++;
            CHECK_EQ(protect(s->fd, at, 0), 0);
            continue;
        }
        CHECK_EQ(copy(s->fd, at, (char)('a' + (at - s->m) / (long)PAGE), 0), 0);
    }
    return NULL;
}

static void serve_start(struct server *s, int fd, char *m)
{
    *s = (struct server){ .fd = fd, .m = m };
    CHECK_EQ(pipe(s->stop), 0);
    CHECK_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void serve_stop(struct server *s)
{
    CHECK_EQ(write(s->stop[1], "", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->stop[1]);
}

static void interface(void)
{
    struct lx_uffdio_api a = { .api = LX_UFFD_API, .features = 1ull << 40 };
    struct lx_uffd_msg msg;
    struct pollfd p = { .events = POLLIN };
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = uffd(O_CLOEXEC | O_NONBLOCK), slow;

    CHECK_ERR(uffd(0x40000000), EINVAL);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_NONBLOCK);
    CHECK_ERR(reg(fd, m, 1, MISSING), EINVAL); /* before UFFDIO_API */
    CHECK_ERR(read(fd, &msg, sizeof msg), EINVAL);
    CHECK_ERR(ioctl(fd, LX_UFFDIO_API, &a), EINVAL);
    CHECK_EQ(a.api, 0); /* told by zeros */
    a.api = 0xab;
    CHECK_ERR(ioctl(fd, LX_UFFDIO_API, &a), EINVAL);
    a = (struct lx_uffdio_api){ .api = LX_UFFD_API };
    CHECK_EQ(ioctl(fd, LX_UFFDIO_API, &a), 0);
    CHECK(a.features & LX_UFFD_MISSING_SHMEM);
    CHECK_EQ(a.ioctls & 3, 3);
    CHECK_ERR(read(fd, &msg, sizeof msg), EAGAIN);
    CHECK_ERR(read(fd, &msg, 31), EINVAL);
    CHECK(write(fd, &msg, sizeof msg) < 0);
    p.fd = fd;
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_ERR(reg(fd, m + 1, 1, MISSING), EINVAL);
    CHECK_ERR(reg(fd, m, 0, MISSING), EINVAL);
    CHECK_ERR(reg(fd, m, 1, 0), EINVAL);
    CHECK_ERR(reg(fd, m, 1, 0x80), EINVAL);
    CHECK_ERR(ioctl(fd, 0x1234, 0), EINVAL);
    slow = with_features(0, 0);
    p.fd = slow;
    CHECK_EQ(poll(&p, 1, 0), 1); /* one that blocks is not to be polled */
    CHECK_EQ(p.revents, POLLERR);
    close(slow);
    close(fd);
    munmap(m, PAGES * PAGE);
}

static void guest_code(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1), c;
    int fd = with_features(O_NONBLOCK, 0);
    struct lx_uffdio_fill z = { .range = { (uintptr_t)m + 3 * PAGE, PAGE } };
    struct server s;

    CHECK_EQ(reg(fd, m, 8, MISSING), 0);
    serve_start(&s, fd, m);
    CHECK_EQ(*(volatile char *)m, 'a');
    *(volatile char *)(m + PAGE) = 'x';
    CHECK_EQ(*(volatile char *)(m + PAGE), 'x');
    CHECK_EQ(*(volatile char *)(m + PAGE + 1), 'b');
    CHECK_EQ(s.n, 2);
    CHECK_EQ(s.flags[0], 0);
    CHECK_EQ(s.flags[1], LX_UFFD_FAULT_WRITE);
    CHECK_EQ(ioctl(fd, LX_UFFDIO_ZEROPAGE, &z), 0);
    CHECK_EQ(z.done, PAGE);
    CHECK_EQ(m[3 * PAGE], 0);
    CHECK_ERR(ioctl(fd, LX_UFFDIO_ZEROPAGE, &z), EEXIST);
    CHECK_ERR(copy(fd, m, 'z', 0), EEXIST);
    CHECK_ERR(copy(fd, m + 9 * PAGE, 'z', 0), ENOENT); /* not registered */
    m[9 * PAGE] = 1;
    CHECK_EQ(s.n, 2);
    /* given back, it is missing again */
    CHECK_EQ(madvise(m, PAGE, MADV_DONTNEED), 0);
    c = *(volatile char *)m;
    CHECK_EQ(c, 'a');
    CHECK_EQ(s.n, 3);
    serve_stop(&s);
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* What calls read and write, in each way; nothing is lost of what a call takes. */
static void calls(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1), big[3 * PAGE];
    int fd = with_features(O_NONBLOCK, 0), p[2], sv[2];
    struct iovec iov[2];
    struct msghdr h = { .msg_iov = iov, .msg_iovlen = 2 };
    struct server s;
    uint64_t v = 77;
    int ev;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
    CHECK_EQ(reg(fd, m, PAGES, MISSING), 0);
    serve_start(&s, fd, m);
    CHECK_EQ(write(p[1], m, 3), 3);
    CHECK_EQ(s.n, 1);
    CHECK_EQ(s.flags[0], 0);
    CHECK_EQ(read(p[0], m + 2 * PAGE - 1, 3), 3); /* over two missing pages */
    CHECK_EQ(memcmp(m + 2 * PAGE - 1, "aaa", 3), 0);
    CHECK_EQ(m[2 * PAGE + 2], 'c');
    CHECK_EQ(s.flags[1], LX_UFFD_FAULT_WRITE);
    memset(big, 'q', sizeof big);
    CHECK_EQ(send(sv[0], big, sizeof big, 0), sizeof big);
    iov[0] = (struct iovec){ m + 4 * PAGE, 2 * PAGE };
    iov[1] = (struct iovec){ m + 7 * PAGE, PAGE };
    CHECK_EQ(recvmsg(sv[1], &h, MSG_DONTWAIT), sizeof big); /* a datagram is there once */
    CHECK_EQ(memcmp(m + 4 * PAGE, big, 2 * PAGE) | memcmp(m + 7 * PAGE, big, PAGE), 0);
    CHECK_ERR(stat(m + 8 * PAGE, (struct stat *)(m + 9 * PAGE)), ENAMETOOLONG);
    CHECK_EQ(stat("/", (struct stat *)(m + 10 * PAGE)), 0);
    CHECK(S_ISDIR(((struct stat *)(m + 10 * PAGE))->st_mode));
    ev = (int)syscall(SYS_eventfd2, 0, O_NONBLOCK);
    CHECK_EQ(write(ev, &v, 8), 8);
    CHECK_EQ(read(ev, m + 12 * PAGE, 8), 8);
    CHECK_EQ(*(uint64_t *)(m + 12 * PAGE), 77);
    CHECK_EQ(ioctl(p[0], FIONREAD, m + 13 * PAGE), 0);
    CHECK_EQ(*(int *)(m + 13 * PAGE), 0);
    serve_stop(&s);
    close(fd);
    close(ev);
    munmap(m, PAGES * PAGE);
}

static void user_mode_only(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK | LX_UFFD_USER_MODE_ONLY, 0), p[2];
    struct server s;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(reg(fd, m, PAGES, MISSING), 0);
    serve_start(&s, fd, m);
    CHECK_ERR(write(p[1], m, 3), EFAULT);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_ERR(read(p[0], m + PAGE, 3), EFAULT);
    CHECK_EQ(*(volatile char *)m, 'a');
    CHECK_EQ(write(p[1], m, 3), 3);
    CHECK_EQ(s.n, 1);
    serve_stop(&s);
    close(fd);
    munmap(m, PAGES * PAGE);
}

static void write_protected(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, LX_UFFD_WP), p[2];
    struct server s;

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], "xyz", 3), 3);
    CHECK_EQ(reg(fd, m, 8, MISSING | WP), 0);
    CHECK_EQ(copy(fd, m, 'm', 2 /* UFFDIO_COPY_MODE_WP */), 0);
    CHECK_EQ(copy(fd, m + PAGE, 'n', 0), 0);
    CHECK_EQ(protect(fd, m + PAGE, 1), 0);
    serve_start(&s, fd, m);
    CHECK_EQ(m[0], 'm'); /* reading is no fault */
    *(volatile char *)m = 1;
    CHECK_EQ(s.wp, 1);
    CHECK_EQ(s.flags[0], LX_UFFD_FAULT_WP | LX_UFFD_FAULT_WRITE);
    CHECK_EQ(read(p[0], m + PAGE, 3), 3); /* a call's */
    CHECK_EQ(memcmp(m + PAGE, "xyzn", 4), 0);
    CHECK_EQ(s.wp, 2);
    CHECK_EQ(s.flags[1], LX_UFFD_FAULT_WP | LX_UFFD_FAULT_WRITE);
    *(volatile char *)(m + PAGE) = 2; /* it is not any more */
    CHECK_EQ(s.wp, 2);
    serve_stop(&s);
    close(fd);
    munmap(m, PAGES * PAGE);
}

static void *write_page(void *m)
{
    static int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], m, 1), 1);
    return m;
}

static void *touch(void *m)
{
    (void)*(volatile char *)m;
    return m;
}

static struct lx_uffd_msg next_msg(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct lx_uffd_msg m = { 0 };

    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(read(fd, &m, sizeof m), sizeof m);
    return m;
}

static void shared_memory(void)
{
    int mem = (int)syscall(SYS_memfd_create, "m", 0), fd = with_features(O_NONBLOCK, 0);
    struct lx_uffdio_fill go = { .range = { 0, PAGE } };
    struct lx_uffd_msg msg;
    char *m, *other;
    struct server s;
    pthread_t th;

    CHECK_EQ(ftruncate(mem, PAGES * PAGE), 0);
    m = memory(MAP_SHARED, mem);
    other = memory(MAP_SHARED, mem);
    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    other[PAGE] = 'o'; /* there for everybody */
    serve_start(&s, fd, m);
    CHECK_EQ(m[PAGE], 'o');
    CHECK_EQ(m[0], 'a');
    CHECK_EQ(other[1], 'a');
    write_page(m + 2 * PAGE);
    CHECK_EQ(s.n, 2);
    serve_stop(&s);
    close(fd);

    fd = with_features(O_NONBLOCK, LX_UFFD_MINOR_SHMEM);
    CHECK_EQ(reg(fd, m + 8 * PAGE, 4, LX_UFFD_MODE_MINOR), 0);
    for (int i = 0; i < 2; i++) { /* guest code, a call */
        char *at = m + (8 + i) * (long)PAGE;

        other[at - m] = 'p';
        CHECK_EQ(pthread_create(&th, NULL, i ? write_page : touch, at), 0);
        msg = next_msg(fd);
        CHECK_EQ(msg.fault.flags, LX_UFFD_FAULT_MINOR);
        CHECK_EQ(msg.fault.address, (uintptr_t)at);
        go.range.start = (uintptr_t)at;
        CHECK_EQ(ioctl(fd, LX_UFFDIO_CONTINUE, &go), 0);
        pthread_join(th, NULL);
        CHECK_EQ(*at, 'p');
    }
    close(fd);
    close(mem);
    munmap(m, PAGES * PAGE);
    munmap(other, PAGES * PAGE);
}

/* What ends a wait beside the page: WAKE has it looked at again, UNREGISTER and close give zeros. */
static void ends_of_a_wait(void)
{
    for (int i = 0; i < 4; i++) {
        void *(*fn)(void *) = i & 1 ? write_page : touch;
        char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        int fd = with_features(O_NONBLOCK, 0);
        struct lx_uffdio_range r = { (uintptr_t)m, PAGE };
        pthread_t th;

        CHECK_EQ(reg(fd, m, 1, MISSING), 0);
        CHECK_EQ(pthread_create(&th, NULL, fn, m), 0);
        CHECK_EQ(next_msg(fd).fault.address, (uintptr_t)m);
        CHECK_EQ(ioctl(fd, LX_UFFDIO_WAKE, &r), 0);
        CHECK_EQ(next_msg(fd).fault.address, (uintptr_t)m); /* missing still: told once more */
        CHECK_EQ(copy(fd, m, 'w', LX_UFFD_DONTWAKE), 0);
        CHECK_EQ(pthread_tryjoin_np(th, NULL), EBUSY);
        if (i < 2)
            CHECK_EQ(ioctl(fd, LX_UFFDIO_UNREGISTER, &r), 0);
        else
            close(fd);
        pthread_join(th, NULL);
        CHECK_EQ(m[0], 'w');
        if (i < 2)
            close(fd);
        munmap(m, PAGES * PAGE);
    }
}

static sigjmp_buf jump;
static siginfo_t seen;

static void on_sigbus(int sig, siginfo_t *info, void *uc)
{
    (void)uc;
    seen = *info;
    siglongjmp(jump, sig);
}

static void sigbus(void)
{
    struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, LX_UFFD_SIGBUS), p[2];
    struct lx_uffdio_fill bad = { .range = { (uintptr_t)m + PAGE, PAGE } };
    volatile int got;

    CHECK_EQ(pipe(p), 0);
    sigaction(SIGBUS, &sa, NULL);
    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    got = sigsetjmp(jump, 1);
    if (!got)
        touch(m);
    CHECK_EQ(got, SIGBUS);
    CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)m);
    CHECK_ERR(write(p[1], m, 1), EFAULT);
    close(fd);
    fd = with_features(O_NONBLOCK, 0);
    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    if (ioctl(fd, LX_UFFDIO_POISON, &bad) == 0) {
        got = sigsetjmp(jump, 1);
        if (!got)
            touch(m + PAGE);
        CHECK_EQ(got, SIGBUS);
        CHECK_EQ((uintptr_t)seen.si_addr, (uintptr_t)m + PAGE);
        CHECK_ERR(write(p[1], m + PAGE, 1), EFAULT);
    }
    signal(SIGBUS, SIG_DFL);
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* A child has the descriptor, and memory of its own that is not registered. It answers its parent. */
static void forked(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, 0), status;
    pid_t pid;

    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 2; i++) {
            struct lx_uffd_msg msg = next_msg(fd);

            CHECK_EQ(*(volatile char *)(uintptr_t)msg.fault.address, 0);
            CHECK_EQ(copy(fd, (char *)(uintptr_t)msg.fault.address, 'f', 0), 0);
        }
        _exit(guest_failures != 0);
    }
    CHECK_EQ(*(volatile char *)m, 'f');
    write_page(m + PAGE);
    CHECK_EQ(m[PAGE], 'f');
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* Nobody answers: who waits can be killed, and its process ends with faults that are pending. */
static void killed(void)
{
    for (int i = 0; i < 4; i++) {
        int ready[2], status;
        pid_t pid;
        char c;

        CHECK_EQ(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
            char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
            int fd = with_features(O_NONBLOCK, 0);
            pthread_t th;

            CHECK_EQ(reg(fd, m, 4, MISSING), 0);
            pthread_create(&th, NULL, i & 1 ? write_page : touch, m);
            next_msg(fd);
            CHECK_EQ(write(ready[1], "", 1), 1);
            if (i & 2)
                _exit(3);
            touch(m + PAGE);
        }
        CHECK_EQ(read(ready[0], &c, 1), 1);
        if (!(i & 2))
            CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, i & 2 ? 3 << 8 : SIGKILL);
        close(ready[0]);
        close(ready[1]);
    }
}

static volatile sig_atomic_t signals;

static void on_usr1(int sig)
{
    (void)sig;
    signals++;
}

/* A signal finds a thread that waits in guest code, which then goes on waiting. */
static void signalled(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, 0);
    pthread_t th;

    signal(SIGUSR1, on_usr1);
    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    CHECK_EQ(pthread_create(&th, NULL, touch, m), 0);
    next_msg(fd);
    pthread_kill(th, SIGUSR1);
    next_msg(fd); /* the fault, anew */
    CHECK_EQ(signals, 1);
    CHECK_EQ(copy(fd, m, 's', 0), 0);
    pthread_join(th, NULL);
    CHECK_EQ(m[0], 's');
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* Memory that goes, or is moved, is registered no more. */
static void unmapped(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1), *n;
    int fd = with_features(O_NONBLOCK, 0);

    CHECK_EQ(reg(fd, m, PAGES, MISSING), 0);
    CHECK_EQ(munmap(m, PAGE), 0);
    CHECK(mmap(m, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == m);
    write_page(m);
    touch(m);
    n = mremap(m + 8 * PAGE, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, m - 64 * PAGE);
    CHECK(n == m - 64 * PAGE);
    write_page(n);
    touch(n + PAGE);
    CHECK_ERR(copy(fd, n + 2 * PAGE, 'u', 0), ENOENT);
    close(fd);
    munmap(n, 4 * PAGE);
    munmap(m, PAGES * PAGE);
}

/* It is waited for with epoll, and read by who blocks. */
static void waited_for(void)
{
    char *m = memory(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    int fd = with_features(O_NONBLOCK, 0), ep = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN };
    struct lx_uffd_msg msg[2];
    pthread_t th[2];

    CHECK_EQ(reg(fd, m, 4, MISSING), 0);
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e), 0);
    CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
    CHECK_EQ(pthread_create(&th[0], NULL, touch, m), 0);
    CHECK_EQ(epoll_wait(ep, &e, 1, 5000), 1);
    CHECK_EQ(pthread_create(&th[1], NULL, write_page, m + PAGE), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
    for (size_t n = 0; n < sizeof msg;) /* one or both at once */
        n += (size_t)read(fd, (char *)msg + n, sizeof msg - n);
    CHECK_EQ(msg[0].fault.address + msg[1].fault.address, 2 * (uintptr_t)m + PAGE);
    CHECK_EQ(copy(fd, m, 'e', 0) | copy(fd, m + PAGE, 'e', 0), 0);
    pthread_join(th[0], NULL);
    pthread_join(th[1], NULL);
    close(ep);
    close(fd);
    munmap(m, PAGES * PAGE);
}

/* Of those who may not have calls told of. */
static void unprivileged(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (geteuid() == 0 && (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0))
            _exit(2);
        if (uffd(0) >= 0 || errno != EPERM || uffd(LX_UFFD_USER_MODE_ONLY) < 0)
            _exit(1);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void device(void)
{
    int dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd;
    struct lx_uffdio_api a = { .api = LX_UFFD_API };

    CHECK(dev >= 0 || errno == ENOENT || errno == EACCES);
    if (dev < 0)
        return;
    fd = ioctl(dev, LX_USERFAULTFD_IOC_NEW, O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(ioctl(fd, LX_UFFDIO_API, &a), 0);
    CHECK_ERR(ioctl(dev, LX_USERFAULTFD_IOC_NEW, 0x40000000), EINVAL);
    close(fd);
    close(dev);
}

int main(void)
{
    int fd = uffd(LX_UFFD_USER_MODE_ONLY);

    if (fd < 0 && (errno == EPERM || (errno == ENOSYS && !guest_inside())))
        SKIP("no userfaultfd: the platform ptrace has none, and hosts may forbid it");
    CHECK(fd >= 0);
    close(fd);
    RUN(unprivileged);
    RUN(user_mode_only);
    fd = uffd(0);
    if (fd < 0 && !guest_inside())
        SKIP("faults of calls are told to who has CAP_SYS_PTRACE only");
    close(fd);
    RUN(interface);
    RUN(guest_code);
    RUN(calls);
    RUN(write_protected);
    RUN(shared_memory);
    RUN(ends_of_a_wait);
    RUN(sigbus);
    RUN(forked);
    RUN(killed);
    RUN(signalled);
    RUN(unmapped);
    RUN(waited_for);
    RUN(device);
    DONE();
}

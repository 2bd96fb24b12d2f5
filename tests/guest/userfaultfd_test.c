/* SPDX-License-Identifier: Apache-2.0 */
/* userfaultfd: what is told, of guest code and of calls; and what an answer does. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "uffd.h"

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
    need_uffd();
    RUN(unprivileged);
    RUN(user_mode_only);
    RUN(interface);
    RUN(guest_code);
    RUN(calls);
    RUN(write_protected);
    RUN(shared_memory);
    RUN(sigbus);
    RUN(waited_for);
    RUN(device);
    DONE();
}

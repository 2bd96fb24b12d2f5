/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that a call from a hot site names and that is not, or only partly, there: what is read and
 * written, and what the call says, is as from any other site.
 */
#include "callsite.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest.h"

#define PAGE 4096

SITE_SYSCALL(call);

/* Three pages: to be read and written, the same, nothing. edge: where nothing begins. */
static char *edge, *readable, *gone;

static void prepare(void)
{
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    edge = p + 2 * PAGE;
    CHECK_EQ(mprotect(edge, PAGE, PROT_NONE), 0);
    readable = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gone = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 4 * PAGE);
    gone += PAGE;
    warm(call(SYS_getppid));
}

/* A file with n bytes that tell where they stand. */
static int filled(size_t n)
{
    int fd = memfd_create("data", 0);

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)(i * 31 + i / 256);

        CHECK_EQ(write(fd, &c, 1), 1);
    }
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int fits(const char *p, size_t from, size_t n)
{
    for (size_t i = from; i < from + n; i++) {
        if ((unsigned char)p[i - from] != (unsigned char)(i * 31 + i / 256))
            return 0;
    }
    return 1;
}

static void reads(void)
{
    static char big[20000];
    static const size_t lens[] = { 0, 1, 8191, 8192, 8193, 12288, 20000 };
    int fd = filled(9000);

    for (unsigned i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        size_t want = lens[i] < 9000 ? lens[i] : 9000;

        memset(big, 0x5a, sizeof big);
        CHECK_EQ(call(SYS_pread64, fd, big, lens[i], 0L), want);
        CHECK(fits(big, 0, want));
        CHECK(want == sizeof big || big[want] == 0x5a);
    }
    CHECK_EQ(call(SYS_pread64, fd, big, 100L, 8950L), 50);
    CHECK_EQ(call(SYS_pread64, fd, big, 100L, 9000L), 0);
    CHECK_EQ(call(SYS_pread64, fd, big, 0x7fffffffl, 0L), 9000);
    CHECK_EQ(call(SYS_pread64, fd, big, SSIZE_MAX, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, big, -1L, 0L), -EFAULT);
    /* what is not there */
    CHECK_EQ(call(SYS_pread64, fd, NULL, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, gone, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, readable, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, edge, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, 0x8000000000000000ul, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, -100L, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, fd, NULL, 0L, 0L), 0);
    /* nothing to read: nothing to write it to, either */
    CHECK_EQ(call(SYS_pread64, fd, gone, 10L, 9000L), 0);
    CHECK_EQ(call(SYS_read, -1, gone, 10L), -EBADF);
    /* half of it is there */
    memset(edge - 2 * PAGE, 0x5a, 2 * PAGE);
    CHECK_EQ(call(SYS_pread64, fd, edge - 100, 200L, 0L), 100);
    CHECK(fits(edge - 100, 0, 100));
    CHECK_EQ(call(SYS_pread64, fd, edge - 5000, 9000L, 0L), 5000);
    CHECK(fits(edge - 5000, 0, 5000));
    CHECK_EQ(call(SYS_pread64, fd, edge - 1, 8192L, 7L), 1);
    CHECK(fits(edge - 1, 7, 1));
    close(fd);
}

static void writes(void)
{
    static char big[20000], back[20000];
    static const size_t lens[] = { 0, 1, 8191, 8192, 8193, 12288, 20000 };
    int fd = memfd_create("data", 0), p[2];

    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 31 + i / 256);
    for (unsigned i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        CHECK_EQ(ftruncate(fd, 0), 0);
        CHECK_EQ(call(SYS_pwrite64, fd, big, lens[i], 0L), lens[i]);
        CHECK_EQ(pread(fd, back, sizeof back, 0), lens[i]);
        CHECK(fits(back, 0, lens[i]));
    }
    CHECK_EQ(call(SYS_pwrite64, fd, big, -1L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, fd, big, SSIZE_MAX, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, fd, NULL, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, fd, gone, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, fd, edge, 8192L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, fd, -100L, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_write, -1, gone, 10L), -EBADF);
    CHECK_EQ(call(SYS_pwrite64, fd, gone, 0L, 0L), 0);
    CHECK_EQ(call(SYS_pwrite64, fd, readable, 10L, 0L), 10);
    /* half of it is there */
    memcpy(edge - 5000, big, 5000);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(call(SYS_pwrite64, fd, edge - 5000, 8000L, 0L), 5000);
    CHECK_EQ(pread(fd, back, sizeof back, 0), 5000);
    CHECK(fits(back, 0, 5000));
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(call(SYS_write, p[1], edge - 100, 100L), 100);
    CHECK_EQ(call(SYS_read, p[0], back, 200L), 100);
    CHECK(fits(back, 4900, 100));
    CHECK_EQ(call(SYS_write, p[1], edge, 100L), -EFAULT);
    close(p[0]);
    close(p[1]);
    close(fd);
}

/* What a pipe or socket gave up to a place that is not there. */
static void streams(void)
{
    char buf[300];
    int sv[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    memset(buf, 'a', sizeof buf);
    CHECK_EQ(call(SYS_sendto, sv[0], buf, 300L, 0L, 0L), 300);
    CHECK_EQ(call(SYS_recvfrom, sv[1], gone, 100L, 0L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_recvfrom, sv[1], readable, 100L, 0L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_recvfrom, sv[1], edge - 100, 100L, (long)MSG_PEEK, 0L), 100);
    CHECK_EQ(call(SYS_recvfrom, sv[1], edge - 100, 100L, 0L, 0L), 100);
    CHECK_EQ(memcmp(edge - 100, buf, 100), 0);
    CHECK_EQ(call(SYS_recvfrom, sv[1], buf, sizeof buf, (long)MSG_DONTWAIT, 0L), 200);
    CHECK_EQ(call(SYS_sendto, sv[0], gone, 10L, 0L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_recvfrom, sv[1], buf, 1L, (long)MSG_DONTWAIT, 0L), -EAGAIN);
    close(sv[0]);
    close(sv[1]);
}

/* ---- strings ---- */

static void strings(void)
{
    char path[PATH_MAX + 100];
    struct stat st;

    /* that end where their memory does, or do not end */
    strcpy(edge - 2, "/");
    CHECK_EQ(call(SYS_stat, edge - 2, &st), 0);
    edge[-1] = 'x';
    CHECK_EQ(call(SYS_stat, edge - 2, &st), -EFAULT);
    CHECK_EQ(call(SYS_open, edge - 2, 0L), -EFAULT);
    memset(edge - 2 * PAGE, '/', 2 * PAGE);
    CHECK_EQ(call(SYS_stat, edge - 2 * PAGE, &st), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_stat, edge - PATH_MAX, &st), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_stat, edge - PATH_MAX + 1, &st), -EFAULT);
    edge[-1] = 0;
    CHECK_EQ(call(SYS_stat, edge - PATH_MAX, &st), 0);
    CHECK_EQ(call(SYS_stat, edge - PATH_MAX - 1, &st), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_stat, edge - PAGE - 1, &st), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_stat, edge - PAGE, &st), 0);
    CHECK_EQ(call(SYS_stat, NULL, &st), -EFAULT);
    CHECK_EQ(call(SYS_stat, gone, &st), -EFAULT);
    CHECK_EQ(call(SYS_stat, -4L, &st), -EFAULT);
    CHECK_EQ(call(SYS_stat, "", &st), -ENOENT);
    memset(path, 'y', sizeof path);
    path[0] = '/';
    path[255 + 1] = 0;
    CHECK_EQ(call(SYS_stat, path, &st), -ENOENT);
    path[255 + 1] = 'y';
    path[255 + 2] = 0;
    CHECK_EQ(call(SYS_stat, path, &st), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_openat, -100L, path, 0L), -ENAMETOOLONG);
    CHECK_EQ(call(SYS_access, gone, 0L), -EFAULT);
    CHECK_EQ(call(SYS_chdir, gone), -EFAULT);
    CHECK_EQ(call(SYS_unlink, edge), -EFAULT);
    CHECK_EQ(call(SYS_mkdir, NULL, 0700L), -EFAULT);
}

/* ---- structures ---- */

static void structures(void)
{
    static char before[256];
    struct stat st;
    struct pollfd pfd = { .fd = -1 };
    struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 5 };
    int p[2], ep = epoll_create1(0);

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(call(SYS_fstat, p[0], &st), 0);
    CHECK_EQ(call(SYS_fstat, p[0], NULL), -EFAULT);
    CHECK_EQ(call(SYS_fstat, p[0], readable), -EFAULT);
    CHECK_EQ(call(SYS_fstat, p[0], edge - 143), -EFAULT);
    CHECK_EQ(call(SYS_fstat, p[0], edge - 144), 0);
    CHECK_EQ(memcmp(edge - 144, &st, 144), 0);
    CHECK_EQ(call(SYS_fstat, -1, gone), -EBADF);
    CHECK_EQ(call(SYS_stat, "/", edge - 100), -EFAULT);
    CHECK_EQ(call(SYS_stat, "/nothing", gone), -ENOENT);
    /* poll: the same array in and out */
    *(struct pollfd *)(void *)(edge - 8) = (struct pollfd){ .fd = p[1], .events = POLLOUT };
    CHECK_EQ(call(SYS_poll, edge - 8, 1L, 0L), 1);
    CHECK_EQ(((struct pollfd *)(void *)(edge - 8))->revents, POLLOUT);
    CHECK_EQ(call(SYS_poll, edge - 8, 2L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_poll, gone, 1L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_poll, readable, 1L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_poll, gone, 0L, 0L), 0);
    CHECK_EQ(call(SYS_poll, &pfd, 1L, 0L), 0);
    CHECK_EQ(call(SYS_poll, &pfd, 1L << 40 | 1, 0L), 0); /* an int */
    /* epoll */
    CHECK_EQ(call(SYS_epoll_ctl, ep, 1L, (long)p[0], edge - 8), -EFAULT);
    CHECK_EQ(call(SYS_epoll_ctl, ep, 1L, (long)p[0], &ev), 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    CHECK_EQ(call(SYS_epoll_wait, ep, edge - 11, 1L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_epoll_wait, ep, edge - 12, 1L, 0L), 1);
    CHECK_EQ(memcmp(edge - 12, &ev, 12), 0);
    CHECK_EQ(call(SYS_epoll_wait, ep, edge - 12, 5L, 0L), 1);
    CHECK_EQ(call(SYS_epoll_wait, ep, edge - 12, 0L, 0L), -EINVAL);
    CHECK_EQ(call(SYS_epoll_wait, ep, edge - 12, -1L, 0L), -EINVAL);
    /* the rest */
    CHECK_EQ(call(SYS_getcwd, gone, 100L), -EFAULT);
    CHECK_EQ(call(SYS_getcwd, before, 1L), -ERANGE);
    CHECK(call(SYS_getcwd, before, 256L) > 1);
    CHECK_EQ(call(SYS_getrandom, gone, 8L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_getrandom, edge - 8, 8L, 0L), 8);
    CHECK_EQ(call(SYS_getrandom, edge - 8, 16L, 0L), 8);
    CHECK_EQ(call(SYS_readlink, "/proc/self/exe", gone, 100L), -EFAULT);
    CHECK_EQ(call(SYS_readlink, "/proc/self/exe", edge - 1, 1L), 1);
    CHECK_EQ(edge[-1], '/');
    CHECK_EQ(call(SYS_rt_sigprocmask, 0L, gone, NULL, 8L), -EFAULT);
    CHECK_EQ(call(SYS_rt_sigprocmask, 0L, NULL, gone, 8L), -EFAULT);
    CHECK_EQ(call(SYS_rt_sigprocmask, 0L, NULL, edge - 8, 8L), 0);
    CHECK_EQ(call(SYS_rt_sigprocmask, 0L, edge - 8, edge - 8, 8L), 0);
    CHECK_EQ(call(SYS_clock_gettime, 1L, edge - 15), -EFAULT);
    CHECK_EQ(call(SYS_clock_gettime, 1L, edge - 16), 0);
    CHECK_EQ(call(SYS_gettimeofday, edge - 16, NULL), 0);
    CHECK_EQ(call(SYS_gettimeofday, NULL, NULL), 0);
    CHECK_EQ(call(SYS_getdents64, p[0], gone, 1000L), -ENOTDIR);
    close(ep);
    close(p[0]);
    close(p[1]);
}

/* A file's page behind its end can be named, but not touched. */
static void behind_a_file(void)
{
    int fd = memfd_create("short", 0), src = filled(100);
    char *p;

    CHECK_EQ(ftruncate(fd, PAGE), 0);
    p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(call(SYS_pread64, src, p + PAGE, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pwrite64, src, p + PAGE, 10L, 0L), -EFAULT);
    CHECK_EQ(call(SYS_pread64, src, p + PAGE - 10, 20L, 0L), 10);
    CHECK_EQ(call(SYS_stat, p + PAGE, NULL), -EFAULT);
    munmap(p, 2 * PAGE);
    close(fd);
    close(src);
}

/* Another thread takes the memory away and puts it back. */
static volatile int stop;

static void *flipper(void *p)
{
    while (!stop) {
        munmap(p, 2 * PAGE);
        (void)mmap(p, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                   0);
    }
    return NULL;
}

static void taken_away(void)
{
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = filled(9000), bad = 0;
    pthread_t th;

    CHECK_EQ(pthread_create(&th, NULL, flipper, p), 0);
    for (int i = 0; i < 3000; i++) {
        long r = call(SYS_pread64, fd, p + i % 64, 8000L, 0L);

        bad += r != -EFAULT && (r < 0 || r > 8000);
        r = call(SYS_pwrite64, fd, p, 8000L, 9000L);
        bad += r != -EFAULT && (r < 0 || r > 8000);
        r = call(SYS_stat, p, p + 100);
        bad += r != -EFAULT && r != -ENOENT && r != 0;
    }
    stop = 1;
    pthread_join(th, NULL);
    CHECK_EQ(bad, 0);
    munmap(p, 2 * PAGE);
    close(fd);
}

int main(void)
{
    RUN(prepare);
    for (int i = 0; i < 20 && !guest_failures; i++) {
        RUN(reads);
        RUN(writes);
        RUN(streams);
        RUN(strings);
        RUN(structures);
        RUN(behind_a_file);
    }
    RUN(taken_away);
    DONE();
}

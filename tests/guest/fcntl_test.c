/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: dup, close, close_range, fcntl, the ioctls that every file has. */
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef F_OWNER_PID
#define F_OWNER_PID 1
#endif

static int temp(void)
{
    char name[] = "/tmp/fc-XXXXXX";
    int fd = mkstemp(name);

    unlink(name);
    return fd;
}

static void dups(void)
{
    int fd = temp(), d;

    CHECK_EQ(d = dup(fd), fd + 1);
    CHECK_EQ(dup2(fd, 100), 100);
    CHECK_EQ(dup2(fd, fd), fd);
    CHECK_ERR(dup2(99, 99), EBADF);
    CHECK_ERR(dup2(99, 5), EBADF);
    CHECK_ERR(dup2(fd, -1), EBADF);
    CHECK_ERR(dup2(fd, 1 << 30), EBADF);
    CHECK_ERR(dup3(fd, fd, 0), EINVAL);
    CHECK_ERR(dup3(fd, 101, 1), EINVAL);
    CHECK_EQ(dup3(fd, 101, O_CLOEXEC), 101);
    CHECK_EQ(fcntl(101, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(100, F_GETFD), 0);
    CHECK_EQ(fcntl(100, F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_DUPFD, 100), 102);
    CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 100), 103);
    CHECK_EQ(fcntl(103, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_ERR(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
    CHECK_EQ(close(d), 0);
    CHECK_ERR(close(d), EBADF);
    CHECK_EQ(dup(fd), d); /* the lowest again */
    close(d);
    CHECK_EQ(syscall(SYS_close_range, 100, 101, 0), 0);
    CHECK_ERR(fcntl(100, F_GETFD), EBADF);
    CHECK_EQ(fcntl(102, F_GETFD), 0);
    CHECK_EQ(syscall(SYS_close_range, 100, ~0U, CLOSE_RANGE_CLOEXEC), 0);
    CHECK_EQ(fcntl(102, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(syscall(SYS_close_range, 100, ~0U, CLOSE_RANGE_UNSHARE), 0);
    CHECK_ERR(fcntl(102, F_GETFD), EBADF);
    CHECK_ERR(syscall(SYS_close_range, 5, 4, 0), EINVAL);
    CHECK_ERR(syscall(SYS_close_range, 5, 6, 64), EINVAL);
    close(fd);
}

static void flags(void)
{
    int fd = temp(), p[2];

    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | 0100000);
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT), 0);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | O_NONBLOCK | 0100000);
    CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | 0100000);
    close(fd);
    CHECK_EQ(pipe2(p, O_NONBLOCK), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    CHECK_EQ(fcntl(p[1], F_GETPIPE_SZ), 65536);
    CHECK_EQ(fcntl(p[1], F_SETPIPE_SZ, 5000), 8192);
    CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 8192);
    close(p[0]);
    close(p[1]);
    fd = open("/tmp", O_PATH);
    CHECK_EQ(fcntl(fd, F_GETFL), O_PATH);
    CHECK_ERR(fcntl(fd, F_SETFL, 0), EBADF);
    CHECK_ERR(fcntl(fd, F_GETLK, NULL), EBADF);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    close(fd);
    CHECK_ERR(fcntl(fd, F_GETFL), EBADF);
    CHECK_ERR(fcntl(0, 9999), EINVAL);
}

static void owners(void)
{
    struct f_owner_ex {
        int type, pid;
    } ex = { F_OWNER_PID, 0 };
    int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(fcntl(p[0], F_GETOWN), 0);
    CHECK_EQ(fcntl(p[0], F_SETOWN, getpid()), 0);
    CHECK_EQ(fcntl(p[0], F_GETOWN), getpid());
    CHECK_EQ(syscall(SYS_fcntl, p[0], 16 /* F_GETOWN_EX */, &ex), 0);
    CHECK_EQ(ex.type, F_OWNER_PID);
    CHECK_EQ(ex.pid, getpid());
    CHECK_ERR(fcntl(p[0], F_SETOWN, 999999), ESRCH);
    CHECK_EQ(fcntl(p[0], 11 /* F_GETSIG */), 0);
    CHECK_EQ(fcntl(p[0], 10 /* F_SETSIG */, SIGUSR1), 0);
    CHECK_EQ(fcntl(p[0], 11), SIGUSR1);
    CHECK_ERR(fcntl(p[0], 10, 65), EINVAL);
    close(p[0]);
    close(p[1]);
}

static void ioctls(void)
{
    int fd = temp(), p[2], on = 1, n = -1;

    CHECK_EQ(write(fd, "12345", 5), 5);
    lseek(fd, 2, SEEK_SET);
    CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
    CHECK_EQ(n, 3);
    CHECK_EQ(ioctl(fd, FIOCLEX), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(fd, FIONCLEX), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_ERR(ioctl(fd, TCGETS, &n), ENOTTY);
    CHECK_ERR(ioctl(fd, 0x12345678, &n), ENOTTY);
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    CHECK_ERR(read(p[0], &n, 1), EAGAIN);
    on = 0;
    CHECK_EQ(ioctl(p[0], FIONBIO, &on), 0);
    CHECK_EQ(fcntl(p[0], F_GETFL), O_RDONLY);
    CHECK_ERR(ioctl(p[0], FIONBIO, NULL), EFAULT);
    CHECK_EQ(write(p[1], "abc", 3), 3);
    CHECK_EQ(ioctl(p[0], FIONREAD, &n), 0);
    CHECK_EQ(n, 3);
    CHECK_ERR(ioctl(-1, FIONREAD, &n), EBADF);
    close(p[0]);
    close(p[1]);
    close(fd);
}

static void many(void)
{
    struct rlimit old, lim;
    int fd = temp(), n = 0, last = -1;

    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    lim = old;
    lim.rlim_cur = 200;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
    for (int d; (d = dup(fd)) >= 0; n++)
        last = d;
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(last, 199);
    CHECK_ERR(dup2(fd, 200), EBADF);
    CHECK_ERR(fcntl(fd, F_DUPFD, 200), EINVAL);
    close(70);
    CHECK_EQ(dup(fd), 70);
    CHECK_EQ(syscall(SYS_close_range, fd, ~0U, 0), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(void)
{
    RUN(dups);
    RUN(flags);
    RUN(owners);
    RUN(ioctls);
    RUN(many);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

static sigset_t set_of(int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

static void reads(void)
{
    sigset_t s = set_of(SIGUSR1, SIGRTMIN + 1), old;
    struct signalfd_siginfo si[4];
    sigprocmask(SIG_BLOCK, &s, &old);
    int fd = signalfd(-1, &s, SFD_NONBLOCK | SFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_ERR(read(fd, si, sizeof si), EAGAIN);
    CHECK_ERR(read(fd, si, 100), EINVAL);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 0), 0);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1); /* an ordinary signal is pending once */
    CHECK_EQ(poll(&p, 1, 0), 1);
    union sigval v = { .sival_int = 42 };
    CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 1, v), 0);
    v.sival_int = 43;
    CHECK_EQ(sigqueue(getpid(), SIGRTMIN + 1, v), 0);
    CHECK_EQ(read(fd, si, sizeof si), 3 * sizeof si[0]);
    CHECK_EQ(si[0].ssi_signo, SIGUSR1);
    CHECK_EQ(si[0].ssi_code, SI_USER);
    CHECK_EQ(si[0].ssi_pid, getpid());
    CHECK_EQ(si[0].ssi_uid, getuid());
    CHECK_EQ(si[1].ssi_signo, SIGRTMIN + 1);
    CHECK_EQ(si[1].ssi_code, SI_QUEUE);
    CHECK_EQ(si[1].ssi_int, 42);
    CHECK_EQ(si[2].ssi_int, 43);
    /* another mask on the same descriptor */
    sigset_t other = set_of(SIGUSR2, 0);
    sigprocmask(SIG_BLOCK, &other, NULL);
    kill(getpid(), SIGUSR2);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(signalfd(fd, &other, 0), fd);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(read(fd, si, sizeof si), sizeof si[0]);
    CHECK_EQ(si[0].ssi_signo, SIGUSR2);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void child_through_epoll(void)
{
    sigset_t s = set_of(SIGCHLD, 0), old;
    sigprocmask(SIG_BLOCK, &s, &old);
    int fd = signalfd(-1, &s, 0), ep = epoll_create1(0), st;
    struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 7 }, got;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(5);
    CHECK_EQ(epoll_wait(ep, &got, 1, 2000), 1);
    CHECK_EQ(got.data.u32, 7);
    struct signalfd_siginfo si;
    CHECK_EQ(read(fd, &si, sizeof si), sizeof si);
    CHECK_EQ(si.ssi_signo, SIGCHLD);
    CHECK_EQ(si.ssi_pid, pid);
    CHECK_EQ(si.ssi_status, 5);
    CHECK_EQ(si.ssi_code, CLD_EXITED);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    close(fd);
    close(ep);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void blocking(void)
{
    sigset_t s = set_of(SIGUSR1, 0), old;
    sigprocmask(SIG_BLOCK, &s, &old);
    int fd = signalfd(-1, &s, 0), st;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        _exit(kill(parent, SIGUSR1) != 0);
    struct signalfd_siginfo si;
    CHECK_EQ(read(fd, &si, sizeof si), sizeof si);
    CHECK_EQ(si.ssi_pid, pid);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void refused(void)
{
    sigset_t s = set_of(SIGUSR1, 0);
    CHECK_ERR(signalfd(0, &s, 0), EINVAL);
    CHECK_ERR(signalfd(-2, &s, 0), EBADF);
    CHECK_ERR(signalfd(-1, &s, 1), EINVAL);
    CHECK_ERR(syscall(SYS_signalfd4, -1, &s, 4, 0), EINVAL);
}

int main(void)
{
    RUN(reads);
    RUN(child_through_epoll);
    RUN(blocking);
    RUN(refused);
    DONE();
}

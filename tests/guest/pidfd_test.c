/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int open_pid(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static pid_t child_waiting(int *ret_go)
{
    int p[2];
    char c;
    if (pipe(p))
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(p[1]);
        _exit(read(p[0], &c, 1) == 1 ? 3 : 4);
    }
    close(p[0]);
    *ret_go = p[1];
    return pid;
}

static void exit_is_readable(void)
{
    int go;
    pid_t pid = child_waiting(&go);
    int fd = open_pid(pid, 0), ep = epoll_create1(0);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct epoll_event ev = { .events = EPOLLIN }, got;
    CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(epoll_wait(ep, &got, 1, 0), 0);
    CHECK_EQ(write(go, "x", 1), 1);
    CHECK_EQ(epoll_wait(ep, &got, 1, 2000), 1);
    CHECK_EQ(poll(&p, 1, 2000), 1);
    CHECK(p.revents & POLLIN);
    siginfo_t si = { 0 };
    CHECK_EQ(waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED), 0);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_status, 3);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    CHECK_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED), ECHILD);
    CHECK_ERR(open_pid(pid, 0), ESRCH);
    close(fd);
    close(ep);
    close(go);
}

static void signals(void)
{
    int go, st;
    pid_t pid = child_waiting(&go);
    int fd = open_pid(pid, O_NONBLOCK);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
    siginfo_t si = { .si_signo = SIGTERM, .si_code = SI_QUEUE };
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &si, 0), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0x80), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0), EBADF);
    si.si_code = SI_USER;
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, SIGTERM, &si, 0), EPERM);
    CHECK_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED), EAGAIN);
    char name[32];
    snprintf(name, sizeof name, "/proc/%d", pid);
    int dir = open(name, O_RDONLY | O_DIRECTORY); /* as good as a pidfd here */
    CHECK_EQ(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0), 0);
    close(dir);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
    close(fd);
    close(go);
}

static void takes_descriptor(void)
{
    int p[2], q[2];
    char buf[8];
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(pipe(q), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 50);
        if (write(q[1], "r", 1) != 1)
            _exit(1);
        pause();
    }
    close(p[1]);
    CHECK_EQ(read(q[0], buf, 1), 1);
    int fd = open_pid(pid, 0);
    int got = (int)syscall(SYS_pidfd_getfd, fd, 50, 0);
    CHECK(got >= 0);
    CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(got, "hi", 2), 2);
    CHECK_EQ(read(p[0], buf, sizeof buf), 2);
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, 51, 0), EBADF);
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, 50, 1), EINVAL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_ERR(syscall(SYS_pidfd_getfd, fd, 50, 0), ESRCH);
    close(fd);
    close(got);
    close(p[0]);
    close(q[0]);
    close(q[1]);
}

static void *thread_id(void *arg)
{
    *(pid_t *)arg = (pid_t)syscall(SYS_gettid);
    pause();
    return NULL;
}

static void refused(void)
{
    pthread_t th;
    volatile pid_t tid = 0;
    CHECK_ERR(open_pid(0, 0), EINVAL);
    CHECK_ERR(open_pid(-1, 0), EINVAL);
    CHECK_ERR(open_pid(1 << 22, 0), ESRCH);
    CHECK_ERR(open_pid(getpid(), 1), EINVAL);
    pthread_create(&th, NULL, thread_id, (void *)&tid);
    while (!tid)
        sched_yield();
    int r = open_pid(tid, 0);
    CHECK_EQ(r, -1);
    CHECK(errno == EINVAL || errno == ENOENT); /* the second since 6.15 */
    int fd = open_pid(getpid(), 0);
    char c;
    CHECK_ERR(read(fd, &c, 1), EINVAL);
    close(fd);
}

static void from_clone(void)
{
    int fd = -1, st;
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &fd, 0, 0);
    if (pid == 0)
        _exit(9);
    CHECK(pid > 0);
    CHECK(fd >= 0);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 2000), 1);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(WEXITSTATUS(st), 9);
    close(fd);
}

int main(void)
{
    RUN(exit_is_readable);
    RUN(signals);
    RUN(takes_descriptor);
    RUN(from_clone);
    RUN(refused);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "guest.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define THREAD 0200 /* PIDFD_THREAD */

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

static volatile int got_in_thread;
static volatile pid_t thread_tid;

static void note(int sig)
{
    (void)sig;
    got_in_thread += syscall(SYS_gettid) == thread_tid;
}

static void *until_told(void *arg)
{
    thread_tid = (pid_t)syscall(SYS_gettid);
    while (!*(volatile int *)arg)
        usleep(1000);
    return NULL;
}

/* Of one thread (6.9), and what a signal is sent to. */
static void of_threads(void)
{
    volatile int over = 0;
    pthread_t th;

    signal(SIGUSR1, note);
    pthread_create(&th, NULL, until_told, (void *)&over);
    while (!thread_tid)
        sched_yield();
    int fd = open_pid(thread_tid, THREAD);
    if (fd < 0 && errno == EINVAL) {
        printf("not there: PIDFD_THREAD (6.9)\n");
        over = 1;
        pthread_join(th, NULL);
        return;
    }
    struct pollfd p = { .fd = fd, .events = POLLIN };
    CHECK_EQ(poll(&p, 1, 0), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0), 0); /* to the thread */
    for (int i = 0; i < 2000 && !got_in_thread; i++)
        usleep(1000);
    CHECK_EQ(got_in_thread, 1);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 3), EINVAL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 8), EINVAL);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 1), 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 2), 0);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 4), ESRCH); /* it leads no group */
    siginfo_t si;
    CHECK_ERR(waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED), ECHILD);
    int self = open_pid(getpid(), 0);
    setpgid(0, 0);
    CHECK_EQ(syscall(SYS_pidfd_send_signal, self, 0, NULL, 4), 0);
    CHECK_ERR(ioctl(self, 0x1234, 0), ENOTTY);
    over = 1;
    CHECK_EQ(poll(&p, 1, 2000), 1);
    CHECK(p.revents & POLLIN);
    pthread_join(th, NULL);
    CHECK_ERR(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    close(fd);
    close(self);
}

/* clone3 with a number that was chosen. */
static void chosen_number(void)
{
    pid_t want = 31234, pid;
    int st;
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } a = { .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&want, .set_tid_size = 1 };

    do /* natively somebody may have the number */
        pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    while (pid < 0 && errno == EEXIST && ++want < 31334);
    if (pid == 0)
        _exit(getpid() == want ? 7 : 8);
    if (pid < 0 && errno == EPERM && geteuid() != 0)
        return;
    CHECK_EQ(pid, want);
    a.exit_signal = SIGCHLD;
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof a), EEXIST); /* it has not been waited for */
    waitpid(pid, &st, 0);
    CHECK_EQ(WEXITSTATUS(st), 7);
    want = 0;
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof a), EINVAL);
    a.set_tid_size = 0;
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof a), EINVAL);
    a.set_tid = 0;
    a.flags = 0x200000000ull; /* CLONE_INTO_CGROUP */
    a.cgroup = 0;
    CHECK_ERR(syscall(SYS_clone3, &a, sizeof a), EBADF);
}

int main(void)
{
    RUN(exit_is_readable);
    RUN(signals);
    RUN(takes_descriptor);
    RUN(from_clone);
    RUN(refused);
    RUN(of_threads);
    RUN(chosen_number);
    DONE();
}

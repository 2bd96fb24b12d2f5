/* SPDX-License-Identifier: Apache-2.0 */
/* wait4 and waitid: statuses, who is waited for, errors, automatic reaping, usage, reparenting. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static pid_t child_exit(int code)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(code);
    return pid;
}

static pid_t child_pause(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    return pid;
}

static void statuses(void)
{
    int st = -1;
    pid_t pid = child_exit(258);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 2 << 8);
    pid = child_pause();
    CHECK_EQ(waitpid(pid, &st, WNOHANG), 0);
    CHECK_EQ(kill(pid, SIGTERM), 0);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, SIGTERM);
    CHECK_ERR(waitpid(pid, &st, 0), ECHILD);
    CHECK_ERR(waitpid(-1, &st, WNOHANG), ECHILD);
    pid = child_pause();
    kill(pid, SIGKILL);
    CHECK_EQ(wait(&st), pid);
    CHECK_EQ(st, SIGKILL);
}

static void infos(void)
{
    siginfo_t si;
    pid_t pid = child_exit(9);
    memset(&si, 0x55, sizeof si);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
    CHECK_EQ(si.si_signo, SIGCHLD);
    CHECK_EQ(si.si_errno, 0);
    CHECK_EQ(si.si_code, CLD_EXITED);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_uid, getuid());
    CHECK_EQ(si.si_status, 9);
    CHECK_EQ(waitid(P_ALL, 0, &si, WEXITED | WNOHANG), 0);
    CHECK_EQ(si.si_pid, pid);
    pid = child_pause();
    memset(&si, 0x55, sizeof si);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG), 0);
    CHECK_EQ(si.si_pid, 0);
    CHECK_EQ(si.si_signo, 0);
    kill(pid, SIGSTOP);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0);
    CHECK_EQ(si.si_code, CLD_STOPPED);
    CHECK_EQ(si.si_status, SIGSTOP);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOHANG), 0);
    CHECK_EQ(si.si_pid, 0); /* told once */
    kill(pid, SIGCONT);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WCONTINUED), 0);
    CHECK_EQ(si.si_code, CLD_CONTINUED);
    CHECK_EQ(si.si_status, SIGCONT);
    kill(pid, SIGKILL);
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED), 0);
    CHECK_EQ(si.si_code, CLD_KILLED);
    CHECK_EQ(si.si_status, SIGKILL);
}

static void errors(void)
{
    siginfo_t si;
    int st;
    CHECK_ERR(waitid(P_PID, 1, &si, 0), EINVAL);
    CHECK_ERR(waitid(P_PID, 1, &si, 0x100 | WEXITED), EINVAL);
    CHECK_ERR(waitid(P_PID, 0, &si, WEXITED), EINVAL);
    CHECK_ERR(waitid(77, 1, &si, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
    CHECK_ERR(waitid(3 /* P_PIDFD */, 999, &si, WEXITED), EBADF);
    CHECK_ERR(waitid(3, 0x7fffffff, &si, WEXITED), EBADF);
    CHECK_ERR(syscall(SYS_wait4, -1, &st, 0x10000000, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_wait4, (int)0x80000000, &st, 0, NULL), ESRCH);
    pid_t pid = child_exit(0);
    CHECK_EQ(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    CHECK_ERR(syscall(SYS_wait4, pid, 8, 0, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_wait4, pid, NULL, 0, NULL), ECHILD); /* it is gone all the same */
}

static void groups(void)
{
    int st;
    pid_t a = child_pause(), b = child_exit(4);
    CHECK_EQ(setpgid(a, a), 0);
    CHECK_EQ(waitpid(-a, &st, WNOHANG), 0);
    CHECK_EQ(waitpid(0, &st, 0), b);
    CHECK_ERR(waitpid(0, &st, 0), ECHILD);
    CHECK_EQ(kill(-a, SIGINT), 0);
    CHECK_EQ(waitpid(-a, &st, 0), a);
    CHECK_EQ(st, SIGINT);
}

static void by_pidfd(void)
{
    siginfo_t si;
    pid_t pid = child_exit(6);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    CHECK(fd >= 0);
    CHECK_EQ(waitid(3, (id_t)fd, &si, WEXITED), 0);
    CHECK_EQ(si.si_pid, pid);
    CHECK_EQ(si.si_status, 6);
    CHECK_ERR(waitid(3, (id_t)fd, &si, WEXITED), ECHILD);
    close(fd);
}

static void automatic(void)
{
    signal(SIGCHLD, SIG_IGN);
    child_exit(0);
    child_exit(0);
    CHECK_ERR(wait(NULL), ECHILD); /* waits for all, then has none */
    struct sigaction sa = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
    CHECK_EQ(sigaction(SIGCHLD, &sa, NULL), 0);
    child_exit(0);
    CHECK_ERR(wait(NULL), ECHILD);
    signal(SIGCHLD, SIG_DFL);
}

static volatile siginfo_t got;
static volatile int ngot;

static void on_chld(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    got = *si;
    ngot++;
}

static void sigchld(void)
{
    struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigaction(SIGCHLD, &sa, NULL);
    pid_t pid = child_exit(12);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(ngot, 1);
    CHECK_EQ(got.si_signo, SIGCHLD);
    CHECK_EQ(got.si_code, CLD_EXITED);
    CHECK_EQ(got.si_pid, pid);
    CHECK_EQ(got.si_status, 12);
    pid = child_pause();
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(got.si_code, CLD_KILLED);
    CHECK_EQ(got.si_status, SIGKILL);
    signal(SIGCHLD, SIG_DFL);
}

static void *exit_thread(void *arg)
{
    syscall(SYS_exit, (long)arg);
    return NULL;
}

static void *slow_thread(void *arg)
{
    struct timespec ts = { 0, 10000000 };
    nanosleep(&ts, NULL);
    syscall(SYS_exit, (long)arg);
    return NULL;
}

static void threads(void)
{
    int st;
    pid_t pid = fork();
    pthread_t th;
    if (pid == 0) { /* a thread's exit ends nobody else */
        pthread_create(&th, NULL, exit_thread, (void *)3);
        pthread_join(th, NULL);
        _exit(5);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 5 << 8);
    pid = fork();
    if (pid == 0) { /* the leader leaves first: the process goes on, and is not waited for yet */
        pthread_create(&th, NULL, slow_thread, (void *)8);
        syscall(SYS_exit, 2);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 8 << 8);
    pid = fork();
    if (pid == 0) { /* exit_group ends threads that wait */
        pthread_create(&th, NULL, slow_thread, NULL);
        _exit(7);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 7 << 8);
}

static void usage(void)
{
    struct rusage ru, before, after;
    getrusage(RUSAGE_CHILDREN, &before);
    pid_t pid = fork();
    if (pid == 0) {
        struct timespec a, b;
        do {
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        } while (a.tv_nsec < 20000000 && a.tv_sec == 0);
        (void)b;
        _exit(0);
    }
    int st;
    CHECK_EQ(wait4(pid, &st, 0, &ru), pid);
    long us = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000 + ru.ru_utime.tv_usec +
              ru.ru_stime.tv_usec;
    CHECK(us >= 15000 && us < 2000000);
    getrusage(RUSAGE_CHILDREN, &after);
    CHECK(after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec + after.ru_stime.tv_usec >=
          before.ru_utime.tv_usec + before.ru_stime.tv_usec + 15000);
}

/* The largest child's memory, in KiB; its time in the kernel is told apart. */
static void usage_of_children(void)
{
    struct rusage ru, all;
    struct timespec a;
    struct tms tms;
    pid_t pid = fork();
    int st;

    if (pid == 0) {
        char *p = malloc(40 << 20);

        memset(p, 1, 40 << 20);
        do {
            for (int i = 0; i < 100; i++)
                (void)!read(-1, p, 1); /* a call that is not answered without being made */
            for (volatile int i = 0; i < 20000; i++) /* both are counted by ticks */
                ;
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        } while (a.tv_nsec < 200000000 && a.tv_sec == 0);
        _exit(*p != 1);
    }
    CHECK_EQ(wait4(pid, &st, 0, &ru), pid);
    CHECK(ru.ru_maxrss > 38 << 10 && ru.ru_maxrss < 200 << 10);
    CHECK_EQ(getrusage(RUSAGE_CHILDREN, &all), 0);
    CHECK(all.ru_maxrss >= ru.ru_maxrss);
    CHECK(ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec >= 10000);
    /* What of it is the user's is told by ticks, which may all have come in calls. */
    CHECK((ru.ru_stime.tv_sec + ru.ru_utime.tv_sec) * 1000000 + ru.ru_stime.tv_usec +
              ru.ru_utime.tv_usec >=
          100000);
    CHECK(times(&tms) > 0);
    CHECK(tms.tms_cstime > 0);
}

static void subreaper(void)
{
    int p[2], st;
    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t reaper = getpid(), pid = fork();
    if (pid == 0) {
        pid_t orphan = fork();
        if (orphan == 0) {
            while (getppid() != reaper)
                sched_yield();
            pid_t now = getppid();
            if (write(p[1], &now, sizeof now) != sizeof now)
                _exit(1);
            _exit(44);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    pid_t now = 0;
    CHECK_EQ(read(p[0], &now, sizeof now), sizeof now);
    CHECK_EQ(now, getpid());
    CHECK(wait(&st) > 0);
    CHECK_EQ(st, 44 << 8);
    CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    close(p[0]);
    close(p[1]);
}

/* A clone without SIGCHLD is only seen by __WCLONE or __WALL. */
static void clone_children(void)
{
    int st;
    pid_t pid = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (pid == 0)
        _exit(1);
    CHECK_ERR(waitpid(pid, &st, WNOHANG), ECHILD);
    CHECK_EQ(waitpid(pid, &st, (int)__WCLONE), pid);
    pid = (pid_t)syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (pid == 0)
        _exit(1);
    CHECK_EQ(pid > 0, 1);
    CHECK_ERR(waitpid(pid, &st, WNOHANG), ECHILD);
    CHECK_EQ(waitpid(pid, &st, __WALL), pid);
    CHECK_EQ(st, 1 << 8);
}

static void pdeath(void)
{
    int p[2];
    char c;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int ready[2];
        if (pipe(ready))
            _exit(1);
        if (fork() == 0) {
            close(p[0]);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (write(ready[1], "x", 1) != 1)
                _exit(1);
            for (;;)
                pause();
        }
        _exit(read(ready[0], &c, 1) == 1 ? 0 : 1);
    }
    close(p[1]);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(read(p[0], &c, 1), 0); /* the grandchild is gone */
    close(p[0]);
}

int main(void)
{
    signal(SIGUSR2, SIG_IGN);
    RUN(statuses);
    RUN(infos);
    RUN(errors);
    RUN(groups);
    RUN(by_pidfd);
    RUN(automatic);
    RUN(sigchld);
    RUN(threads);
    RUN(usage);
    RUN(usage_of_children);
    RUN(subreaper);
    RUN(clone_children);
    RUN(pdeath);
    DONE();
}

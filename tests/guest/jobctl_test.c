/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups and sessions, stop and continue, orphaned groups. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static pid_t child_pause(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

static void groups(void)
{
    pid_t a = child_pause(), b = child_pause();
    CHECK_EQ(getpgid(a), getpgrp());
    CHECK_EQ(setpgid(a, 0), 0);
    CHECK_EQ(getpgid(a), a);
    CHECK_EQ(setpgid(b, a), 0);
    CHECK_EQ(getpgid(b), a);
    CHECK_ERR(setpgid(b, 0x3fffffff), EPERM);
    CHECK_ERR(setpgid(0x3fffffff, 0), ESRCH);
    CHECK_ERR(setpgid(a, -1), EINVAL);
    CHECK_ERR(setpgid(getppid(), 0), ESRCH);
    CHECK_ERR(getpgid(0x3fffffff), ESRCH);
    CHECK_ERR(getpgid(-1), ESRCH);
    CHECK_ERR(getsid(0x3fffffff), ESRCH);
    CHECK_EQ(getsid(a), getsid(0));
    int st;
    CHECK_EQ(kill(-a, SIGTERM), 0);
    CHECK_EQ(waitpid(-a, &st, 0) > 0, 1);
    CHECK_EQ(waitpid(-a, &st, 0) > 0, 1);
    CHECK_EQ(st, SIGTERM);
    CHECK_ERR(kill(-a, 0), ESRCH);
}

static void sessions(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        CHECK_EQ(setsid(), getpid());
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(getpgrp(), getpid());
        CHECK_ERR(setsid(), EPERM);
        CHECK_ERR(setpgid(0, 0), EPERM);
        pid_t kid = fork();
        if (kid == 0) {
            CHECK_EQ(getsid(0), getppid());
            CHECK_EQ(setpgid(0, 0), 0);
            CHECK_ERR(setsid(), EPERM);
            _exit(guest_failures);
        }
        int st;
        waitpid(kid, &st, 0);
        CHECK_EQ(st, 0);
        _exit(guest_failures);
    }
    int st;
    waitpid(pid, &st, 0);
    CHECK_EQ(st, 0);
    pid = fork();
    if (pid == 0) { /* in another session: out of the parent's reach */
        setsid();
        raise(SIGSTOP);
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_ERR(setpgid(pid, getpgrp()), EPERM);
    end(pid);
}

static void after_exec(void)
{
    int p[2], st;
    char c;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 1);
        execl("/proc/self/exe", "x", "--hold", NULL);
        _exit(1);
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_ERR(setpgid(pid, pid), EACCES);
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    close(p[0]);
    close(p[1]);
}

static volatile siginfo_t got;
static volatile int ngot;

static void on_chld(int sig, siginfo_t *si, void *uc)
{
    (void)sig, (void)uc;
    got = *si;
    ngot++;
}

static void notified(int flags, int want)
{
    struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART | flags };
    int st;
    sigaction(SIGCHLD, &sa, NULL);
    ngot = 0;
    pid_t pid = child_pause();
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_EQ(st, SIGSTOP << 8 | 0x7f);
    CHECK_EQ(ngot, want);
    if (want) {
        CHECK_EQ(got.si_code, CLD_STOPPED);
        CHECK_EQ(got.si_status, SIGSTOP);
        CHECK_EQ(got.si_pid, pid);
    }
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &st, WCONTINUED), pid);
    CHECK_EQ(st, 0xffff);
    for (int i = 0; i < 2000 && ngot < 2 * want; i++) /* the state is reported before the signal */
        usleep(1000);
    CHECK_EQ(ngot, 2 * want);
    if (want)
        CHECK_EQ(got.si_code, CLD_CONTINUED);
    signal(SIGCHLD, SIG_DFL);
    end(pid);
}

static void sigchld(void)
{
    notified(0, 1);
    notified(SA_NOCLDSTOP, 0);
}

static void kinds(void)
{
    const int sigs[] = { SIGTSTP, SIGTTIN, SIGTTOU };
    for (int i = 0; i < 3; i++) {
        int st = 0;
        pid_t pid = child_pause();
        setpgid(pid, pid); /* its parent, in this session, is in another group: no orphan */
        kill(pid, sigs[i]);
        CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
        CHECK_EQ(st, sigs[i] << 8 | 0x7f);
        kill(pid, SIGTERM); /* waits until it goes on */
        CHECK_EQ(waitpid(pid, &st, WNOHANG), 0);
        kill(pid, SIGCONT);
        CHECK_EQ(waitpid(pid, &st, 0), pid);
        CHECK_EQ(st, SIGTERM);
    }
    pid_t pid = child_pause();
    int st;
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    end(pid); /* a kill does not wait */
}

static volatile unsigned long spin[2];

static void *spinner(void *arg)
{
    for (;;)
        spin[(long)arg]++;
    return NULL;
}

/* All threads stop, those in user code too; and all go on. */
static void threads(void)
{
    int p[2], st;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t th;
        struct timespec nap = { 0, 2000000 };
        for (long i = 0; i < 2; i++)
            pthread_create(&th, NULL, spinner, (void *)i);
        while (!spin[0] || !spin[1])
            nanosleep(&nap, NULL);
        raise(SIGSTOP);
        unsigned long a = spin[0], b = spin[1];
        for (int i = 0; i < 2000 && (spin[0] == a || spin[1] == b); i++)
            nanosleep(&nap, NULL);
        _exit(spin[0] == a || spin[1] == b);
    }
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK(WIFSTOPPED(st));
    CHECK_EQ(waitpid(pid, &st, WNOHANG | WUNTRACED), 0);
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    close(p[0]);
    close(p[1]);
}

/* In an orphaned group the terminal's stop signals do nothing; SIGSTOP does. */
static void orphaned_ignores(void)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        raise(SIGTSTP);
        raise(SIGTTIN);
        raise(SIGTTOU);
        _exit(3);
    }
    CHECK_EQ(waitpid(pid, &st, WUNTRACED), pid);
    CHECK_EQ(st, 3 << 8);
}

static int hup_fd;

static void on_hup(int sig)
{
    char c = sig == SIGHUP ? 'h' : 'c';
    (void)!write(hup_fd, &c, 1);
}

/* A stopped group that becomes orphaned is hung up and continued. */
static void orphaned_hangup(void)
{
    int p[2], st;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) { /* leads a session; its child a group in it */
        setsid();
        pid_t kid = fork();
        if (kid == 0) {
            hup_fd = p[1];
            close(p[0]);
            setpgid(0, 0);
            signal(SIGHUP, on_hup);
            signal(SIGCONT, on_hup);
            raise(SIGSTOP);
            _exit(0);
        }
        waitpid(kid, &st, WUNTRACED);
        _exit(WIFSTOPPED(st) ? 0 : 1);
    }
    close(p[1]);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 0);
    char buf[4] = "";
    size_t n = 0;
    ssize_t r;
    while (n < 3 && (r = read(p[0], buf + n, 3 - n)) > 0)
        n += (size_t)r;
    CHECK_EQ(n, 2);
    CHECK((buf[0] == 'h' && buf[1] == 'c') || (buf[0] == 'c' && buf[1] == 'h'));
    close(p[0]);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--hold") == 0) {
        (void)!write(1, "x", 1);
        for (;;)
            pause();
    }
    RUN(groups);
    RUN(sessions);
    RUN(after_exec);
    RUN(sigchld);
    RUN(kinds);
    RUN(threads);
    RUN(orphaned_ignores);
    RUN(orphaned_hangup);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See crew.h. */
#include "crew.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_A_TIME 12
#define KILL_MS 20000 /* from SIGKILL to the end; sanitizers, and other tests, are slow */

uint64_t now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t seed_of(int argc, char **argv)
{
    uint64_t seed = argc > 0 ? strtoull(argv[0], NULL, 0) : 1;
    struct timespec ts;

    if (seed == 0) {
        clock_gettime(CLOCK_REALTIME, &ts);
        seed = (uint64_t)ts.tv_sec ^ (uint64_t)ts.tv_nsec;
    }
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

void end_hard(int status)
{
    for (;;)
        syscall(SYS_exit_group, status);
}

void *shared_new(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("shared memory");
        exit(1);
    }
    return p;
}

void become_hostile(void)
{
    setsid();
    if (setresgid(HOSTILE_ID, HOSTILE_ID, HOSTILE_ID) < 0 ||
        setresuid(HOSTILE_ID, HOSTILE_ID, HOSTILE_ID) < 0)
        end_hard(99);
}

/* ---- children ---- */

struct child {
    pid_t pid;
    uint64_t until;
    bool killed;
};

static void start(struct child *c, void (*fn)(uint64_t), uint64_t i, unsigned ms)
{
    do
        c->pid = fork();
    while (c->pid < 0 && errno == EAGAIN && usleep(10000) == 0);
    if (c->pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 1); /* where they end up they may say anything */
        dup2(null, 2);
        close(null);
        become_hostile();
        fn(i);
        end_hard(0);
    }
    c->until = now_ms() + ms;
    c->killed = false;
}

/* True: its place is free. */
static bool look_after(struct child *c, bool *ret_stuck)
{
    if (c->pid <= 0)
        return true;
    pid_t r = waitpid(c->pid, NULL, WNOHANG);
    if (r == c->pid || (r < 0 && errno == ECHILD)) {
        c->pid = 0;
        return true;
    }
    if (now_ms() < c->until)
        return false;
    if (c->killed) {
        printf("FAILED: process %d cannot be ended\n", (int)c->pid);
        *ret_stuck = true;
        c->pid = 0;
        return true;
    }
    kill(c->pid, SIGKILL);
    c->killed = true;
    c->until = now_ms() + KILL_MS;
    return false;
}

bool pool_run(void (*fn)(uint64_t), uint64_t n, unsigned ms)
{
    struct child all[AT_A_TIME] = { { 0 } };
    bool stuck = false;
    uint64_t i = 0;
    unsigned busy;

    do {
        busy = 0;
        for (unsigned k = 0; k < AT_A_TIME; k++) {
            if (look_after(&all[k], &stuck) && i < n && !stuck)
                start(&all[k], fn, i++, ms);
            busy += all[k].pid > 0;
        }
        if (busy == AT_A_TIME || i == n)
            usleep(300);
    } while (busy > 0 || (i < n && !stuck));
    return !stuck;
}

/* ---- the watchdog ---- */

#define SECRET "/tmp/watchdog"
#define GAP_MS 20000 /* a hundred times what is normal, on a busy machine under a sanitizer */

pid_t watchdog_pid;
char watchdog_mark[16];
static int to_dog = -1;
static volatile sig_atomic_t signals_seen;

static void count_signal(int sig)
{
    signals_seen = sig;
}

static bool file_is(const char *path, const char *want, size_t n)
{
    char got[64] = "";
    int fd = open(path, O_RDONLY);
    ssize_t r = read(fd, got, sizeof got);

    close(fd);
    return r == (ssize_t)n && memcmp(got, want, n) == 0;
}

/* What a program does all the time: calls, a pipe, a file, memory, a child. */
static const char *one_round(unsigned n, const char *secret, size_t len)
{
    int fds[2], status;
    char c = 'x';
    void *p;

    if (getppid() <= 0 || !file_is(SECRET, secret, len))
        return "the file that only it may write has changed";
    if (pipe(fds) < 0 || write(fds[1], &c, 1) != 1 || read(fds[0], &c, 1) != 1 || c != 'x')
        return "a pipe failed";
    close(fds[0]);
    close(fds[1]);
    p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || *(char *)p != 0)
        return "memory failed";
    munmap(p, 65536);
    if (n % 8)
        return NULL;
    pid_t pid = fork();
    if (pid == 0)
        end_hard(7);
    if (pid < 0 && errno == EAGAIN) /* others may have used up what there is of them */
        return NULL;
    if (pid < 0)
        return errno == ENOMEM ? "no memory for a child" : "it can have no child";
    if (waitpid(pid, &status, 0) != pid)
        return "its child was not its own";
    if (WIFSIGNALED(status))
        return "its child was killed";
    return WEXITSTATUS(status) == 7 ? NULL : "its child ended as another";
}

static void watch(int stop)
{
    const char *why = NULL;
    char secret[32];
    uint64_t last, longest = 0;
    unsigned n = 0;
    int fd;

    strcpy(watchdog_mark, "the watchdog");
    for (int sig = 1; sig < 65; sig++)
        if (sig != SIGCHLD)
            signal(sig, count_signal);
    snprintf(secret, sizeof secret, "%llx", (unsigned long long)now_ms() * 2654435761u);
    fd = open(SECRET, O_CREAT | O_TRUNC | O_WRONLY, 0644); /* others may map it, and not write */
    if (write(fd, secret, strlen(secret)) != (ssize_t)strlen(secret))
        why = "cannot write its file";
    close(fd);
    last = now_ms();
    for (struct pollfd p = { stop, POLLIN, 0 }; !why && poll(&p, 1, 0) == 0; n++) {
        uint64_t now;

        why = one_round(n, secret, strlen(secret));
        now = now_ms();
        longest = now - last > longest ? now - last : longest;
        last = now;
        if (signals_seen)
            why = "a signal came";
        usleep(2000);
    }
    if (!why && longest > GAP_MS)
        why = "it was kept waiting";
    printf("watchdog: %u rounds, the longest of %llu ms%s%s\n", n, (unsigned long long)longest,
           why ? ": FAILED: " : "", why ? why : "");
    fflush(stdout);
    unlink(SECRET);
    end_hard(why != NULL || n == 0);
}

void watchdog_start(void)
{
    int fds[2];

    if (pipe(fds) < 0)
        exit(1);
    fflush(stdout);
    watchdog_pid = fork();
    if (watchdog_pid == 0) {
        close(fds[1]);
        watch(fds[0]);
    }
    close(fds[0]);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    to_dog = fds[1];
    while (access(SECRET, F_OK) < 0)
        usleep(1000);
    usleep(20000);
}

static pid_t parent_of(pid_t pid)
{
    char path[32], line[256] = "";
    const char *p;
    int ppid = 0, fd;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY);
    (void)!read(fd, line, sizeof line - 1);
    close(fd);
    p = strrchr(line, ')');
    return p && sscanf(p, ") %*c %d", &ppid) == 1 ? ppid : 0;
}

/*
 * What attackers have made and nobody waits for: it may run for ever, and holds the watchdog's pipe. The
 * watchdog may have a child just now.
 */
static void end_strays(void)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)atoi(e->d_name);

        if (pid > 1 && pid != getpid() && pid != watchdog_pid && parent_of(pid) != watchdog_pid)
            kill(pid, SIGKILL);
    }
    if (d)
        closedir(d);
}

bool watchdog_end(void)
{
    int status = 0;

    end_strays();
    close(to_dog);
    if (waitpid(watchdog_pid, &status, 0) != watchdog_pid)
        return false;
    if (WIFSIGNALED(status))
        printf("watchdog: FAILED: ended by signal %d\n", WTERMSIG(status));
    return status == 0;
}

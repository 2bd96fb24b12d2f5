/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked processes that work side by side, with calls so often that a sandbox may change how they are
 * looked after while they run. Meanwhile their makers wait in every way there is, and afterwards all
 * do what such a change could have broken: fork, map files, make threads, get signals, execute.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "callsite.h"
#include "guest.h"

SITE_EAX(eax_getppid, 110);

#define WORK_MS 40

/* Calls for so long; false when one has said something wrong. */
static bool work(long ppid)
{
    struct timespec a, b;

    clock_gettime(CLOCK_MONOTONIC, &a);
    do {
        for (int i = 0; i < 20; i++) {
            if (eax_getppid(0) != ppid)
                return false;
        }
        clock_gettime(CLOCK_MONOTONIC, &b);
    } while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < WORK_MS);
    return true;
}

static int ended(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void *thread(void *arg)
{
    return work((long)arg) ? arg : NULL;
}

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
    (void)sig;
    caught = caught + 1;
}

/* What follows in each; 0: all went well. */
static int afterwards(long ppid)
{
    int fd = open("/proc/self/exe", O_RDONLY), status = -1;
    pthread_t th[2];
    void *ret = NULL;
    char *p;
    pid_t pid;

    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED || memcmp(p, "\177ELF", 4) != 0)
        return 1;
    munmap(p, 4096);
    close(fd);
    pid = fork();
    if (pid == 0)
        _exit(work(getppid()) ? 0 : 1);
    if (waitpid(pid, &status, 0) != pid || status)
        return 2;
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&th[i], NULL, thread, (void *)ppid))
            return 3;
    }
    for (int i = 0; i < 2; i++) {
        if (pthread_join(th[i], &ret) || !ret)
            return 4;
    }
    caught = 0;
    signal(SIGUSR1, on_signal);
    if (kill(getpid(), SIGUSR1) || caught != 1)
        return 5;
    pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "side_by_side", "executed", NULL);
        _exit(9);
    }
    if (waitpid(pid, &status, 0) != pid || status)
        return 6;
    return 0;
}

#define N 3
enum { IN_WAIT, IN_READ, IN_FUTEX, AT_WORK, SLEEPING, HOWS };

/* N children at work, and their maker in one of these. */
static void together(int how, int depth)
{
    struct timespec nap = { .tv_nsec = 2 * WORK_MS * 1000000l };
    pthread_barrier_t *b = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                0);
    pthread_barrierattr_t attr;
    pid_t pid[N];
    int fd[2];
    char c;

    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    CHECK_EQ(pthread_barrier_init(b, &attr, N + 1), 0);
    CHECK_EQ(pipe(fd), 0);
    for (int i = 0; i < N; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            long ppid = getppid();
            int bad;

            bad = !work(ppid) || write(fd[1], "x", 1) != 1;
            if (how == IN_FUTEX)
                pthread_barrier_wait(b);
            bad = bad ? 20 : afterwards(ppid);
            if (!bad && depth > 0) {
                together((how + 1) % HOWS, depth - 1);
                bad = guest_failures != 0;
            }
            fflush(stdout);
            _exit(bad);
        }
    }
    if (how == IN_READ) {
        for (int i = 0; i < N; i++)
            CHECK_EQ(read(fd[0], &c, 1), 1);
    } else if (how == IN_FUTEX) {
        pthread_barrier_wait(b);
    } else if (how == AT_WORK) {
        CHECK(work(getppid()));
    } else if (how == SLEEPING) {
        CHECK_EQ(nanosleep(&nap, NULL), 0);
    }
    for (int i = 0; i < N; i++)
        CHECK_EQ(ended(pid[i]), 0);
    close(fd[0]);
    close(fd[1]);
    munmap(b, 4096);
    CHECK_EQ(afterwards(getppid()), 0);
}

static void every_way(void)
{
    warm(eax_getppid(0));
    for (int how = 0; how < HOWS; how++)
        together(how, 0);
}

/* Children of children: in the end nothing is changed any more, and all goes on. */
static void generations(void)
{
    pid_t pid;

    for (int i = 0; i < 8; i++) {
        pid = fork();
        if (pid == 0) {
            int bad;

            pid = fork();
            if (pid == 0)
                _exit(!work(getppid()));
            bad = !work(getppid()) || ended(pid) || guest_failures;
            if (bad || i == 7) {
                fflush(stdout);
                _exit(bad);
            }
            continue; /* the next generation is this one's */
        }
        CHECK_EQ(ended(pid), 0);
        if (i > 0)
            _exit(guest_failures != 0);
        break;
    }
}

/* One is killed while it computes without a call, when the others have been at work for long. */
static void killed(void)
{
    struct timespec nap = { .tv_nsec = 2 * WORK_MS * 1000000l };
    pid_t silent, busy[2];

    silent = fork();
    if (silent == 0) {
        for (;;)
            ;
    }
    for (int i = 0; i < 2; i++) {
        busy[i] = fork();
        if (busy[i] == 0)
            _exit(!work(getppid()));
    }
    nanosleep(&nap, NULL);
    CHECK_EQ(kill(silent, SIGKILL), 0);
    CHECK_EQ(ended(silent), SIGKILL);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(ended(busy[i]), 0);
    CHECK_EQ(afterwards(getppid()), 0);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return !work(getppid());
    RUN(every_way);
    RUN(generations);
    RUN(killed);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deaths at every step of a fork, a vfork, an exec, a thread's start and end: by SIGKILL from a sibling,
 * by the process itself, by the blob's exit_group and exit, which the sentry does not see. Nothing of
 * them may be left.
 *
 *     deaths [SEED [SECONDS]]
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"
#include "stub.h"

static uint64_t seed = 1, until;

static void *idle(void *arg)
{
    return arg;
}

static void step(uint64_t *s)
{
    static char *const argv[] = { "hostile", "nothing", NULL };
    pthread_t t;
    pid_t pid;

    switch (rnd(s) % 5) {
    case 0:
        pid = fork();
        if (pid == 0)
            end_hard(0);
        waitpid(pid, NULL, 0);
        break;
    case 1:
        pid = vfork();
        if (pid == 0) {
            execve("/proc/self/exe", argv, NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
        break;
    case 2:
        if (pthread_create(&t, NULL, idle, NULL) == 0)
            pthread_join(t, NULL);
        break;
    case 3: /* its thread goes, and the sentry is not told */
        pid = fork();
        if (pid == 0) {
            by_blob(rnd(s) % 2 ? SYS_exit : SYS_exit_group, 0, 0, 0, 0, 0, 0);
            end_hard(0);
        }
        waitpid(pid, NULL, 0);
        break;
    default:
        execve("/proc/self/exe", argv, NULL);
    }
}

static void wait_some(uint64_t *s)
{
    for (uint64_t i = rnd(s) % (1ull << rnd(s) % 20); i > 0; i--)
        __builtin_ia32_pause();
}

static void *ender(void *arg)
{
    uint64_t s = (uint64_t)(uintptr_t)arg;

    wait_some(&s);
    switch (rnd(&s) % 4) {
    case 0:
        by_blob(SYS_exit_group, 0, 0, 0, 0, 0, 0);
        break;
    case 1:
        kill(getpid(), SIGKILL);
        break;
    case 2: /* the thread alone, by the blob: its process has one fewer than the sentry knows */
        by_blob(SYS_exit, 0, 0, 0, 0, 0, 0);
        break;
    default:
        *(volatile char *)0 = 0;
    }
    return NULL;
}

static void one(uint64_t i)
{
    uint64_t s = seed * 6151 + i;
    pid_t victim;
    pthread_t t;

    if (now_ms() > until)
        return;
    if (i % 2) {
        if (pthread_create(&t, NULL, ender, (void *)(uintptr_t)rnd(&s)) != 0)
            return;
        for (;;)
            step(&s);
    }
    victim = fork();
    if (victim == 0) {
        for (;;)
            step(&s);
    }
    wait_some(&s);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
}

/* Of the attackers; they may need a moment to be gone. */
static unsigned left(void)
{
    unsigned n = 0;
    struct dirent *e;
    DIR *d = opendir("/proc");

    while (d && (e = readdir(d))) {
        int pid = atoi(e->d_name), group = pid > 1 ? getpgid(pid) : -1; /* -1: gone meanwhile */

        n += group > 0 && pid != getpid() && pid != watchdog_pid && group != getpgid(0);
    }
    closedir(d);
    return n;
}

bool deaths_all(int argc, char **argv)
{
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 4, end;
    bool good = true;

    seed = seed_of(argc, argv);
    until = now_ms() + seconds * 1000;
    while (good && now_ms() < until) {
        good = pool_run(one, 100, 300);
        seed += 1000;
    }
    /* orphans of those that were killed end by themselves */
    for (end = now_ms() + 20000; left() > 0 && now_ms() < end;)
        usleep(20000);
    if (left() > 0) {
        printf("FAILED: %u processes are left\n", left());
        good = false;
    }
    return good;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and threads that begin, do nothing and end. What is executed is this program itself. */
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define SELF "/proc/self/exe"
static char *const nothing[] = { (char *)"process", (char *)"--nothing", NULL };
static char *const no_env[] = { NULL };

static void reap(pid_t pid)
{
    int status;
    ok(waitpid(pid, &status, 0), "waitpid");
    if (status != 0)
        fail("the child's exit");
}

static void fork_wait(const struct row *row)
{
    (void)row;
    pid_t pid = (pid_t)ok(fork(), "fork");
    if (pid == 0)
        _exit(0);
    reap(pid);
}

static void vfork_exec(const struct row *row)
{
    (void)row;
    pid_t pid = vfork(); /* NOLINT: it is what is measured */
    if (pid == 0) {
        execve(SELF, nothing, no_env);
        _exit(1);
    }
    reap((pid_t)ok(pid, "vfork"));
}

static void spawn(const struct row *row)
{
    (void)row;
    pid_t pid;
    if (posix_spawn(&pid, SELF, NULL, NULL, nothing, no_env) != 0)
        fail("posix_spawn");
    reap(pid);
}

static void *nobody(void *arg)
{
    return arg;
}

static void thread_join(const struct row *row)
{
    (void)row;
    pthread_t t;
    if (pthread_create(&t, NULL, nobody, NULL) != 0 || pthread_join(t, NULL) != 0)
        fail("thread");
}

static const struct row rows[] = {
    { "fork+wait", each_us, fork_wait, 220, 0, 0 },
    { "vfork+exec+wait", each_us, vfork_exec, 110, 0, 0 },
    { "posix_spawn+wait", each_us, spawn, 110, 0, 0 },
    { "thread-create+join", each_us, thread_join, 1100, 0, 0 },
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--nothing") == 0)
        return 0;
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

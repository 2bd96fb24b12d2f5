/* SPDX-License-Identifier: Apache-2.0 */
/* A new thread finds nothing of those before it, however many there were and whatever they did. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define ARCH_SET_GS 0x1001
#define ARCH_GET_GS 0x1004

static __thread long mine = 7;
static cpu_set_t all_cpus;

/* What a thread of a process that never set any of this finds. */
static void *is_clean(void *arg)
{
    unsigned long gs = 1;
    sigset_t mask, none;
    struct rusage ru;
    cpu_set_t cpus;
    stack_t ss;
    struct rseq *rs = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);

    CHECK_EQ(mine, 7);
    mine = (long)arg;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    sigemptyset(&none);
    CHECK(memcmp(&mask, &none, 8) == 0);
    CHECK_EQ(sigaltstack(NULL, &ss), 0);
    CHECK_EQ(ss.ss_flags, SS_DISABLE);
    CHECK_EQ(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs), 0);
    CHECK_EQ(gs, 0);
    CHECK_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    CHECK(CPU_EQUAL(&cpus, &all_cpus));
    CHECK_EQ(getrusage(RUSAGE_THREAD, &ru), 0);
    CHECK(ru.ru_utime.tv_sec == 0 && ru.ru_utime.tv_usec + ru.ru_stime.tv_usec < 100000);
    if (__rseq_size)
        CHECK(rs->cpu_id < (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    return arg;
}

static void check_one(void)
{
    pthread_t th;

    CHECK_EQ(pthread_create(&th, NULL, is_clean, (void *)1), 0);
    CHECK_EQ(pthread_join(th, NULL), 0);
}

static void burn(long ms)
{
    struct timespec a, b;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    while ((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < ms);
}

static void *dirty(void *arg)
{
    static char stack[65536];
    sigset_t most;
    cpu_set_t one;
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };

    if ((long)arg & 1)
        burn(150);
    if ((long)arg & 2) {
        sigfillset(&most);
        pthread_sigmask(SIG_SETMASK, &most, NULL);
        sigaltstack(&ss, NULL);
    }
    if ((long)arg & 4) {
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    }
    if ((long)arg & 8)
        CHECK_EQ(syscall(SYS_arch_prctl, ARCH_SET_GS, &one), 0);
    return arg;
}

static void leaves_nothing(void)
{
    CHECK_EQ(sched_getaffinity(0, sizeof all_cpus, &all_cpus), 0);
    check_one();
    for (long what = 1; what < 16; what++) {
        pthread_t th;

        CHECK_EQ(pthread_create(&th, NULL, dirty, (void *)what), 0);
        CHECK_EQ(pthread_join(th, NULL), 0);
        check_one();
        check_one();
    }
}

static void *nothing(void *arg)
{
    return arg;
}

static void ten_thousand(void)
{
    for (long i = 0; i < 10000; i++) {
        pthread_t th;
        void *r;

        CHECK_EQ(pthread_create(&th, NULL, nothing, (void *)i), 0);
        CHECK_EQ(pthread_join(th, &r), 0);
        CHECK_EQ((long)r, i);
    }
}

static _Atomic long sum;

static void *add(void *arg)
{
    sum += (long)arg;
    return NULL;
}

/* More at once than there are ready ones; tids are unique, signals reach each. */
static void *wait_signal(void *arg)
{
    sigset_t s;
    int sig;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    CHECK_EQ(sigwait(&s, &sig), 0);
    return (void *)syscall(SYS_gettid) + 0 * (long)arg;
}

static void many_at_once(void)
{
    enum { N = 40 };
    pthread_t th[N];
    void *tid[N];
    sigset_t s;

    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            CHECK_EQ(pthread_create(&th[i], NULL, wait_signal, NULL), 0);
        for (int i = 0; i < N; i++)
            CHECK_EQ(pthread_kill(th[i], SIGUSR1), 0);
        for (int i = 0; i < N; i++) {
            CHECK_EQ(pthread_join(th[i], &tid[i]), 0);
            for (int k = 0; k < i; k++)
                CHECK(tid[k] != tid[i]);
        }
    }
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
}

static _Atomic bool stop;

static void *forks(void *arg)
{
    while (!stop) {
        int st;
        pid_t pid = (long)arg ? vfork() : fork();

        if (pid == 0) {
            if (arg)
                execl("/proc/self/exe", "x", "--exit", (char *)NULL);
            _exit(5);
        }
        CHECK(pid > 0);
        CHECK_EQ(waitpid(pid, &st, 0), pid);
        CHECK_EQ(st, 5 << 8);
    }
    return NULL;
}

/* Threads come and go while others fork and exec; forked children make threads, too. */
static void storm(void)
{
    pthread_t f[3], th[6];

    stop = false;
    sum = 0;
    for (long i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&f[i], NULL, forks, (void *)(i & 1)), 0);
    for (int round = 0; round < 100; round++) {
        for (long i = 0; i < 6; i++)
            CHECK_EQ(pthread_create(&th[i], NULL, add, (void *)i), 0);
        for (int i = 0; i < 6; i++)
            CHECK_EQ(pthread_join(th[i], NULL), 0);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(f[i], NULL), 0);
    CHECK_EQ(sum, 1500);
}

static void storm_child(void)
{
    pthread_t th;

    pthread_create(&th, NULL, forks, NULL);
    for (;;) {
        pthread_create(&th, NULL, nothing, NULL);
        pthread_join(th, NULL);
    }
}

static void killed_in_the_middle(void)
{
    for (int i = 0; i < 12; i++) {
        struct timespec ts = { 0, 1000000 * (1 + i * 3 % 11) };
        int st;
        pid_t pid = fork();

        if (pid == 0) {
            if (i & 1)
                execl("/proc/self/exe", "x", "--storm", (char *)NULL);
            storm_child();
        }
        nanosleep(&ts, NULL);
        CHECK_EQ(kill(pid, SIGKILL), 0);
        CHECK_EQ(waitpid(pid, &st, 0), pid);
        CHECK_EQ(st, SIGKILL);
    }
}

/* A thread that was ready execs: its process goes on in it. */
static void *exec_later(void *arg)
{
    execl("/proc/self/exe", "x", "--exit", (char *)NULL);
    return arg;
}

static void ready_thread_execs(void)
{
    int st;
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t th;

        for (int i = 0; i < 10; i++) {
            pthread_create(&th, NULL, nothing, NULL);
            pthread_join(th, NULL);
        }
        pthread_create(&th, NULL, exec_later, NULL);
        for (;;)
            pause();
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 5 << 8);
}

/* The leader leaves, threads go on. */
static void *last(void *arg)
{
    pthread_t th;
    struct timespec ts = { 0, 5000000 };

    nanosleep(&ts, NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pthread_create(&th, NULL, nothing, NULL), 0);
        CHECK_EQ(pthread_join(th, NULL), 0);
    }
    _exit(6);
    return arg;
}

static void leader_first(void)
{
    int st;
    pid_t pid = fork();

    if (pid == 0) {
        pthread_t th;

        pthread_create(&th, NULL, last, NULL);
        pthread_exit(NULL);
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 6 << 8);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--exit"))
        return 5;
    if (argc > 1 && !strcmp(argv[1], "--storm"))
        storm_child();
    RUN(ten_thousand);
    RUN(many_at_once);
    RUN(storm);
    RUN(killed_in_the_middle);
    RUN(ready_thread_execs);
    RUN(leader_first);
    RUN(leaves_nothing); /* last: a process that has set gs gets no ready threads any more */
    DONE();
}

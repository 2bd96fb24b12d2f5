/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes and threads made by a program whose call sites are hot: what each is told of itself, and
 * a gs base of the program's own.
 */
#include "callsite.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "guest.h"

#define SET_GS 0x1001
#define GET_GS 0x1004

SITE_EAX(eax_getpid, 39);
SITE_EAX(eax_gettid, 186);
SITE_EAX(eax_getppid, 110);
SITE_EAX(eax_getuid, 102);
SITE_EAX(eax_geteuid, 107);
SITE_EAX(eax_getgid, 104);
SITE_EAX(eax_getegid, 108);
SITE_XOR(xor_read);
SITE_MOVES(moves);
SITE_SYSCALL(general);

static void make_hot(void)
{
    warm(eax_getpid(0));
    warm(eax_gettid(0));
    warm(eax_getppid(0));
    warm(eax_getuid(0));
    warm(eax_geteuid(0));
    warm(eax_getgid(0));
    warm(eax_getegid(0));
    warm(xor_read(-1, NULL, 0L));
    warm(moves(SYS_getpgid, 0L));
    warm(general(SYS_getsid, 0L));
}

static int ended(long pid)
{
    int st = -1;

    CHECK_EQ(waitpid((pid_t)pid, &st, 0), pid);
    return st;
}

/* ---- processes ---- */

/* The numbers as they are, of /proc/self/stat: pid and parent. */
static int numbers_fit(long ppid)
{
    char buf[64] = "";
    ssize_t n = readlink("/proc/self", buf, sizeof buf - 1);
    long pid = n > 0 ? atol(buf) : -1;

    for (int i = 0; i < 50; i++) {
        if (eax_getpid(0) != pid || eax_gettid(0) != pid || eax_getppid(0) != ppid ||
            xor_read(-1, buf, 1L) != -EBADF || moves(SYS_dup2, 1L, 90L) != 90 ||
            general(SYS_getpid) != pid)
            return 0;
    }
    return 1;
}

/* Five generations, each of a fork of the one before, and twins of each. */
static void generations(void)
{
    long ppid = getpid();

    make_hot();
    for (int twin = 0; twin < 3; twin++) {
        long pid = fork();

        if (pid == 0) {
            for (int depth = 0; depth < 5; depth++) {
                if (!numbers_fit(ppid))
                    _exit(depth + 1);
                ppid = getpid();
                pid = fork();
                if (pid) {
                    int st = -1;

                    if (waitpid((pid_t)pid, &st, 0) != pid || st)
                        _exit(10);
                    _exit(0);
                }
            }
            _exit(0);
        }
        CHECK(numbers_fit(getppid()));
        CHECK_EQ(ended(pid), 0);
    }
    close(90);
}

static int vfork_child(void *arg)
{
    long parent = (long)arg;

    for (int i = 0; i < 50; i++) {
        if (eax_getppid(0) != parent || eax_getpid(0) == parent || eax_getpid(0) != eax_gettid(0))
            _exit(1);
    }
    _exit(0);
}

static void shares_memory(void)
{
    static char stack[65536] __attribute__((aligned(16)));
    long pid;

    make_hot();
    for (int i = 0; i < 20; i++) {
        pid = clone(vfork_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                    (void *)(long)getpid());
        CHECK(pid > 0);
        CHECK_EQ(ended(pid), 0);
        CHECK(numbers_fit(getppid()));
    }
    close(90);
}

/* ---- credentials ---- */

static void credentials(void)
{
    unsigned r, e, s;
    long pid;

    make_hot();
    CHECK_EQ(getresuid(&r, &e, &s), 0);
    CHECK_EQ(eax_getuid(0), r);
    CHECK_EQ(eax_geteuid(0), e);
    CHECK_EQ(getresgid(&r, &e, &s), 0);
    CHECK_EQ(eax_getgid(0), r);
    CHECK_EQ(eax_getegid(0), e);
    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        int bad = syscall(SYS_setresgid, 5, 6, 7) != 0;

        bad |= eax_getgid(0) != 5 || eax_getegid(0) != 6;
        bad |= syscall(SYS_setresuid, 1, 2, 0) != 0;
        bad |= eax_getuid(0) != 1 || eax_geteuid(0) != 2;
        if (!fork()) {
            bad |= eax_getuid(0) != 1 || eax_geteuid(0) != 2 || eax_getgid(0) != 5 ||
                   eax_getegid(0) != 6;
            _exit(bad);
        }
        int st = -1;
        wait(&st);
        _exit(bad | (st != 0));
    }
    CHECK_EQ(ended(pid), 0);
    CHECK_EQ(eax_getuid(0), (long)getuid());
}

/* ---- threads ---- */

static volatile int thread_bad;
static pthread_barrier_t barrier;

static void *thread(void *arg)
{
    long tid, pid = (long)arg;
    char name[64] = "";
    ssize_t n = readlink("/proc/thread-self", name, sizeof name - 1);

    tid = n > 0 ? atol(strrchr(name, '/') + 1) : -1;
    for (int i = 0; i < 300; i++) {
        if (eax_getpid(0) != pid || eax_gettid(0) != tid || general(SYS_gettid) != tid ||
            moves(SYS_getpgid, 0L) != getpgrp() || xor_read(-1, NULL, 0L) != -EBADF)
            thread_bad++;
    }
    pthread_barrier_wait(&barrier);
    /* per thread, by the call itself */
    if (geteuid() == 0 || thread_bad) {
        if (tid % 2 && syscall(SYS_setresuid, -1, tid, -1) != 0)
            thread_bad++;
        pthread_barrier_wait(&barrier);
        if (eax_geteuid(0) != (tid % 2 ? tid : 0) || eax_gettid(0) != tid)
            thread_bad++;
    } else {
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void threads(void)
{
    enum { N = 12 };
    pthread_t th[N];

    make_hot();
    pthread_barrier_init(&barrier, NULL, N);
    for (int i = 0; i < N; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, thread, (void *)(long)getpid()), 0);
    for (int i = 0; i < N; i++)
        pthread_join(th[i], NULL);
    CHECK_EQ(thread_bad, 0);
    CHECK(numbers_fit(getppid()));
    close(90);
}

/* Sites that become hot while several threads call from them, and children are forked. */
SITE_EAX(late_getpid, 39);
SITE_EAX(late_getppid, 110);
SITE_RAX(late_gettid, 186);
SITE_XOR(late_read);
SITE_MOVES(late_moves);
SITE_SYSCALL(late_general);

static void *hurries(void *arg)
{
    long pid = getpid(), ppid = getppid(), tid = gettid();

    (void)arg;
    for (int i = 0; i < 2000; i++) {
        if (late_getpid(0) != pid || late_getppid(0) != ppid || late_gettid(0) != tid ||
            late_read(-1, NULL, 0L) != -EBADF || late_moves(SYS_getpgid, 0L) != getpgrp() ||
            late_general(SYS_gettid) != tid)
            thread_bad++;
    }
    return NULL;
}

static void hot_among_threads(void)
{
    enum { N = 4 };
    pthread_t th[N];

    thread_bad = 0;
    for (int i = 0; i < N; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, hurries, NULL), 0);
    for (int i = 0; i < 30; i++) {
        long pid = fork();

        if (pid == 0) {
            for (int k = 0; k < 20; k++) {
                if (late_getpid(0) != late_gettid(0) || late_read(-1, NULL, 0L) != -EBADF)
                    _exit(1);
            }
            _exit(0);
        }
        CHECK_EQ(ended(pid), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(th[i], NULL);
    CHECK_EQ(thread_bad, 0);
}

/* A thread that executes a program becomes the process's first one. */
static void *executes(void *arg)
{
    char pid[16], ppid[16];
    char *argv[] = { (char *)"callsite_fork", (char *)"again", pid, ppid, NULL };

    (void)arg;
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(ppid, sizeof ppid, "%d", getppid());
    execv("/proc/self/exe", argv);
    _exit(9);
}

static void exec_by_thread(void)
{
    long pid;

    make_hot();
    pid = fork();
    if (pid == 0) {
        pthread_t th;

        pthread_create(&th, NULL, executes, NULL);
        for (;;)
            pause();
    }
    CHECK_EQ(ended(pid), 0);
}

static int again(char **argv)
{
    long pid = atol(argv[2]), ppid = atol(argv[3]);

    for (int i = 0; i < WARM; i++) {
        if (eax_getpid(0) != pid || eax_gettid(0) != pid || eax_getppid(0) != ppid ||
            general(SYS_getpid) != pid)
            return 1;
    }
    return 0;
}

/* ---- gs ---- */

static uint64_t gs_base(void)
{
    uint64_t v = ~0ull;

    CHECK_EQ(syscall(SYS_arch_prctl, GET_GS, &v), 0);
    return v;
}

static uint64_t gs_word(unsigned long at)
{
    uint64_t v;

    __asm__ volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"(at) : "memory");
    return v;
}

static int calls_work(void)
{
    long pid = getpid();
    int bad = 0;

    for (int i = 0; i < 100; i++) {
        bad += eax_getpid(0) != pid || eax_gettid(0) != pid || eax_getppid(0) != getppid();
        bad += xor_read(-1, NULL, 0L) != -EBADF || general(SYS_getpid) != pid;
    }
    return !bad;
}

static uint64_t area[512];

/* The children see the same, whoever they are. */
static int children_have_it(uint64_t word)
{
    long pid = fork();

    if (pid == 0) {
        int ok = gs_word(8) == word && calls_work() && gs_word(8) == word &&
                 gs_base() == (uint64_t)area;

        _exit(!ok);
    }
    return ended(pid) == 0;
}

static void *gs_thread(void *arg)
{
    uint64_t word = (uint64_t)arg;

    return (void *)(long)(gs_word(8) == word && gs_word(8) == word);
}

static void none(void)
{
    CHECK_EQ(gs_base(), 0);
    make_hot();
    CHECK_EQ(gs_base(), 0);
}

static void set_by_call(void)
{
    long pid = fork();

    if (pid == 0) {
        make_hot();
        for (int i = 0; i < 512; i++)
            area[i] = 0x1234567800000000ull + (unsigned)i;
        CHECK_EQ(syscall(SYS_arch_prctl, SET_GS, area), 0);
        CHECK_EQ(gs_word(8), area[1]);
        CHECK_EQ(gs_base(), (uint64_t)area);
        CHECK(calls_work());
        CHECK_EQ(gs_word(8), area[1]);
        CHECK(children_have_it(area[1]));
        make_hot();
        CHECK_EQ(syscall(SYS_arch_prctl, SET_GS, 0), 0);
        CHECK_EQ(gs_base(), 0);
        CHECK(calls_work());
        _exit(guest_failures != 0);
    }
    CHECK_EQ(ended(pid), 0);
}

static void set_by_instruction(void)
{
    void *is = NULL;
    pthread_t th;
    long pid;

    if (!(getauxval(AT_HWCAP2) & 2))
        return;
    pid = fork();
    if (pid == 0) {
        for (int hot = 0; hot < 2; hot++) {
            if (hot)
                make_hot();
            area[1] = 0xabcdef;
            __asm__ volatile("wrgsbase %0" ::"r"(area) : "memory");
            CHECK_EQ(gs_word(8), 0xabcdef);
            CHECK_EQ(gs_base(), (uint64_t)area);
            CHECK(calls_work());
            CHECK_EQ(gs_word(8), 0xabcdef);
            CHECK(children_have_it(0xabcdef));
            CHECK_EQ(pthread_create(&th, NULL, gs_thread, (void *)0xabcdefl), 0);
            pthread_join(th, &is);
            CHECK_EQ((long)is, 1);
            CHECK_EQ(gs_word(8), 0xabcdef);
        }
        _exit(guest_failures != 0);
    }
    CHECK_EQ(ended(pid), 0);
}

/* The data segment, whose base is 0: what is at gs:X is at X. */
static void set_by_selector(void)
{
    long pid = fork();

    if (pid == 0) {
        make_hot();
        area[7] = 777;
        __asm__ volatile("mov %0, %%gs" ::"r"(0x2b) : "memory");
        CHECK_EQ(gs_word((unsigned long)&area[7]), 777);
        CHECK(calls_work());
        CHECK_EQ(gs_word((unsigned long)&area[7]), 777);
        CHECK_EQ(gs_base(), 0);
        __asm__ volatile("mov %0, %%gs" ::"r"(0) : "memory");
        CHECK(calls_work());
        _exit(guest_failures != 0);
    }
    CHECK_EQ(ended(pid), 0);
}

int main(int argc, char **argv)
{
    if (argc == 4)
        return again(argv);
    RUN(none);
    RUN(hot_among_threads);
    RUN(generations);
    RUN(shares_memory);
    RUN(credentials);
    RUN(threads);
    RUN(exec_by_thread);
    RUN(set_by_call);
    RUN(set_by_instruction);
    RUN(set_by_selector);
    DONE();
}

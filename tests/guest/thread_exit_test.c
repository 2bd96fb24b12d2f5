/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and processes that end: robust locks, joins, exec by a thread, kills, storms of signals. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static void nap(long ms)
{
    struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
    nanosleep(&ts, NULL);
}

static void robust_init(pthread_mutex_t *m, int shared)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&a, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
    CHECK_EQ(pthread_mutex_init(m, &a), 0);
}

static void *lock_and_die(void *arg)
{
    pthread_mutex_lock(arg);
    return NULL;
}

static volatile bool locked;

static void *lock_nap_and_die(void *arg)
{
    pthread_mutex_lock(arg);
    locked = true;
    nap(10);
    return NULL;
}

static void robust_thread(void)
{
    pthread_mutex_t m;
    pthread_t th;
    robust_init(&m, 0);
    pthread_create(&th, NULL, lock_and_die, &m);
    pthread_join(th, NULL);
    CHECK_EQ(pthread_mutex_lock(&m), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&m), 0);
    CHECK_EQ(pthread_mutex_unlock(&m), 0);
    /* And one that waits is woken. */
    pthread_create(&th, NULL, lock_nap_and_die, &m);
    while (!locked)
        nap(1);
    CHECK_EQ(pthread_mutex_lock(&m), EOWNERDEAD);
    pthread_mutex_consistent(&m);
    pthread_mutex_unlock(&m);
    pthread_join(th, NULL);
}

static void robust_process(void)
{
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                              0);
    CHECK(m != MAP_FAILED);
    robust_init(m, 1);
    int p[2];
    char c;
    CHECK_EQ(pipe(p), 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(m);
        (void)!write(p[1], "x", 1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(p[0], &c, 1), 1);
    CHECK_EQ(pthread_mutex_trylock(m), EBUSY);
    kill(pid, SIGKILL);
    CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
    pthread_mutex_consistent(m);
    pthread_mutex_unlock(m);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    munmap(m, 4096);
    close(p[0]);
    close(p[1]);
}

static void *nothing(void *arg)
{
    return arg;
}

static void joins(void)
{
    for (long i = 0; i < 100; i++) {
        pthread_t th[4];
        void *r;
        for (long k = 0; k < 4; k++)
            CHECK_EQ(pthread_create(&th[k], NULL, nothing, (void *)(i + k)), 0);
        for (long k = 0; k < 4; k++) {
            CHECK_EQ(pthread_join(th[k], &r), 0);
            CHECK_EQ((long)r, i + k);
        }
    }
}

static void *exec_self(void *arg)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    execl("/proc/self/exe", "x", "--pid", pid, (char *)NULL);
    return arg;
}

static void *forever(void *arg)
{
    for (;;)
        nap(1000);
    return arg;
}

static void *spin(void *arg)
{
    for (volatile long i = 0;; i++)
        ;
    return arg;
}

static void exec_by_thread(void)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t th;
        pthread_create(&th, NULL, forever, NULL);
        pthread_create(&th, NULL, spin, NULL);
        pthread_create(&th, NULL, exec_self, NULL);
        for (;;)
            pause();
    }
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(st, 33 << 8);
}

static void killed_busy(void)
{
    for (int i = 0; i < 5; i++) {
        int p[2], st;
        char c;
        CHECK_EQ(pipe(p), 0);
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t th;
            for (int k = 0; k < 2; k++) {
                pthread_create(&th, NULL, spin, NULL);
                pthread_create(&th, NULL, forever, NULL);
            }
            (void)!write(p[1], "x", 1);
            for (;;)
                pause();
        }
        CHECK_EQ(read(p[0], &c, 1), 1);
        kill(pid, i % 2 ? SIGKILL : SIGTERM);
        CHECK_EQ(waitpid(pid, &st, 0), pid);
        CHECK_EQ(st, i % 2 ? SIGKILL : SIGTERM);
        close(p[0]);
        close(p[1]);
    }
}

static volatile int seen;
static volatile bool stop;

static void count(int sig)
{
    (void)sig;
    seen++;
}

/* One thread is signalled while it calls, computes and waits: nothing is lost, nothing is torn. */
static void *victim(void *arg)
{
    long bad = 0;
    (void)arg;
    while (!stop) {
        bad += syscall(SYS_getpid) != getpid();
        for (volatile int i = 0; i < 500; i++)
            ;
        double x = 1.5;
        for (int i = 0; i < 50; i++)
            x = x * 1.0000001 + 0.25;
        bad += x < 13 || x > 15;
        bad += write(-1, "", 0) != -1 || errno != EBADF;
    }
    return (void *)bad;
}

static void storm(void)
{
    struct sigaction sa = { .sa_handler = count };
    pthread_t th;
    void *bad;
    sigset_t s;
    int sig = SIGRTMIN + 1, n = 500;
    sigaction(sig, &sa, NULL);
    pthread_create(&th, NULL, victim, NULL);
    sigemptyset(&s);
    sigaddset(&s, sig);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    for (int i = 0; i < n; i++)
        CHECK_EQ(pthread_sigqueue(th, sig, (union sigval){ 0 }), 0);
    for (int i = 0; i < 2000 && seen < n; i++)
        nap(1);
    CHECK_EQ(seen, n);
    stop = true;
    pthread_join(th, &bad);
    CHECK_EQ((long)bad, 0);
}

static void forks(void)
{
    for (int i = 0; i < 20; i++) {
        pid_t pid[5];
        int st;
        for (int k = 0; k < 5; k++) {
            pid[k] = fork();
            if (pid[k] == 0)
                _exit(k);
        }
        for (int k = 0; k < 5; k++) {
            CHECK_EQ(waitpid(pid[k], &st, 0), pid[k]);
            CHECK_EQ(st, k << 8);
        }
    }
}

static void vforks(void)
{
    for (volatile int i = 0; i < 10; i++) {
        volatile int shared = 0;
        pid_t pid = vfork();
        int st;
        if (pid == 0) {
            shared = 5;
            _exit(4);
        }
        CHECK_EQ(shared, 5);
        CHECK_EQ(waitpid(pid, &st, 0), pid);
        CHECK_EQ(st, 4 << 8);
    }
}

/* The first thread has left; the others' memory is still there for calls, and for a fork. */
static void *outlives(void *arg)
{
    int left = open(arg, O_RDONLY), bytes = 0, status;
    char c = 1;
    pid_t pid;

    nap(20);
    if (left >= 0 && read(left, &c, 1) == 1 && c == 0)
        bytes++;
    if (access(arg, R_OK) == 0)
        bytes++;
    pid = fork();
    if (pid == 0)
        _exit(bytes);
    if (waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == bytes)
        bytes++;
    _exit(bytes);
}

static void leader_first(void)
{
    static char zero[] = "/dev/zero";
    pthread_t th;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pthread_create(&th, NULL, outlives, zero);
        pthread_exit(NULL);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 3);
}

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--pid") == 0)
        return getpid() == atoi(argv[2]) && syscall(SYS_gettid) == getpid() ? 33 : 34;
    RUN(robust_thread);
    RUN(robust_process);
    RUN(joins);
    RUN(exec_by_thread);
    RUN(killed_busy);
    RUN(storm);
    RUN(forks);
    RUN(vforks);
    RUN(leader_first);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* futex_waitv, futex_wait, futex_wake, futex_requeue: with one another and with futex(2). */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#define NR_WAITV 449
#define NR_WAKE 454
#define NR_WAIT 455
#define NR_REQUEUE 456
#define U32 2u
#define PRIVATE 128u

struct waitv {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
};

static uint32_t a, b;

static void *poke(void *arg)
{
    uint32_t *word = arg;

    for (int i = 0; i < 5000; i++) {
        if (syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) > 0)
            return (void *)1;
        usleep(1000);
    }
    return NULL;
}

static struct timespec soon(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_nsec += 30000000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static void waits_on_many(void)
{
    struct waitv v[2] = { { 0, (uintptr_t)&a, U32 | PRIVATE, 0 },
                          { 0, (uintptr_t)&b, U32 | PRIVATE, 0 } };
    struct timespec ts = soon();
    pthread_t th;
    void *woke;

    pthread_create(&th, NULL, poke, &b);
    CHECK_EQ(syscall(NR_WAITV, v, 2, 0, NULL, 0), 1);
    pthread_join(th, &woke);
    CHECK(woke);
    CHECK_ERR(syscall(NR_WAITV, v, 2, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
    v[1].val = 1;
    CHECK_ERR(syscall(NR_WAITV, v, 2, 0, NULL, 0), EAGAIN);
    CHECK_ERR(syscall(NR_WAITV, v, 0, 0, NULL, 0), EINVAL);
    CHECK_ERR(syscall(NR_WAITV, v, 129, 0, NULL, 0), EINVAL);
    CHECK_ERR(syscall(NR_WAITV, v, 2, 1, NULL, 0), EINVAL);
    v[0].reserved = 1;
    CHECK_ERR(syscall(NR_WAITV, v, 2, 0, NULL, 0), EINVAL);
}

static volatile int hits;

static void on_signal(int sig)
{
    (void)sig;
    hits++;
}

/* A signal ends it, as it does futex(2). */
static void interrupted(void)
{
    struct waitv v = { 0, (uintptr_t)&a, U32 | PRIVATE, 0 };
    struct sigaction sa = { .sa_handler = on_signal };

    sigaction(SIGALRM, &sa, NULL);
    ualarm(30000, 0);
    CHECK_ERR(syscall(NR_WAITV, &v, 1, 0, NULL, 0), EINTR);
    CHECK_EQ(hits, 1);
}

static void *wait_new(void *arg)
{
    return (void *)syscall(NR_WAIT, arg, 0ul, ~0u, U32 | PRIVATE, NULL, 0);
}

static void new_calls(void)
{
    struct waitv v[2] = { { 0, (uintptr_t)&a, U32 | PRIVATE, 0 },
                          { 0, (uintptr_t)&b, U32 | PRIVATE, 0 } };
    pthread_t th;
    void *r;

    errno = 0;
    if (syscall(NR_WAKE, &a, ~0u, 1, U32 | PRIVATE) < 0 && errno == ENOSYS) {
        printf("not there: futex_wake and its like (6.7)\n");
        return;
    }
    pthread_create(&th, NULL, wait_new, &a);
    long woken = 0;
    for (int i = 0; i < 5000 && !woken; i++, usleep(1000))
        woken = syscall(NR_WAKE, &a, ~0u, 1, U32 | PRIVATE);
    CHECK_EQ(woken, 1);
    pthread_join(th, &r);
    CHECK_EQ((long)r, 0);

    pthread_create(&th, NULL, wait_new, &a); /* moved to b, and woken there by the old call */
    long moved = 0;
    for (int i = 0; i < 5000 && !moved; i++, usleep(1000))
        moved = syscall(NR_REQUEUE, v, 0, 0, 1);
    CHECK_EQ(moved, 1);
    CHECK_EQ(syscall(SYS_futex, &b, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
    pthread_join(th, &r);
    CHECK_EQ((long)r, 0);

    CHECK_ERR(syscall(NR_WAIT, &a, 1ul, ~0u, U32 | PRIVATE, NULL, 0), EAGAIN);
    CHECK_ERR(syscall(NR_WAIT, &a, 0ul, 0, U32 | PRIVATE, NULL, 0), EINVAL);
    CHECK_ERR(syscall(NR_WAKE, &a, ~0u, 1, 0x40u), EINVAL);
    CHECK_ERR(syscall(NR_WAKE, &a, ~0u, 1, 3u), EINVAL); /* 64 bits */
    CHECK_ERR(syscall(NR_REQUEUE, v, 1, 0, 1), EINVAL);
}

/* Between processes, by the file behind the memory. */
static void shared(void)
{
    uint32_t *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct waitv v = { 0, (uintptr_t)word, U32, 0 };
    int st;
    pid_t pid = fork();

    if (pid == 0)
        _exit(syscall(NR_WAITV, &v, 1, 0, NULL, 0) == 0 ? 5 : 6);
    long woken = 0;
    for (int i = 0; i < 5000 && !woken; i++, usleep(1000))
        woken = syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
    CHECK_EQ(woken, 1);
    CHECK_EQ(waitpid(pid, &st, 0), pid);
    CHECK_EQ(WEXITSTATUS(st), 5);
}

int main(void)
{
    if (syscall(NR_WAITV, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
        SKIP("no futex_waitv on this host (5.16)");
    RUN(waits_on_many);
    RUN(interrupted);
    RUN(new_calls);
    RUN(shared);
    DONE();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes that know of owners: PI mutexes of the C library, robust ones, and the raw calls. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define THREADS 4
#define ROUNDS 2000

static long futex(uint32_t *word, int op, uint32_t val, void *timeout, uint32_t *word2,
                  uint32_t val3)
{
    return syscall(SYS_futex, word, op, val, timeout, word2, val3);
}

static pid_t tid_of_me(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void pi_mutex(pthread_mutex_t *m, int shared, int robust)
{
    pthread_mutexattr_t a;

    pthread_mutexattr_init(&a);
    CHECK_EQ(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT), 0);
    if (shared)
        pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    if (robust)
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    CHECK_EQ(pthread_mutex_init(m, &a), 0);
    pthread_mutexattr_destroy(&a);
}

static struct shared {
    pthread_mutex_t m;
    long count;
    uint32_t word, cond;
    _Atomic int ready;
} * sh;

static void *add_many(void *arg)
{
    struct shared *s = arg;

    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&s->m);
        s->count++;
        pthread_mutex_unlock(&s->m);
    }
    return NULL;
}

static void threads_exclude_one_another(void)
{
    pthread_t th[THREADS];

    pi_mutex(&sh->m, 0, 0);
    sh->count = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&th[i], NULL, add_many, sh), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(th[i], NULL);
    CHECK_EQ(sh->count, (long)THREADS * ROUNDS);
    CHECK_EQ(pthread_mutex_lock(&sh->m), 0);
    CHECK_EQ(pthread_mutex_trylock(&sh->m), EBUSY);
    CHECK_EQ(pthread_mutex_unlock(&sh->m), 0);
}

static void processes_exclude_one_another(void)
{
    pid_t child[2];

    pi_mutex(&sh->m, 1, 0);
    sh->count = 0;
    for (int i = 0; i < 2; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            add_many(sh);
            _exit(0);
        }
    }
    add_many(sh);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(waitpid(child[i], NULL, 0), child[i]);
    CHECK_EQ(sh->count, 3l * ROUNDS);
}

/* The owner dies with the lock: the next one is told, and can go on with it. */
static void dead_owner(void)
{
    pid_t child;

    pi_mutex(&sh->m, 1, 1);
    sh->ready = 0;
    child = fork();
    if (child == 0) {
        pthread_mutex_lock(&sh->m);
        sh->ready = 1;
        pause();
    }
    while (!sh->ready)
        sched_yield();
    pid_t killer = fork();
    if (killer == 0) {
        usleep(100000); /* the parent waits for the lock by then; if not, that is fine as well */
        kill(child, SIGKILL);
        _exit(0);
    }
    CHECK_EQ(pthread_mutex_lock(&sh->m), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&sh->m), 0);
    CHECK_EQ(pthread_mutex_unlock(&sh->m), 0);
    CHECK_EQ(pthread_mutex_lock(&sh->m), 0);
    CHECK_EQ(pthread_mutex_unlock(&sh->m), 0);
    waitpid(child, NULL, 0);
    waitpid(killer, NULL, 0);
}

/* Without a list of robust locks too, the kernel knows who was waited for. */
static void *own_and_leave(void *arg)
{
    struct shared *s = arg;

    s->word = (uint32_t)tid_of_me();
    s->ready = 1;
    while (!(__atomic_load_n(&s->word, __ATOMIC_SEQ_CST) & FUTEX_WAITERS))
        sched_yield();
    usleep(20000);
    return NULL;
}

static void owner_leaves(void)
{
    pthread_t th;

    sh->ready = 0;
    pthread_create(&th, NULL, own_and_leave, sh);
    while (!sh->ready)
        sched_yield();
    CHECK_EQ(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word & FUTEX_TID_MASK, tid_of_me());
    CHECK(sh->word & FUTEX_OWNER_DIED);
    CHECK_EQ(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word, 0);
    pthread_join(th, NULL);
}

static void *own_for_long(void *arg)
{
    struct shared *s = arg;

    CHECK_EQ(futex(&s->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    s->ready = 1;
    while (s->ready != 2)
        usleep(1000);
    CHECK_EQ(futex(&s->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    return NULL;
}

static void on_alarm(int sig)
{
    (void)sig;
}

static struct timespec in_ms(clockid_t clock, long ms)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    ts.tv_nsec += ms * 1000000;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static void raw_calls(void)
{
    struct timespec soon, bad = { 0, -1 };
    pthread_t th;
    char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    sh->word = 0;
    sh->ready = 0;
    CHECK_EQ(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word, tid_of_me());
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK_ERR(futex(&sh->word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK_EQ(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word, 0);
    CHECK_ERR(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
    CHECK_ERR(futex((uint32_t *)((char *)&sh->word + 1), FUTEX_LOCK_PI, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex((uint32_t *)8, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex((uint32_t *)ro, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, &bad, NULL, 0), EINVAL);
    sh->word = 0x3ffffff0; /* nobody has that number */
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), ESRCH);
    sh->word = 0;

    pthread_create(&th, NULL, own_for_long, sh);
    while (!sh->ready)
        sched_yield();
    CHECK_ERR(futex(&sh->word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EAGAIN);
    soon = in_ms(CLOCK_REALTIME, 30);
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, &soon, NULL, 0), ETIMEDOUT);
    soon = in_ms(CLOCK_MONOTONIC, 30);
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, &soon, NULL, 0), ETIMEDOUT);
    /* a signal does not end the wait */
    sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
    ualarm(20000, 0);
    soon = in_ms(CLOCK_MONOTONIC, 80);
    CHECK_ERR(futex(&sh->word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, &soon, NULL, 0), ETIMEDOUT);
    CHECK_ERR(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
    sh->ready = 2;
    CHECK_EQ(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word & FUTEX_TID_MASK, tid_of_me());
    CHECK_EQ(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(sh->word, 0);
    pthread_join(th, NULL);
    munmap(ro, 4096);
}

/* Two that hold what the other one wants. */
static uint32_t left, right;

static void *take_right_then_left(void *arg)
{
    struct shared *s = arg;

    CHECK_EQ(futex(&right, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    s->ready = 1;
    CHECK_EQ(futex(&left, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(futex(&left, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    CHECK_EQ(futex(&right, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    return NULL;
}

static void circle(void)
{
    pthread_t th;

    sh->ready = 0;
    CHECK_EQ(futex(&left, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    pthread_create(&th, NULL, take_right_then_left, sh);
    while (!sh->ready || !(__atomic_load_n(&left, __ATOMIC_SEQ_CST) & FUTEX_WAITERS))
        sched_yield();
    usleep(20000);
    CHECK_ERR(futex(&right, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
    CHECK_EQ(futex(&left, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    pthread_join(th, NULL);
}

/* ---- requeueing ---- */

static _Atomic int waiting, done;

static void *wait_for_both(void *arg)
{
    struct shared *s = arg;

    waiting++;
    CHECK_EQ(futex(&s->cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 7, NULL, &s->word, 0), 0);
    CHECK_EQ(__atomic_load_n(&s->word, __ATOMIC_SEQ_CST) & FUTEX_TID_MASK, tid_of_me());
    done++;
    CHECK_EQ(futex(&s->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    return NULL;
}

/* As many as wait by then; at most a second of tries. */
static long requeue(int most)
{
    long moved = 0;

    for (int i = 0; i < 1000 && moved < THREADS; i++) {
        long r = futex(&sh->cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)(intptr_t)most,
                       &sh->word, 7);
        if (r < 0)
            return r;
        moved += r;
        usleep(1000);
    }
    return moved;
}

static void requeues(int locked)
{
    struct timespec soon = in_ms(CLOCK_MONOTONIC, 20);
    pthread_t th[THREADS];

    sh->cond = 7;
    sh->word = 0;
    waiting = done = 0;
    CHECK_ERR(futex(&sh->cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 8, NULL, &sh->word, 0), EAGAIN);
    CHECK_ERR(futex(&sh->cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 7, &soon, &sh->word, 0), ETIMEDOUT);
    CHECK_ERR(futex(&sh->cond, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 7, NULL, &sh->cond, 0), EINVAL);
    CHECK_ERR(futex(&sh->cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)1, &sh->word, 7), EINVAL);
    CHECK_ERR(futex(&sh->cond, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)1, &sh->word, 8), EAGAIN);
    if (locked)
        CHECK_EQ(futex(&sh->word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&th[i], NULL, wait_for_both, sh);
    while (waiting < THREADS)
        sched_yield();
    CHECK_EQ(requeue(THREADS), THREADS);
    if (locked) {
        usleep(20000);
        CHECK_EQ(done, 0);
        CHECK_EQ(futex(&sh->word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(th[i], NULL);
    CHECK_EQ(done, THREADS);
    CHECK_EQ(sh->word, 0);
}

static void requeue_to_free(void)
{
    requeues(0);
}

static void requeue_to_locked(void)
{
    requeues(1);
}

int main(void)
{
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    RUN(raw_calls);
    RUN(threads_exclude_one_another);
    RUN(processes_exclude_one_another);
    RUN(owner_leaves);
    RUN(dead_owner);
    RUN(circle);
    RUN(requeue_to_free);
    RUN(requeue_to_locked);
    DONE();
}

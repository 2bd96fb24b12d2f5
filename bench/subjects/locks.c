/* SPDX-License-Identifier: Apache-2.0 */
/* Mutexes and condition variables between eight threads, a futex between two processes. */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define THREADS 8
#define ROUNDS 5
#define SLOTS 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER, not_empty = PTHREAD_COND_INITIALIZER;
static volatile long counter, slots_used;
static long per_thread;

static void *take_lock(void *arg)
{
    for (long i = 0; i < per_thread; i++) {
        pthread_mutex_lock(&lock);
        for (int k = 0; k < 20; k++)
            counter = counter + 1;
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

/* Even threads put into a queue of four slots, odd ones take out of it. */
static void *put_or_take(void *arg)
{
    int puts = (long)arg % 2 == 0;
    for (long i = 0; i < per_thread; i++) {
        pthread_mutex_lock(&lock);
        while (slots_used == (puts ? SLOTS : 0))
            pthread_cond_wait(puts ? &not_full : &not_empty, &lock);
        slots_used = slots_used + (puts ? 1 : -1);
        pthread_cond_signal(puts ? &not_empty : &not_full);
        pthread_mutex_unlock(&lock);
    }
    return arg;
}

/* us for each pass of a thread; a: by condition variables */
static void contend(const struct row *row)
{
    double round[ROUNDS];
    per_thread = bench_count(row->count) / THREADS;
    for (int r = 0; r < ROUNDS; r++) {
        pthread_t threads[THREADS];
        double start = now_us();
        for (long i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, row->a ? put_or_take : take_lock, (void *)i) != 0)
                fail("pthread_create");
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        round[r] = (now_us() - start) / (double)(per_thread * THREADS);
    }
    report(row->name, median(round, ROUNDS), "us");
}

static _Atomic(uint32_t) *word;

static void wait_until(uint32_t value)
{
    for (uint32_t seen = *word; seen != value; seen = *word)
        syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void set_and_wake(uint32_t value)
{
    *word = value;
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void to_other_and_back(const struct row *row)
{
    (void)row;
    set_and_wake(1);
    wait_until(0);
}

static _Noreturn void from_other_and_back(void)
{
    for (;;) {
        uint32_t seen;
        while ((seen = *word) == 0)
            syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
        if (seen == 2)
            _exit(0);
        set_and_wake(0);
    }
}

/* A word in shared memory that one process sets to 1 and the other back to 0; 2 ends it. */
static void between_processes(const struct row *row)
{
    word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        fail("mmap");
    pid_t pid = (pid_t)ok(fork(), "fork");
    if (pid == 0)
        from_other_and_back();
    each_us(row);
    set_and_wake(2);
    ok(waitpid(pid, NULL, 0), "waitpid");
}

static const struct row rows[] = {
    { "mutex-8", contend, NULL, 200000, 0, 0 },
    { "cond-8", contend, NULL, 20000, 1, 0 },
    { "futex-processes", between_processes, to_other_and_back, 11000, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

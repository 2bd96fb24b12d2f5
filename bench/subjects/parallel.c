/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several threads or processes, each with some work between cheap calls. Two figures:
 *
 *   NAME          wall time of all, for each round of work and call that one of them did
 *   NAME-scaling  the same as a multiple of what it would be if they ran one after the other, spread
 *                 over the cpus: 1 is perfect
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define MOST 4
#define ROUNDS 5

/* The work is counted in loops, not by the clock: who is not running does nothing. */
static double loops_per_us;

static void loop(long n)
{
    for (volatile long i = 0; i < n; i++)
        ;
}

static void calibrate(void)
{
    const long n = 200000;
    for (int i = 0; i < 9; i++) {
        double start = now_us();
        loop(n);
        double rate = (double)n / (now_us() - start);
        if (rate > loops_per_us)
            loops_per_us = rate;
    }
}

struct job {
    pthread_barrier_t begin, end;
    long rounds, loops;
};

static void *worker(void *arg)
{
    struct job *job = arg;
    pthread_barrier_wait(&job->begin);
    for (long i = 0; i < job->rounds; i++) {
        loop(job->loops);
        syscall(SYS_getppid);
    }
    pthread_barrier_wait(&job->end);
    return NULL;
}

static struct job *job_new(long rounds, long loops, unsigned workers)
{
    pthread_barrierattr_t attr;
    struct job *job = mmap(NULL, sizeof *job, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                           -1, 0);
    if (job == MAP_FAILED)
        fail("mmap");
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&job->begin, &attr, workers + 1);
    pthread_barrier_init(&job->end, &attr, workers + 1);
    job->rounds = rounds;
    job->loops = loops;
    return job;
}

/* The wall time of n workers from when all are there until all have done their rounds. */
static double run(long n, int processes, long rounds, long loops)
{
    struct job *job = job_new(rounds, loops, (unsigned)n);
    pthread_t threads[MOST];
    for (long i = 0; i < n; i++) {
        if (!processes) {
            if (pthread_create(&threads[i], NULL, worker, job) != 0)
                fail("pthread_create");
        } else if (ok(fork(), "fork") == 0) {
            worker(job);
            _exit(0);
        }
    }
    /* A worker has waited at the barrier for the last one; the clock runs from before that. */
    double start = now_us();
    pthread_barrier_wait(&job->begin);
    pthread_barrier_wait(&job->end);
    double us = now_us() - start;
    for (long i = 0; i < n; i++) {
        int status = 0;
        if (!processes)
            pthread_join(threads[i], NULL);
        else if (wait(&status) < 0 || status != 0)
            fail("a worker");
    }
    munmap(job, sizeof *job);
    return us;
}

/* a: workers, negative for processes; b: us of work */
static void all_at_work(const struct row *row)
{
    double alone[ROUNDS], all[ROUNDS];
    char name[64];
    int processes = row->a < 0;
    long n = processes ? -row->a : row->a;
    long rounds = bench_count(row->count), share = n < cpus() ? n : cpus();
    calibrate();
    long loops = (long)((double)row->b * loops_per_us);
    for (int i = 0; i < ROUNDS; i++) {
        alone[i] = run(1, processes, rounds, loops);
        all[i] = run(n, processes, rounds, loops);
    }
    double us = median(all, ROUNDS);
    snprintf(name, sizeof name, "%s-scaling", row->name);
    report(row->name, us / (double)rounds, "us");
    report(name, us / (median(alone, ROUNDS) * (double)n / (double)share), "x");
}

static const struct row rows[] = {
    { "threads-2-0us", all_at_work, NULL, 4000, 2, 0 },
    { "threads-2-10us", all_at_work, NULL, 2000, 2, 10 },
    { "threads-2-100us", all_at_work, NULL, 400, 2, 100 },
    { "threads-4-0us", all_at_work, NULL, 4000, 4, 0 },
    { "threads-4-10us", all_at_work, NULL, 2000, 4, 10 },
    { "threads-4-100us", all_at_work, NULL, 400, 4, 100 },
    { "processes-2-0us", all_at_work, NULL, 4000, -2, 0 },
    { "processes-2-10us", all_at_work, NULL, 2000, -2, 10 },
    { "processes-2-100us", all_at_work, NULL, 400, -2, 100 },
    { "processes-4-0us", all_at_work, NULL, 4000, -4, 0 },
    { "processes-4-10us", all_at_work, NULL, 2000, -4, 10 },
    { "processes-4-100us", all_at_work, NULL, 400, -4, 100 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that ask for nothing but an entry into the kernel. clock_gettime is libc's (the vDSO). */
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

/* a: the number of the call */
static void by_number(const struct row *row)
{
    syscall(row->a);
}

static void clock_libc(const struct row *row)
{
    struct timespec t;
    clock_gettime((clockid_t)row->a, &t);
}

static void clock_call(const struct row *row)
{
    struct timespec t;
    syscall(SYS_clock_gettime, row->a, &t);
}

static void yield(const struct row *row)
{
    (void)row;
    sched_yield();
}

static const struct row rows[] = {
    { "getpid", each_us, by_number, 20000, SYS_getpid, 0 },
    { "gettid", each_us, by_number, 20000, SYS_gettid, 0 },
    { "getuid", each_us, by_number, 20000, SYS_getuid, 0 },
    { "getppid", each_us, by_number, 20000, SYS_getppid, 0 },
    { "clock_gettime", each_us, clock_libc, 20000, CLOCK_MONOTONIC, 0 },
    { "clock_gettime-call", each_us, clock_call, 20000, CLOCK_MONOTONIC, 0 },
    { "sched_yield", each_us, yield, 20000, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

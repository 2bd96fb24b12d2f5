/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define TMPFS_MAGIC 0x01021994

static int quick;

long bench_count(long count)
{
    long n = quick ? count / 5 : count;
    return n > 0 ? n : 1;
}

double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void report(const char *name, double value, const char *unit)
{
    printf("%s %.6g %s\n", name, value, unit);
    fflush(stdout);
}

void each_us(const struct row *row)
{
    double batch[BATCHES];
    long n = bench_count(row->count) / BATCHES;
    if (n < 1)
        n = 1;
    for (int b = -1; b < BATCHES; b++) {
        double start = now_us();
        for (long i = 0; i < n; i++)
            row->op(row);
        if (b >= 0)
            batch[b] = (now_us() - start) / (double)n;
    }
    report(row->name, median(batch, BATCHES), "us");
}

void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

long ok(long value, const char *what)
{
    if (value < 0)
        fail(what);
    return value;
}

void read_all(int fd, void *buf, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = read(fd, (char *)buf + done, n - done);
        if (r == 0)
            errno = EPIPE;
        if (r <= 0)
            fail("read");
        done += (size_t)r;
    }
}

void write_all(int fd, const void *buf, size_t n)
{
    for (size_t done = 0; done < n;)
        done += (size_t)ok(write(fd, (const char *)buf + done, n - done), "write");
}

const char *memory_dir(void)
{
    struct statfs fs;
    return statfs("/tmp", &fs) == 0 && fs.f_type == TMPFS_MAGIC ? "/tmp" : "/dev/shm";
}

void work_us(double us)
{
    double end = now_us() + us;
    while (us > 0 && now_us() < end)
        ;
}

int cpus(void)
{
    cpu_set_t set;
    ok(sched_getaffinity(0, sizeof set, &set), "sched_getaffinity");
    return CPU_COUNT(&set);
}

static const struct row *find(const struct row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    fprintf(stderr, "there is no row %s\n", name);
    exit(2);
}

int bench_main(int argc, char **argv, const struct row *rows, size_t n)
{
    int c, list = 0;
    while ((c = getopt(argc, argv, "lq")) != -1) {
        if (c == 'l')
            list = 1;
        else if (c == 'q')
            quick = 1;
        else
            return 2;
    }
    for (size_t i = 0; i < n; i++) {
        if (list)
            puts(rows[i].name);
        else if (optind == argc)
            rows[i].run(&rows[i]);
    }
    for (int i = optind; i < argc; i++) {
        const struct row *row = find(rows, n, argv[i]);
        row->run(row);
    }
    return 0;
}

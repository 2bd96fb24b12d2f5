/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subjects share. A subject is a static program with a table of rows:
 *
 *   SUBJECT -l              lists the names of its rows
 *   SUBJECT [-q] [NAME...]  measures these rows, or all; -q does a fifth of the work
 *
 * A row does a fixed amount of work, so that cpu seconds can be compared, in batches, and prints the
 * median of its batches as a line "name value unit". What fails ends the program with status 1.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct row {
    const char *name;
    void (*run)(const struct row *row);
    void (*op)(const struct row *row); /* what is measured, where run measures one operation */
    long count;                        /* how often it is done in all, without -q */
    long a, b;                         /* for run and op */
};

#define BATCHES 11

int bench_main(int argc, char **argv, const struct row *rows, size_t n);

/* Of a count, what is done with -q. */
long bench_count(long count);

double now_us(void);
double median(double *values, size_t n);
void report(const char *name, double value, const char *unit);

/* Does op count times, in batches after one that is not counted; reports us an operation. */
void each_us(const struct row *row);

/* Ends the program when a call has failed (a negative value), and passes its value on. */
long ok(long value, const char *what);
_Noreturn void fail(const char *what);

/* Reads or writes all n bytes. */
void read_all(int fd, void *buf, size_t n);
void write_all(int fd, const void *buf, size_t n);

/* A directory in memory: /tmp where that is one, else /dev/shm. */
const char *memory_dir(void);

/* Busy for this long, without a call. */
void work_us(double us);

/* The number of cpus that this process may use. */
int cpus(void);

/* SPDX-License-Identifier: Apache-2.0 */
/* No calls at all: a product of matrices, and a sort. */
#include <stdlib.h>

#include "bench/subjects/bench.h"

#define N 160
#define SORTED 20000

static double a[N][N], b[N][N], c[N][N];
static unsigned values[SORTED];

static void product(const struct row *row)
{
    (void)row;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum + a[j][i];
        }
    a[0][0] = c[1][1] * 1e-9;
}

static int by_value(const void *x, const void *y)
{
    unsigned p = *(const unsigned *)x, q = *(const unsigned *)y;
    return (p > q) - (p < q);
}

static void sort(const struct row *row)
{
    unsigned seed = 1;
    (void)row;
    for (int i = 0; i < SORTED; i++)
        values[i] = seed = seed * 1664525 + 1013904223;
    qsort(values, SORTED, sizeof *values, by_value);
}

static const struct row rows[] = {
    { "product-160", each_us, product, 44, 0, 0 },
    { "sort-20000", each_us, sort, 88, 0, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

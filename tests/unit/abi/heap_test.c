/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator: blocks of all sizes keep their bytes, among themselves and across threads. */
#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "abi/heap.h"
#include "abi/types.h"

#define BLOCKS 600
#define ROUNDS 10000
#define THREADS 4

struct block {
    unsigned char *p;
    size_t n;
    unsigned char mark;
};

static size_t some_size(uint32_t r)
{
    switch (r % 16) {
    case 0:
        return r / 16 % 2000000;
    case 1 ... 3:
        return r / 16 % 70000;
    default:
        return r / 16 % 700;
    }
}

static bool whole(const struct block *b)
{
    size_t step = MAX(b->n / 64, 1ul);

    for (size_t i = 0; i < b->n; i += step)
        if (b->p[i] != b->mark)
            return false;
    return b->n == 0 || b->p[b->n - 1] == b->mark;
}

static void fresh(struct block *b, uint32_t r)
{
    b->n = some_size(r);
    if (r & 1) {
        b->p = heap_zalloc(b->n);
        b->mark = 0;
        ck_assert_ptr_nonnull(b->p);
        ck_assert(whole(b));
    } else {
        b->p = heap_alloc(b->n);
        ck_assert_ptr_nonnull(b->p);
    }
    ck_assert_uint_ge(heap_size(b->p), b->n);
    ck_assert_uint_eq((uintptr_t)b->p % 16, 0);
    b->mark = (unsigned char)(r >> 8);
    memset(b->p, b->mark, b->n);
}

static void *churn(void *arg)
{
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (int i = 0; i < ROUNDS; i++) {
        uint32_t r = (uint32_t)rand_r(&seed) << 8 ^ (uint32_t)rand_r(&seed);
        struct block *b = &blocks[(uint32_t)rand_r(&seed) % BLOCKS];

        if (!b->p) {
            fresh(b, r);
            continue;
        }
        ck_assert(whole(b));
        if (r % 8 == 0) {
            size_t n = some_size(r / 8), had = b->n;

            b->p = heap_resize(b->p, n);
            ck_assert_ptr_nonnull(b->p);
            b->n = MIN(n, had);
            ck_assert(whole(b));
            b->n = n;
            memset(b->p, b->mark, n);
        } else {
            heap_free(b->p);
            b->p = NULL;
        }
    }
    for (int i = 0; i < BLOCKS; i++)
        heap_free(blocks[i].p);
    free(blocks);
    return NULL;
}

START_TEST(blocks_keep_their_bytes)
{
    churn((void *)1);
}
END_TEST

START_TEST(threads_do_not_meet)
{
    pthread_t th[THREADS];

    for (unsigned round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&th[i], NULL, churn, (void *)(i + 7 * round)), 0);
        for (unsigned i = 0; i < THREADS; i++)
            pthread_join(th[i], NULL);
    }
}
END_TEST

static void *free_all(void *arg)
{
    for (void **p = arg; *p; p++)
        heap_free(*p);
    return NULL;
}

START_TEST(freed_by_another_thread)
{
    void *p[1001] = { NULL };
    pthread_t th;

    for (int round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 1000; i++)
            ck_assert_ptr_nonnull(p[i] = heap_alloc(i));
        ck_assert_int_eq(pthread_create(&th, NULL, free_all, p), 0);
        pthread_join(th, NULL);
    }
}
END_TEST

START_TEST(sizes)
{
    for (size_t n = 0; n < 100000; n += n / 300 + 1) {
        void *p = heap_alloc(n);

        ck_assert_uint_ge(heap_size(p), n);
        ck_assert_uint_le(heap_size(p),
                          MAX(n + n / 4 + 16, 4096ul * (n > 32768 ? n / 4096 + 1 : 0)));
        heap_free(p);
    }
    ck_assert_ptr_null(heap_alloc(SIZE_MAX - 5));
    ck_assert_ptr_null(heap_alloc(PTRDIFF_MAX));
}
END_TEST

START_TEST(aligned)
{
    for (size_t align = 16; align <= 4096; align *= 2) {
        for (size_t n = 1; n < 50000; n = n * 3 / 2 + 1) {
            void *p = heap_aligned(align, n), *q = heap_aligned(align, n);

            ck_assert_uint_eq((uintptr_t)p % align, 0);
            ck_assert_uint_eq((uintptr_t)q % align, 0);
            ck_assert_uint_ge(heap_size(p), n);
            heap_free(p);
            heap_free(q);
        }
    }
    ck_assert_ptr_null(heap_aligned(24, 1));
    ck_assert_ptr_null(heap_aligned(8192, 1));
}
END_TEST

START_TEST(twice_ends_the_program)
{
    void *p = heap_alloc(100);

    heap_free(p);
    heap_free(p);
}
END_TEST

START_TEST(wild_ends_the_program)
{
    char *p = heap_alloc(100000);

    heap_free(p + 8);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("heap");
    TCase *c = tcase_create("all");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(c, 60);
    tcase_add_test(c, blocks_keep_their_bytes);
    tcase_add_test(c, threads_do_not_meet);
    tcase_add_test(c, freed_by_another_thread);
    tcase_add_test(c, sizes);
    tcase_add_test(c, aligned);
    tcase_add_test_raise_signal(c, twice_ends_the_program, 6 /* SIGABRT */);
    tcase_add_test_raise_signal(c, wild_ends_the_program, 6 /* SIGABRT */);
    suite_add_tcase(s, c);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

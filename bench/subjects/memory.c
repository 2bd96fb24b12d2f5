/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, faults and an allocator at work. Sizes in pages of 4 KiB. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define PAGE 4096L
#define PAGES 64
#define FILE_PAGES 256

static char *map(size_t bytes, int prot, int flags, int fd)
{
    char *p = mmap(NULL, bytes, prot, flags, fd, 0);
    if (p == MAP_FAILED)
        fail("mmap");
    return p;
}

static void touch(volatile char *p, long pages)
{
    for (long i = 0; i < pages; i++)
        p[i * PAGE] = 1;
}

static void map_touch_unmap(const struct row *row)
{
    (void)row;
    char *p = map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(p, PAGES);
    ok(munmap(p, PAGES * PAGE), "munmap");
}

static char *area;

static void dontneed(const struct row *row)
{
    (void)row;
    touch(area, PAGES);
    ok(madvise(area, PAGES * PAGE, MADV_DONTNEED), "madvise");
}

static void with_area(const struct row *row)
{
    area = map(PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    each_us(row);
    munmap(area, PAGES * PAGE);
}

/* A fault on a page of a host file: read, or written to in a private copy. Only the touches count.
 * a: write, not read */
static void file_fault(const struct row *row)
{
    double batch[BATCHES];
    int fd = (int)ok(open("work/1MiB", O_RDONLY), "work/1MiB");
    long n = bench_count(row->count) / BATCHES + 1;
    for (int b = -1; b < BATCHES; b++) {
        double us = 0;
        for (long i = 0; i < n; i++) {
            volatile char *p = map(FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
            double start = now_us();
            for (long page = 0; page < FILE_PAGES; page++) {
                char c = p[page * PAGE];
                if (row->a)
                    p[page * PAGE] = c;
            }
            us += now_us() - start;
            munmap((void *)p, FILE_PAGES * PAGE);
        }
        if (b >= 0)
            batch[b] = us / (double)(n * FILE_PAGES);
    }
    close(fd);
    report(row->name, median(batch, BATCHES), "us");
}

/* 1,000 allocations of 16 bytes to 256 KiB, small ones most often, the older half freed on the way:
 * the heap grows and shrinks, and large ones are maps. */
static void allocate(const struct row *row)
{
    static char *slots[256];
    static unsigned long seed = 1;
    (void)row;
    for (int i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005UL + 1442695040888963407UL;
        unsigned slot = (unsigned)(seed >> 33) % 256;
        size_t bytes = (size_t)16 << (seed >> 45) % ((seed >> 60) == 0 ? 15 : 8);
        free(slots[slot]);
        slots[slot] = malloc(bytes);
        if (slots[slot] == NULL)
            fail("malloc");
        memset(slots[slot], 1, bytes);
    }
}

static const struct row rows[] = {
    { "map+touch+unmap", each_us, map_touch_unmap, 2200, 0, 0 },
    { "madvise-dontneed", with_area, dontneed, 2200, 0, 0 },
    { "malloc-1000", each_us, allocate, 550, 0, 0 },
    { "fault-file-read", file_fault, NULL, 220, 0, 0 },
    { "fault-file-write", file_fault, NULL, 110, 1, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

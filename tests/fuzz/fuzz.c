/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main for fuzz targets where there is no libFuzzer. Usage: TARGET [-n COUNT] [FILE...]. Without
 * files it makes COUNT inputs (20,000) by changing seeds; always the same ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 4096

static uint64_t state = 0x9e3779b97f4a7c15ull;

static uint32_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* A few bytes get other values, edges rather than any. */
static void mutate(uint8_t *buf, size_t n)
{
    static const uint8_t edges[] = { 0, 1, 2, 0x7f, 0x80, 0xff, '/', '.', 32, 8 };

    for (unsigned k = rnd() % 4; k > 0 && n > 0; k--) {
        uint8_t *p = &buf[rnd() % n];
        *p = rnd() % 3 ? edges[rnd() % sizeof(edges)] : (uint8_t)rnd();
    }
}

static void run_made(unsigned count)
{
    static uint8_t buf[INPUT_MAX];

    for (unsigned i = 0; i < count; i++) {
        size_t n = 0;
        for (unsigned k = 1 + rnd() % 12; k > 0; k--)
            n += fuzz_seed(rnd() % 10000, buf + n, sizeof(buf) - n);
        mutate(buf, n);
        LLVMFuzzerTestOneInput(buf, rnd() % 8 ? n : rnd() % (n + 1));
    }
}

static int run_file(const char *name)
{
    static uint8_t buf[1 << 20];
    FILE *f = fopen(name, "rb");

    if (!f) {
        perror(name);
        return 1;
    }
    size_t n = fread(buf, 1, sizeof(buf), f);
    fclose(f);
    LLVMFuzzerTestOneInput(buf, n);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned count = 20000;
    int first = 1, failed = 0;

    if (argc > 2 && !strcmp(argv[1], "-n")) {
        count = (unsigned)strtoul(argv[2], NULL, 10);
        first = 3;
    }
    for (int i = first; i < argc; i++)
        failed |= run_file(argv[i]);
    if (first >= argc)
        run_made(count);
    return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How libFuzzer changes inputs: mostly as it does by itself, at times by putting in a piece that means
 * something (fuzz_seed), which blind changes would take long to find.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    uint8_t piece[1024];
    size_t n, at;

    if (seed % 4)
        return LLVMFuzzerMutate(data, size, max);
    n = fuzz_seed(seed / 4, piece, sizeof piece);
    if (n == 0 || n > max)
        return LLVMFuzzerMutate(data, size, max);
    if (size + n > max)
        size = max - n;
    at = seed / 4 % 3 ? size : seed / 12 % (size + 1); /* mostly behind what is there */
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, piece, n);
    return size + n;
}

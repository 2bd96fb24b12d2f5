/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets: a target defines LLVMFuzzerTestOneInput and fuzz_seed. In the preset fuzz libFuzzer has
 * the main, and mutate.c lets it put seeds in; else fuzz.c has, which runs the files it is given, or by
 * itself a number of inputs made from seeds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
/* The i-th valid input (any i); its length. */
size_t fuzz_seed(unsigned i, uint8_t *buf, size_t cap);

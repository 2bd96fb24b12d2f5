/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memcpy, memmove and memcmp for short operands, which are most of ours: names, records, headers. Where the C
 * library is musl they are the program's own of these names (its memcpy begins with `rep movs` whatever the
 * length, which takes longer than a name does; docs/decisions/musl.md). Contracts are those of the C library.
 */
#pragma once

#include <stddef.h>

void *bytes_copy(void *restrict to, const void *restrict from, size_t n);
void *bytes_move(void *to, const void *from, size_t n);
int bytes_compare(const void *a, const void *b, size_t n);

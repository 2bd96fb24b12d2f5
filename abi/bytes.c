/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Up to SHORT bytes everything is loaded before anything is stored, in pieces that may overlap: no loop, and
 * right for operands that overlap too. Behind that the processor's own string move is the fastest.
 */
#include "abi/bytes.h"

#include <features.h>
#include <stdint.h>

#define SHORT 128

typedef uint64_t __attribute__((aligned(1), may_alias)) word8;
typedef uint32_t __attribute__((aligned(1), may_alias)) word4;
typedef uint16_t __attribute__((aligned(1), may_alias)) word2;
typedef unsigned char byte;
typedef long long __attribute__((vector_size(16), aligned(1), may_alias)) word16;

static inline word16 load16(const byte *p)
{
    return *(const word16 *)p;
}

static inline void store16(byte *p, word16 v)
{
    *(word16 *)p = v;
}

static inline void move_tiny(byte *to, const byte *from, size_t n)
{
    if (n >= 8) {
        uint64_t a = *(const word8 *)from, b = *(const word8 *)(from + n - 8);

        *(word8 *)to = a;
        *(word8 *)(to + n - 8) = b;
    } else if (n >= 4) {
        uint32_t a = *(const word4 *)from, b = *(const word4 *)(from + n - 4);

        *(word4 *)to = a;
        *(word4 *)(to + n - 4) = b;
    } else if (n >= 2) {
        uint16_t a = *(const word2 *)from, b = *(const word2 *)(from + n - 2);

        *(word2 *)to = a;
        *(word2 *)(to + n - 2) = b;
    } else if (n) {
        *to = *from;
    }
}

static inline void move_short(byte *to, const byte *from, size_t n)
{
    if (n <= 16) {
        move_tiny(to, from, n);
    } else if (n <= 32) {
        word16 a = load16(from), z = load16(from + n - 16);

        store16(to, a);
        store16(to + n - 16, z);
    } else if (n <= 64) {
        word16 a = load16(from), b = load16(from + 16), y = load16(from + n - 32),
               z = load16(from + n - 16);

        store16(to, a);
        store16(to + 16, b);
        store16(to + n - 32, y);
        store16(to + n - 16, z);
    } else {
        word16 a = load16(from), b = load16(from + 16), c = load16(from + 32),
               d = load16(from + 48), w = load16(from + n - 64), x = load16(from + n - 48),
               y = load16(from + n - 32), z = load16(from + n - 16);

        store16(to, a);
        store16(to + 16, b);
        store16(to + 32, c);
        store16(to + 48, d);
        store16(to + n - 64, w);
        store16(to + n - 48, x);
        store16(to + n - 32, y);
        store16(to + n - 16, z);
    }
}

/* From the front: also right where `to` lies below `from`. */
static inline void move_long(byte *to, const byte *from, size_t n)
{
    uint64_t last = *(const word8 *)(from + n - 8);
    byte *end = to + n - 8;
    size_t words = n / 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    *(word8 *)end = last;
}

static void move_backward(byte *to, const byte *from, size_t n)
{
    word16 first = load16(from);

    for (; n > 16; n -= 16) {
        store16(to + n - 16, load16(from + n - 16));
        __asm__ volatile("" : : : "memory"); /* a loop, not a call of memmove */
    }
    store16(to, first); /* what is left is of its first 16 */
}

void *bytes_copy(void *restrict to, const void *restrict from, size_t n)
{
    if (n <= SHORT)
        move_short(to, from, n);
    else
        move_long(to, from, n);
    return to;
}

void *bytes_move(void *to, const void *from, size_t n)
{
    if (n <= SHORT)
        move_short(to, from, n);
    else if ((uintptr_t)to - (uintptr_t)from >= n)
        move_long(to, from, n);
    else
        move_backward(to, from, n);
    return to;
}

int bytes_compare(const void *a, const void *b, size_t n)
{
    const byte *p = a, *q = b;

    for (; n >= 8; p += 8, q += 8, n -= 8) {
        uint64_t x = *(const word8 *)p, y = *(const word8 *)q;

        if (x != y)
            return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    }
    for (; n; p++, q++, n--) {
        if (*p != *q)
            return *p - *q;
    }
    return 0;
}

#ifndef __GLIBC__
void *memcpy(void *restrict to, const void *restrict from, size_t n)
    __attribute__((alias("bytes_copy")));
void *memmove(void *to, const void *from, size_t n) __attribute__((alias("bytes_move")));
int memcmp(const void *a, const void *b, size_t n) __attribute__((alias("bytes_compare")));
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs as a fuzz target takes them: numbers off the front, zeros when there are no more. */
#pragma once

#include <stdint.h>
#include <string.h>

struct take {
    const uint8_t *p;
    size_t n;
};

static inline uint64_t take_int(struct take *t, size_t bytes)
{
    uint64_t v = 0;

    bytes = bytes < t->n ? bytes : t->n;
    if (bytes)
        memcpy(&v, t->p, bytes);
    t->p += bytes;
    t->n -= bytes;
    return v;
}

static inline uint8_t take8(struct take *t)
{
    return (uint8_t)take_int(t, 1);
}

static inline uint16_t take16(struct take *t)
{
    return (uint16_t)take_int(t, 2);
}

/* At most n bytes, *ret_n of them. */
static inline const uint8_t *take_bytes(struct take *t, size_t n, size_t *ret_n)
{
    const uint8_t *p = t->p;

    n = n < t->n ? n : t->n;
    t->p += n;
    t->n -= n;
    *ret_n = n;
    return p;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the blob does with a call that comes by the light path, by its number; and what of the
 * guest's memory it copies into the block beforehand (in) and out of it afterwards (out). Read by
 * both sides: the sentry works out the same ranges from the registers, and believes no other.
 *
 * A call that is not named here goes to the sentry, which then reads and writes the guest's memory
 * from outside. It does so too where a range turns out not to be mapped, for all of a range in that
 * is longer than LEND_MAX, and for what does not fit into the first LEND_MAX bytes of a range out.
 */
#pragma once

#include <stdint.h>

#define LEND_MAX 8192
#define LEND_STR_MAX 4096

enum lend_kind {
    LEND_NONE,
    LEND_STR,  /* a string at args[arg] */
    LEND_FIX,  /* size bytes at args[arg] */
    LEND_LEN,  /* args[len] bytes */
    LEND_LOCK, /* size bytes, where args[1] is an fcntl command about a lock */
    LEND_ARRAY /* args[len] times size bytes */
};

struct lend {
    uint8_t kind, arg, len;
    uint16_t size;
};

struct light_lend {
    uint16_t nr;
    struct lend in, out;
};

#define STR(arg)                                                                                   \
    {                                                                                              \
        LEND_STR, arg, 0, 0                                                                        \
    }
#define FIX(arg, size)                                                                             \
    {                                                                                              \
        LEND_FIX, arg, 0, size                                                                     \
    }
#define LEN(arg, len)                                                                              \
    {                                                                                              \
        LEND_LEN, arg, len, 0                                                                      \
    }
#define ARRAY(arg, len, size)                                                                      \
    {                                                                                              \
        LEND_ARRAY, arg, len, size                                                                 \
    }
#define LOCK(arg)                                                                                  \
    {                                                                                              \
        LEND_LOCK, arg, 0, 32                                                                      \
    }
#define NONE                                                                                       \
    {                                                                                              \
        LEND_NONE, 0, 0, 0                                                                         \
    }

/* In rising order of their numbers. */
#define LIGHT_LENDS                                                                                \
    {                                                                                              \
        { 0 /* read */, NONE, LEN(1, 2) }, { 1 /* write */, LEN(1, 2), NONE },                     \
            { 2 /* open */, STR(0), NONE }, { 4 /* stat */, STR(0), FIX(1, 144) },                 \
            { 5 /* fstat */, NONE, FIX(1, 144) }, { 6 /* lstat */, STR(0), FIX(1, 144) },          \
            { 7 /* poll */, ARRAY(0, 1, 8), ARRAY(0, 1, 8) },                                      \
            { 13 /* rt_sigaction */, FIX(1, 32), FIX(2, 32) },                                     \
            { 14 /* rt_sigprocmask */, FIX(1, 8), FIX(2, 8) },                                     \
            { 17 /* pread64 */, NONE, LEN(1, 2) }, { 18 /* pwrite64 */, LEN(1, 2), NONE },         \
            { 21 /* access */, STR(0), NONE }, { 44 /* sendto */, LEN(1, 2), NONE },               \
            { 45 /* recvfrom */, NONE, LEN(1, 2) }, { 72 /* fcntl */, LOCK(2), NONE },             \
            { 79 /* getcwd */, NONE, LEN(0, 1) }, { 80 /* chdir */, STR(0), NONE },                \
            { 83 /* mkdir */, STR(0), NONE }, { 84 /* rmdir */, STR(0), NONE },                    \
            { 87 /* unlink */, STR(0), NONE }, { 89 /* readlink */, STR(0), LEN(1, 2) },           \
            { 90 /* chmod */, STR(0), NONE }, { 96 /* gettimeofday */, NONE, FIX(0, 16) },         \
            { 217 /* getdents64 */, NONE, LEN(1, 2) },                                             \
            { 228 /* clock_gettime */, NONE, FIX(1, 16) },                                         \
            { 232 /* epoll_wait */, NONE, ARRAY(1, 2, 12) },                                       \
            { 233 /* epoll_ctl */, FIX(3, 12), NONE }, { 257 /* openat */, STR(1), NONE },         \
            { 258 /* mkdirat */, STR(1), NONE }, { 262 /* newfstatat */, STR(1), FIX(2, 144) },    \
            { 263 /* unlinkat */, STR(1), NONE }, { 267 /* readlinkat */, STR(1), LEN(2, 3) },     \
            { 269 /* faccessat */, STR(1), NONE },                                                 \
            { 281 /* epoll_pwait */, NONE, ARRAY(1, 2, 12) },                                      \
            { 318 /* getrandom */, NONE, LEN(0, 1) }, { 332 /* statx */, STR(1), FIX(4, 256) },    \
            { 439 /* faccessat2 */, STR(1), NONE },                                                \
    }

/* Bytes of the range; 0: none. */
static inline uint64_t lend_size(const struct lend *l, const uint64_t args[6])
{
    uint64_t n;

    switch (l->kind) {
    case LEND_STR:
        return LEND_STR_MAX;
    case LEND_FIX:
        return args[l->arg] ? l->size : 0;
    case LEND_LOCK: /* F_GETLK, F_SETLK, F_SETLKW; F_OFD_GETLK, ... */
        n = (uint32_t)args[1];
        return (n >= 5 && n <= 7) || (n >= 36 && n <= 38) ? l->size : 0;
    case LEND_LEN:
        n = args[l->len];
        break;
    case LEND_ARRAY:
        n = args[l->len];
        n = n > LEND_MAX ? UINT64_MAX : n * l->size;
        break;
    default:
        return 0;
    }
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See args.h. */
#include "tests/fuzz/args.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/kinds.h"

#define OUT_AT (MOCK_DATA + 0x20000)
#define END_AT (MOCK_DATA + MOCK_DATA_SIZE)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint64_t edges[] = {
    0x7f,
    0x80,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0x1001,
    0x7fff,
    0xffff,
    0x10000,
    0x7fffffff,
    0x80000000u,
    0xffffffffu,
    1ull << 32,
    INT64_MAX,
    1ull << 63,
    UINT64_MAX,
    -2ull,
    -4095ull,
    -4096ull,
    0x7ffff000,
    0x7fffffffe000ull,
    0x7ffffffff000ull,
    MOCK_DATA,
    MOCK_CODE,
    MOCK_STACK,
    0x20000000,
    1024,
    1025,
};
static const uint64_t wild[] = {
    1,
    8,
    0xfff,
    0x1000,
    END_AT,
    MOCK_CODE,
    0x7ffffffddff0ull,
    0x7ffffffdfffcull,
    0x800000000000ull,
    UINT64_MAX - 7,
    UINT64_MAX,
    1ull << 63,
    MOCK_STACK - 4,
    0xffffffffff600000ull,
};
static const char *const paths[] = {
    "d",
    "/d/f",
    "l",
    "/l/f",
    "",
    ".",
    "..",
    "/",
    "/proc/self/fd/0",
    "/proc/self/fd/3",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/self/root",
    "/proc/self/mem",
    "/proc/self/maps",
    "/proc/self/environ",
    "/proc/self/comm",
    "/proc/1/status",
    "/proc/self/oom_score_adj",
    "/proc/sys/kernel/hostname",
    "/proc/mounts",
    "/proc/net/tcp",
    "/proc/self/fdinfo/3",
    "/proc/self/task",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/ptmx",
    "/dev/pts/0",
    "/dev/tty",
    "/dev/urandom",
    "/dev/shm",
    "/sys/devices/system/cpu/online",
    "x",
    "/x/y",
    "d/new",
    "d/../d/../d/f",
    "l/../../..",
    "f",
    "fifo",
    "sock",
    "/proc/self/fd/4",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/self/stat",
    "/proc/self/smaps",
    "/proc/cpuinfo",
};

void args_init(struct args *a)
{
    memset(a, 0, sizeof *a);
    a->at = MOCK_DATA + 0x100;
}

gaddr_t args_put(struct args *a, struct ctx *c, const void *bytes, size_t n)
{
    gaddr_t at = a->at;

    if (at + n > OUT_AT) /* from the start again: a later call may find an earlier one's bytes */
        a->at = at = MOCK_DATA + 0x100;
    if (n)
        (void)mock_as_write(mock_aspace(c), at, bytes, n, false);
    a->at = (at + n + 15) & ~15ull;
    return at;
}

static gaddr_t put_taken(struct args *a, struct ctx *c, struct take *t)
{
    size_t n;
    const uint8_t *p = take_bytes(t, take8(t), &n);

    return args_put(a, c, p, n);
}

static gaddr_t put_at_end(struct ctx *c, struct take *t)
{
    size_t n;
    const uint8_t *p = take_bytes(t, take8(t), &n);

    if (n)
        (void)mock_as_write(mock_aspace(c), END_AT - n, p, n, false);
    return END_AT - n;
}

static gaddr_t put_iov(struct args *a, struct ctx *c, struct take *t)
{
    unsigned n = take8(t) % 8;
    uint64_t v[16] = { 0 };

    for (unsigned i = 0; i < n; i++) {
        v[2 * i + 1] = t->n ? t->p[0] : 0;
        v[2 * i] = put_taken(a, c, t);
    }
    return args_put(a, c, v, n * 16);
}

/* struct msghdr. A bit of the first byte each: no name, a wrong length, no iovec, no control. */
static gaddr_t put_msg(struct args *a, struct ctx *c, struct take *t)
{
    uint8_t how = take8(t);
    uint64_t m[7] = { 0 };

    m[1] = t->n ? t->p[0] : 0;
    m[0] = how & 1 ? 0 : put_taken(a, c, t);
    m[1] = how & 2 ? take_int(t, 4) : m[1];
    m[3] = t->n ? t->p[0] % 8 : 0;
    m[2] = how & 4 ? 0 : put_iov(a, c, t);
    m[5] = t->n ? t->p[0] : 0;
    m[4] = how & 8 ? 0 : put_taken(a, c, t);
    m[5] = how & 16 ? take_int(t, 8) : m[5];
    m[6] = how & 32 ? take_int(t, 4) : 0;
    return args_put(a, c, m, sizeof m);
}

static gaddr_t put_walk(struct args *a, struct ctx *c, struct take *t)
{
    static const char *const parts[] = { "a",   "b",    "c",    "l",  "m",  "..", ".",     "/",
                                         "d",   "f",    "proc", "fd", "3",  "4",  "self",  "cwd",
                                         "dev", "root", "exe",  "x",  "ll", "",   "a b\n", "/../" };
    unsigned n = take8(t) % 48;
    char path[48 * 8] = "";

    for (unsigned i = 0; i < n; i++) {
        uint8_t b = take8(t);

        strcat(path, parts[b % COUNT(parts)]);
        if (!(b & 0x80)) /* else what comes next is part of the name */
            strcat(path, "/");
    }
    return args_put(a, c, path, strlen(path) + 1);
}

uint64_t args_take(struct args *a, struct ctx *c, struct take *t)
{
    uint8_t b, kind = take8(t) % ARG_KINDS;

    switch (kind) {
    case ARG_U8:
        return take8(t);
    case ARG_U16:
        return take16(t);
    case ARG_U32:
        return take_int(t, 4);
    case ARG_U64:
        return take_int(t, 8);
    case ARG_EDGE:
        return edges[take8(t) % COUNT(edges)];
    case ARG_BIT:
        return 1ull << (take8(t) & 63);
    case ARG_FD:
        b = take8(t) % 18;
        return b < 16 ? b : b == 16 ? UINT64_MAX : (uint64_t)-100;
    case ARG_OUT:
        return OUT_AT + take8(t) * 256ull;
    case ARG_BYTES:
        return put_taken(a, c, t);
    case ARG_END:
        return put_at_end(c, t);
    case ARG_PATH:
        b = take8(t) % COUNT(paths);
        return args_put(a, c, paths[b], strlen(paths[b]) + 1);
    case ARG_IOV:
        return put_iov(a, c, t);
    case ARG_MSG:
        return put_msg(a, c, t);
    case ARG_WILD:
        return wild[take8(t) % COUNT(wild)];
    case ARG_WALK:
        return put_walk(a, c, t);
    case ARG_LAST:
        return a->results[(a->nresults - 1 - take8(t) % 8) % 8];
    default:
        return 0;
    }
}

void args_result(struct args *a, long r)
{
    a->results[a->nresults++ % 8] = (uint64_t)r;
}

/* ---- likely arguments ---- */

struct spell {
    uint8_t *buf;
    size_t n, cap;
};

static void put(struct spell *s, unsigned b)
{
    if (s->n < s->cap)
        s->buf[s->n++] = (uint8_t)b;
}

static void put_random(struct spell *s, unsigned n, uint32_t *seed, bool plain)
{
    put(s, n);
    for (unsigned i = 0; i < n; i++) {
        *seed = *seed * 1664525 + 1013904223;
        put(s, plain && i % 8 ? 0 : *seed >> 28 ? *seed >> 24 & 31 : *seed >> 16);
    }
}

static void spell_number(struct spell *s, uint32_t seed)
{
    static const uint8_t kinds[] = {
        ARG_ZERO, ARG_U8, ARG_U8, ARG_BIT, ARG_EDGE, ARG_U16, ARG_LAST
    };
    uint8_t k = kinds[seed % sizeof kinds];

    put(s, k);
    if (k != ARG_ZERO)
        put(s, seed / 7 % 64);
    if (k == ARG_U16)
        put(s, seed / 500 % 256);
}

static bool is_fd(unsigned k)
{
    return k == K_FD || k == K_DIRFD || k == K_UFD;
}

static bool is_iov(unsigned k)
{
    return k == K_IOV_I || k == K_IOV_O;
}

static bool is_msg(unsigned k)
{
    return k == K_MSG_I || k == K_MSG_O || k == K_MMSG_I || k == K_MMSG_O;
}

/* Kinds of memory lie between the first of the pointers and the first that an earlier one decides. */
static bool is_pointer(unsigned k)
{
    return k == K_PTR || k == K_IN || k == K_OUT || (k >= K_STAT_O && k <= K_OPENHOW_I);
}

size_t args_spell(unsigned kind, uint32_t seed, uint8_t *buf, size_t cap)
{
    struct spell s = { buf, 0, cap };
    uint32_t more = seed;

    if (seed % 29 == 0) {
        put(&s, seed / 29 % ARG_KINDS);
        put(&s, seed / 500);
    } else if (is_fd(kind)) {
        put(&s, ARG_FD);
        put(&s, seed % 5 ? seed / 5 % 8 : kind == K_DIRFD ? 17 : seed / 5);
    } else if (kind == K_PATH || kind == K_STR) {
        put(&s, seed & 64 ? ARG_PATH : ARG_WALK);
        put(&s, seed & 64 ? seed / 29 : seed % 5);
        for (unsigned i = 0; !(seed & 64) && i < seed % 5; i++)
            put(&s, (seed >> 8 >> 4 * i & 15) | (i == seed % 5 - 1 ? 0x80 : 0));
    } else if (is_iov(kind)) {
        put(&s, ARG_IOV);
        put(&s, 2);
        put_random(&s, seed % 20, &more, false);
        put_random(&s, seed / 20 % 20, &more, false);
    } else if (is_msg(kind)) {
        put(&s, ARG_MSG);
        put(&s, seed % 3 ? 1 : 0);
        if (seed % 3 == 0)
            put_random(&s, seed / 3 % 20, &more, false);
        put(&s, 1);
        put_random(&s, 5, &more, false);
        put_random(&s, seed % 2 * 24, &more, true);
    } else if (is_pointer(kind)) {
        put(&s, seed % 4 ? ARG_BYTES : seed % 8 ? ARG_OUT : ARG_ZERO);
        if (seed % 4)
            put_random(&s, 8 * (seed / 4 % 8), &more, seed % 3);
        else if (seed % 8)
            put(&s, seed / 8 % 32);
    } else {
        spell_number(&s, seed);
    }
    return s.n;
}

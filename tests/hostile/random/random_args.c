/* SPDX-License-Identifier: Apache-2.0 */
/* See random_args.h. What a pointer points to lies in the arena, often so that it ends with a page. */
#include "random_args.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "random_flags.h"
#include "random_priv.h"

uint64_t rnd(struct random_args *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

unsigned rnd_below(struct random_args *r, unsigned n)
{
    return (unsigned)(rnd(r) % n);
}

bool rnd_one_in(struct random_args *r, unsigned n)
{
    return rnd_below(r, n) == 0;
}

void rnd_seed(struct random_args *r, uint64_t seed)
{
    r->state = seed * 0xd1342543de82ef95ull + 1;
    rnd(r);
}

/* ---- numbers ---- */

uint64_t rnd_number(struct random_args *r)
{
    switch (rnd_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return 1ull << rnd_below(r, 64);
    case 2:
        return (1ull << rnd_below(r, 64)) - 1;
    case 3:
        return (uint64_t) - (int64_t)rnd_below(r, 4096);
    case 4:
        return rnd(r);
    default:
        return rnd_below(r, 64);
    }
}

uint64_t rnd_size(struct random_args *r)
{
    static const unsigned usual[] = {
        0, 1, 2, 4, 8, 12, 16, 24, 28, 64, 100, 128, 256, 4096, 65536
    };

    if (rnd_one_in(r, 16))
        return rnd_number(r);
    if (rnd_one_in(r, 2))
        return usual[rnd_below(r, sizeof usual / sizeof *usual)];
    return rnd_below(r, 1u << rnd_below(r, 18));
}

uint64_t rnd_offset(struct random_args *r)
{
    static const int64_t edges[] = { 0, 4096, 4095, 1 << 20, INT_MAX, 1ll << 32, INT64_MAX, -1 };

    return rnd_one_in(r, 4) ? (uint64_t)edges[rnd_below(r, 8)] : rnd_below(r, 1 << 16);
}

uint64_t rnd_descriptor(struct random_args *r)
{
    switch (rnd_below(r, 12)) {
    case 0:
        return rnd_number(r);
    case 1:
        return (uint64_t)-1;
    case 2:
        return (uint64_t)r->top;
    default:
        return rnd_below(r, 48);
    }
}

uint64_t rnd_pid(struct random_args *r)
{
    if (r->npids && rnd_one_in(r, 2))
        return (uint64_t)r->pids[rnd_below(r, r->npids)];
    if (r->tame) /* its own, and what nobody has */
        return rnd_one_in(r, 2) ? (uint64_t)getpid() : 0x3ffff000u + rnd_below(r, 4096);
    if (rnd_one_in(r, 3))
        return rnd_below(r, 200);
    return rnd_one_in(r, 4) ? rnd_number(r) : (uint64_t)getpid();
}

uint64_t rnd_listed(struct random_args *r, const struct flag_list *l)
{
    uint64_t v = l->values[rnd_below(r, (unsigned)l->n)];

    if (rnd_one_in(r, 24))
        return rnd_number(r);
    if (!l->combine)
        return v;
    if (rnd_one_in(r, 4))
        return 0;
    while (rnd_one_in(r, 2))
        v |= l->values[rnd_below(r, (unsigned)l->n)];
    return v;
}

/* ---- memory ---- */

/* n bytes of the arena; where they lie at the end of it, the byte behind them cannot be touched. */
void *rnd_place(struct random_args *r, size_t n)
{
    size_t at;

    n = n < ARENA ? n : ARENA;
    switch (rnd_below(r, 4)) {
    case 0:
        at = ARENA - n;
        break;
    case 1: /* across the end of a page */
        at = 4096ul * (1 + rnd_below(r, ARENA / 4096 - 1)) - rnd_below(r, 64);
        break;
    default:
        at = rnd_below(r, ARENA) & ~7u;
    }
    return r->arena + (at + n > ARENA ? ARENA - n : at);
}

uint64_t rnd_bad_pointer(struct random_args *r)
{
    switch (rnd_below(r, 8)) {
    case 0:
        return 0;
    case 1:
        return (uint64_t)r->arena + ARENA - rnd_below(r, 16);
    case 2:
        return (uint64_t)r->arena + ARENA;
    case 3:
        return 0x7ffffffff000ull - rnd_below(r, 32);
    case 4:
        return 0xffff800000000000ull + rnd_below(r, 8192);
    case 5:
        return rnd(r);
    case 6:
        return (uint64_t)(uintptr_t)rnd_bad_pointer & ~4095ull; /* cannot be written */
    default:
        return (uint64_t) - (int64_t)rnd_below(r, 4096);
    }
}

/* What is behind an address: words that are small, large, descriptors, pointers. */
void *rnd_words(struct random_args *r, size_t n)
{
    uint8_t *p = rnd_place(r, n);

    for (size_t i = 0; i + 8 <= n && i < 512; i += 8) {
        uint64_t w = rnd_one_in(r, 2)   ? 0
                     : rnd_one_in(r, 8) ? (uint64_t)rnd_place(r, 64)
                                        : rnd_number(r);

        memcpy(p + i, &w, 8);
    }
    return p;
}

void *rnd_text(struct random_args *r, const char *s)
{
    char *p = rnd_place(r, strlen(s) + 1);

    strcpy(p, s);
    return p;
}

static const char *const paths[] = {
    "a",
    "b",
    "d/c",
    "d",
    "d/e/f",
    "link",
    "loop",
    "fifo",
    "sock",
    ".",
    "..",
    "",
    "/",
    "d/../a",
    "/proc/self",
    "/proc/self/maps",
    "/proc/self/fd",
    "/proc/self/fd/3",
    "/proc/self/stat",
    "/proc/self/mem",
    "/proc/self/exe",
    "/proc/self/cwd/a",
    "/proc/self/root",
    "/proc/self/task",
    "/proc/self/environ",
    "/proc/self/status",
    "/proc/self/mountinfo",
    "/proc/self/oom_score_adj",
    "/proc/self/comm",
    "/proc/self/limits",
    "/proc/thread-self",
    "/proc/meminfo",
    "/proc/1/status",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/hostname",
    "/proc/net/tcp",
    "/proc/net/unix",
    "/proc/mounts",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/uptime",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts/0",
    "/dev/fd/4",
    "/dev/shm/x",
    "/etc/passwd",
    "/etc",
    "/bin",
    "/bin/true",
    "/usr/bin",
    "/usr/lib",
    "/sys",
    "/sys/devices",
    "/tmp",
    "/nowhere/x",
    "a/b",
    "/etc/passwd/x",
};

void *rnd_path(struct random_args *r)
{
    if (rnd_one_in(r, 40)) { /* long names, long paths, no end */
        size_t n = rnd_one_in(r, 2) ? 4090 + rnd_below(r, 12) : 250 + rnd_below(r, 12);
        char *p = rnd_place(r, n);

        memset(p, rnd_one_in(r, 3) ? '/' : 'x', n);
        if (!rnd_one_in(r, 3))
            p[n - 1] = 0;
        return p;
    }
    if (rnd_one_in(r, 40))
        return rnd_words(r, 64);
    return rnd_text(r, paths[rnd_below(r, rnd_one_in(r, 2) ? 14 : sizeof paths / sizeof *paths)]);
}

void *rnd_name(struct random_args *r)
{
    static const char *const names[] = { "user.x",
                                         "user.y",
                                         "security.selinux",
                                         "trusted.z",
                                         "tmpfs",
                                         "proc",
                                         "system.posix_acl_access",
                                         "memfd",
                                         "devpts",
                                         "user.",
                                         "" };

    return rnd_text(r, names[rnd_below(r, sizeof names / sizeof *names)]);
}

void *rnd_strings(struct random_args *r)
{
    unsigned n = rnd_below(r, rnd_one_in(r, 10) ? 200 : 5);
    char **v = rnd_place(r, (n + 1) * sizeof *v);

    for (unsigned i = 0; i < n; i++)
        v[i] = rnd_one_in(r, 20) ? (char *)rnd_bad_pointer(r)
                                 : rnd_text(r, rnd_one_in(r, 2) ? "-x" : "A=b");
    v[n] = NULL;
    return v;
}

void *rnd_vector(struct random_args *r)
{
    unsigned n = 1 + rnd_below(r, 8);
    struct iovec *v = rnd_place(r, n * sizeof *v);

    for (unsigned i = 0; i < n; i++) {
        v[i].iov_len = rnd_size(r);
        v[i].iov_base = rnd_one_in(r, 20) ? (void *)rnd_bad_pointer(r) : rnd_place(r, v[i].iov_len);
    }
    return v;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults in host calls and in the allocator: the program sbx-faults is sbx with each call of the C
 * library that may fail wrapped by the linker (--wrap, tests/faults/faults.cmake). A call site is a
 * return address. tests/faults/faults.py drives it by a file that all processes of the sandbox share:
 * it lists the sites that were met, and says which of them fails, how, and how often.
 *
 * Nothing of sbx knows of this; the file is mapped before the first process is made, and is memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gofer/gofer.h"
#include "sentry/sentry.h"

#define SITES 2048
#define BLOCKS 65536

enum role { FRONT, CHILD, SENTRY, GOFER, ZYGOTE, ROLES };

struct site {
    _Atomic uint64_t key; /* role, call and place; 0: free */
    _Atomic uint64_t met; /* how often */
};

struct block {
    _Atomic uint64_t at; /* with its role in the upper bits; 0: never used, 1: no more */
    uint64_t from;
};

/* What faults.py maps as well. */
struct table {
    uint64_t target;        /* the key of the site that fails; 0: none */
    _Atomic uint64_t armed; /* it does so from now on */
    uint64_t err, first,
        period;              /* at its first-th call since, and each period-th after (0: no more) */
    _Atomic uint64_t since;  /* its calls since it was armed */
    _Atomic uint64_t failed; /* and how many of them failed */
    _Atomic int64_t live[ROLES]; /* blocks taken and not freed */
    struct site sites[SITES];
    struct block blocks[BLOCKS];
};

extern const char __ehdr_start[];

static struct table *table;
static enum role role = FRONT;
static _Thread_local const void *asker; /* of kzalloc() and its like: more telling than alloc.c */

__attribute__((constructor)) static void map_table(void)
{
    const char *name = getenv("SBX_FAULTS");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0) : -1;
    long p;

    if (fd < 0)
        return;
    p = syscall(SYS_mmap, NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (p > 0)
        table = (struct table *)p;
}

static void count(uint64_t key)
{
    for (size_t i = key * 0x9e3779b97f4a7c15ull >> 53, n = 0; n < SITES; i++, n++) {
        struct site *s = &table->sites[i % SITES];
        uint64_t had = atomic_load(&s->key);

        if (had == 0 && atomic_compare_exchange_strong(&s->key, &had, key))
            had = key;
        if (had == key) {
            atomic_fetch_add(&s->met, 1);
            return;
        }
    }
}

/* Does this call fail? Then with errno set. */
static bool fails(unsigned call, const void *from)
{
    uint64_t key, n;

    if (!table || role == ZYGOTE || asker)
        return false;
    key = (uint64_t)role << 60 | (uint64_t)call << 44 |
          (uint64_t)((const char *)from - __ehdr_start);
    count(key);
    if (key != table->target || !atomic_load(&table->armed))
        return false;
    n = atomic_fetch_add(&table->since, 1) + 1;
    if (n < table->first ||
        (n > table->first && (!table->period || (n - table->first) % table->period)))
        return false;
    atomic_fetch_add(&table->failed, 1);
    errno = (int)table->err;
    return true;
}

/* ---- who we are ---- */

void __real_sentry_main(const struct sentry_config *cfg) __attribute__((noreturn));
void __wrap_sentry_main(const struct sentry_config *cfg) __attribute__((noreturn));
void __real_gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));
void __wrap_gofer_main(const struct gofer_config *cfg) __attribute__((noreturn));

void __wrap_sentry_main(const struct sentry_config *cfg)
{
    role = SENTRY;
    __real_sentry_main(cfg);
}

void __wrap_gofer_main(const struct gofer_config *cfg)
{
    role = GOFER;
    __real_gofer_main(cfg);
}

/* ---- memory: a number of their own each, from 900 on ---- */

#define FROM __builtin_return_address(0)

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
void __real_free(void *p);
void __wrap_free(void *p);

/* Who took a block is kept, so that what is left over has a name. */
static struct block *block_slot(const void *p, bool add)
{
    uint64_t want = (uint64_t)(uintptr_t)p | (uint64_t)role << 60;
    size_t i = (want >> 4) * 0x9e3779b97f4a7c15ull >> 48;

    for (size_t n = 0; n < BLOCKS; n++, i++) {
        struct block *b = &table->blocks[i % BLOCKS];
        uint64_t had = atomic_load(&b->at);

        if (had == want)
            return b;
        if (add && had <= 1 && atomic_compare_exchange_strong(&b->at, &had, want))
            return b;
        if (!add && had == 0)
            return NULL;
    }
    return NULL;
}

static void *taken(void *p, const void *from)
{
    struct block *b;

    if (asker)
        from = asker;

    if (p && table && role != ZYGOTE) {
        atomic_fetch_add(&table->live[role], 1);
        b = block_slot(p, true);
        if (b)
            b->from = (uint64_t)((const char *)from - __ehdr_start);
    }
    return p;
}

static void given(const void *p)
{
    struct block *b;

    if (p && table && role != ZYGOTE) {
        atomic_fetch_sub(&table->live[role], 1);
        b = block_slot(p, false);
        if (b)
            atomic_store(&b->at, 1);
    }
}

void *__wrap_malloc(size_t n)
{
    return fails(900, FROM) ? NULL : taken(__real_malloc(n), FROM);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(901, FROM) ? NULL : taken(__real_calloc(n, size), FROM);
}

void *__wrap_realloc(void *p, size_t n)
{
    void *q;

    if (fails(902, FROM))
        return NULL;
    q = __real_realloc(p, n);
    if (q && q != p) {
        given(p);
        taken(q, FROM);
    }
    return q;
}

char *__wrap_strdup(const char *s)
{
    return fails(903, FROM) ? NULL : taken(__real_strdup(s), FROM);
}

void __wrap_free(void *p)
{
    given(p);
    __real_free(p);
}

/* The sentry's own functions: each of their callers is a place. */
#define WRAP_K(type, call, name, params, args)                                                     \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        type p;                                                                                    \
        if (fails(call, FROM))                                                                     \
            return NULL;                                                                           \
        asker = FROM;                                                                              \
        p = __real_##name args;                                                                    \
        asker = NULL;                                                                              \
        return p;                                                                                  \
    }

WRAP_K(void *, 904, kzalloc, (size_t n), (n))
WRAP_K(void *, 905, krealloc, (void *old, size_t n), (old, n))
WRAP_K(void *, 906, kmemdup, (const void *of, size_t n), (of, n))
WRAP_K(char *, 907, kstrdup, (const char *s), (s))

/* ---- host calls, by their numbers ---- */

/* WRAP(type, what is returned on failure, number, name, parameters, arguments) */
#define WRAP(type, bad, nr, name, params, args)                                                    \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return fails(nr, FROM) ? (type)(bad) : __real_##name args;                                 \
    }

#include "tests/faults/wrapped.def"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __real_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);
int __real_prctl(int op, ...);
int __wrap_prctl(int op, ...);
void *__real_mremap(void *p, size_t old, size_t n, int flags, ...);
void *__wrap_mremap(void *p, size_t old, size_t n, int flags, ...);
int __real_epoll_ctl(int ep, int op, int fd, struct epoll_event *e);
int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *e);
long __real_syscall(long nr, ...);
long __wrap_syscall(long nr, ...);

static void take_longs(va_list ap, long *a, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        a[i] = va_arg(ap, long);
}

#define LONGS(last, n)                                                                             \
    long a[n];                                                                                     \
    va_list ap;                                                                                    \
    va_start(ap, last);                                                                            \
    take_longs(ap, a, n);                                                                          \
    va_end(ap)

int __wrap_open(const char *path, int flags, ...)
{
    LONGS(flags, 1);
    return fails(SYS_open, FROM) ? -1 : __real_open(path, flags, a[0]);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
    LONGS(flags, 1);
    return fails(SYS_openat, FROM) ? -1 : __real_openat(dir, path, flags, a[0]);
}

int __wrap_fcntl(int fd, int cmd, ...)
{
    LONGS(cmd, 1);
    return fails(SYS_fcntl, FROM) ? -1 : __real_fcntl(fd, cmd, a[0]);
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
    LONGS(cmd, 1);
    /* Those of listeners each have errors of their own. */
    return fails((cmd >> 8 & 0xff) == '!' ? 1000 + (cmd & 0xff) : SYS_ioctl, FROM)
               ? -1
               : __real_ioctl(fd, cmd, a[0]);
}

/* It wants memory for what is added; to take something out always succeeds. */
int __wrap_epoll_ctl(int ep, int op, int fd, struct epoll_event *e)
{
    return op != EPOLL_CTL_DEL && fails(SYS_epoll_ctl, FROM) ? -1 : __real_epoll_ctl(ep, op, fd, e);
}

int __wrap_prctl(int op, ...)
{
    LONGS(op, 4);
    return fails(SYS_prctl, FROM) ? -1 : __real_prctl(op, a[0], a[1], a[2], a[3]);
}

void *__wrap_mremap(void *p, size_t old, size_t n, int flags, ...)
{
    LONGS(flags, 1);
    return fails(SYS_mremap, FROM) ? MAP_FAILED : __real_mremap(p, old, n, flags, a[0]);
}

/* Processes are made by it; each knows from then on what it is. */
long __wrap_syscall(long nr, ...)
{
    long r;

    LONGS(nr, 6);
    if (fails((unsigned)nr, FROM))
        return -1;
    r = __real_syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (nr == SYS_clone && r == 0)
        role = role == FRONT ? CHILD : ZYGOTE;
    return r;
}

/* It returns its error. */
int __real_pthread_create(pthread_t *t, const pthread_attr_t *at, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *at, void *(*fn)(void *), void *arg);

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *at, void *(*fn)(void *), void *arg)
{
    return fails(SYS_clone, FROM) ? errno : __real_pthread_create(t, at, fn, arg);
}

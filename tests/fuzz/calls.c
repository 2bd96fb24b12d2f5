/* SPDX-License-Identifier: Apache-2.0 */
/* See calls.h. */
#include "tests/fuzz/calls.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "sentry/kernel/kernel.h"
#include "sentry/strace/strace.h"
#include "sentry/syscalls/table.h"

#define STEPS_MAX 64
#define DO_WORD 29 /* what the upper five bits of a step's first byte say; others: a call */
#define DO_FAULT 30
#define DO_DIE 31

struct take calls_rest;

/* Random answers would make random runs. */
static bool left_out(uint64_t nr)
{
    return nr == SYS_getrandom;
}

static void call(const struct calls *k, struct args *a, struct ctx *c, struct take *t)
{
    uint64_t nr = k->nrs ? k->nrs[take8(t) % k->n] : take16(t) % 512u, args[6] = { 0 };
    const struct syscall_desc *d = syscall_desc(nr);

    for (unsigned i = 0; i < (d ? d->nargs : 1u); i++)
        args[i] = args_take(a, c, t);
    if (!left_out(nr))
        args_result(a, mock_call(c, nr, args));
}

static void fault(struct ctx *c, struct take *t)
{
    static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
    struct fault f = { .signo = signals[take8(t) % 5], .code = take8(t), .addr = take_int(t, 8) };

    mock_fault(c, &f);
}

static void steps(const struct calls *k, struct args *a, struct take *t)
{
    for (unsigned i = 0; i < STEPS_MAX && t->n; i++) {
        uint8_t what = take8(t);
        struct ctx *c = mock_in_guest(what & 7);

        if (!c)
            break;
        if (what >> 3 == DO_WORD) /* what a thread keeps with itself is the guest's */
            mock_platform.ctx_set_word(c, take8(t) % CTX_WORDS, take_int(t, 8));
        else if (what >> 3 == DO_FAULT)
            fault(c, t);
        else if (what >> 3 == DO_DIE)
            mock_host_kills(c);
        else
            call(k, a, c, t);
    }
}

void calls_run(const struct calls *k, const uint8_t *p, size_t n)
{
    static int null = -1;
    struct args a;
    struct ctx *c;
    bool trace;

    calls_rest = (struct take){ p, n };
    trace = take8(&calls_rest) & 1;
    mock_boot();
    if (null < 0)
        strace_init(null = open("/dev/null", O_WRONLY | O_CLOEXEC));
    kernel.strace = trace;
    args_init(&a);
    c = mock_spawn();
    if (k->setup)
        k->setup(&a, c);
    mock_ctx_put(c);
    steps(k, &a, &calls_rest);
    mock_end();
    kernel.strace = false;
}

static bool there(const struct syscall_desc *d)
{
    return d && d->state != SC_NOSYS && d->state != SC_NOPERM && d->state != SC_NOACCES;
}

size_t calls_seed(const struct calls *k, unsigned i, uint8_t *buf, size_t cap)
{
    static const uint16_t makers[] = { SYS_socket,      SYS_socketpair, SYS_pipe2,
                                       SYS_openat,      SYS_eventfd2,   SYS_epoll_create1,
                                       SYS_clone,       SYS_fork,       SYS_timerfd_create,
                                       SYS_mmap,        SYS_mkdirat,    SYS_memfd_create,
                                       SYS_signalfd4,   SYS_dup,        SYS_inotify_init1,
                                       SYS_rt_sigaction };
    uint32_t seed = (i + 1) * 2654435761u;
    unsigned at = (seed >> 8) % (k->nrs ? k->n : 453);
    uint16_t nr = k->nrs ? k->nrs[at] : i % 3 ? (uint16_t)at : makers[at % 16];
    const struct syscall_desc *d = syscall_desc(nr);
    size_t n = 0;

    if (!there(d) || cap < 4)
        return 0;
    buf[n++] = (uint8_t)(seed >> 29);
    buf[n++] = (uint8_t)(k->nrs ? at : nr);
    if (!k->nrs)
        buf[n++] = (uint8_t)(nr >> 8);
    for (unsigned j = 0; j < d->nargs; j++) {
        seed = seed * 1664525 + 1013904223;
        n += args_spell(d->kinds[j], seed >> 8, buf + n, cap - n);
    }
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of system calls as the preprocessor makes it from abi/syscalls.def: for each call a
 * thunk (registers to the handler's own types) and a description. Called by the dispatcher, on
 * whichever worker has the call; no locks.
 */
#include "sentry/syscalls/table.h"

#include <errno.h>
#include <stdio.h>

#include "abi/unfenced.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/strace/strace.h"

static _Atomic uint64_t counts[SYSCALL_MAX + 2];
static _Atomic uint64_t times[SYSCALL_MAX + 2], errors[SYSCALL_MAX + 2]; /* --stats */

static long run_nosys(struct task *t, const uint64_t a[6])
{
    (void)t, (void)a;
    return -ENOSYS;
}

static long run_noperm(struct task *t, const uint64_t a[6])
{
    (void)t, (void)a;
    return -EPERM;
}

static long run_noacces(struct task *t, const uint64_t a[6])
{
    (void)t, (void)a;
    return -EACCES;
}

/* First pass: the thunks of the calls that have a handler. */
#define THUNK_FULL(name, call)                                                                     \
    static long run_##name(struct task *t, const uint64_t a[6])                                    \
    {                                                                                              \
        (void)a;                                                                                   \
        return sys_##name call;                                                                    \
    }
#define THUNK_PART(name, call) THUNK_FULL(name, call)
#define THUNK_NOSYS(name, call)
#define THUNK_NOPERM(name, call)
#define THUNK_NOACCES(name, call)

#define SYS0(nr, name, state) THUNK_##state(name, (t))
#define SYS1(nr, name, state, k1, n1) THUNK_##state(name, (t, (kt_##k1)a[0]))
#define SYS2(nr, name, state, k1, n1, k2, n2) THUNK_##state(name, (t, (kt_##k1)a[0], (kt_##k2)a[1]))
#define SYS3(nr, name, state, k1, n1, k2, n2, k3, n3)                                              \
    THUNK_##state(name, (t, (kt_##k1)a[0], (kt_##k2)a[1], (kt_##k3)a[2]))
#define SYS4(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4)                                      \
    THUNK_##state(name, (t, (kt_##k1)a[0], (kt_##k2)a[1], (kt_##k3)a[2], (kt_##k4)a[3]))
#define SYS5(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5)                              \
    THUNK_##state(name,                                                                            \
                  (t, (kt_##k1)a[0], (kt_##k2)a[1], (kt_##k3)a[2], (kt_##k4)a[3], (kt_##k5)a[4]))
#define SYS6(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5, k6, n6)                      \
    THUNK_##state(name, (t, (kt_##k1)a[0], (kt_##k2)a[1], (kt_##k3)a[2], (kt_##k4)a[3],            \
                         (kt_##k5)a[4], (kt_##k6)a[5]))

/* clang-format off */
#include "abi/syscalls.def"
/* clang-format on */

#undef SYS0
#undef SYS1
#undef SYS2
#undef SYS3
#undef SYS4
#undef SYS5
#undef SYS6

/* Second pass: the descriptions. */
#define RUN_FULL(name) run_##name
#define RUN_PART(name) run_##name
#define RUN_NOSYS(name) run_nosys
#define RUN_NOPERM(name) run_noperm
#define RUN_NOACCES(name) run_noacces

#define SYS0(nr, name, state) [nr] = { #name, SC_##state, 0, { 0 }, { NULL }, RUN_##state(name) },
#define SYS1(nr, name, state, k1, n1)                                                              \
    [nr] = { #name, SC_##state, 1, { K_##k1 }, { #n1 }, RUN_##state(name) },
#define SYS2(nr, name, state, k1, n1, k2, n2)                                                      \
    [nr] = { #name, SC_##state, 2, { K_##k1, K_##k2 }, { #n1, #n2 }, RUN_##state(name) },
#define SYS3(nr, name, state, k1, n1, k2, n2, k3, n3)                                              \
    [nr] = {                                                                                       \
        #name, SC_##state, 3, { K_##k1, K_##k2, K_##k3 }, { #n1, #n2, #n3 }, RUN_##state(name)     \
    },
#define SYS4(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4)                                      \
    [nr] = { #name,                                                                                \
             SC_##state,                                                                           \
             4,                                                                                    \
             { K_##k1, K_##k2, K_##k3, K_##k4 },                                                   \
             { #n1, #n2, #n3, #n4 },                                                               \
             RUN_##state(name) },
#define SYS5(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5)                              \
    [nr] = { #name,                                                                                \
             SC_##state,                                                                           \
             5,                                                                                    \
             { K_##k1, K_##k2, K_##k3, K_##k4, K_##k5 },                                           \
             { #n1, #n2, #n3, #n4, #n5 },                                                          \
             RUN_##state(name) },
#define SYS6(nr, name, state, k1, n1, k2, n2, k3, n3, k4, n4, k5, n5, k6, n6)                      \
    [nr] = { #name,                                                                                \
             SC_##state,                                                                           \
             6,                                                                                    \
             { K_##k1, K_##k2, K_##k3, K_##k4, K_##k5, K_##k6 },                                   \
             { #n1, #n2, #n3, #n4, #n5, #n6 },                                                     \
             RUN_##state(name) },

static const struct syscall_desc table[SYSCALL_MAX + 1] = {
/* clang-format off */
#include "abi/syscalls.def"
    /* clang-format on */
};

const struct syscall_desc *syscall_desc(uint64_t nr)
{
    return nr <= SYSCALL_MAX && table[nr].name ? &table[nr] : NULL;
}

/* For --stats: the time that handlers run, and what ends in an error. */
static long run_timed(struct task *t, const struct syscall_desc *d)
{
    uint64_t at = d ? t->call.nr : SYSCALL_MAX + 1;
    ktime_t start = ktime_now();
    long ret = d ? d->run(t, t->call.args) : -ENOSYS;

    atomic_fetch_add_explicit(&times[at], (uint64_t)(ktime_now() - start), memory_order_relaxed);
    if (ret < 0 && ret != -EWAITING && ret != -EDETACHED)
        atomic_fetch_add_explicit(&errors[at], 1, memory_order_relaxed);
    return ret;
}

/* SBX_UNFENCED=call-NAME: as if it were not there; tests/noticed.py looks for a test that fails then. */
static bool taken_out(const struct syscall_desc *d)
{
#ifdef SBX_UNFENCED
    char word[64];

    snprintf(word, sizeof word, "call-%s", d->name);
    return unfenced(word);
#else
    (void)d;
    return false;
#endif
}

long syscall_dispatch(struct task *t)
{
    const struct syscall_desc *d = syscall_desc(t->call.nr);

    if (d && taken_out(d))
        d = NULL;
    if (t->call.runs <= 1) { /* a call that waits is run several times */
        atomic_fetch_add_explicit(&counts[d ? t->call.nr : SYSCALL_MAX + 1], 1,
                                  memory_order_relaxed);
        if (kernel.strace)
            strace_enter(t);
    }
    return kernel.stats ? run_timed(t, d) : d ? d->run(t, t->call.args) : -ENOSYS;
}

uint64_t syscall_time(uint64_t nr)
{
    return nr <= SYSCALL_MAX + 1 ? atomic_load_explicit(&times[nr], memory_order_relaxed) : 0;
}

uint64_t syscall_errors(uint64_t nr)
{
    return nr <= SYSCALL_MAX + 1 ? atomic_load_explicit(&errors[nr], memory_order_relaxed) : 0;
}

uint64_t syscall_count(uint64_t nr)
{
    return nr <= SYSCALL_MAX + 1 ? atomic_load_explicit(&counts[nr], memory_order_relaxed) : 0;
}

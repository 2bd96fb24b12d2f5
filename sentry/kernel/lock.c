/* SPDX-License-Identifier: Apache-2.0 */
/* See lock.h. The order checker keeps, for each thread, how often it holds each class. */
#include "sentry/kernel/lock.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/hostio.h"

#define SPINS 30

/* A number that no other thread has: the fence does not let us ask for the host's. */
static _Atomic uint32_t threads;
static _Thread_local uint32_t my_tid;

static inline uint32_t tid_self(void)
{
    if (!my_tid)
        my_tid = atomic_fetch_add(&threads, 1) + 1;
    return my_tid;
}

static __attribute__((noreturn, noinline)) void lock_bug(const char *what, const struct lock *l)
{
    char text[100];
    int n = snprintf(text, sizeof text, "sbx: sentry: %s (lock class %d)\n", what, l->class);

    (void)!hostio_write(STDERR_FILENO, text, (size_t)n);
    abort();
}

#ifdef SBX_DEBUG
static _Thread_local unsigned char held[LOCK_LEAF + 1];

static void order_take(const struct lock *l, bool nested)
{
    for (int c = LOCK_LEAF; c >= l->class; c--) {
        if (held[c] && !(nested && c == l->class))
            lock_bug("lock order violated", l);
    }
    held[l->class]++;
}

static void order_drop(const struct lock *l)
{
    held[l->class]--;
}
#else
static inline void order_take(const struct lock *l, bool nested)
{
    (void)l, (void)nested;
}
static inline void order_drop(const struct lock *l)
{
    (void)l;
}
#endif

static long futex(struct lock *l, int op, uint32_t value)
{
    return syscall(SYS_futex, &l->word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

void lock_init(struct lock *l, enum lock_class class)
{
    atomic_init(&l->word, 0);
    l->class = (unsigned char)class;
}

void lock_done(struct lock *l)
{
    if (atomic_load_explicit(&l->word, memory_order_relaxed))
        lock_bug("lock ends while it is held", l);
}

/* Most are held for less than a microsecond: look a while before sleeping. */
static bool spin(struct lock *l, uint32_t me)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t none = 0;

        __builtin_ia32_pause();
        if (!atomic_load_explicit(&l->word, memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&l->word, &none, me, memory_order_acquire,
                                                    memory_order_relaxed))
            return true;
    }
    return false;
}

static __attribute__((noinline)) void take_slow(struct lock *l, uint32_t me, uint32_t seen)
{
    if ((seen & ~LOCK_WAITED) == me)
        lock_bug("lock taken twice", l);
    if (spin(l, me))
        return;
    seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        uint32_t want = seen ? seen | LOCK_WAITED : me | LOCK_WAITED;

        if (want != seen && !atomic_compare_exchange_weak_explicit(
                                &l->word, &seen, want, memory_order_acquire, memory_order_relaxed))
            continue;
        if (!seen)
            return;
        futex(l, FUTEX_WAIT, want);
        seen = atomic_load_explicit(&l->word, memory_order_relaxed);
    }
}

static inline void take(struct lock *l, bool nested)
{
    uint32_t me = tid_self(), seen = 0;

    order_take(l, nested);
    if (!atomic_compare_exchange_strong_explicit(&l->word, &seen, me, memory_order_acquire,
                                                 memory_order_relaxed))
        take_slow(l, me, seen);
}

void lock(struct lock *l)
{
    take(l, false);
}

void lock_nested(struct lock *l)
{
    take(l, true);
}

bool trylock(struct lock *l)
{
    uint32_t none = 0;

    if (!atomic_compare_exchange_strong_explicit(&l->word, &none, tid_self(), memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    order_take(l, true);
    return true;
}

void unlock(struct lock *l)
{
    uint32_t old;

    order_drop(l);
    old = atomic_exchange_explicit(&l->word, 0, memory_order_release);
    if ((old & ~LOCK_WAITED) != tid_self())
        lock_bug("lock not held", l);
    if (old & LOCK_WAITED)
        futex(l, FUTEX_WAKE, 1);
}

void lock_pair(struct lock *a, struct lock *b)
{
    if (a == b) {
        lock(a);
        return;
    }
    lock((uintptr_t)a < (uintptr_t)b ? a : b);
    lock_nested((uintptr_t)a < (uintptr_t)b ? b : a);
}

void unlock_pair(struct lock *a, struct lock *b)
{
    unlock(a);
    if (a != b)
        unlock(b);
}

void assert_locked(struct lock *l)
{
    if ((atomic_load_explicit(&l->word, memory_order_relaxed) & ~LOCK_WAITED) != tid_self())
        lock_bug("lock not held", l);
}

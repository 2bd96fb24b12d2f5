/* SPDX-License-Identifier: Apache-2.0 */
/* See lock.h. The order checker keeps, for each thread, how often it holds each class. */
#include "sentry/kernel/lock.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local int my_tid;

static int tid_self(void)
{
    if (!my_tid)
        my_tid = (int)syscall(SYS_gettid);
    return my_tid;
}

static __attribute__((noreturn, noinline)) void lock_bug(const char *what, const struct lock *l)
{
    fprintf(stderr, "sbx: sentry: %s (lock class %d)\n", what, l->class);
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

void lock_init(struct lock *l, enum lock_class class)
{
    pthread_mutex_init(&l->m, NULL);
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    l->class = (unsigned char)class;
}

void lock_done(struct lock *l)
{
    pthread_mutex_destroy(&l->m);
}

static void take(struct lock *l, bool nested)
{
    if (atomic_load_explicit(&l->owner, memory_order_relaxed) == tid_self())
        lock_bug("lock taken twice", l);
    order_take(l, nested);
    pthread_mutex_lock(&l->m);
    atomic_store_explicit(&l->owner, tid_self(), memory_order_relaxed);
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
    if (pthread_mutex_trylock(&l->m) != 0)
        return false;
    order_take(l, true);
    atomic_store_explicit(&l->owner, tid_self(), memory_order_relaxed);
    return true;
}

void unlock(struct lock *l)
{
    assert_locked(l);
    atomic_store_explicit(&l->owner, 0, memory_order_relaxed);
    order_drop(l);
    pthread_mutex_unlock(&l->m);
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
    if (atomic_load_explicit(&l->owner, memory_order_relaxed) != tid_self())
        lock_bug("lock not held", l);
}

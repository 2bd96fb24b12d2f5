/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cpus are in use by leaders and their stubs, and who moves to another one. A synchronous answer
 * keeps a stub where its worker is, and a thread begins where its maker runs: so those that work side by
 * side may share a cpu until the host looks for balance, which it does when they are nearly through.
 *
 * A leader that has been called CROWDED times where another one was called just before, while its
 * callers never waited for anything, goes to a cpu where fewer are, and takes its stub along with the
 * first answer from there. It is bound to none afterwards: the host may know better.
 */
#include <sched.h>

#include "platform/trap/trap.h"

#define CROWDED 32
#define NOWHERE 1000    /* further calls before it is tried again */
#define RECENT 1000000u /* tsc, some 400 us: so long a cpu is whose leader was called there */

#define SLOTS 8

/* The leaders that were called last on each cpu. Written by any of them, and only a hint. */
static struct cpu_calls {
    struct {
        _Atomic uint64_t at;          /* tsc of the last call */
        struct listener *_Atomic who; /* only compared */
    } slot[SLOTS];
    _Atomic unsigned last; /* slot */
} calls[CPU_SETSIZE];

/* How many other leaders than l have been called on cpu since then? */
static unsigned others(int cpu, const struct listener *l, uint64_t since)
{
    const struct cpu_calls *c = &calls[cpu];
    unsigned n = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        if (atomic_load_explicit(&c->slot[i].who, memory_order_relaxed) != l &&
            (int64_t)(atomic_load_explicit(&c->slot[i].at, memory_order_relaxed) - since) > 0)
            n++;
    }
    return n;
}

bool cpu_is_taken(int cpu, const struct listener *l, uint64_t since)
{
    return cpu >= 0 && cpu < CPU_SETSIZE && others(cpu, l, since) > 0;
}

/* Notes a call of l's there: in its own slot, or in that which was used longest ago. */
static void take(int cpu, struct listener *l, uint64_t now)
{
    struct cpu_calls *c = &calls[cpu];
    uint64_t oldest = UINT64_MAX;
    unsigned mine = 0;

    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t at = atomic_load_explicit(&c->slot[i].at, memory_order_relaxed);

        if (atomic_load_explicit(&c->slot[i].who, memory_order_relaxed) == l) {
            mine = i;
            break;
        }
        if (at < oldest) {
            oldest = at;
            mine = i;
        }
    }
    atomic_store_explicit(&c->slot[mine].who, l, memory_order_relaxed);
    atomic_store_explicit(&c->slot[mine].at, now, memory_order_relaxed);
    atomic_store_explicit(&c->last, mine, memory_order_relaxed);
}

/* Was the last call here another leader's? */
static bool is_crowded(int cpu, const struct listener *l, uint64_t since)
{
    const struct cpu_calls *c = &calls[cpu];
    unsigned last = atomic_load_explicit(&c->last, memory_order_relaxed) % SLOTS;

    return atomic_load_explicit(&c->slot[last].who, memory_order_relaxed) != l &&
           (int64_t)(atomic_load_explicit(&c->slot[last].at, memory_order_relaxed) - since) > 0;
}

/* The cpu with the fewest leaders; -1: l would not be better off there than here. */
static int find_better(int here, const struct listener *l, uint64_t since)
{
    unsigned fewest = others(here, l, since);
    int best = -1;

    for (int cpu = 0; cpu < CPU_SETSIZE && fewest > 0; cpu++) {
        if (cpu != here && CPU_ISSET(cpu, &trap.cpus) && others(cpu, l, since) < fewest) {
            fewest = others(cpu, l, since);
            best = cpu;
        }
    }
    return best;
}

void spread_called(struct listener *l, const struct ctx *c)
{
    uint64_t now = __builtin_ia32_rdtsc();
    int cpu = sched_getcpu();
    bool crowded;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    crowded = is_crowded(cpu, l, now - RECENT);
    take(cpu, l, now);
    if (atomic_load(&c->state) != CTX_RUNNING)
        l->crowded = 0; /* those that wait for one another are best off together */
    else if (crowded)
        l->crowded++;
    if (l->crowded < CROWDED || !trap.use_sync || atomic_load(&c->affinity))
        return;
    cpu = find_better(cpu, l, now - RECENT);
    l->crowded = cpu < 0 ? -NOWHERE : 0;
    if (cpu >= 0) {
        take(cpu, l, now);
        spread_begin(cpu);
    }
}

static _Thread_local bool bound;

void spread_begin(int cpu)
{
    cpu_set_t one;

    if (!trap.use_sync)
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    bound = sched_setaffinity(0, sizeof one, &one) == 0;
}

void spread_begun(void)
{
    if (!bound)
        return;
    bound = false;
    sched_setaffinity(0, sizeof trap.cpus, &trap.cpus);
}

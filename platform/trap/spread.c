/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cpus are in use by leaders and their stubs. A synchronous answer keeps a stub where its worker
 * is, so a leader that begins on a cpu of its own takes its stub there with its first answer. It is
 * bound to none afterwards: the host may know better.
 */
#include <sched.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define SLOTS 8

/* The leaders that were called last on each cpu. Written by any of them, and only a hint. */
static struct cpu_calls {
    struct {
        _Atomic uint64_t at;          /* tsc of the last call */
        struct listener *_Atomic who; /* only compared */
    } slot[SLOTS];
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
}

void spread_called(struct listener *l)
{
    int cpu = (int)hostio_cpu();

    if (cpu >= 0 && cpu < CPU_SETSIZE)
        take(cpu, l, __builtin_ia32_rdtsc());
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

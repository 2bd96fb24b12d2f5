/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cpus are in use by leaders and their stubs. A synchronous answer keeps a stub where its worker
 * is, so a leader that begins on a cpu of its own takes its stub there with its first answer. It is
 * bound to none afterwards: the host may know better.
 *
 * Where two leaders are called often on one cpu, in two windows one after the other, by callers that hardly
 * ever wait, one of them goes where nobody is called. That is a bet: those who hand work to and fro by
 * what we do not see (a futex) are better off together. When it is not called more often there, it
 * goes back, and bets again later and later.
 */
#include <sched.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define SLOTS 8
#define WINDOW (1u << 22) /* tsc, some 1.7 ms */
#define BUSY_CALLS 6      /* in a window */
#define WAITS_RARELY 8    /* one of so many calls waits, at most */
#define BET_WINDOWS 3     /* the first, in which it moves, is not looked at */
#define SKIP_MAX 4096     /* windows, some 7 s */

/* The leaders that were called last on each cpu. Written by any of them, and only a hint. */
static struct cpu_calls {
    struct {
        _Atomic uint64_t at;          /* tsc of the last call */
        struct listener *_Atomic who; /* only compared */
        _Atomic bool busy;            /* called often, in its last window, and hardly ever waits */
    } slot[SLOTS];
} calls[CPU_SETSIZE];

/* Has another leader than l (one that is busy) been called on cpu since then? */
static bool has_other(int cpu, const struct listener *l, uint64_t since, bool busy)
{
    const struct cpu_calls *c;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return false;
    c = &calls[cpu];
    for (unsigned i = 0; i < SLOTS; i++) {
        if (atomic_load_explicit(&c->slot[i].who, memory_order_relaxed) != l &&
            (int64_t)(atomic_load_explicit(&c->slot[i].at, memory_order_relaxed) - since) > 0 &&
            (!busy || atomic_load_explicit(&c->slot[i].busy, memory_order_relaxed)))
            return true;
    }
    return false;
}

bool cpu_is_taken(int cpu, const struct listener *l, uint64_t since)
{
    return has_other(cpu, l, since, false);
}

/* Notes a call of l's there: in its own slot, or in that which was used longest ago. */
void spread_take(struct listener *l, int cpu, uint64_t now)
{
    struct cpu_calls *c;
    uint64_t oldest = UINT64_MAX;
    unsigned mine = 0;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    c = &calls[cpu];
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
    atomic_store_explicit(&c->slot[mine].busy, l->pace.was_busy, memory_order_relaxed);
    atomic_store_explicit(&c->slot[mine].at, now, memory_order_relaxed);
}

/*
 * What became of the bet, when enough windows have passed; a cpu to go back to, or -1. It stays where
 * it makes no difference, but does not bet again soon.
 */
static int settle(struct listener *l)
{
    struct pace *p = &l->pace;

    if (++p->bet <= BET_WINDOWS || !p->busy_calls)
        return -1;
    p->bet = 0;
    if (4 * p->busy_calls >= 5 * p->bet_calls) {
        p->skip = p->next_skip = 0;
        return -1;
    }
    p->next_skip = p->next_skip < SKIP_MAX / 2 ? 2 * p->next_skip + 4 : SKIP_MAX;
    p->skip = p->next_skip;
    return 10 * p->busy_calls < 9 * p->bet_calls ? p->from : -1;
}

/* A cpu where nobody was called in the last window, or -1. */
static int find_free(const struct listener *l, int cpu, uint64_t now)
{
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (i != cpu && CPU_ISSET(i, &trap.cpus) && !cpu_is_taken(i, l, now - WINDOW))
            return i;
    }
    return -1;
}

/* A window is over. Where l's leader should go, or -1. */
static int next_window(struct listener *l, int cpu, uint64_t now)
{
    struct pace *p = &l->pace;
    bool lapsed = now - p->window > 2 * WINDOW;
    bool busy = !lapsed && p->calls >= BUSY_CALLS && p->waits * WAITS_RARELY <= p->calls;
    bool met = busy && has_other(cpu, l, now - WINDOW, true), met_again = met && p->met;
    unsigned both = p->calls + p->last_calls;

    p->busy_calls = busy && p->was_busy ? both : 0;
    p->was_busy = busy;
    p->met = met;
    p->last_calls = p->calls;
    p->window = now;
    p->calls = p->waits = 0;
    if (p->bet && lapsed)
        p->bet = 0; /* it slept: nobody knows */
    if (p->bet)
        return settle(l);
    if (!met_again)
        return -1;
    if (p->skip) {
        p->skip--;
        return -1;
    }
    p->from = cpu;
    p->bet_calls = both;
    cpu = find_free(l, cpu, now);
    p->bet = cpu >= 0;
    p->met = false;
    if (cpu >= 0)
        atomic_fetch_add_explicit(&trap.st.moves, 1, memory_order_relaxed);
    return cpu;
}

int spread_called(struct listener *l, int cpu, uint64_t now, unsigned n, unsigned nwaits)
{
    struct pace *p = &l->pace;
    int to = -1;

    p->calls += n;
    p->waits += nwaits;
    if (now - p->window > WINDOW)
        to = next_window(l, cpu, now);
    spread_take(l, cpu, now);
    return trap.use_sync ? to : -1;
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

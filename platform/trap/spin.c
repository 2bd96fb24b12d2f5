/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinning: a leader that is called often looks at the caller's block for a while instead of waiting
 * for the doorbell, and the stub hands light calls over by that word alone (stub/light.c has both
 * sides' steps). It is a bet on a second cpu that nobody needs:
 *
 *   - one worker a sandbox, and only after QUICK_CALLS light calls that came at a high rate
 *   - on another cpu than the stub's, which it publishes: a stub that finds itself there rings
 *   - every CHECK_US it yields, so that whoever becomes runnable on its cpu has it at once, and
 *     polls its listener; being kept off the cpu, a bell, or silence ends it
 *   - not on a cpu where another leader is called, by a stub that has it
 *   - a bet that has not paid is repeated later and later
 *
 * It runs at normal priority: handlers take locks, and a holder that only runs when nobody else
 * wants to would keep all others waiting (docs/decisions/0006-the-leader-spins.md).
 */
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define QUICK_CALLS 16
#define QUICK_US 12 /* between two calls */
#define SILENCE_US 40
#define TAKEN_US 100 /* a cpu is a leader's and its stub's, after a call */
#define CHECK_US 5
#define AWAY_US 40    /* off the cpu for so long: somebody else wants it */
#define PATIENCE_US 3 /* what a stub waits for its call to be taken */
#define BELLS 2       /* of the spun-on context that are put up with */
#define PAID 64       /* calls by memory that make a bet a good one */
#define SKIP_MAX 16384

static struct {
    _Atomic bool busy; /* there is a spinner */
    _Atomic bool able;
    uint64_t start_tsc, start_ns; /* for the rate of the cycle counter */
    _Atomic uint64_t per_us;
    cpu_set_t cpus;
} spin;

static uint64_t cycles(void)
{
    return __builtin_ia32_rdtsc();
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void spin_init(void)
{
    spin.start_tsc = cycles();
    spin.start_ns = now_ns();
    spin.cpus = trap.cpus;
    /* without use_gs no call is ever light */
    atomic_store(&spin.able, trap.use_gs && CPU_COUNT(&spin.cpus) > 1);
}

static bool measure(void)
{
    uint64_t ns = now_ns() - spin.start_ns, per_us;

    if (ns < 1000)
        return false;
    per_us = (cycles() - spin.start_tsc) * 1000 / ns;
    atomic_store(&spin.per_us, per_us ? per_us : 1);
    return true;
}

bool spin_pays(struct listener *l)
{
    uint64_t now, per_us;
    bool quick;

    if (!atomic_load_explicit(&spin.able, memory_order_relaxed))
        return false;
    now = cycles();
    per_us = atomic_load_explicit(&spin.per_us, memory_order_relaxed);
    quick = now - l->last_call < (per_us ? per_us : 3000) * QUICK_US;
    l->last_call = now;
    l->quick = quick ? l->quick + 1 : 0;
    if (l->quick < QUICK_CALLS + l->skip || atomic_load(&spin.busy))
        return false;
    return per_us || measure();
}

void post_answer(struct ctx *c, enum ctx_state next, int64_t val)
{
    struct block *b = c->block;
    uint32_t n = c->posted_n;
    bool asleep;

    atomic_store(&c->state, next);
    asleep = __atomic_exchange_n(&b->call.post, POST_DONE, __ATOMIC_SEQ_CST) ==
             (n << POST_SHIFT | POST_SLEEP);
    b->answer.ans = val;
    __atomic_store_n(&b->answer.done, n, __ATOMIC_RELEASE);
    if (asleep)
        syscall(SYS_futex, &b->call.post, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool take(struct ctx *c)
{
    uint32_t *post = &c->block->call.post, v = __atomic_load_n(post, __ATOMIC_ACQUIRE);
    uint32_t taken = (v & ~((1u << POST_SHIFT) - 1)) | POST_TAKEN;

    if ((v & ((1u << POST_SHIFT) - 1)) != POST_CALL ||
        !__atomic_compare_exchange_n(post, &v, taken, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return false;
    if (atomic_load(&c->state) != CTX_RUNNING || atomic_load(&c->freed)) {
        stub_kill(c->stub);
        return false;
    }
    c->posted_n = v >> POST_SHIFT;
    c->born_event = false;
    c->posted = true;
    light_take(c);
    atomic_fetch_add_explicit(&trap.st.posts, 1, memory_order_relaxed);
    atomic_store(&c->state, CTX_HELD);
    deliver(c, EV_SYSCALL);
    return true;
}

static bool has_rung(struct listener *l)
{
    struct pollfd p = { .fd = l->fd, .events = POLLIN };

    return hostio_poll(&p, 1, 0) != 0;
}

/* A call that came by the bell, as those do that were under way when the spinning began. */
static bool answer_bell(struct worker *w, struct listener *l, struct ctx *c)
{
    bool over;
    struct ctx *caller = listener_receive(l, &over);
    bool same = caller == c && w->l == l;

    if (caller)
        ctx_drop(caller);
    return same;
}

/* c shares its cpu with another busy one: it had better come to ours. */
static bool is_crowded(struct listener *l, struct ctx *c, uint64_t now, unsigned n)
{
    int cpu = (int)__atomic_load_n(&c->block->cpu, __ATOMIC_RELAXED), here = (int)hostio_cpu();
    int to = spread_called(l, cpu, now, n, 0);

    spread_take(l, here, now);
    return to >= 0 && to == here;
}

/*
 * Calls taken until the bet was over. However fast c posts, the others are looked after too. stays: c is
 * to follow.
 */
static unsigned look(struct worker *w, struct listener *l, struct ctx *c, bool *stays)
{
    const uint64_t us = atomic_load(&spin.per_us);
    uint64_t heard = cycles(), checked = heard, begun = heard;
    unsigned n = 0, bells = 0, told = 0;

    while (w->l == l && !atomic_load(&l->dead) && !atomic_load(&c->gone) &&
           !atomic_load_explicit(&trap.stopping, memory_order_relaxed)) {
        bool taken = take(c);
        uint64_t now, back;

        if (taken) {
            trap.client->drain();
            n++;
            if (atomic_load(&c->state) != CTX_RUNNING)
                break; /* it waits for something */
        }
        now = cycles();
        if (taken)
            heard = now;
        else if (now - heard > SILENCE_US * us)
            break;
        if (now - checked > CHECK_US * us) {
            if (has_rung(l) && (++bells > BELLS || !answer_bell(w, l, c)))
                break;
            sched_yield();
            back = cycles();
            *stays = is_crowded(l, c, back, n - told);
            if (*stays || back - now > AWAY_US * us || cpu_is_taken((int)hostio_cpu(), l, begun))
                break;
            told = n;
            checked = back;
        }
        if (!taken)
            __builtin_ia32_pause();
    }
    return n;
}

/*
 * Without synchronous wake-ups (before Linux 6.6) the host wakes whoever is rung for, or answered, on
 * whichever cpu is idle, and that costs a hundred times what the call does. So the leader goes where
 * its caller is; the number is the guest's, and worth no more than a wish.
 */
void worker_follow(struct worker *w, struct ctx *c)
{
    unsigned cpu = __atomic_load_n(&c->block->cpu, __ATOMIC_RELAXED);
    cpu_set_t one;

    if (trap.use_sync || cpu == w->cpu || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &spin.cpus))
        return;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        w->cpu = cpu;
}

static unsigned spin_there(struct worker *w, struct listener *l, struct ctx *c, bool *stays)
{
    unsigned n;

    atomic_store(&l->spun_on, true);
    (void)listener_sync(l, false);
    __atomic_store_n(&c->block->spin_tsc, (uint32_t)(PATIENCE_US * atomic_load(&spin.per_us)),
                     __ATOMIC_RELAXED);
    if (!c->stub->as->no_tsc) /* which the stub looks at while it waits */
        __atomic_store_n(&c->block->spin_cpu, hostio_cpu() + 1, __ATOMIC_RELEASE);
    n = look(w, l, c, stays);
    __atomic_store_n(&c->block->spin_cpu, 0, __ATOMIC_RELEASE);
    (void)listener_sync(l, true);
    atomic_store(&l->spun_on, false);
    return n;
}

/* Where nobody else is called; cpu is where the stub is, or will be woken. */
static bool find_others(const struct listener *l, int cpu, cpu_set_t *ret)
{
    uint64_t taken = cycles() - TAKEN_US * atomic_load(&spin.per_us);

    *ret = spin.cpus;
    CPU_CLR(cpu, ret);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, ret) && cpu_is_taken(i, l, taken))
            CPU_CLR(i, ret);
    }
    return CPU_COUNT(ret) > 0;
}

/* The stub would follow to where the next answer comes from. */
static void go_back(int cpu)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

void spin_on(struct worker *w, struct listener *l, struct ctx *c)
{
    cpu_set_t others;
    bool idle = false, stays = false;
    int cpu = (int)hostio_cpu(), here;
    unsigned n = 0;

    if (!atomic_compare_exchange_strong(&spin.busy, &idle, true))
        return;
    if (find_others(l, cpu, &others) && sched_setaffinity(0, sizeof others, &others) == 0) {
        n = spin_there(w, l, c, &stays);
        if (!stays && n < PAID)
            go_back(cpu);
        here = (int)hostio_cpu();
        sched_setaffinity(0, sizeof spin.cpus, &spin.cpus);
        if (stays)
            spread_begin(here);
        w->cpu = CPU_NONE;
    }
    l->quick = 0;
    l->skip = n >= PAID ? 0 : l->skip < SKIP_MAX / 2 ? l->skip * 2 + QUICK_CALLS : SKIP_MAX;
    atomic_store(&spin.busy, false);
}

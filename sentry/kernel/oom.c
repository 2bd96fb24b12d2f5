/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who takes too much memory is killed, as Linux does where a cgroup's memory ends.
 *
 * A guest touches pages without a call, so nobody can refuse: what is in use is measured, and
 * measured again before the rest could have been used up (RATE). Counted are, for each address
 * space, its anonymous memory and its page tables; what the kernel keeps (kcharged); and pages that
 * were made through mappings of files in memory since those were counted last. The quick figures
 * count what a fork shares in parent and child: only where they are too much exact ones are taken.
 *
 * The measuring has a thread of its own, made when it is due for the first time: a short program
 * never pays for it, and with thousands of processes a round takes long. The killing is done on the
 * event thread: one process, and the next when that has ended and there still is too much.
 */
#include "sentry/kernel/oom.h"

#include <inttypes.h>
#include <pthread.h>
#include <time.h>

#include "cli/control.h"
#include "sentry/fs/mem/data.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/timer.h"
#include "sentry/mm/mm.h"
#include "sentry/start.h"

#define NSEC 1000000000ull
#define RATE 8ull /* bytes that one cpu can fill in a nanosecond, at most */
#define CPUS_MAX 4u
#define INTERVAL_MIN 5000000ull
#define INTERVAL_MAX 1000000000ull
#define SHARE 20u          /* a round takes at most one part in so many of a cpu */
#define PATIENCE 500000000 /* for the memory of one that was killed to come back */
#define STACK 65536

struct member {
    struct tgroup *group;
    struct mm *mm;
};

struct members {
    struct member *of;
    size_t n, cap;
};

static struct {
    struct ktimer timer;           /* the first round is due; then: there is one to kill */
    struct tgroup *_Atomic victim; /* a reference; whoever takes it out has it */
    uint64_t used;                 /* when it was chosen */
    bool told;
} oom;

/* ---- measuring ---- */

static int add_member(struct tgroup *g, void *arg)
{
    struct members *m = arg;
    struct mm *mm = g->leader ? g->leader->mm : NULL;

    if (mm && !g->is_sentry && !g->zombie && m->n < m->cap) {
        m->of[m->n].group = tgroup_ref(g);
        m->of[m->n++].mm = mm_ref(mm);
    }
    return 0;
}

/* Those there are, with references; the array grows to fit. */
static void gather(struct members *m)
{
    size_t want = atomic_load(&kernel.ntasks) + 8;

    m->n = 0;
    if (m->cap < want) {
        struct member *more = krealloc(m->of, want * 2 * sizeof *more);

        if (more) {
            m->of = more;
            m->cap = want * 2;
        }
    }
    lock(&kernel.tasks_lock);
    tgroup_each_locked(add_member, m);
    unlock(&kernel.tasks_lock);
}

static void let_go(struct members *m)
{
    while (m->n > 0) {
        mm_put(m->of[--m->n].mm);
        tgroup_put(m->of[m->n].group);
    }
}

/* As Linux weighs them; oom_score_adj counts thousandths of the limit. */
static int64_t badness(const struct tgroup *g, const struct as_usage *u)
{
    int64_t adj = __atomic_load_n(&g->oom_score_adj, __ATOMIC_RELAXED);

    return (int64_t)MAX(u->rss, u->own) + adj * (int64_t)(limit_of(LIMIT_MEMORY) / 1000);
}

/* What is in use; *ret_worst: the one to kill, borrowed, NULL where there is none. */
static uint64_t measure(const struct members *m, bool exact, struct tgroup **ret_worst)
{
    uint64_t sum = kcharged() + data_uncounted();
    int64_t worst = INT64_MIN;

    *ret_worst = NULL;
    for (size_t i = 0; i < m->n; i++) {
        struct as_usage u;

        if (kernel.platform->as_cost(m->of[i].mm->as, exact, &u) < 0)
            continue;
        sum += u.own;
        if (badness(m->of[i].group, &u) > worst) {
            worst = badness(m->of[i].group, &u);
            *ret_worst = m->of[i].group;
        }
    }
    return sum;
}

/* How long until all the rest could be gone. */
static uint64_t interval(uint64_t used, uint64_t took)
{
    uint64_t max = limit_of(LIMIT_MEMORY), rest = max - MIN(used, max);
    uint64_t ns = rest / (RATE * MIN(kernel.ncpus, CPUS_MAX));

    return MAX(MIN(MAX(ns, INTERVAL_MIN), INTERVAL_MAX), took * SHARE);
}

static void pass(uint64_t ns)
{
    struct timespec ts = { .tv_sec = (time_t)(ns / NSEC), .tv_nsec = (long)(ns % NSEC) };

    while (nanosleep(&ts, &ts) < 0)
        continue;
}

/* After a kill: until it has no memory any more. */
static void await_end(struct tgroup *g)
{
    for (ktime_t until = ktime_now() + PATIENCE; ktime_now() < until; pass(INTERVAL_MIN)) {
        lock(&kernel.tasks_lock);
        bool over = g->zombie || g->reaped;
        unlock(&kernel.tasks_lock);
        if (over)
            break;
    }
    pass(INTERVAL_MIN * 2); /* the host takes its pages away a little later */
}

static uint64_t look(struct members *m)
{
    ktime_t start = ktime_now();
    struct tgroup *worst;
    uint64_t used, took;

    gather(m);
    used = measure(m, /* exact= */ false, &worst);
    if (used > limit_of(LIMIT_MEMORY))
        used = measure(m, /* exact= */ true, &worst);
    took = (uint64_t)(ktime_now() - start);
    if (used > limit_of(LIMIT_MEMORY) && worst) {
        struct tgroup *g = tgroup_ref(worst);

        oom.used = used;
        atomic_store(&oom.victim, tgroup_ref(g));
        ktimer_arm(&oom.timer, ktime_now());
        let_go(m);
        await_end(g);
        tgroup_put(g);
        return 0;
    }
    let_go(m);
    return interval(used, took);
}

static void *oom_main(void *arg)
{
    struct members m = { 0 };

    for (;;)
        pass(look(&m));
    return arg;
}

/* ---- on the event thread ---- */

static void kill_victim(struct tgroup *g)
{
    char comm[16] = "";
    pid_t pid;

    lock(&kernel.tasks_lock);
    if (g->leader)
        memcpy(comm, g->leader->comm, sizeof comm);
    pid = g->pid;
    group_kill_locked(g, SIGKILL);
    unlock(&kernel.tasks_lock);
    klog(1, "out of memory: %" PRIu64 " MiB in use, killed process %d (%.15s)", oom.used >> 20,
         (int)pid, comm);
    if (!oom.told)
        control_send(CTL_NOTE, 0, "memory is limited to %" PRIu64 " MiB: process %d (%.15s) was killed",
                     limit_of(LIMIT_MEMORY) >> 20, (int)pid, comm);
    oom.told = true;
}

static void due(struct ktimer *tm)
{
    static bool started;
    struct tgroup *g = atomic_exchange(&oom.victim, NULL);
    pthread_attr_t attr;
    pthread_t th;

    if (g) {
        kill_victim(g);
        tgroup_put(g);
    }
    if (started)
        return;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK);
    started = pthread_create(&th, &attr, oom_main, NULL) == 0;
    pthread_attr_destroy(&attr);
    if (!started)
        ktimer_arm(tm, ktime_now() + (ktime_t)INTERVAL_MAX);
}

void oom_start(void)
{
    ktimer_init(&oom.timer, due);
    if (limit_of(LIMIT_MEMORY) != UNLIMITED && kernel.proc_fd >= 0)
        ktimer_arm(&oom.timer, ktime_now() + (ktime_t)interval(0, 0));
}

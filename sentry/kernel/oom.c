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
 * event thread: as many processes as it takes; then it is waited until they have ended.
 */
#include "sentry/kernel/oom.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/hostio.h"
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
#define FIRST_PID 2 /* the program's: 1 is the sentry */

struct member {
    struct tgroup *group;
    struct mm *mm;
    uint64_t own; /* bytes that its end sets free, as far as is known */
    int64_t bad;  /* INT64_MIN: is not to be killed */
};

struct members {
    struct member *of;
    size_t n, cap;
    uint64_t uncounted;
};

/* What there is to kill: made by the measuring thread, used up by the event thread. */
#define VICTIMS_MAX 64

static struct {
    struct ktimer timer; /* the first round is due; then: there are victims */
    pthread_mutex_t lock;
    struct tgroup *victims[VICTIMS_MAX]; /* references */
    unsigned nvictims;
    bool told;
} oom = { .lock = PTHREAD_MUTEX_INITIALIZER };

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

static int by_space(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return x->mm < y->mm ? -1 : x->mm > y->mm;
}

/* Those there are, with references; the array grows to fit. */
static void gather(struct members *m)
{
    size_t want = atomic_load(&kernel.ntasks) + 8;

    if (m->cap < want) {
        struct member *more = krealloc(m->of, want * 2 * sizeof *more);

        if (more) {
            m->of = more;
            m->cap = want * 2;
        }
    }
    lock(&kernel.tasks_lock);
    tgroup_each_locked(NULL, add_member, m);
    unlock(&kernel.tasks_lock);
    qsort(m->of, m->n, sizeof *m->of, by_space);
}

static void let_go(struct members *m)
{
    while (m->n > 0) {
        mm_put(m->of[--m->n].mm);
        tgroup_put(m->of[m->n].group);
    }
}

static void add_uncounted(void *arg, pid_t pid, uint64_t bytes)
{
    struct members *m = arg;

    m->uncounted += bytes;
    for (size_t i = 0; i < m->n; i++) {
        if (m->of[i].group->pid == pid) {
            m->of[i].own += bytes;
            m->of[i].bad += (int64_t)bytes;
        }
    }
}

/* What is in use; how bad each is, as Linux weighs them: oom_score_adj is in thousandths. */
static uint64_t measure(struct members *m, bool exact)
{
    uint64_t sum = kcharged();

    m->uncounted = 0;
    for (size_t i = 0; i < m->n; i++) {
        struct member *x = &m->of[i];
        int64_t adj = __atomic_load_n(&x->group->oom_score_adj, __ATOMIC_RELAXED);
        struct as_usage u;

        x->own = 0;
        x->bad = INT64_MIN;
        if ((i > 0 && x->mm == x[-1].mm) || kernel.platform->as_cost(x->mm->as, exact, &u) < 0)
            continue;
        x->own = u.own;
        x->bad = (int64_t)MAX(u.rss, u.own) + adj * (int64_t)(limit_of(LIMIT_MEMORY) / 1000);
        sum += u.own;
    }
    data_uncounted(add_uncounted, m);
    return sum + m->uncounted;
}

/* How long until all the rest could be gone. */
static uint64_t interval(uint64_t used, uint64_t took)
{
    uint64_t max = limit_of(LIMIT_MEMORY), rest = max - MIN(used, max);
    uint64_t ns = rest / (RATE * MIN(kernel.ncpus, CPUS_MAX));

    return MAX(MIN(MAX(ns, INTERVAL_MIN), INTERVAL_MAX), took * SHARE);
}

/* As many as it takes, the worst first. */
static void choose(struct members *m, uint64_t used)
{
    uint64_t want = used - limit_of(LIMIT_MEMORY), got = 0;

    pthread_mutex_lock(&oom.lock);
    while (got <= want && oom.nvictims < VICTIMS_MAX) {
        struct member *worst = NULL;

        for (size_t i = 0; i < m->n; i++) {
            if (m->of[i].bad > INT64_MIN && (!worst || m->of[i].bad > worst->bad))
                worst = &m->of[i];
        }
        if (!worst)
            break;
        got += worst->own;
        worst->bad = INT64_MIN;
        oom.victims[oom.nvictims++] = tgroup_ref(worst->group);
        if (worst->own == 0) /* nothing is known of where it all is: one after the other */
            break;
    }
    pthread_mutex_unlock(&oom.lock);
    klog(1, "out of memory: %" PRIu64 " MiB in use", used >> 20);
    ktimer_arm(&oom.timer, ktime_now());
}

/* After a kill: until they have no memory any more. */
static void await_ends(void)
{
    bool over = false;

    for (ktime_t until = ktime_now() + PATIENCE; !over && ktime_now() < until;) {
        hostio_nap(INTERVAL_MIN);
        pthread_mutex_lock(&oom.lock);
        over = oom.nvictims == 0;
        pthread_mutex_unlock(&oom.lock);
    }
}

static uint64_t look(struct members *m)
{
    ktime_t start = ktime_now();
    uint64_t used, next;

    gather(m);
    used = measure(m, /* exact= */ false);
    if (used > limit_of(LIMIT_MEMORY))
        used = measure(m, /* exact= */ true);
    next = interval(used, (uint64_t)(ktime_now() - start));
    if (used > limit_of(LIMIT_MEMORY))
        choose(m, used);
    let_go(m);
    if (used > limit_of(LIMIT_MEMORY))
        await_ends();
    return next;
}

uint64_t oom_measure(void)
{
    static struct members m; /* the event thread's */
    uint64_t used;

    gather(&m);
    used = measure(&m, /* exact= */ false);
    let_go(&m);
    return used;
}

static void *oom_main(void *arg)
{
    struct members m = { 0 };

    for (;;)
        hostio_nap(look(&m));
    return arg;
}

/* ---- on the event thread ---- */

/* At once, on the host: what it would do on its way out takes memory too. */
static void kill_one(struct tgroup *g)
{
    char comm[16] = "";
    struct task *t;
    pid_t pid;

    lock(&kernel.tasks_lock);
    if (g->leader)
        memcpy(comm, g->leader->comm, sizeof comm);
    pid = g->pid;
    group_kill_locked(g, SIGKILL);
    list_for_each(t, &g->tasks, group_link) {
        if (!t->dead && t->ctx)
            kernel.platform->ctx_kill(t->ctx);
    }
    unlock(&kernel.tasks_lock);
    klog(1, "out of memory: killed process %d (%.15s)", (int)pid, comm);
    if (pid == FIRST_PID)
        control_send(CTL_LIMIT, 0,
                     "memory is limited to %" PRIu64 " MiB (--memory): the program was killed",
                     limit_of(LIMIT_MEMORY) >> 20);
    else if (!oom.told)
        control_send(CTL_NOTE, 0,
                     "memory is limited to %" PRIu64
                     " MiB (--memory): process %d (%.15s) was killed",
                     limit_of(LIMIT_MEMORY) >> 20, (int)pid, comm);
    oom.told = true;
}

/* Kills those that are chosen; those that have ended are forgotten. True: some have not. */
static bool kill_all(void)
{
    bool left;

    pthread_mutex_lock(&oom.lock);
    for (unsigned i = 0; i < oom.nvictims;) {
        struct tgroup *g = oom.victims[i];

        lock(&kernel.tasks_lock);
        bool fresh = !g->exiting, over = g->zombie || g->reaped;
        unlock(&kernel.tasks_lock);
        if (fresh && !over)
            kill_one(g);
        if (over) {
            oom.victims[i] = oom.victims[--oom.nvictims];
            tgroup_put(g);
        } else {
            i++;
        }
    }
    left = oom.nvictims > 0;
    pthread_mutex_unlock(&oom.lock);
    return left;
}

static void due(struct ktimer *tm)
{
    static bool started;
    pthread_attr_t attr;
    pthread_t th;

    if (kill_all())
        ktimer_arm(tm, ktime_now() + (ktime_t)INTERVAL_MIN / 5);
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

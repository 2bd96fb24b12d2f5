/* SPDX-License-Identifier: Apache-2.0 */
/* timer_create and its family: the timers of a process by number. Under kernel.tasks_lock. */
#include "sentry/kernel/posix_timer.h"

#include <errno.h>
#include <limits.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sigset.h"

struct posix_timer {
    struct list link; /* in group->timers */
    int id;
    uid_t uid; /* whose it counts as; -1: nobody's */
    struct sigtimer st;
};

static struct posix_timer *find_locked(struct tgroup *g, int id)
{
    struct posix_timer *p;
    list_for_each(p, &g->timers, link) {
        if (p->id == id)
            return p;
    }
    return NULL;
}

/* Fills in who gets what; st->target gets a reference. */
static int set_event(struct task *t, struct sigtimer *st, const struct lx_sigevent *ev, int id)
{
    st->counts = true;
    st->entry.info.code = SI_TIMER;
    st->entry.info.timer.tid = id;
    st->entry.info.timer.value = ev ? ev->value : (uint64_t)id;
    if (!ev)
        return 0;
    if (ev->notify == SIGEV_NONE) {
        st->silent = true;
        return 0;
    }
    if (ev->signo < 1 || ev->signo > LX_NSIG)
        return -EINVAL;
    if (ev->notify == SIGEV_THREAD_ID) {
        struct task *to = task_find_locked(t->group->pidns, ev->tid);
        if (!to || to->group != t->group)
            return -EINVAL;
        st->target = task_ref(to);
        return 0;
    }
    return ev->notify == SIGEV_SIGNAL || ev->notify == SIGEV_THREAD ? 0 : -EINVAL;
}

static int next_id_locked(struct tgroup *g)
{
    int id;
    do {
        id = g->next_timer_id;
        g->next_timer_id = id == INT_MAX ? 0 : id + 1;
    } while (find_locked(g, id));
    return id;
}

static void timer_free(struct posix_timer *p)
{
    sigtimer_done(&p->st);
    if (p->uid != (uid_t)-1) {
        lock(&kernel.tasks_lock);
        sigqueue_uncount_locked(p->uid);
        unlock(&kernel.tasks_lock);
    }
    kfree(p);
}

/* A timer has an entry of the signal queue to itself: it counts as one (RLIMIT_SIGPENDING). */
int posix_timer_create(struct task *t, clockid_t clock, const struct lx_sigevent *ev, int *ret_id)
{
    int r = clock_can_wait(clock);
    if (r)
        return r;
    struct posix_timer *p = kzalloc(sizeof *p);
    if (!p)
        return -EAGAIN;
    list_init(&p->link);
    sigtimer_init(&p->st, t->group, clock, ev ? ev->signo : SIGALRM);
    p->uid = (uid_t)-1;
    p->st.is_cpu = clock_is_cpu(clock);
    if (p->st.is_cpu)
        r = cpuclock_open(t, clock, &p->st.cpu);
    lock(&kernel.tasks_lock);
    if (!r && !sigqueue_count_locked(t, &p->uid))
        r = -EAGAIN;
    if (!r) {
        p->id = next_id_locked(t->group);
        r = set_event(t, &p->st, ev, p->id);
    }
    if (!r) {
        list_add_tail(&t->group->timers, &p->link);
        *ret_id = p->id;
    }
    unlock(&kernel.tasks_lock);
    if (r)
        timer_free(p);
    return r;
}

static void get_locked(struct sigtimer *st, struct sigtimer_spec *ret)
{
    ret->value = sigtimer_left_locked(st);
    ret->interval = st->interval;
}

/* The value of a set in the timer's own measure; never 0, which means disarm. */
static ktime_t expiry_locked(struct sigtimer *st, bool absolute, ktime_t value)
{
    ktime_t when = value;
    if (st->is_cpu) {
        if (!absolute)
            when = ktime_add(sigtimer_now_locked(st), value);
    } else if (kclock_deadline(st->clock, absolute, value, &when)) {
        when = KTIME_NEVER;
    }
    return when ? when : 1;
}

int posix_timer_set(struct task *t, int id, bool absolute, const struct sigtimer_spec *new,
                    struct sigtimer_spec *old)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct posix_timer *p = find_locked(t->group, id);
    if (!p)
        return -EINVAL;
    if (old)
        get_locked(&p->st, old);
    if (new->value)
        sigtimer_set_locked(&p->st, expiry_locked(&p->st, absolute, new->value), new->interval);
    else
        sigtimer_set_locked(&p->st, 0, 0);
    return 0;
}

int posix_timer_get(struct task *t, int id, struct sigtimer_spec *ret)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct posix_timer *p = find_locked(t->group, id);
    if (!p)
        return -EINVAL;
    get_locked(&p->st, ret);
    return 0;
}

int posix_timer_overrun(struct task *t, int id)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct posix_timer *p = find_locked(t->group, id);
    return p ? p->st.overrun_last : -EINVAL;
}

/* id -1: any. NULL: none left. */
static struct posix_timer *take(struct tgroup *g, int id)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct posix_timer *p = NULL;
    if (id >= 0)
        p = find_locked(g, id);
    else if (!list_empty(&g->timers))
        p = list_first(&g->timers, struct posix_timer, link);
    if (p)
        list_del(&p->link);
    return p;
}

int posix_timer_delete(struct task *t, int id)
{
    struct posix_timer *p = id >= 0 ? take(t->group, id) : NULL;
    if (!p)
        return -EINVAL;
    timer_free(p);
    return 0;
}

void posix_timers_free(struct tgroup *g)
{
    struct posix_timer *p;
    while ((p = take(g, -1)))
        timer_free(p);
}

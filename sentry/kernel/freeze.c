/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezing. The flag is set first, then guest code is kicked; each record that would go on passes
 * freeze_park, which keeps it. A task in guest code against a freeze:
 *
 *      enter_guest                           kernel_freeze
 *      -----------                           -------------
 *      where = IN_GUEST        (A)           c->frozen, freeze_wanted   (C)
 *      test both               (B)           where IN_GUEST: kick        (D)
 *
 * All four are sequentially consistent: if B misses C, then A came before D, and D kicks. A record
 * that was seen WAITING after C is quiet: whoever claims it later parks it, because a run that
 * passed freeze_park before C had left WAITING before.
 */
#include "sentry/kernel/freeze.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "abi/hostio.h"
#include "sentry/kernel/async.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"

#define KICK_AGAIN 64 /* looks */

_Atomic unsigned freeze_wanted;
ktime_t freeze_patience = 5000000000ll;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* LOCK_READY */
static struct list parked = LIST_INIT(parked);

bool freeze_park(struct task *t)
{
    if (!freeze_holds(t))
        return false;
    pthread_mutex_lock(&mutex);
    bool keep = freeze_holds(t);
    if (keep) {
        atomic_store(&t->rec, REC_READY);
        t->parked = true;
        list_add_tail(&parked, &t->ready_link);
    }
    pthread_mutex_unlock(&mutex);
    return keep;
}

enum press { LOOK, KICK, KILL };

static bool is_quiet(struct task *t, enum press press)
{
    if (t->dead || !t->ctx)
        return true;
    if (atomic_load(&t->where) == IN_GUEST) {
        if (press == KICK)
            kernel.platform->ctx_kick(t->ctx);
        else if (press == KILL)
            kernel.platform->ctx_kill(t->ctx);
        return false;
    }
    pthread_mutex_lock(&mutex);
    bool quiet = t->parked;
    pthread_mutex_unlock(&mutex);
    return quiet || atomic_load(&t->rec) == REC_WAITING;
}

struct look {
    enum press press;
    unsigned busy;
};

static int look_at(struct tgroup *g, void *arg)
{
    struct look *l = arg;
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        l->busy += !is_quiet(t, l->press);
    return 0;
}

static unsigned busy(struct container *c, enum press press)
{
    struct look l = { .press = press };
    LOCK_SCOPE(&kernel.tasks_lock);
    container_groups_locked(c, look_at, &l);
    return l.busy + atomic_load(&c->async_running);
}

bool freeze_holds_slowly(const struct task *t)
{
    return atomic_load(&t->group->container->frozen);
}

int kernel_freeze(struct container *c)
{
    if (atomic_exchange(&c->frozen, true))
        return -EBUSY;
    atomic_fetch_add(&freeze_wanted, 1);
    ktime_t limit = ktime_now() + freeze_patience;
    bool killed = false;
    for (unsigned i = 0; busy(c, i % KICK_AGAIN == 0 ? KICK : LOOK); i++) {
        if (ktime_now() > limit && killed) {
            kernel_thaw(c);
            return -ETIMEDOUT;
        }
        if (ktime_now() > limit) {
            (void)busy(c, KILL); /* the last word */
            killed = true;
            limit = ktime_now() + freeze_patience;
        }
        hostio_nap(50000);
    }
    return 0;
}

void kernel_thaw(struct container *c)
{
    struct list go;
    list_init(&go);
    pthread_mutex_lock(&mutex);
    if (atomic_exchange(&c->frozen, false))
        atomic_fetch_sub(&freeze_wanted, 1);
    struct task *t, *tmp;
    list_for_each_safe(t, tmp, &parked, ready_link) {
        if (t->group->container != c)
            continue;
        list_del(&t->ready_link);
        list_add_tail(&go, &t->ready_link);
        t->parked = false;
    }
    pthread_mutex_unlock(&mutex);
    list_for_each_safe(t, tmp, &go, ready_link) {
        list_del(&t->ready_link);
        task_make_ready(t);
    }
}

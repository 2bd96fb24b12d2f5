/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts that wait: kept notified at first, parked when there are many on a listener. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/trap/trap.h"

void ctx_unpark(struct ctx *c, enum ctx_state next, uint32_t ans)
{
    c->last_ans = ans;
    atomic_store(&c->state, next);
    __atomic_store_n(&c->block->park, ans + 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &c->block->park, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* c waits no more: from here on nobody parks it. */
void ctx_stop_waiting(struct ctx *c)
{
    if (!atomic_load(&c->waiting))
        return;
    pthread_mutex_lock(&trap.lock);
    if (atomic_load(&c->waiting)) {
        tlist_del(&c->wait_link);
        c->l->nwaiting--;
        atomic_store(&c->waiting, false);
    }
    pthread_mutex_unlock(&trap.lock);
}

/* The notification goes, so that the kernel's list stays short; the blob sleeps in its block. */
void ctx_park_now(struct ctx *c)
{
    __atomic_store_n(&c->block->park, 0, __ATOMIC_RELEASE);
    atomic_fetch_add(&trap.st.parks, 1);
    answer(c, CTX_PARKED, ANS_PARK);
}

static void park_locked(struct ctx *c)
{
    tlist_del(&c->wait_link);
    c->l->nwaiting--;
    atomic_store(&c->waiting, false);
    ctx_park_now(c);
}

/*
 * c, held by the calling worker, is about to wait. When that makes too many on its listener, those
 * that wait longest are parked. All of it under trap.lock, so that a context that is resumed at the
 * same moment is either off the list or parked already.
 */
void ctx_park(struct ctx *c)
{
    struct listener *l = c->l;

    c->apart = false; /* who wakes it wants it near */
    if (atomic_load(&c->state) != CTX_HELD || c->born_event || c->posted ||
        atomic_load(&c->waiting))
        return;
    pthread_mutex_lock(&trap.lock);
    tlist_add(&l->waiting, &c->wait_link);
    atomic_store(&c->waiting, true);
    l->nwaiting++;
    while (l->nwaiting > HELD_MAX)
        park_locked(tlist_entry(l->waiting.next, struct ctx, wait_link));
    pthread_mutex_unlock(&trap.lock);
}

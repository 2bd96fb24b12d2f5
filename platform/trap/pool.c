/* SPDX-License-Identifier: Apache-2.0 */
/* Blank stubs that are ready (zygote.c), and who takes one. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "abi/hostio.h"
#include "abi/unfenced.h"
#include "platform/trap/trap.h"

#define POOL_READY 2

void pool_put(struct ctx *c)
{
    pthread_mutex_lock(&trap.lock);
    if (trap.npool < ARRAY_SIZE(trap.pool))
        trap.pool[trap.npool++] = c;
    pthread_cond_signal(&trap.pool_cond);
    pthread_mutex_unlock(&trap.lock);
}

/* At least so many; more once the guest forks: most programs never exec another. */
static void fill_pool_locked(unsigned least)
{
    if (trap.npool + trap.npending < (trap.forks ? POOL_READY : least))
        zygote_request_locked();
}

void pool_expect_exec(void)
{
    if (__atomic_load_n(&trap.forks, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&trap.lock);
    __atomic_store_n(&trap.forks, true, __ATOMIC_RELAXED);
    fill_pool_locked(0);
    pthread_mutex_unlock(&trap.lock);
}

#define LOST_PAUSE_NS 100000000
#define LOST_TRIES 20 /* two seconds, as long as for one that does not come */
#define LATE_TRIES 5

struct waiting {
    struct timespec until;
    unsigned lost; /* as far as it has seen */
    int losses, late;
};

/* The pool is empty. 0: look again; else none comes. trap.lock is given up meanwhile. */
static int await_locked(struct waiting *w)
{
    int r = 0;

    pthread_mutex_unlock(&trap.lock);
    worker_block_begin();
    pthread_mutex_lock(&trap.lock);
    if (trap.npool == 0 && trap.lost == w->lost)
        r = pthread_cond_timedwait(&trap.pool_cond, &trap.lock, &w->until);
    if (trap.npool > 0) {
        r = 0;
    } else if (trap.lost != w->lost) {
        w->lost = trap.lost;
        r = --w->losses > 0 ? 0 : EAGAIN;
        pthread_mutex_unlock(&trap.lock); /* what was missing may come back */
        hostio_nap(LOST_PAUSE_NS);
        pthread_mutex_lock(&trap.lock);
    } else if (r && --w->late > 0) { /* killed before it was known: another one */
        w->until.tv_sec += 2;
        r = 0;
        if (trap.npending > 0)
            memmove(trap.pending, trap.pending + 1, --trap.npending * sizeof trap.pending[0]);
        zygote_request_locked();
    }
    pthread_mutex_unlock(&trap.lock);
    worker_block_end();
    pthread_mutex_lock(&trap.lock);
    return r;
}

int trap_blank(struct ctx **ret_ctx, struct aspace **ret_as)
{
    struct waiting w = { .losses = unfenced("patience") ? 1 : LOST_TRIES, .late = LATE_TRIES };
    struct ctx *c = NULL;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &w.until);
    w.until.tv_sec += 2;
    pthread_mutex_lock(&trap.lock);
    w.lost = trap.lost;
    while (!c && r == 0) {
        if (trap.npool > 0) {
            c = trap.pool[0];
            memmove(trap.pool, trap.pool + 1, --trap.npool * sizeof trap.pool[0]);
            if (c->stub->dead) /* somebody killed it in the pool */
                c = NULL;
        }
        fill_pool_locked(c ? 0 : 1);
        if (!c && trap.npool == 0)
            r = await_locked(&w);
    }
    pthread_mutex_unlock(&trap.lock);
    if (!c)
        return -EAGAIN;
    as_ref(c->stub->as);
    *ret_ctx = c;
    *ret_as = c->stub->as;
    return 0;
}

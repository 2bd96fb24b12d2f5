/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked processes share their maker's listener, and so one worker and, by synchronous wake-ups, one
 * cpu. That is right for a shell and its child, or two that wait for one another; not for processes
 * that work side by side. Where two contexts of a listener have called often, and never waited, in
 * two windows of a millisecond, each of all its contexts gets a listener and a worker of its own:
 *
 *      leader, trap.lock held                      stub
 *      ----------------------                      ----
 *      relisten = 1, awaits = c, for each
 *      closes the listener                         its ring (now, or the next one) is ENOSYS;
 *                                                  installs another listener, says which
 *      listener_await: fetches that,
 *      relisten = 2                                closes it, rings again with the same number
 *      rang_again: as after any ring that was cut short; or an event
 *
 * One context keeps the object, the others get new ones. It is done only while each is in guest code,
 * or waits where nobody works on it: what must not fail meanwhile (a clone, a descriptor that is
 * lent) is never under way. One that waits holds a notification that is over (stale) until it has
 * rung again: until then nothing can be lent to it, see ctx_run_ops.
 *
 * Each time adds a filter to what the host runs for every call of those processes and of what they
 * fork. So it ends at SPLITS_MAX; and where so many share that as many workers would be too much.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "platform/trap/trap.h"

#define WINDOW (1u << 22) /* tsc, some 1.7 ms */
#define BUSY_CALLS 6      /* in each of two windows, one after the other */
#define SPLITS_MAX 6      /* of a context, and of those that it comes from */
#define SHARE_MAX 16      /* contexts of a listener */

/* Another window for c? Then it begins as one that was busy in the last, or as one that was not. */
static void enter_window(const struct listener *l, struct ctx *c)
{
    if (c->window == l->window)
        return;
    c->was_busy = c->window == l->last_window && c->window_calls >= BUSY_CALLS;
    c->window = l->window;
    c->window_calls = 0;
}

/* c's light call was answered, or waits; by the leader. */
bool split_pays(struct listener *l, struct ctx *c)
{
    uint64_t now;

    if (atomic_load_explicit(&l->nctx, memory_order_relaxed) <= 1 || !trap.use_getfd)
        return false;
    now = __builtin_ia32_rdtsc();
    if (now - l->window > WINDOW) {
        l->last_window = now - l->window > 2 * WINDOW ? 0 : l->window;
        l->window = now;
        l->nbusy = 0;
    }
    enter_window(l, c);
    if (atomic_load(&c->state) != CTX_RUNNING) { /* it waits: not in this window */
        if (c->window_calls >= BUSY_CALLS && c->was_busy)
            l->nbusy--;
        c->window_calls = -SPLIT_NEVER;
    } else if (++c->window_calls == BUSY_CALLS && c->was_busy) {
        l->nbusy++;
    }
    return l->nbusy >= 2;
}

/* In guest code, or waiting where nobody works on it. trap.lock held. */
static bool can_move_locked(const struct ctx *c)
{
    int st = atomic_load(&c->state);

    return !atomic_load(&c->freed) && !c->job && c->nsplits < SPLITS_MAX &&
           (st == CTX_RUNNING || (st == CTX_HELD && atomic_load(&c->waiting)));
}

/* Given up, and its thread is gone, or its whole process has been killed. */
static bool is_over(const struct ctx *c)
{
    return atomic_load(&c->freed) &&
           (atomic_load(&c->stub->nlive) == 0 ||
            (syscall(SYS_tgkill, c->stub->pid, c->tid, 0) < 0 && errno == ESRCH));
}

/* All contexts of l; 0 when one of them cannot be moved now. */
static unsigned collect_locked(const struct listener *l, struct ctx **all)
{
    unsigned n = 0;

    for (struct tlist *p = trap.unborn.next; p != &trap.unborn; p = p->next) {
        if (tlist_entry(p, struct ctx, hash_link)->l == l)
            return 0;
    }
    for (unsigned i = 0; i < TID_HASH; i++) {
        for (struct tlist *p = trap.tids[i].next; p != &trap.tids[i]; p = p->next) {
            struct ctx *c = tlist_entry(p, struct ctx, hash_link);

            if (c->l != l || c->stub->dead || is_over(c))
                continue;
            if (n == SHARE_MAX || !can_move_locked(c) || write_listen_prog(c, 0) < 0)
                return 0;
            all[n++] = c;
        }
    }
    return n == (unsigned)atomic_load(&l->nctx) ? n : 0;
}

static void await_locked(struct listener *l, struct ctx *c)
{
    ctx_get(c);
    l->awaits = c;
    c->nsplits++;
    if (atomic_load(&c->state) == CTX_HELD)
        atomic_store(&c->stale, true);
    __atomic_store_n(&c->block->relisten, RELISTEN_DO, __ATOMIC_RELEASE);
}

/*
 * From old to l, which was made for it. A stub's own count moves with the first of its contexts, unless
 * one of them keeps old.
 */
static void move_locked(struct ctx *c, const struct ctx *keeps, struct listener *l)
{
    struct listener *old = c->l;
    struct stub *s = c->stub;

    if (s->l == old && !c->own && s != keeps->stub) {
        s->l = l;
        listener_ref(l);
        atomic_fetch_add(&l->nstubs, 1);
        atomic_fetch_sub(&old->nstubs, 1); /* never the last: that of whoever keeps it is there */
        atomic_fetch_sub(&old->refs, 1);
        atomic_fetch_add(&l->nctx, 1);
        listener_ref(l);
        c->l = l;
    } else {
        ctx_own_listener(c, l);
        if (c->counts)
            atomic_fetch_sub(&old->nstubs, 1);
        c->counts = false;
    }
    atomic_fetch_sub(&old->nctx, 1);
    c->left_l = old; /* with the reference: who has just answered c may still look at it */
}

/* Who l stays with: one that came with it, or that has been moved before (it can be only once). */
static unsigned keeper(struct ctx *const *all, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (all[i]->own || all[i]->left_l)
            return i;
    }
    return 0;
}

/*
 * Who was busy gets a cpu in turn: its worker begins there, and takes it along with the first answer. It
 * is bound to none afterwards.
 */
static void choose_cpus(struct ctx *const *all, unsigned n)
{
    int at = (int)hostio_cpu();

    for (unsigned i = 0; i < n; i++) {
        struct listener *l = all[i]->l;

        l->begin_cpu = -1;
        if (at < 0 || !all[i]->was_busy)
            continue;
        l->begin_cpu = at;
        do {
            at = (at + 1) % CPU_SETSIZE;
        } while (!CPU_ISSET(at, &trap.cpus));
    }
}

void split(struct listener *l)
{
    struct listener *made[SHARE_MAX] = { NULL };
    struct ctx *all[SHARE_MAX];
    unsigned n = (unsigned)atomic_load(&l->nctx), keep = 0, i;
    bool ready = n <= SHARE_MAX;

    l->nbusy = 0;
    for (i = 0; i < n && ready; i++)
        ready = (made[i] = listener_new(-1)) != NULL;
    pthread_mutex_lock(&trap.lock);
    ready = ready && collect_locked(l, all) == n && n > 1;
    if (ready) {
        keep = keeper(all, n);
        for (i = 0; i < n; i++) {
            if (i != keep)
                move_locked(all[i], all[keep], made[i]);
            await_locked(i == keep ? l : made[i], all[i]);
        }
        choose_cpus(all, n);
        close(l->fd);
        l->fd = -1;
    }
    pthread_mutex_unlock(&trap.lock);
    for (i = 0; i < n && i < SHARE_MAX && made[i]; i++) {
        if (ready && i != keep && !listener_start(made[i]))
            stub_kill(made[i]->awaits->stub);
        listener_put(made[i]);
    }
    if (ready)
        atomic_fetch_add(&trap.st.splits, 1);
}

/* l's stub is told by the guest's hand only that it is ready: what it gives is looked at. */
bool listener_await(struct listener *l)
{
    struct ctx *c = l->awaits;
    struct timespec patience = {
        .tv_sec = 1
    }; /* its wake-up at c's end lies in the guest's hand */
    struct block *b = c->block;
    int32_t v;
    int fd = -ESRCH;

    while ((v = __atomic_load_n(&b->listener, __ATOMIC_ACQUIRE)) == LISTENER_NONE &&
           !atomic_load(&l->dead) && !atomic_load(&c->gone) && !atomic_load(&trap.stopping))
        syscall(SYS_futex, &b->listener, FUTEX_WAIT, LISTENER_NONE, &patience, NULL, 0);
    if (v != LISTENER_NONE && !atomic_load(&c->gone))
        fd = fetch_listener(c->stub, v);
    if (fd >= 0) {
        l->fd = fd;
        (void)listener_sync(l, true);
        if (l->begin_cpu >= 0)
            spread_begin(l->begin_cpu);
        l->begin_cpu = -1;
        __atomic_store_n(&b->relisten, RELISTEN_DONE, __ATOMIC_RELEASE);
        syscall(SYS_futex, &b->relisten, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else {
        stub_kill(c->stub); /* dead, or hostile: there is no way back */
    }
    l->awaits = NULL;
    ctx_drop(c);
    return fd >= 0;
}

/* c's thread is gone: whoever awaits its listener waits no more. */
void split_gone(struct ctx *c)
{
    if (__atomic_load_n(&c->block->relisten, __ATOMIC_ACQUIRE) != RELISTEN_DO)
        return;
    __atomic_store_n(&c->block->listener, -ESRCH, __ATOMIC_RELEASE);
    syscall(SYS_futex, &c->block->listener, FUTEX_WAKE, 1, NULL, NULL, 0);
}

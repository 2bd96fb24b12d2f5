/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LOCK_PI and UNLOCK_PI; see futex.h.
 *
 *      who locks (holds busy)                    who unlocks (waits for busy, then holds it)
 *      ----------------------                    -------------------------------------------
 *      word: tid -> tid|WAITED       (A)         word: tid -> 0, in user space: fails after A
 *      notes the owner, queues itself            asks us: finds the first who waits
 *      lets go of busy                           word: tid|WAITED -> next|WAITED
 *                                                grants, if that one still waits; else once more
 *
 * When an owner leaves, nobody may be there who could change the word for it: the first who waits
 * does so itself (CLAIM).
 */
#include <errno.h>

#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"

/* ---- the record ---- */

static void pi_call_free(void *p)
{
    struct pi_call *c = p;

    if (c->have_w)
        wq_done(&c->w.wq);
    pi_put(c->pi);
}

struct pi_call *pi_call(struct task *t)
{
    struct pi_call *c = call_scratch(t, sizeof *c);

    if (!c || t->call.scratch_free)
        return c;
    t->call.scratch_free = pi_call_free;
    c->have_w = true;
    c->w.task = t;
    list_init(&c->w.link);
    wq_init(&c->w.wq);
    return c;
}

int pi_call_begin(struct task *t, struct pi_call *c)
{
    int r = tlock(t, &c->pi->busy);

    if (r < 0)
        return r;
    c->busy = true;
    c->step = STEP_READ;
    return 0;
}

void pi_call_done(struct task *t, struct pi_call *c)
{
    if (c->busy)
        tunlock(t, &c->pi->busy);
    c->busy = false;
}

int pi_exchange(struct task *t, struct pi_call *c, uint32_t old, uint32_t new)
{
    c->seen = old;
    c->op = (struct as_op){ .kind = AS_CMPXCHG32, .fd = -1, .a = { c->word, old, new } };
    return call_ops(t, &c->op, 1);
}

/* ---- waiting ---- */

static bool may_claim(struct pi_call *c)
{
    LOCK_SCOPE(&pi_lock);
    return !c->pi->owner && pi_first_locked(c->pi) == &c->w;
}

/* The word becomes w's own, as nobody owns it any more and w is the first. 0: no longer so. */
static long claim(struct task *t, struct pi_call *c)
{
    int r = tlock(t, &c->pi->busy);

    if (r < 0)
        return r;
    c->busy = true;
    if (!may_claim(c)) {
        pi_call_done(t, c);
        c->step = STEP_WAIT;
        return 0;
    }
    r = get_guest(t, &c->seen, c->word);
    if (r < 0)
        return r;
    c->step = STEP_CLAIMED;
    return pi_exchange(t, c, c->seen, (uint32_t)t->tid | FUTEX_DIED | FUTEX_WAITED);
}

static long claimed(struct task *t, struct pi_call *c)
{
    if (c->op.ret < 0)
        return c->op.ret;
    if ((uint32_t)c->op.ret != c->seen) {
        c->step = STEP_CLAIM;
        return 0;
    }
    LOCK_SCOPE(&pi_lock);
    pi_unqueue_locked(&c->w);
    c->w.granted = true;
    pi_set_owner_locked(c->pi, pi_first_locked(c->pi) ? t : NULL);
    return PI_DONE;
}

static long wait_once(struct task *t, struct pi_call *c)
{
    LOCK_SCOPE(&pi_lock);
    if (c->w.granted)
        return PI_DONE;
    if (c->pi->owner || pi_first_locked(c->pi) != &c->w)
        return task_wait(t, &c->w.wq, 0);
    c->step = STEP_CLAIM;
    return 0;
}

long pi_wait_step(struct task *t, struct pi_call *c)
{
    long r = 0;

    while (r == 0)
        r = c->step == STEP_WAIT    ? wait_once(t, c)
            : c->step == STEP_CLAIM ? claim(t, c)
                                    : claimed(t, c);
    if (r == -EWAITING)
        return r;
    if (r < 0) {
        LOCK_SCOPE(&pi_lock);
        if (c->w.granted)
            r = PI_DONE;
        else
            pi_give_up_locked(&c->w);
    }
    pi_call_done(t, c);
    return r == PI_DONE ? 0 : r;
}

/* ---- LOCK_PI ---- */

/* The word is marked as waited for: in the queue, behind its owner. */
static long queue_up(struct task *t, struct pi_call *c, uint32_t word, bool attempt)
{
    uint32_t now;
    int r;

    lock(&pi_lock);
    r = pi_attach_locked(c->pi, word, t);
    if (r == 0 && attempt) {
        if (list_empty(&c->pi->waiters))
            pi_set_owner_locked(c->pi, NULL);
        r = -EAGAIN;
    }
    if (r == 0)
        pi_queue_locked(c->pi, &c->w);
    unlock(&pi_lock);
    if (r == -ESRCH && get_guest(t, &now, c->word) == 0 && now != word) {
        c->step = STEP_READ; /* its owner has died meanwhile, and has said so */
        return 0;
    }
    if (r < 0)
        return r;
    pi_call_done(t, c);
    c->step = STEP_WAIT;
    return 0;
}

static long look(struct task *t, struct pi_call *c, bool attempt)
{
    uint32_t word;
    bool waited;

    if (get_guest(t, &word, c->word) < 0)
        return -EFAULT;
    if ((word & FUTEX_TID) == (uint32_t)t->tid)
        return -EDEADLK;
    lock(&pi_lock);
    waited = !list_empty(&c->pi->waiters);
    unlock(&pi_lock);
    if (!waited && !(word & FUTEX_TID)) {
        c->step = STEP_TAKE;
        return pi_exchange(t, c, word, (word & FUTEX_DIED) | (uint32_t)t->tid);
    }
    if (word & FUTEX_WAITED)
        return queue_up(t, c, word, attempt);
    c->step = STEP_MARK;
    return pi_exchange(t, c, word, word | FUTEX_WAITED);
}

static long lock_step(struct task *t, struct pi_call *c, bool attempt)
{
    switch (c->step) {
    case STEP_BUSY:
        return pi_call_begin(t, c);
    case STEP_READ:
        return look(t, c, attempt);
    default: /* TAKE, MARK: the word was exchanged */
        if (c->op.ret < 0)
            return c->op.ret;
        if ((uint32_t)c->op.ret != c->seen) {
            c->step = STEP_READ;
            return 0;
        }
        return c->step == STEP_TAKE ? PI_DONE : queue_up(t, c, c->seen | FUTEX_WAITED, attempt);
    }
}

static int begin(struct task *t, struct pi_call *c, gaddr_t word, bool process_private)
{
    struct futex_key key;
    int r = c->pi ? 0 : futex_key(t, word, process_private, &key);

    if (r < 0 || c->pi)
        return r;
    c->word = word;
    c->pi = pi_get(&key);
    return c->pi ? 0 : -ENOMEM;
}

/* A signal that interrupts the wait for a lock is not seen by the caller: the wait is made again. */
static long result(long r)
{
    return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

long futex_lock_pi(struct task *t, gaddr_t word, bool process_private, bool attempt)
{
    struct pi_call *c = pi_call(t);
    long r = c ? begin(t, c, word, process_private) : -ENOMEM;

    while (r == 0 && c->step < STEP_WAIT)
        r = lock_step(t, c, attempt);
    if (r == 0)
        return result(pi_wait_step(t, c));
    if (r != -EWAITING && c)
        pi_call_done(t, c);
    return r == PI_DONE ? 0 : result(r);
}

/* ---- UNLOCK_PI ---- */

/* To whom the word goes: nobody, or the first who waits. */
static long hand_over(struct task *t, struct pi_call *c, uint32_t word)
{
    struct pi_wait *first;
    uint32_t new = 0;

    lock(&pi_lock);
    first = pi_first_locked(c->pi);
    if (first && !c->handed && c->pi->owner != t) {
        unlock(&pi_lock);
        return -EINVAL;
    }
    if (first)
        new = (uint32_t)first->task->tid | FUTEX_WAITED;
    unlock(&pi_lock);
    c->chosen = (pid_t)(new &FUTEX_TID);
    c->step = STEP_TAKE;
    return pi_exchange(t, c, word, new);
}

/* False: the one that was chosen has given up meanwhile. */
static bool grant(struct pi_call *c)
{
    struct pi_wait *first;

    LOCK_SCOPE(&pi_lock);
    first = pi_first_locked(c->pi);
    if (!c->chosen || !first || first->task->tid != c->chosen) {
        if (!first)
            pi_set_owner_locked(c->pi, NULL);
        return !c->chosen;
    }
    struct task *owner = first->task;

    pi_grant_locked(first);
    pi_set_owner_locked(c->pi, pi_first_locked(c->pi) ? owner : NULL);
    return true;
}

static long unlock_step(struct task *t, struct pi_call *c)
{
    uint32_t word;

    switch (c->step) {
    case STEP_BUSY:
        return pi_call_begin(t, c);
    case STEP_READ:
        if (get_guest(t, &word, c->word) < 0)
            return -EFAULT;
        if ((word & FUTEX_TID) != (uint32_t)t->tid)
            return -EPERM;
        return hand_over(t, c, word);
    default:
        if (c->op.ret < 0)
            return c->op.ret;
        if ((uint32_t)c->op.ret != c->seen) {
            if (c->handed)
                return PI_DONE; /* the new owner's own business now */
            c->step = STEP_READ;
            return 0;
        }
        if (grant(c))
            return PI_DONE;
        c->handed = true;
        return hand_over(t, c, (uint32_t)c->op.a[2]);
    }
}

long futex_unlock_pi(struct task *t, gaddr_t word, bool process_private)
{
    struct pi_call *c = pi_call(t);
    long r = c ? begin(t, c, word, process_private) : -ENOMEM;

    while (r == 0)
        r = unlock_step(t, c);
    if (r != -EWAITING && c)
        pi_call_done(t, c);
    return r == PI_DONE ? 0 : result(r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WAIT_REQUEUE_PI and CMP_REQUEUE_PI: those that wait on a condition are moved to the lock that they
 * want next, and the first gets it where it is free. See futex.h.
 *
 * Who waits on a first word stands in one queue here, whatever the word: there are as many as threads
 * wait in such a call.
 */
#include <errno.h>

#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"

static struct list first_words = LIST_INIT(first_words); /* pi_lock */

static struct pi_wait *find_locked(const struct futex_key *key)
{
    struct pi_wait *w;

    assert_locked(&pi_lock);
    list_for_each(w, &first_words, link) {
        if (futex_key_equal(&w->key, key))
            return w;
    }
    return NULL;
}

/* ---- who waits ---- */

/* Queued before the word is looked at, so that who changes it and then asks for us finds w. */
static int queue_first(struct task *t, struct pi_call *c, gaddr_t word, uint32_t val, gaddr_t to,
                       bool process_private)
{
    uint32_t now;
    int r = futex_key(t, word, process_private, &c->w.key);

    if (r == 0)
        r = futex_key(t, to, process_private, &c->w.to);
    if (r < 0)
        return r;
    if (futex_key_equal(&c->w.key, &c->w.to))
        return -EINVAL;
    c->word = to;
    lock(&pi_lock);
    c->w.requeue = true;
    list_add_tail(&first_words, &c->w.link);
    unlock(&pi_lock);
    r = get_guest(t, &now, word);
    if (r == 0 && now == val)
        return 0;
    LOCK_SCOPE(&pi_lock);
    if (!c->w.requeue)
        return 0; /* moved on already: the word has changed since */
    list_del(&c->w.link);
    c->w.requeue = false;
    return r < 0 ? r : -EAGAIN;
}

static long wait_first(struct task *t, struct pi_call *c)
{
    long r;

    LOCK_SCOPE(&pi_lock);
    if (!c->w.requeue) {
        if (c->w.granted)
            return 0;
        c->step = STEP_WAIT;
        return 0;
    }
    r = task_wait(t, &c->w.wq, 0);
    if (r != -EWAITING) {
        list_del(&c->w.link);
        c->w.requeue = false;
    }
    return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
}

long futex_wait_requeue_pi(struct task *t, gaddr_t word, uint32_t val, gaddr_t to,
                           bool process_private)
{
    struct pi_call *c = pi_call(t);
    long r;

    if (!c)
        return -ENOMEM;
    if (c->step == STEP_BUSY) {
        r = queue_first(t, c, word, val, to, process_private);
        if (r < 0)
            return r;
        c->step = STEP_FIRST;
    }
    if (c->step == STEP_FIRST) {
        r = wait_first(t, c);
        if (r < 0 || c->step == STEP_FIRST)
            return r;
    }
    r = pi_wait_step(t, c);
    return r == -ERESTARTSYS ? -EAGAIN : r; /* it cannot be made again: the condition has come */
}

/* ---- who moves them ---- */

/* Moves those that wait on the first word to the lock, at most nr; all of them want that one. */
static void move_locked(struct pi_call *c, int nr)
{
    struct pi_wait *w, *tmp;

    list_for_each_safe(w, tmp, &first_words, link) {
        if (nr <= 0 || !futex_key_equal(&w->key, &c->w.key))
            continue;
        list_del(&w->link);
        w->requeue = false;
        container_of(w, struct pi_call, w)->pi = pi_ref_locked(c->pi);
        pi_queue_locked(c->pi, w);
        wq_wake(&w->wq, 0);
        c->moved++;
        nr--;
    }
}

static bool same_target_locked(struct pi_call *c)
{
    struct pi_wait *w;

    list_for_each(w, &first_words, link) {
        if (futex_key_equal(&w->key, &c->w.key) && !futex_key_equal(&w->to, &c->w.to))
            return false;
    }
    return true;
}

/* The lock is free: it goes to the first, or is given back when nobody is left who wants it. */
static long give(struct task *t, struct pi_call *c, uint32_t word)
{
    struct pi_wait *first;
    uint32_t new = 0;

    lock(&pi_lock);
    first = find_locked(&c->w.key);
    if (first)
        new = (uint32_t)first->task->tid | FUTEX_WAITED | (word & FUTEX_DIED);
    unlock(&pi_lock);
    if (!first && !c->handed)
        return PI_DONE;
    c->chosen = (pid_t)(new &FUTEX_TID);
    c->step = STEP_TAKE;
    return pi_exchange(t, c, word, new);
}

/* The word says that the lock is the first one's. */
static long given(struct task *t, struct pi_call *c, int nr_requeue)
{
    struct pi_wait *first;

    if (!c->chosen)
        return PI_DONE;
    lock(&pi_lock);
    first = find_locked(&c->w.key);
    if (first && first->task->tid == c->chosen) {
        list_del(&first->link);
        first->requeue = false;
        first->granted = true;
        c->moved++;
        move_locked(c, nr_requeue);
        if (!list_empty(&c->pi->waiters))
            pi_set_owner_locked(c->pi, first->task);
        wq_wake(&first->wq, 0);
        unlock(&pi_lock);
        return PI_DONE;
    }
    unlock(&pi_lock);
    c->handed = true; /* it has given up meanwhile */
    return give(t, c, (uint32_t)c->op.a[2]);
}

static long look(struct task *t, struct pi_call *c, gaddr_t word, uint32_t val)
{
    uint32_t now, target;
    bool waited, any, same;

    if (get_guest(t, &now, word) < 0 || get_guest(t, &target, c->word) < 0)
        return -EFAULT;
    if (now != val)
        return -EAGAIN;
    lock(&pi_lock);
    any = find_locked(&c->w.key);
    same = same_target_locked(c);
    waited = !list_empty(&c->pi->waiters);
    unlock(&pi_lock);
    if (!same)
        return -EINVAL;
    if (!any)
        return PI_DONE;
    if (!waited && !(target & FUTEX_TID))
        return give(t, c, target);
    c->step = STEP_MARK;
    return pi_exchange(t, c, target, target | FUTEX_WAITED);
}

/* The lock is owned by another, and marked as waited for: all go into its queue. */
static long queue_all(struct pi_call *c, int nr)
{
    struct pi_wait *first;
    int r = 0;

    LOCK_SCOPE(&pi_lock);
    first = find_locked(&c->w.key);
    if (first)
        r = pi_attach_locked(c->pi, c->seen, first->task);
    if (first && r == 0)
        move_locked(c, nr);
    return r < 0 ? r : PI_DONE;
}

static long step(struct task *t, struct pi_call *c, gaddr_t word, uint32_t val, int nr_requeue)
{
    switch (c->step) {
    case STEP_BUSY:
        return pi_call_begin(t, c);
    case STEP_READ:
        return look(t, c, word, val);
    default:
        if (c->op.ret < 0)
            return c->op.ret;
        if ((uint32_t)c->op.ret != c->seen) {
            if (c->handed)
                return PI_DONE;
            c->step = STEP_READ;
            return 0;
        }
        return c->step == STEP_TAKE ? given(t, c, nr_requeue) : queue_all(c, nr_requeue + 1);
    }
}

long futex_cmp_requeue_pi(struct task *t, gaddr_t word, uint32_t val, gaddr_t to, int nr_wake,
                          int nr_requeue, bool process_private)
{
    struct pi_call *c = pi_call(t);
    long r = 0;

    if (!c)
        return -ENOMEM;
    if (!c->pi) {
        if (nr_wake != 1 || nr_requeue < 0)
            return -EINVAL;
        r = futex_key(t, word, process_private, &c->w.key);
        if (r == 0)
            r = futex_key(t, to, process_private, &c->w.to);
        if (r < 0)
            return r;
        if (futex_key_equal(&c->w.key, &c->w.to))
            return -EINVAL;
        c->word = to;
        c->pi = pi_get(&c->w.to);
        if (!c->pi)
            return -ENOMEM;
    }
    while (r == 0)
        r = step(t, c, word, val, MIN(nr_requeue, 1 << 30));
    if (r == -EWAITING)
        return r;
    pi_call_done(t, c);
    if (r == -ERESTARTSYS)
        return -ERESTARTNOINTR;
    return r == PI_DONE ? c->moved : r;
}

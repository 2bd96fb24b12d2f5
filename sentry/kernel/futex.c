/* SPDX-License-Identifier: Apache-2.0 */
/* Words that are waited for: the table of them, their owners and queues. See futex.h. */
#include <errno.h>
#include <sys/mman.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/futex.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/file.h"

#define TABLE 64

struct lock pi_lock = { .class = LOCK_OBJECT };
static struct list table[TABLE]; /* pi_lock; lists are made when first used */

/* ---- words ---- */

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
    return a->obj == b->obj && a->off == b->off && a->process_private == b->process_private;
}

int futex_key(struct task *t, gaddr_t word, bool process_private, struct futex_key *ret)
{
    struct mm *mm = t->mm;
    struct vma *v;

    if (word & 3)
        return -EINVAL;
    *ret = (struct futex_key){ mm, word, process_private };
    if (process_private)
        return 0;
    LOCK_SCOPE(&mm->lock);
    v = vma_find_locked(mm, word);
    if (v && v->file && (v->flags & MAP_TYPE) != MAP_PRIVATE) {
        ret->obj = v->file->inode;
        ret->off = v->offset + (word - v->start);
    }
    return 0;
}

static struct list *bucket(const struct futex_key *key)
{
    uint64_t h = ((uint64_t)(uintptr_t)key->obj >> 6) * 31 + (key->off >> 2);
    struct list *l = &table[(h ^ h >> 17) % TABLE];

    assert_locked(&pi_lock);
    if (!l->next)
        list_init(l);
    return l;
}

struct pi *pi_ref_locked(struct pi *pi)
{
    assert_locked(&pi_lock);
    pi->refs++;
    return pi;
}

static struct pi *pi_find_locked(const struct futex_key *key)
{
    struct list *l = bucket(key);
    struct pi *pi;

    list_for_each(pi, l, link) {
        if (futex_key_equal(&pi->key, key))
            return pi_ref_locked(pi);
    }
    return NULL;
}

static struct pi *pi_new(const struct futex_key *key)
{
    struct pi *pi = kzalloc(sizeof *pi);

    if (!pi)
        return NULL;
    pi->refs = 1;
    pi->key = *key;
    tlock_init(&pi->busy);
    list_init(&pi->link);
    list_init(&pi->owned_link);
    list_init(&pi->waiters);
    return pi;
}

struct pi *pi_get(const struct futex_key *key)
{
    struct pi *new = pi_new(key), *pi;

    lock(&pi_lock);
    pi = pi_find_locked(key);
    if (!pi && new) {
        list_add_tail(bucket(key), &new->link);
        pi = new;
        new = NULL;
    }
    unlock(&pi_lock);
    pi_put(new);
    return pi;
}

void pi_put(struct pi *pi)
{
    if (!pi)
        return;
    lock(&pi_lock);
    bool last = --pi->refs == 0;
    if (last)
        list_del(&pi->link);
    unlock(&pi_lock);
    if (!last)
        return;
    tlock_done(&pi->busy);
    kfree(pi);
}

/* ---- owners and queues ---- */

void pi_set_owner_locked(struct pi *pi, struct task *owner)
{
    struct task *old = pi->owner;

    assert_locked(&pi_lock);
    list_del(&pi->owned_link);
    pi->owner = owner ? task_ref(owner) : NULL;
    if (owner)
        list_add_tail(&owner->pi_owned, &pi->owned_link);
    task_put(old);
}

struct pi_wait *pi_first_locked(struct pi *pi)
{
    assert_locked(&pi_lock);
    return list_empty(&pi->waiters) ? NULL : list_first(&pi->waiters, struct pi_wait, link);
}

void pi_queue_locked(struct pi *pi, struct pi_wait *w)
{
    struct pi_wait *o;

    assert_locked(&pi_lock);
    w->pi = pi;
    w->task->pi_wait = w;
    list_for_each(o, &pi->waiters, link) {
        if (o->task->sched.priority < w->task->sched.priority)
            break;
    }
    list_add_tail(&o->link, &w->link);
}

void pi_unqueue_locked(struct pi_wait *w)
{
    list_del(&w->link);
    w->task->pi_wait = NULL;
    w->pi = NULL;
}

void pi_grant_locked(struct pi_wait *w)
{
    assert_locked(&pi_lock);
    pi_unqueue_locked(w);
    w->granted = true;
    wq_wake(&w->wq, 0);
}

/* Without waiters nobody asks who the owner is; without an owner the next one claims. */
void pi_give_up_locked(struct pi_wait *w)
{
    struct pi *pi = w->pi;
    struct pi_wait *next;

    pi_unqueue_locked(w);
    next = pi_first_locked(pi);
    if (!next)
        pi_set_owner_locked(pi, NULL);
    else if (!pi->owner)
        wq_wake(&next->wq, 0);
}

/* Would t wait for itself, by way of those that own what owners wait for? */
static bool is_circle_locked(const struct pi *pi, const struct task *t)
{
    for (int i = 0; pi && i < 1024; i++) {
        if (pi->owner == t)
            return true;
        pi = pi->owner && pi->owner->pi_wait ? pi->owner->pi_wait->pi : NULL;
    }
    return pi != NULL;
}

int pi_attach_locked(struct pi *pi, uint32_t word, const struct task *waiter)
{
    pid_t tid = (pid_t)(word & FUTEX_TID);
    struct task *owner;

    assert_locked(&pi_lock);
    if (list_empty(&pi->waiters)) {
        lock(&kernel.tasks_lock);
        owner = task_find_locked(waiter->group->pidns, tid);
        if (owner && (owner->pi_left || !owner->ctx))
            owner = NULL;
        if (owner)
            task_ref(owner);
        unlock(&kernel.tasks_lock);
        if (!owner)
            return -ESRCH;
        pi_set_owner_locked(pi, owner);
        task_put(owner);
    } else if (pi->owner && tid && pi->owner->tid != tid) {
        return -EINVAL;
    }
    if (!is_circle_locked(pi, waiter))
        return 0;
    if (list_empty(&pi->waiters))
        pi_set_owner_locked(pi, NULL);
    return -EDEADLK;
}

void futex_leave(struct task *t, bool dies)
{
    LOCK_SCOPE(&pi_lock);

    t->pi_left = dies;
    while (!list_empty(&t->pi_owned)) {
        struct pi *pi = list_first(&t->pi_owned, struct pi, owned_link);
        struct pi_wait *w = pi_first_locked(pi);

        pi_set_owner_locked(pi, NULL);
        if (w)
            wq_wake(&w->wq, 0);
    }
}

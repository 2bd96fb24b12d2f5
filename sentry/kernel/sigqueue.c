/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending signals: a set, and for most of its members a queue entry with the siginfo. An entry that
 * could not be had leaves the bit alone, and the receiver sees a siginfo without a sender.
 *
 * Entries are counted by the real uid of the receiver against RLIMIT_SIGPENDING. A timer has an
 * entry of its own (dequeued set): never counted or freed here.
 *
 * Everything under kernel.tasks_lock.
 */
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sigset.h"
#include "sentry/kernel/task.h"

/* ---- how many entries a user has ---- */

struct uid_count {
    uid_t uid;
    uint64_t n;
    struct uid_count *next;
};

static struct uid_count *counts[64];

static struct uid_count **count_slot(uid_t uid)
{
    struct uid_count **p = &counts[uid % ARRAY_SIZE(counts)];
    while (*p && (*p)->uid != uid)
        p = &(*p)->next;
    return p;
}

static bool count_up(uid_t uid, uint64_t max)
{
    struct uid_count **p = count_slot(uid);
    if (!*p) {
        if (max == 0 || !(*p = kzalloc(sizeof **p)))
            return false;
        (*p)->uid = uid;
    }
    if ((*p)->n >= max)
        return false;
    (*p)->n++;
    return true;
}

static void count_down(uid_t uid)
{
    struct uid_count **p = count_slot(uid), *c = *p;
    if (c && --c->n == 0) {
        *p = c->next;
        kfree(c);
    }
}

bool sigqueue_count_locked(struct task *t, uid_t *ret_uid)
{
    if (!count_up(t->cred->uid, task_rlimit(t, RLIMIT_SIGPENDING)->rlim_cur))
        return false;
    *ret_uid = t->cred->uid;
    return true;
}

void sigqueue_uncount_locked(uid_t uid)
{
    count_down(uid);
}

struct sigqueue *sigqueue_new_locked(struct task *t, bool beyond_limit)
{
    uint64_t max = beyond_limit ? UINT64_MAX : task_rlimit(t, RLIMIT_SIGPENDING)->rlim_cur;
    uid_t uid = t->cred->uid;
    if (!count_up(uid, max))
        return NULL;
    struct sigqueue *q = kzalloc(sizeof *q);
    if (!q) {
        count_down(uid);
        return NULL;
    }
    list_init(&q->link);
    q->charged = uid;
    return q;
}

void sigqueue_free_locked(struct sigqueue *q)
{
    count_down(q->charged);
    kfree(q);
}

/* ---- sets of pending signals ---- */

void sigpending_init(struct sigpending *p)
{
    p->set = 0;
    list_init(&p->queue);
}

static void entry_drop(struct sigqueue *q)
{
    list_del(&q->link);
    if (!q->dequeued)
        sigqueue_free_locked(q);
}

void sigpending_remove_locked(struct sigpending *p, sigset64 set)
{
    assert_locked(&kernel.tasks_lock);
    if (!(p->set & set))
        return;
    p->set &= ~set;
    struct sigqueue *q, *tmp;
    list_for_each_safe(q, tmp, &p->queue, link) {
        if (SIGBIT(q->info.signo) & set)
            entry_drop(q);
    }
}

void sigpending_flush_locked(struct sigpending *p)
{
    sigpending_remove_locked(p, ~0ull);
}

void group_remove_signals_locked(struct tgroup *g, sigset64 set)
{
    sigpending_remove_locked(&g->pending, set);
    struct task *t;
    list_for_each(t, &g->tasks, group_link)
        sigpending_remove_locked(&t->pending, set);
}

void sigqueue_cancel_locked(struct sigqueue *q)
{
    assert_locked(&kernel.tasks_lock);
    if (list_empty(&q->link))
        return;
    list_del(&q->link);
    struct sigqueue *o;
    list_for_each(o, &q->pending->queue, link) {
        if (o->info.signo == q->info.signo)
            return;
    }
    q->pending->set &= ~SIGBIT(q->info.signo);
}

/* ---- taking ---- */

static int next_signal(const struct sigpending *p, sigset64 set)
{
    sigset64 ready = p->set & set;
    if (!ready)
        return 0;
    if (ready & SIG_SYNCHRONOUS)
        ready &= SIG_SYNCHRONOUS;
    return __builtin_ctzll(ready) + 1;
}

static void collect(struct sigpending *p, int sig, struct lx_siginfo *ret)
{
    struct sigqueue *first = NULL, *q;
    bool more = false;
    list_for_each(q, &p->queue, link) {
        if (q->info.signo != sig)
            continue;
        if (first) {
            more = true;
            break;
        }
        first = q;
    }
    if (!more)
        p->set &= ~SIGBIT(sig);
    if (!first) {
        memset(ret, 0, sizeof *ret);
        ret->signo = sig;
        ret->code = SI_USER;
        return;
    }
    list_del(&first->link);
    if (first->dequeued)
        first->dequeued(first);
    *ret = first->info;
    if (!first->dequeued)
        sigqueue_free_locked(first);
}

int signal_dequeue_locked(struct task *t, sigset64 set, struct lx_siginfo *ret)
{
    assert_locked(&kernel.tasks_lock);
    struct sigpending *p = &t->pending;
    int sig = next_signal(p, set);
    if (!sig) {
        p = &t->group->pending;
        sig = next_signal(p, set);
    }
    if (!sig)
        return 0;
    collect(p, sig, ret);
    signal_recalc_locked(t);
    return sig;
}

sigset64 signal_pending_set_locked(const struct task *t)
{
    return t->pending.set | t->group->pending.set;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* semop and SEM_UNDO; see sem.h. */
#include "sentry/ipc/sysv/sem.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "abi/types.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"

static void set_free(struct ipc_obj *o)
{
    struct sem_set *s = (struct sem_set *)o;

    sem_count -= s->n;
    kfree(s);
}

struct ipc_ids sem_ids = {
    .lock = { .class = LOCK_IPC },
    .max = SYSCTL_SEMMNI,
    .next_id = SYSCTL_SEM_NEXT_ID,
    .last = -1,
    .free = set_free,
};
unsigned sem_count;

struct sem_undos { /* of a process, or of all that share it */
    int refs;      /* sem_ids.lock */
    struct list entries;
};

/* ---- one call's operations ---- */

enum { GOES, WAITS };

static void step_back(struct sem_set *set, const struct sem_wait *w, unsigned done)
{
    while (done-- > 0) {
        const struct lx_sembuf *op = &w->ops[done];

        set->sems[op->num].value -= op->op;
        if (op->flg & SEM_UNDO)
            w->undo->adjust[op->num] = (int16_t)(w->undo->adjust[op->num] + op->op);
    }
}

/* One operation: GOES (and is done), WAITS or -errno. */
static int one(struct sem_set *set, struct sem_wait *w, const struct lx_sembuf *op)
{
    struct sem *s = &set->sems[op->num];
    int value = s->value + op->op, adjust;

    if ((op->op == 0 && s->value != 0) || value < 0)
        return WAITS;
    if (value > SEM_VALUE_MAX)
        return -ERANGE;
    if (op->flg & SEM_UNDO) {
        adjust = w->undo->adjust[op->num] - op->op;
        if (adjust < -SEM_VALUE_MAX - 1 || adjust > SEM_VALUE_MAX)
            return -ERANGE;
        w->undo->adjust[op->num] = (int16_t)adjust;
    }
    s->value = value;
    return GOES;
}

/* All of them or none. GOES, WAITS (w->blocking says for which), -errno. */
static int perform(struct sem_set *set, struct sem_wait *w)
{
    unsigned i;
    int r = GOES;

    for (i = 0; i < w->n && r == GOES; i++)
        r = one(set, w, &w->ops[i]);
    if (r != GOES) {
        w->blocking = i - 1;
        step_back(set, w, w->blocking);
        return r == WAITS && w->ops[w->blocking].flg & IPC_NOWAIT ? -EAGAIN : r;
    }
    for (i = 0; i < w->n; i++)
        set->sems[w->ops[i].num].pid = w->pid;
    set->otime = ipc_now();
    return GOES;
}

/* ---- what waits ---- */

#define END ((struct sem *)1) /* of a list of changed ones: next_changed is never NULL on it */

static void note_changed(struct sem **list, struct sem *s)
{
    if (!s->next_changed && !list_empty(&s->waiters)) {
        s->next_changed = *list;
        *list = s;
    }
}

static void note_ops(struct sem_set *set, const struct sem_wait *w, struct sem **list)
{
    for (unsigned i = 0; i < w->n && w->alters; i++) {
        if (w->ops[i].op)
            note_changed(list, &set->sems[w->ops[i].num]);
    }
}

static void finish(struct sem_wait *w, int result)
{
    list_del(&w->link);
    w->queued = false;
    w->done = true;
    w->result = result;
    wq_wake_all(&w->wq, 0);
}

static void enqueue(struct sem_set *set, struct sem_wait *w)
{
    list_add_tail(&set->sems[w->ops[w->blocking].num].waiters, &w->link);
    w->queued = true;
}

static void look_at(struct sem_set *set, struct sem *s, struct sem **list)
{
    struct sem_wait *w, *tmp;

    list_for_each_safe(w, tmp, &s->waiters, link) {
        int r = perform(set, w);

        if (r != WAITS) {
            finish(w, r);
            if (r == GOES)
                note_ops(set, w, list);
        } else if (&set->sems[w->ops[w->blocking].num] != s) {
            list_del(&w->link);
            enqueue(set, w);
        }
    }
}

static void look_at_all(struct sem_set *set, struct sem *list)
{
    while (list != END) {
        struct sem *s = list;

        list = s->next_changed;
        s->next_changed = NULL;
        look_at(set, s, &list);
    }
}

void sem_changed_locked(struct sem_set *set, struct sem *s)
{
    struct sem *list = END;

    assert_locked(&sem_ids.lock);
    note_changed(&list, s);
    look_at_all(set, list);
}

void sem_remove_locked(struct sem_set *set)
{
    sem_forget_undo_locked(set, -1);
    for (unsigned i = 0; i < set->n; i++) {
        while (!list_empty(&set->sems[i].waiters))
            finish(list_first(&set->sems[i].waiters, struct sem_wait, link), -EIDRM);
    }
    ipc_remove_locked(&sem_ids, &set->obj);
}

/* ---- the call ---- */

void sem_wait_free(void *scratch)
{
    struct sem_wait *w = scratch;

    if (!w->set)
        return;
    lock(&sem_ids.lock);
    if (w->queued)
        list_del(&w->link);
    ipc_put_locked(&sem_ids, &w->set->obj);
    unlock(&sem_ids.lock);
    wq_done(&w->wq);
}

/* The caller's adjustments of set, made when it has none. */
static struct sem_undo *undo_locked(struct task *t, struct sem_set *set)
{
    struct sem_undo *u;

    if (!t->sem_undos) {
        t->sem_undos = kzalloc(sizeof *t->sem_undos);
        if (!t->sem_undos)
            return NULL;
        t->sem_undos->refs = 1;
        list_init(&t->sem_undos->entries);
    }
    list_for_each(u, &t->sem_undos->entries, by_process) {
        if (u->set == set)
            return u;
    }
    u = kzalloc(sizeof *u + set->n * sizeof u->adjust[0]);
    if (!u)
        return NULL;
    u->set = set;
    list_add_tail(&set->undos, &u->by_set);
    list_add_head(&t->sem_undos->entries, &u->by_process);
    return u;
}

static int begin_locked(struct task *t, struct sem_wait *w, int id)
{
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    bool undo = false;
    unsigned highest = 0;
    int r;

    if (IS_ERR(set))
        return PTR_ERR(set);
    for (unsigned i = 0; i < w->n; i++) {
        highest = MAX(highest, w->ops[i].num);
        w->alters |= w->ops[i].op != 0;
        undo |= w->ops[i].flg & SEM_UNDO && w->ops[i].op != 0;
        if (w->ops[i].op == 0)
            w->ops[i].flg &= (int16_t)~SEM_UNDO;
    }
    if (highest >= set->n)
        return -EFBIG;
    r = ipc_may(t, &set->obj, w->alters ? 0222 : 0444);
    if (r < 0)
        return r;
    if (undo) {
        w->undo = undo_locked(t, set);
        if (!w->undo)
            return -ENOMEM;
    }
    wq_init(&w->wq);
    w->pid = t->group->pid;
    w->set = set;
    set->obj.refs++;
    return 0;
}

long sem_operate(struct task *t, struct sem_wait *w, int id)
{
    struct sem *list = END;
    int r;

    LOCK_SCOPE(&sem_ids.lock);
    if (!w->set) {
        r = begin_locked(t, w, id);
        if (r < 0)
            return r;
        r = perform(w->set, w);
        if (r == GOES) {
            note_ops(w->set, w, &list);
            look_at_all(w->set, list);
        }
        if (r != WAITS)
            return r;
        enqueue(w->set, w);
    }
    if (w->done)
        return w->result;
    r = task_wait(t, &w->wq, WAIT_EXCL);
    return r == -ERESTARTSYS ? -EINTR : r == -ETIMEDOUT ? -EAGAIN : r;
}

/* ---- undo ---- */

static void undo_free(struct sem_undo *u)
{
    list_del(&u->by_set);
    list_del(&u->by_process);
    kfree(u);
}

void sem_forget_undo_locked(struct sem_set *set, int i)
{
    struct sem_undo *u, *tmp;

    assert_locked(&sem_ids.lock);
    list_for_each_safe(u, tmp, &set->undos, by_set) {
        if (i < 0)
            undo_free(u);
        else
            u->adjust[i] = 0;
    }
}

int sem_clone(struct task *child, struct task *t, bool share)
{
    child->sem_undos = NULL;
    if (!share)
        return 0;
    LOCK_SCOPE(&sem_ids.lock);
    if (!t->sem_undos) {
        t->sem_undos = kzalloc(sizeof *t->sem_undos);
        if (!t->sem_undos)
            return -ENOMEM;
        t->sem_undos->refs = 1;
        list_init(&t->sem_undos->entries);
    }
    t->sem_undos->refs++;
    child->sem_undos = t->sem_undos;
    return 0;
}

static void adjust_set(struct task *t, struct sem_undo *u)
{
    struct sem_set *set = u->set;
    struct sem *list = END;

    for (unsigned i = 0; i < set->n; i++) {
        struct sem *s = &set->sems[i];

        if (!u->adjust[i])
            continue;
        s->value = MAX(0, MIN(SEM_VALUE_MAX, s->value + u->adjust[i]));
        s->pid = t->group->pid;
        note_changed(&list, s);
    }
    set->otime = ipc_now();
    undo_free(u);
    look_at_all(set, list);
}

void sem_exit(struct task *t)
{
    struct sem_undos *all = t->sem_undos;

    if (!all)
        return;
    LOCK_SCOPE(&sem_ids.lock);
    t->sem_undos = NULL;
    if (--all->refs > 0)
        return;
    while (!list_empty(&all->entries))
        adjust_set(t, list_first(&all->entries, struct sem_undo, by_process));
    kfree(all);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* semget, semop, semtimedop, semctl. */
#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include "sentry/ipc/sysv/sem.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

#ifndef SEM_STAT_ANY
#define SEM_STAT_ANY 20
#endif
#define SEMUSZ 20 /* what Linux has always said */

/* ---- semget ---- */

static int make_set(struct task *t, struct ipc_get *g, struct ipc_obj **ret)
{
    struct sem_set *s;

    (void)t;
    if (g->size == 0)
        return -EINVAL;
    if (sem_count + g->size > sysctl_ulong(SYSCTL_SEMMNS))
        return -ENOSPC;
    s = kzalloc(sizeof *s + g->size * sizeof s->sems[0]);
    if (!s)
        return -ENOMEM;
    s->n = (unsigned)g->size;
    sem_count += s->n;
    s->ctime = ipc_now();
    list_init(&s->undos);
    for (unsigned i = 0; i < s->n; i++)
        list_init(&s->sems[i].waiters);
    *ret = &s->obj;
    return 0;
}

static int set_fits(struct ipc_get *g, struct ipc_obj *o)
{
    return g->size > ((struct sem_set *)o)->n ? -EINVAL : 0;
}

long sys_semget(struct task *t, int key, int nsems, int flags)
{
    struct ipc_get g = {
        .key = key, .flags = flags, .make = make_set, .fits = set_fits, .size = (uint64_t)nsems
    };

    if (nsems < 0 || nsems > sysctl_of(SYSCTL_SEMMSL))
        return -EINVAL;
    return ipc_get(t, &sem_ids, &g);
}

/* ---- semop ---- */

static long do_semop(struct task *t, int id, gaddr_t uops, size_t n, gaddr_t utimeout)
{
    struct sem_wait *w;
    struct timespec ts;
    ktime_t timeout;

    if (n < 1 || id < 0)
        return -EINVAL;
    if (n > sysctl_ulong(SYSCTL_SEMOPM))
        return -E2BIG;
    w = call_scratch(t, sizeof *w + n * sizeof w->ops[0]);
    if (!w)
        return -ENOMEM;
    if (t->call.phase == 0) {
        if (utimeout && get_guest(t, &ts, utimeout) < 0)
            return -EFAULT;
        if (copy_in(t, w->ops, uops, n * sizeof w->ops[0]) < 0)
            return -EFAULT;
        if (utimeout) {
            if (timespec_to_ktime(&ts, &timeout) < 0)
                return -EINVAL;
            call_deadline(t, ktime_add(ktime_now(), timeout));
        }
        w->n = (unsigned)n;
        t->call.scratch_free = sem_wait_free;
        t->call.phase = 1;
    }
    return sem_operate(t, w, id);
}

long sys_semop(struct task *t, int id, gaddr_t ops, unsigned long n)
{
    return do_semop(t, id, ops, n, 0);
}

long sys_semtimedop(struct task *t, int id, gaddr_t ops, unsigned n, gaddr_t timeout)
{
    return do_semop(t, id, ops, n, timeout);
}

/* ---- semctl ---- */

/* The calls that wait for semaphore i: for zero, or for more. */
static int count_waiters(struct sem_set *set, unsigned i, bool zero)
{
    struct sem_wait *w;
    int n = 0;

    list_for_each(w, &set->sems[i].waiters, link)
        n += (w->ops[w->blocking].op == 0) == zero;
    return n;
}

static long set_value(struct task *t, int id, int i, int value)
{
    LOCK_SCOPE(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    int r;

    if (value < 0 || value > SEM_VALUE_MAX)
        return -ERANGE;
    if (IS_ERR(set))
        return PTR_ERR(set);
    if (i < 0 || (unsigned)i >= set->n)
        return -EINVAL;
    r = ipc_may(t, &set->obj, 0222);
    if (r < 0)
        return r;
    sem_forget_undo_locked(set, i);
    set->sems[i].value = value;
    set->sems[i].pid = t->group->pid;
    set->ctime = ipc_now();
    sem_changed_locked(set, &set->sems[i]);
    return 0;
}

static long get_one(struct task *t, int id, int i, int cmd)
{
    LOCK_SCOPE(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    int r;

    if (IS_ERR(set))
        return PTR_ERR(set);
    r = ipc_may(t, &set->obj, 0444);
    if (r < 0)
        return r;
    if (i < 0 || (unsigned)i >= set->n)
        return -EINVAL;
    switch (cmd) {
    case GETVAL:
        return set->sems[i].value;
    case GETPID:
        return set->sems[i].pid;
    default:
        return count_waiters(set, (unsigned)i, cmd == GETZCNT);
    }
}

/* Its number of semaphores, or -errno. */
static int size_of(struct task *t, int id, unsigned want)
{
    LOCK_SCOPE(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    int r;

    if (IS_ERR(set))
        return PTR_ERR(set);
    r = ipc_may(t, &set->obj, want);
    return r < 0 ? r : (int)set->n;
}

static long get_all(struct task *t, int id, gaddr_t to)
{
    _cleanup_kfree_ uint16_t *values = NULL;
    int n = size_of(t, id, 0444);

    if (n < 0)
        return n;
    values = kzalloc((size_t)n * sizeof *values);
    if (!values)
        return -ENOMEM;
    lock(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    if (!IS_ERR(set)) {
        for (int i = 0; i < n; i++)
            values[i] = (uint16_t)set->sems[i].value;
    }
    unlock(&sem_ids.lock);
    return IS_ERR(set) ? -EIDRM : copy_out(t, to, values, (size_t)n * sizeof *values);
}

static long set_all(struct task *t, int id, gaddr_t from)
{
    _cleanup_kfree_ uint16_t *values = NULL;
    int n = size_of(t, id, 0222);

    if (n < 0)
        return n;
    values = kzalloc((size_t)n * sizeof *values);
    if (!values)
        return -ENOMEM;
    if (copy_in(t, values, from, (size_t)n * sizeof *values) < 0)
        return -EFAULT;
    for (int i = 0; i < n; i++) {
        if (values[i] > SEM_VALUE_MAX)
            return -ERANGE;
    }
    LOCK_SCOPE(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    if (IS_ERR(set))
        return -EIDRM;
    for (int i = 0; i < n; i++) {
        set->sems[i].value = values[i];
        set->sems[i].pid = t->group->pid;
        sem_forget_undo_locked(set, i);
    }
    set->ctime = ipc_now();
    for (int i = 0; i < n; i++)
        sem_changed_locked(set, &set->sems[i]);
    return 0;
}

static long stat_set(struct task *t, int id, enum ipc_stat how, gaddr_t to)
{
    struct lx_semid64_ds ds = { 0 };
    long r;

    lock(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_stat_locked(t, &sem_ids, id, how, &r);
    if (!IS_ERR(set)) {
        ipc_fill_perm(&set->obj, &ds.sem_perm);
        ds.sem_otime_ = set->otime;
        ds.sem_ctime_ = set->ctime;
        ds.sem_nsems = set->n;
    }
    unlock(&sem_ids.lock);
    return r < 0 || put_guest(t, to, &ds) == 0 ? r : -EFAULT;
}

static long info(struct task *t, int cmd, gaddr_t to)
{
    int all = (int)sysctl_of(SYSCTL_SEMMNS), ops = (int)sysctl_of(SYSCTL_SEMOPM);
    struct lx_seminfo si = { .semmap = all,
                             .semmni = (int)sysctl_of(SYSCTL_SEMMNI),
                             .semmns = all,
                             .semmnu = all,
                             .semmsl = (int)sysctl_of(SYSCTL_SEMMSL),
                             .semopm = ops,
                             .semume = ops,
                             .semusz = SEMUSZ,
                             .semvmx = SEM_VALUE_MAX,
                             .semaem = SEM_VALUE_MAX };
    int highest;

    lock(&sem_ids.lock);
    if (cmd == SEM_INFO) {
        si.semusz = (int)sem_ids.count;
        si.semaem = (int)sem_count;
    }
    highest = ipc_highest_locked(&sem_ids);
    unlock(&sem_ids.lock);
    return put_guest(t, to, &si) < 0 ? -EFAULT : highest;
}

static long control(struct task *t, int id, int cmd, const struct lx_semid64_ds *ds)
{
    LOCK_SCOPE(&sem_ids.lock);
    struct sem_set *set = (struct sem_set *)ipc_find_locked(&sem_ids, id);
    int r;

    if (IS_ERR(set))
        return PTR_ERR(set);
    r = ipc_may_control(t, &set->obj);
    if (r < 0)
        return r;
    if (cmd == IPC_RMID) {
        sem_remove_locked(set);
        return 0;
    }
    r = ipc_set(&set->obj, &ds->sem_perm);
    if (r == 0)
        set->ctime = ipc_now();
    return r;
}

long sys_semctl(struct task *t, int id, int i, int cmd, unsigned long arg)
{
    struct lx_semid64_ds ds = { 0 };

    if (id < 0)
        return -EINVAL;
    switch (cmd) {
    case IPC_INFO:
    case SEM_INFO:
        return info(t, cmd, arg);
    case IPC_STAT:
        return stat_set(t, id, IPC_BY_ID, arg);
    case SEM_STAT:
        return stat_set(t, id, IPC_BY_INDEX, arg);
    case SEM_STAT_ANY:
        return stat_set(t, id, IPC_BY_INDEX_ANY, arg);
    case GETALL:
        return get_all(t, id, arg);
    case SETALL:
        return set_all(t, id, arg);
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
        return get_one(t, id, i, cmd);
    case SETVAL:
        return set_value(t, id, i, (int)arg);
    case IPC_SET:
        if (get_guest(t, &ds, arg) < 0)
            return -EFAULT;
        return control(t, id, cmd, &ds);
    case IPC_RMID:
        return control(t, id, cmd, NULL);
    default:
        return -EINVAL;
    }
}

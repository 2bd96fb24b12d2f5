/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V semaphores. A set's waiting calls hang on the one semaphore that blocks each; who changes
 * a semaphore carries out, in order, the calls of its list that can go now, and wakes each with its
 * result. So a wake costs what it does, not what else waits.
 *
 * Adjustments at the end of a process (SEM_UNDO) are in lists that clone shares by CLONE_SYSVSEM; an
 * entry is on the list of its process and on that of its set.
 */
#pragma once

#include "sentry/ipc/sysv/ids.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"

#define SEM_VALUE_MAX 32767

struct sem {
    int value;
    int pid;
    struct list waiters;
    struct sem *next_changed; /* on a list of those whose waiters are to be looked at; NULL: not */
};

struct sem_set {
    struct ipc_obj obj;
    unsigned n;
    int64_t otime, ctime;
    struct list undos; /* sem_undo.by_set */
    struct sem sems[];
};

struct sem_undos; /* of a process */

struct sem_undo {
    struct list by_set, by_process;
    struct sem_set *set;
    int16_t adjust[];
};

struct sem_wait { /* a semop call: the record's scratch */
    struct list link;
    struct waitqueue wq;
    struct sem_set *set; /* a reference; NULL: not begun */
    bool queued, done, alters;
    int result, pid;
    unsigned blocking; /* which of ops waits */
    struct sem_undo *undo;
    unsigned n;
    struct lx_sembuf ops[];
};

extern struct ipc_ids sem_ids;
extern unsigned sem_count; /* semaphores in all sets; sem_ids.lock */

/* A semop call of n operations. deadline KTIME_NEVER: none. 0, or what semop gives. */
long sem_operate(struct task *t, struct sem_wait *w, int id);
void sem_wait_free(void *scratch);

/* All calls that wait for s of set, and can go now, go. sem_ids.lock held. */
void sem_changed_locked(struct sem_set *set, struct sem *s);
/* Adjustments of semaphore i are dropped in every process; -1: of all of the set. */
void sem_forget_undo_locked(struct sem_set *set, int i);
/* The set is removed: who waits gets EIDRM. */
void sem_remove_locked(struct sem_set *set);

/* clone: the child's list. share: CLONE_SYSVSEM. 0 or -ENOMEM. */
int sem_clone(struct task *child, struct task *t, bool share);
/* The task leaves the list that it has (exit, unshare); the last one's adjustments are made. */
void sem_exit(struct task *t);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes that know of owners: priority inheritance, and requeueing to it. Waits and wakes without
 * owners run natively on the host, in the stub that holds the word (platform/trap/filter.c); what is
 * here would have the host read and write thread ids, which are the sentry's. Linux forbids to mix
 * both on one word while somebody waits there.
 *
 * A word is changed by an operation of the caller's own context (AS_CMPXCHG32), as others change it
 * without asking; who waits, and who owns, is kept here:
 *
 *   struct pi      one word that is waited for; from the first record that asks for it to the last
 *   pi->busy       a task lock: who holds it reads and changes the word, and nobody else of us does
 *   pi_lock        guards owners and queues; leaf of the two
 *
 * Waiters are served by priority, the earlier first. The priority itself is not lent: the host
 * schedules all threads of a guest alike.
 */
#pragma once

#include "platform/platform.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/wait.h"

struct pi;
struct task;

struct futex_key { /* two are of one word when they are equal; obj is compared only */
    const void *obj;
    uint64_t off;
    bool process_private;
};

struct pi_wait { /* of a record that waits */
    struct list link;
    struct task *task; /* [I] */
    struct waitqueue wq;
    struct pi *pi;        /* pi_lock: on its queue; NULL: on none, or on that of its first word */
    struct futex_key key; /* [I] of the first word (WAIT_REQUEUE_PI) */
    struct futex_key to;  /* [I] and of the one with an owner */
    bool requeue;         /* pi_lock: waits on its first word */
    bool granted;         /* pi_lock: the lock is its own */
};

struct pi_call { /* a record's scratch */
    struct pi_wait w;
    struct as_op op;
    struct pi *pi; /* a reference */
    gaddr_t word;
    uint32_t seen;
    bool busy, have_w;
    bool handed; /* the word says already who is to have it */
    int step;
    int moved;
    pid_t chosen;
};

/* The caller's scratch; NULL: no memory. */
struct pi_call *pi_call(struct task *t);

/* A word of t's: 0, -EINVAL (not aligned). */
int futex_key(struct task *t, gaddr_t word, bool process_private, struct futex_key *ret);

/* Handlers of futex(2); the deadline is in the record. attempt: do not wait. */
long futex_lock_pi(struct task *t, gaddr_t word, bool process_private, bool attempt);
long futex_unlock_pi(struct task *t, gaddr_t word, bool process_private);
long futex_wait_requeue_pi(struct task *t, gaddr_t word, uint32_t val, gaddr_t to,
                           bool process_private);
long futex_cmp_requeue_pi(struct task *t, gaddr_t word, uint32_t val, gaddr_t to, int nr_wake,
                          int nr_requeue, bool process_private);

/*
 * t leaves its memory: what it owns goes to the first who waits, marked as left by a dead owner. dies:
 * nobody may wait for it any more. After its robust list, without locks.
 */
void futex_leave(struct task *t, bool dies);

/* ---- between futex.c (words), futex_pi.c (locks) and futex_requeue.c ---- */

extern struct lock pi_lock;

struct pi {
    struct list link; /* pi_lock: in the table */
    struct futex_key key;
    unsigned refs;
    struct tlock busy;
    struct task *owner;     /* pi_lock; a reference; while somebody waits. NULL: it has died */
    struct list owned_link; /* pi_lock: in owner->pi_owned */
    struct list waiters;    /* pi_lock: struct pi_wait, by priority */
};

bool futex_key_equal(const struct futex_key *a, const struct futex_key *b);
struct pi *pi_get(const struct futex_key *key); /* NULL: no memory */
struct pi *pi_ref_locked(struct pi *pi);
void pi_put(struct pi *pi); /* NULL is fine */
void pi_set_owner_locked(struct pi *pi, struct task *owner);
struct pi_wait *pi_first_locked(struct pi *pi); /* NULL */
void pi_queue_locked(struct pi *pi, struct pi_wait *w);
void pi_unqueue_locked(struct pi_wait *w);
void pi_grant_locked(struct pi_wait *w);
void pi_give_up_locked(struct pi_wait *w); /* who waits does so no more */
/* Who owns the word by what it says: found and noted in pi. 0, -ESRCH, -EINVAL, -EDEADLK (for w). */
int pi_attach_locked(struct pi *pi, uint32_t word, const struct task *waiter);
/* Has t's context exchange the word of c; the handler returns what this returns. */
int pi_exchange(struct task *t, struct pi_call *c, uint32_t old, uint32_t new);
int pi_call_begin(struct task *t,
                  struct pi_call *c); /* STEP_BUSY: takes pi->busy; may be -EWAITING */
void pi_call_done(struct task *t, struct pi_call *c); /* gives it back */
/* The wait itself, from STEP_WAIT on: the result, or -EWAITING. */
long pi_wait_step(struct task *t, struct pi_call *c);

enum {
    STEP_BUSY,
    STEP_READ,
    STEP_TAKE,
    STEP_MARK,
    STEP_WAIT,
    STEP_CLAIM,
    STEP_CLAIMED,
    STEP_FIRST
};

#define PI_DONE 1 /* of a step: no other is to follow. 0: go on */

#define FUTEX_TID 0x3fffffffu
#define FUTEX_DIED 0x40000000u
#define FUTEX_WAITED 0x80000000u

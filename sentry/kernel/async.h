/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls without a thread. As a blocked call is a record, one that runs by itself needs no more than
 * a record: a struct task that is in no tree, has no context, and borrows memory, files, credentials
 * and directories from the task it works for. Its function is run as a handler is (wait.h): until
 * it has a result, and again whenever what it waits for is true. io_uring's requests and the polls
 * of AIO are such calls.
 *
 *      async_init --async_start--> runs on this thread --result--> done
 *                     \--> waits --claim--> runs on a worker ----------^
 *
 * While the first run lasts everything is borrowed, so a call that ends at once costs no references.
 * One that waits owns what it uses, and the task it works for knows it: it is cancelled when the
 * process of that task ends or execs. A cancelled call finds each of its waits interrupted.
 */
#pragma once

#include "sentry/kernel/task.h"

struct async_ops {
    long (*run)(struct task *t); /* as a handler: a result, or -EWAITING */
    /* It waits for the first time: on whatever lists the owner keeps. May be NULL. */
    void (*waits)(struct task *t);
    void (*done)(struct task *t,
                 long ret);       /* the result; nothing runs it any more. No locks held. */
    void (*free)(struct task *t); /* the last reference went; may be called under locks */
};

/*
 * Makes t, zeroed memory at the head of an object of the caller's, a call for task `of` (which may
 * itself be such a call). One reference, which the end of the call drops (after done).
 */
void async_init(struct task *t, const struct async_ops *ops, struct task *of);
/* For one that never started; the reference is dropped, done is not called. */
void async_abandon(struct task *t);
/* Runs it. The caller holds no lock. After this t may be gone, but for a reference of the caller's. */
void async_start(struct task *t);
/* Now, not when it waits first: for calls that are to be started later, by somebody else. */
void async_own(struct task *t);
/*
 * Interrupts its wait as a signal does, this one and all that follow: it ends as soon as may be. False:
 * that had been asked before. async_cancel leaves the rest to whoever runs what is ready; after
 * async_end one that waited has been run, so mostly it has ended: the caller holds no lock.
 */
bool async_cancel(struct task *t);
bool async_end(struct task *t);
static inline bool async_cancelled(const struct task *t)
{
    return atomic_load(&t->async_cancelled);
}
/* The thread that t is or works for; NULL: none (any more). */
static inline struct task *async_thread(struct task *t)
{
    struct task *who = t->async ? t->async_for : t;

    return who && !who->async ? who : NULL;
}
/* All calls that work for t. */
void async_end_all(struct task *t);
/*
 * t leaves: its calls go on for another thread of its process, which ends them when it leaves; where
 * there is none they end now.
 */
void async_leave(struct task *t);

/* Dispatcher only: one run, and the end. */
long async_run(struct task *t);
void async_finish(struct task *t, long ret);

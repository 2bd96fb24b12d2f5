/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals. All state here is guarded by LOCK_TASKS (kernel.tasks_lock) but for task.sigpending,
 * which is atomic and says "look": it is set whenever an unblocked signal is queued.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

#include "abi/signal.h"
#include "abi/types.h"
#include "sentry/kernel/list.h"

struct pid_entry;
struct sigpending;
struct task;
struct tgroup;
struct cred;

#define SIGBIT(n) (1ull << ((n)-1))
#define SIG_UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))

struct sigqueue { /* one pending signal with its siginfo */
    struct list link;
    struct lx_siginfo info;
    void (*dequeued)(
        struct sigqueue *q);    /* NULL: kfree'd; else the owner's (a timer's own entry) */
    struct sigpending *pending; /* where it is queued, while link is on a list */
    uid_t charged;
};

struct sigpending {
    sigset64 set;
    struct list queue;
};

struct sighand { /* CLONE_SIGHAND shares it */
    int refs;
    struct lx_sigaction action[LX_NSIG];
};

struct sighand *sighand_new(void);
struct sighand *sighand_copy_locked(const struct sighand *sh);
void sighand_put_locked(struct sighand *sh);
/* exec: handlers become SIG_DFL, ignored ones stay (they never share: a copy was made before). */
void sighand_exec_locked(struct sighand *sh);

/* rt_sigaction; old and new may be NULL. -EINVAL. */
int signal_action(struct task *t, int sig, const struct lx_sigaction *new,
                  struct lx_sigaction *old);

/*
 * Sends. info NULL: as the kernel itself (SI_KERNEL). They take tasks_lock themselves; the _locked
 * ones want it held. 0, -EAGAIN (queue full, real-time), -ESRCH. Permission is the caller's matter.
 */
int signal_send_task(struct task *t, int sig, const struct lx_siginfo *info);
int signal_send_task_locked(struct task *t, int sig, const struct lx_siginfo *info);
int signal_send_group(struct tgroup *g, int sig, const struct lx_siginfo *info);
int signal_send_group_locked(struct tgroup *g, int sig, const struct lx_siginfo *info);
/* All groups of a process group; 0 when at least one was there. */
int signal_send_pgrp_locked(struct pid_entry *pgrp, int sig, const struct lx_siginfo *info);
/*
 * A synchronous signal of t's own (a fault): not to be held back when blocked or ignored. SIGPIPE
 * and SIGXFSZ, which a program may ignore or block, are sent to t in the ordinary way.
 */
void signal_force(struct task *t, int sig, const struct lx_siginfo *info);

/* siginfo of kill(2) from t; code SI_USER or SI_TKILL. */
void siginfo_user(struct lx_siginfo *info, int sig, int code, const struct task *from);

/* May from signal to? 0 or -EPERM. tasks_lock held. */
int signal_permitted(const struct task *from, const struct tgroup *to, int sig);

/* Takes the next pending signal in set (for sigtimedwait, signalfd, delivery). 0 when none. */
int signal_dequeue_locked(struct task *t, sigset64 set, struct lx_siginfo *ret);
sigset64 signal_pending_set_locked(const struct task *t);
/* t->blocked becomes what t has blocked at this moment; before it is looked at. tasks_lock held. */
void signal_pull_mask_locked(struct task *t);
/* After t->blocked was changed, by t itself. tasks_lock held. */
void signal_push_mask_locked(struct task *t);
/* Before the mask is looked at for a signal that t could take: then a change of it is not missed. */
void signal_note_pending_locked(struct task *t, bool pending);
/* After blocked, pending or actions changed: sets or clears t->sigpending. */
void signal_recalc_locked(struct task *t);
void signal_set_blocked(struct task *t, sigset64 set);
void signal_set_blocked_locked(struct task *t, sigset64 set);
void sigpending_init(struct sigpending *p);
void sigpending_flush_locked(struct sigpending *p);
/* Queues q, an entry of the owner's own (dequeued set), for t or (t NULL) for g: then first, one of g's
 * or NULL, is asked first to take it. false: it is queued already or the signal is ignored. */
bool signal_send_entry_locked(struct task *t, struct tgroup *g, struct task *first,
                              struct sigqueue *q);
/* Takes such an entry off its queue, wherever it is. */
void sigqueue_cancel_locked(struct sigqueue *q);
/* Temporarily other mask for one call (ppoll, sigsuspend, ...): old one back when it is answered. */
void signal_set_call_mask(struct task *t, sigset64 set);

static inline bool sig_is_rt(int sig)
{
    return sig >= LX_SIGRTMIN;
}

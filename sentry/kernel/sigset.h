/* SPDX-License-Identifier: Apache-2.0 */
/* Signals by kind, and what the files of signals share with each other. */
#pragma once

#include "sentry/kernel/signal.h"

#define SIG_STOPS (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define SIG_IGNORED (SIGBIT(SIGCONT) | SIGBIT(SIGCHLD) | SIGBIT(SIGWINCH) | SIGBIT(SIGURG))
#define SIG_CORES                                                                                  \
    (SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | SIGBIT(SIGFPE) |       \
     SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGSYS) | SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ))
#define SIG_SYNCHRONOUS                                                                            \
    (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGFPE) |        \
     SIGBIT(SIGSYS))

#define LX_SIG_DFL 0ull
#define LX_SIG_IGN 1ull

#define LX_SA_NOCLDSTOP 1ull
#define LX_SA_NOCLDWAIT 2ull
#define LX_SA_SIGINFO 4ull
#define LX_SA_EXPOSE_TAGBITS 0x800ull
#define LX_SA_ONSTACK 0x08000000ull
#define LX_SA_RESTART 0x10000000ull
#define LX_SA_NODEFER 0x40000000ull
#define LX_SA_RESETHAND 0x80000000ull

/* Would sig do nothing to a process with this handler? */
static inline bool sig_handler_ignores(uint64_t handler, int sig)
{
    return handler == LX_SIG_IGN || (handler == LX_SIG_DFL && (SIGBIT(sig) & SIG_IGNORED));
}

struct sigqueue *sigqueue_new_locked(struct task *for_task, bool beyond_limit);
void sigqueue_free_locked(struct sigqueue *q);
/* The same for an entry that is kept elsewhere: counts one for t's user, or false at its limit. */
bool sigqueue_count_locked(struct task *t, uid_t *ret_uid);
void sigqueue_uncount_locked(uid_t uid);
/* Drops every pending signal of set. */
void sigpending_remove_locked(struct sigpending *p, sigset64 set);
void group_remove_signals_locked(struct tgroup *g, sigset64 set);
/* t no longer takes the signals of which: other threads that do are to look at the shared ones. */
void signal_retarget_locked(struct task *t, sigset64 which);
void task_wake_signal_locked(struct task *t);

/* SPDX-License-Identifier: Apache-2.0 */
/* Who a kill(2) reaches, and sigtimedwait (kill.c). */
#pragma once

#include "sentry/kernel/task.h"

/* pid as kill(2) has it; info NULL: the siginfo of kill(2) from t. */
int do_kill(struct task *t, pid_t pid, int sig, const struct lx_siginfo *info);
/* tgid 0: any. */
int do_tkill(struct task *t, pid_t tgid, pid_t tid, int sig, const struct lx_siginfo *info);

/* To each process of e's group that t may reach, as for kill; tasks_lock held. NULL: -ESRCH. */
int kill_pgrp_locked(struct task *t, struct pid_entry *e, int sig, const struct lx_siginfo *info);

/* The signal, -EWAITING, -EAGAIN (deadline), -EINTR. wait false: only looks. */
long do_sigtimedwait(struct task *t, sigset64 set, bool wait, struct lx_siginfo *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer (`sbx run --strace`): one line a call, in the form of strace -f, on a host descriptor.
 *
 * A line is begun when the call arrives (arguments that are read from the guest are decoded then,
 * because the call may change them) and ended when it is answered. It lies in task->trace between
 * the two. Lines are written whole, by one write. Called by the worker that has the task; no locks.
 */
#pragma once

struct task;
struct lx_siginfo;

/* At start-up: where lines go, and switches kernel.strace on. */
void strace_init(int fd);

/* All of these do nothing while kernel.strace is off. */

/* The first run of a call: syscall_dispatch does this. */
void strace_enter(struct task *t);
/* The first program's exec, whose strings no guest holds. After task_publish. */
void strace_first(struct task *t, const char *path, char *const argv[], char *const envp[]);
/* The call is answered; ret as the handler gave it (restart errors too). Once a call. */
void strace_call(struct task *t, long ret);
/* A signal is about to be delivered to t: a handler runs, or it ends or stops the process. */
void strace_signal(struct task *t, int sig, const struct lx_siginfo *info);
/* The thread leaves; status as wait gives it. Ends a line still open with `= ?`. */
void strace_exit(struct task *t, int status);

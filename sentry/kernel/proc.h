/* SPDX-License-Identifier: Apache-2.0 */
/* Life and death of tasks, and the dispatcher. */
#pragma once

#include <stdbool.h>

#include "sentry/kernel/task.h"

struct clone_args {
    uint64_t flags;
    gaddr_t pidfd, child_tid, parent_tid;
    int exit_signal;
    gaddr_t stack; /* top, as clone(2) has it; 0: the parent's */
    uint64_t tls;
    gaddr_t set_tid;
    size_t set_tid_size;
};

/* clone, fork, vfork, clone3; runs over several phases of the record. */
long do_clone(struct task *t, const struct clone_args *a);

/* kernel memory argv/envp, NULL-terminated; takes over nothing. Used for pid 2 and by execve. */
struct exec_image; /* sentry/kernel/exec.c */
long do_execve(struct task *t, int dfd, gaddr_t path, gaddr_t argv, gaddr_t envp, int flags);

/* Start-up: makes pid 1, and the first program as its child. */
int kernel_init(void);
int task_spawn_first(const char *path, char *const argv[], char *const envp[], struct task **ret);

/* The calling thread leaves; code is a wait status. Does not come back to guest code: returns
 * -EDETACHED for the handler to return. */
long do_exit(struct task *t, int code);
long do_exit_group(struct task *t, int code);
/* The same from outside: all threads of g are to leave. tasks_lock held. */
void group_kill_locked(struct tgroup *g, int code);

long do_wait(struct task *t, int type, pid_t id, int options, gaddr_t status, gaddr_t info,
             gaddr_t rusage, bool waitid);

/* Group stop and continue, tasks_lock held. */
void group_stop_locked(struct tgroup *g, int sig);
void group_continue_locked(struct tgroup *g);

/* Dispatcher (kernel/dispatch.c). */
extern const struct platform_client dispatch_client;
/* Runs what is ready on this thread; after 8 the rest is left to another worker. */
void dispatch_drain(void);
void task_make_ready(struct task *t);
/* On the way back to guest code: signals, stop, freeze, exit; then resume. */
void task_return(struct task *t);
/* signal delivery: sets up or undoes a guest signal frame in the held context's registers. */
int signal_setup_frame(struct task *t, int sig, const struct lx_siginfo *info,
                       const struct lx_sigaction *sa);
long do_sigreturn(struct task *t);

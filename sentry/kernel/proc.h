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
/* Before it is published: another file is to be run, under the same arguments. */
int exec_first_path(struct task *t, const char *path);
/* Or with another environment. 0 or -ENOMEM. */
int exec_first_env(struct task *t, char *const envp[]);

/*
 * A new task for clone (task.c). parent NULL: pid 1. Allocates the task, unless CLONE_THREAD its
 * group, and its number; copies or shares what clone_flags say of signal actions; inherits mask,
 * credentials, limits, session and process group. mm, files, fs and ctx are the caller's to set.
 * The task is invisible until task_publish(), from when on signals find it; task_publish fails
 * (-ERESTARTNOINTR) when the group is ending or a signal came for the parent meanwhile. task_abort
 * undoes an unpublished one and puts mm, files and fs if they are set. -EAGAIN, -ENOMEM.
 */
int task_alloc(struct task *parent, uint64_t clone_flags, int exit_signal, struct task **ret);
/* With a number that the caller wants (0: any): also -EEXIST, -EINVAL. */
int task_alloc_at(struct task *parent, uint64_t clone_flags, int exit_signal, pid_t wanted,
                  struct task **ret);
int task_publish(struct task *t);
void task_abort(struct task *t);

/*
 * The calling thread leaves; code is a wait status. Returns -EDETACHED when it has left (t has no
 * context any more; only the caller's reference may remain), or -EWAITING while its context still
 * carries out the last stores: run the handler, or signal_deliver, again, which comes back here.
 * t->ctx may be NULL (the host ended it).
 */
long do_exit(struct task *t, int code);
long do_exit_group(struct task *t, int code);
/* The same from outside: all threads of g are to leave. tasks_lock held. */
void group_kill_locked(struct tgroup *g, int code);
/* exec: all threads but t are to leave; t then waits on group->exit_wq until group->nlive is 1. */
void group_kill_others_locked(struct task *t);
/* exec, when it is alone: takes the leader's place and number. tasks_lock held. */
void task_become_leader_locked(struct task *t);
/* exec and exit: the parent of a vfork goes on. */
void vfork_release(struct task *t);
/* Every task but those of pid 1 is to be killed (the sandbox ends). tasks_lock held. */
void kernel_kill_all_locked(void);

/* sentry/main.c: the program has ended with this wait status; without locks. */
void sandbox_end(int wait_status);
/* A part of the sandbox without which nothing runs is gone. The first of both decides. */
void sandbox_lost(const char *what, int status);
/*
 * A limit is reached: everything ends as if sig had ended the program, and the user is told the line. status:
 * of the front end; 0: that of the signal. Called without locks.
 */
void sandbox_limited(int status, int sig, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The first program was stopped by job control; tasks_lock held. */
void sandbox_stopped(int sig);

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
/* async.c: the first run of t's call, of which t->rec is RUN; a later one, which the caller took. */
void dispatch_call(struct task *t);
void dispatch_record(struct task *t);
/* wait.c: claims a record that waits for the caller to run. */
bool task_take(struct task *t);
/* wait.c: takes the record off all queues; function of task.deadline. */
void task_unqueue(struct task *t);
void task_deadline(struct ktimer *tm);
/* A thread of the sentry that runs records (workers, the event thread) starts. */
void dispatch_worker_start(void);
/* clone.c: the context of a new task has arrived; its registers are its parent's. */
void clone_child_born(struct task *t);
/* On the way back to guest code: signals, stop, freeze, exit; then resume. */
void task_return(struct task *t);
/*
 * Signals, stop and exit on the way back to guest code; called while task_must_deliver(). The
 * dispatcher has stored t->ret, restart kinds included, in regs->rax before (where t->in_call).
 *   0           go on to the guest: a frame may have been set up, a restart been decided (regs and
 *               t->ret say the same)
 *   -EWAITING   the record is queued (stopped, or leaving): in phase RETURN come here again
 *   -EDETACHED  t has left
 */
int signal_deliver(struct task *t);
/* A fault of guest code, ctx_fault(): becomes a signal. */
void signal_fault(struct task *t, const struct fault *f);

/* sigframe.c: sets up or undoes a guest signal frame in the held context's registers. */
int signal_setup_frame(struct task *t, int sig, const struct lx_siginfo *info,
                       const struct lx_sigaction *sa);
/*
 * Memory of the guest's could not be used: SIGSEGV; SIGKILL where the process is no more, as for whoever
 * finds that out first.
 */
void signal_force_lost(struct task *t);
/* -EDETACHED: all registers are the frame's. The frame may have been bad (SIGSEGV is pending). */
long do_sigreturn(struct task *t);

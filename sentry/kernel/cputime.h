/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time and resource usage, from what the platform counts for each context. */
#pragma once

#include "abi/resource.h"
#include "sentry/kernel/task.h"

/* tasks_lock held: a live thread's context must not leave meanwhile. */
void task_cputime_locked(struct task *t, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);
/* Does t run guest code now? Not where it sleeps in a call that its stub answers. tasks_lock held. */
bool task_runs_locked(struct task *t);
/* Live and dead threads, without waited-for children. */
void group_cputime_locked(struct tgroup *g, uint64_t *ret_user_ns, uint64_t *ret_sys_ns);

/* who as getrusage(2); t is the calling thread of g. */
void group_rusage_locked(struct tgroup *g, struct task *t, int who, struct lx_rusage *ret);
/* The process and its waited-for children: what wait4 gives. */
void group_rusage_both_locked(struct tgroup *g, struct lx_rusage *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of how a thread wants to be scheduled (struct task_sched): rules that several calls share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct task;
struct task_sched;

/* May t change how other is scheduled, and to how nice? tasks_lock held. */
bool sched_may_change_locked(const struct task *t, const struct task *other);
/* Without CAP_SYS_NICE: no nicer than it was, or as its RLIMIT_NICE allows. */
bool sched_nice_allowed_locked(const struct task *other, int nice);
/* A new thread of parent's: what it takes over. tasks_lock held. */
void sched_inherit_locked(struct task *child, const struct task *parent);

/* The cpus that s runs on, of those that the sandbox has; how many numbers those have. */
unsigned sched_cpus(const struct task_sched *s, uint64_t ret[16]);
/* Those of the sandbox, and how many bytes its kernel's masks have. -errno: the host would not say. */
int sched_host_cpus(uint64_t ret[16]);

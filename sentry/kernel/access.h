/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May one task look into another, as a tracer could? What /proc/PID, process_vm_readv, kcmp and
 * pidfd_getfd ask. Capabilities of the target must not exceed the caller's, so that a process that
 * gained some cannot be read by one that has not.
 */
#pragma once

#include <stdbool.h>

struct task;

/* fs: by the caller's file system ids (procfs), else by its real ones. tasks_lock held. */
bool task_may_access_locked(const struct task *t, const struct task *target, bool fs);

/* SPDX-License-Identifier: Apache-2.0 */
/* Job control stops, for delivery and exit (jobctl.c). All with tasks_lock held. */
#pragma once

#include "sentry/kernel/task.h"

/* Where the group is to stop: counts t and queues its record (-EWAITING); 0: go on. */
int jobctl_stop_locked(struct task *t);
/* The group is being killed: no stop any more. */
void jobctl_cancel_locked(struct tgroup *g);
/* t leaves: a stop no longer waits for it. */
void jobctl_leave_locked(struct task *t);

/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd_create(2) and what goes with it. */
#pragma once

#include <time.h>

#include "sentry/vfs/file.h"

/* ERR_PTR: -EINVAL for a clock that has no timers, -EPERM for alarms without CAP_WAKE_ALARM. */
struct file *timerfd_new(struct task *t, int clockid, unsigned flags);

/* -EINVAL when f is no timerfd or value is denormal. ret_old may be NULL. */
int timerfd_set(struct file *f, int flags, const struct itimerspec *value,
                struct itimerspec *ret_old);
int timerfd_get(struct file *f, struct itimerspec *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeping by a clock (nanosleep.c). */
#pragma once

#include "sentry/kernel/task.h"

/* rmtp: where what is left of a relative sleep goes when a signal ends it; 0: nowhere. */
long do_nanosleep(struct task *t, clockid_t clock, bool absolute, ktime_t value, gaddr_t rmtp);

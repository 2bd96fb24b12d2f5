/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks, and timers of the sentry: one heap, slept for by the event thread. A timer's function
 * runs on the event thread without locks; it may take any lock, may wake, may re-arm, and may free
 * what holds the timer, if that is its last use.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "abi/types.h"

struct ktimer {
    ktime_t when;
    size_t index; /* in the heap; SIZE_MAX: not armed */
    void (*func)(struct ktimer *tm);
};

void ktimer_init(struct ktimer *tm, void (*func)(struct ktimer *));
/* Absolute CLOCK_MONOTONIC; arming an armed timer moves it. */
/* Once, at start-up. 0 or -errno. */
int ktimers_reserve(void);
void ktimer_arm(struct ktimer *tm, ktime_t when);
/* True when it was armed. The function may still be running on the event thread. */
bool ktimer_cancel(struct ktimer *tm);
/* Also waits for a running function to end (never from the function itself, nor under a lock that
 * it takes). Before freeing what holds the timer. */
bool ktimer_cancel_sync(struct ktimer *tm);

/* The guest's clocks; clockid as clock_gettime. -EINVAL for one that is not there. */
int kclock_get(clockid_t id, struct timespec *ret);
ktime_t ktime_now(void);  /* CLOCK_MONOTONIC */
ktime_t ktime_real(void); /* CLOCK_REALTIME */
ktime_t ktime_boot(void); /* uptime: 0 at the sandbox's start */

/* -EINVAL for a negative or denormal timespec; values beyond the range saturate at KTIME_NEVER. */
int timespec_to_ktime(const struct timespec *ts, ktime_t *ret);
struct timespec ktime_to_timespec(ktime_t k);
ktime_t ktime_add(ktime_t a, ktime_t b); /* saturating */

/* The monotonic deadline of an absolute (flags TIMER_ABSTIME) or relative time of clock id. */
int kclock_deadline(clockid_t id, bool absolute, ktime_t value, ktime_t *ret);

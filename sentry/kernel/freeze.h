/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing a container (freeze.c). */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "abi/types.h"

struct container;
struct task;

/*
 * When kernel_freeze returns 0, no guest code and no handler of it runs: every task is held and stands in
 * its record, either waiting, or parked where it would have gone on. Timers and host events still
 * come; what they wake is parked too. Guest code that does not come to rest within freeze_patience
 * (a hostile stub can block the kick) is killed with its process. -ETIMEDOUT when host I/O of ours
 * takes that long (then nothing is frozen), -EBUSY when it is frozen already. Not from a worker or
 * the event thread.
 */
int kernel_freeze(struct container *c);
void kernel_thaw(struct container *c);

/* Dispatcher: true when its container is frozen: t's record, in phase, is kept until it thaws. */
bool freeze_park(struct task *t);

extern _Atomic unsigned freeze_wanted; /* containers that are frozen, or about to be */
bool freeze_holds_slowly(const struct task *t);
/* Is t to be kept? */
static inline bool freeze_holds(const struct task *t)
{
    return atomic_load(&freeze_wanted) && freeze_holds_slowly(t);
}

extern ktime_t freeze_patience; /* 5 s; changed by tests only */

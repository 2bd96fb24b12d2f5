/* SPDX-License-Identifier: Apache-2.0 */
/* What every way to read and write checks: system calls, AIO and io_uring. */
#pragma once

#include <stdbool.h>

#include "abi/types.h"

struct task;

/* Can a program have memory there? */
bool rw_range_ok(gaddr_t buf, size_t count);
/* RWF_* of one read or write. 0, -EOPNOTSUPP, -EINVAL. */
int rw_flags_check(int flags, bool write);
/* May t ask for that priority (IOPRIO_PRIO_VALUE)? 0, -EPERM, -EINVAL. */
int ioprio_check(struct task *t, int ioprio);

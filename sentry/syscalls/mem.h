/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of memory calls share (mem.c). */
#pragma once

#include "platform/platform.h"

struct task;

/*
 * One operation on a range by t's own context; the handler returns what this returns, and is run again
 * for the result. -EINVAL: addr is not aligned; -ENOMEM (AS_MUNMAP: -EINVAL): beyond what a guest may map.
 */
long mem_op(struct task *t, enum as_op_kind kind, gaddr_t addr, uint64_t len, uint64_t arg);
/* Is it an advice that a guest may give? 0 or -EINVAL. */
int madvise_check(int advice);
/* May so much more be kept resident that was not mapped before? 0 or -EAGAIN. */
int mlock_future(struct task *t, uint64_t len);
/* May [addr, addr+len) be the guest's? 0 or -ENOMEM. */
int mem_range_check(gaddr_t addr, uint64_t len);

/* SPDX-License-Identifier: Apache-2.0 */
/* What a leaving thread's context does last (robust.c). */
#pragma once

#include "platform/platform.h"

struct task;

struct leave_ops {
    unsigned n, pos, cap; /* pos: done so far, at most AS_OPS_MAX at a time */
    struct as_op ops[];
};

/* Marks robust locks; returns the wakes and stores to be done, NULL: none. process_dies: nobody
 * else runs in this memory. For exec too, which leaves the old image. */
struct leave_ops *robust_leave(struct task *t, bool process_dies);

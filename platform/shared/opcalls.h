/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on an address space as host calls. */
#pragma once

#include "platform/platform.h"

/* The call with the same arguments as the operation, or -EINVAL: it needs more than that. */
int stub_call_of(enum as_op_kind kind);

/* AS_CLONE_* as flags of clone(2). A process is its maker's sibling: all are the zygote's children. */
uint64_t stub_clone_flags(unsigned f);

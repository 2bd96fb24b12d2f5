/* SPDX-License-Identifier: Apache-2.0 */
/* Options of prctl that are about memory (prctl_mm.c). They return results as the call does. */
#pragma once

#include "abi/types.h"

struct task;

long prctl_set_mm(struct task *t, unsigned long opt, unsigned long addr, unsigned long arg4,
                  unsigned long arg5);
long prctl_set_vma(struct task *t, unsigned long opt, unsigned long addr, unsigned long len,
                   unsigned long name);

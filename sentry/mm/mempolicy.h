/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA policies, on a machine with one memory node: they are checked, kept and told again as by a
 * kernel with CONFIG_NUMA, and every page is on node 0 whatever they say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/types.h"

struct mm;

struct mempolicy { /* all zero: the default */
    uint16_t mode, flags;
    uint64_t nodes; /* that it means: bit 0 or nothing */
    uint64_t
        user_nodes; /* that were asked for, the first 64; told again for relative and static ones */
};

/* Policies of ranges of an address space; p NULL: none (any more). 0, -ENOMEM. Without mm->lock. */
int mm_policy_set(struct mm *mm, gaddr_t start, gaddr_t end, const struct mempolicy *p);
/* That of addr, which may be the default. Is it the range's own? */
bool mm_policy_get(struct mm *mm, gaddr_t addr, struct mempolicy *ret);
/* fork; both locked or new. 0, -ENOMEM. */
int mm_policy_copy_locked(struct mm *to, const struct mm *from);
void mm_policy_free(struct mm *mm);

/* SPDX-License-Identifier: Apache-2.0 */
/* The mappings of a process, as its files in /proc show them. */
#pragma once

#include "sentry/fs/proc/proc.h"

struct range {
    struct as_mapping m;
    struct file *file; /* a reference; NULL: anonymous */
};

struct ranges {
    struct mm *mm;
    struct range *r;
    size_t n, cap;
};

/* All of o's; ranges_done also after a failure. 0, -ESRCH, -ENOMEM. */
int ranges_take(struct ranges *rs, const struct pobj *o, bool usage);
void ranges_done(struct ranges *rs);
/* What stands behind the numbers in maps; "" for nothing. */
void range_name(struct task *t, struct mm *mm, const struct range *r, char *buf, size_t cap);

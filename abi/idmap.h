/* SPDX-License-Identifier: Apache-2.0 */
/* user_namespaces(7): ranges of ids inside and where they are outside. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IDMAP_RANGES 340 /* as many as Linux takes */

struct idmap_range {
    uint32_t inside, outside, count;
};

struct idmap {
    unsigned n;
    struct idmap_range ranges[IDMAP_RANGES];
};

static inline bool idmap_has(const struct idmap *m, uint32_t inside)
{
    for (unsigned i = 0; i < m->n; i++)
        if (inside >= m->ranges[i].inside && inside - m->ranges[i].inside < m->ranges[i].count)
            return true;
    return false;
}

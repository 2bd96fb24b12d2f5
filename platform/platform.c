/* SPDX-License-Identifier: Apache-2.0 */
/* The platforms there are, best first. */
#include "platform/platform.h"

#include <string.h>

static const struct platform *const platforms[] = { &platform_trap, &platform_skeleton };

const struct platform *platform_find(const char *name, const char **ret_why)
{
    const struct platform *first = NULL;

    *ret_why = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(platforms); i++) {
        const struct platform *p = platforms[i];
        const char *why = NULL;

        if (strcmp(name, "auto") == 0) {
            if (p->probe(&why) == 0)
                return p;
            if (!*ret_why)
                *ret_why = why;
        } else if (strcmp(name, p->name) == 0) {
            first = p;
        }
    }
    return first;
}

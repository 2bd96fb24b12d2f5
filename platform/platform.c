/* SPDX-License-Identifier: Apache-2.0 */
/* The platforms there are, best first. */
#include "platform/platform.h"

#include <string.h>

#include "abi/without.h"

static const struct platform *const platforms[] = { &platform_trap, &platform_ptrace,
                                                    &platform_skeleton };

/* What trap stands on may be left out. */
static bool left_out(const struct platform *p, uint64_t without, const char **ret_why)
{
    if (p != &platform_trap || !(without & SBX_WITHOUT_NOTIFY))
        return false;
    *ret_why = without & SBX_WITHOUT_SECCOMP ? "no seccomp filter can be installed here"
                                             : "SBX_WITHOUT leaves out seccomp notification";
    return true;
}

const struct platform *platform_find(const char *name, uint64_t without, const char **ret_why)
{
    const struct platform *first = NULL;

    *ret_why = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(platforms); i++) {
        const struct platform *p = platforms[i];
        const char *why = NULL;

        if (strcmp(name, "auto") == 0) {
            if (!left_out(p, without, &why) && p->probe(&why) == 0)
                return p;
            if (!*ret_why)
                *ret_why = why;
        } else if (strcmp(name, p->name) == 0) {
            (void)left_out(p, without, ret_why);
            first = p;
        }
    }
    return first;
}

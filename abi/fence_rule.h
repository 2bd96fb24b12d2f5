/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a fence is written down. A table is a header of its own that defines FENCE_DEFAULT (what a
 * call gets that no rule admits) and
 *
 *   static const struct fence_rule fence_rules[] = {
 *       ALLOW(read, "why it is needed"),
 *       ALLOW_IF(mmap, "why", FENCE_ARG(2, PROT_EXEC, 0)),   arg 2, masked, must be 0
 *       REFUSE(clone3, ENOSYS, "why"),
 *       WIDE(sigaltstack, "address sanitizer"),              in sanitizer builds only
 *   };
 *
 * least dangerous calls first, a reason for each. Several rules for a call: any of them admits it.
 */
#pragma once

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>

struct fence_arg {
    unsigned arg; /* number + 1; 0: no more */
    uint64_t mask, value;
};

struct fence_rule {
    int nr;
    uint32_t action;
    int wide; /* only in builds with SBX_WIDE_FILTERS */
    const char *name, *why;
    struct fence_arg args[3];
};

#define ALLOW(call, why)                                                                           \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, 0, #call, why,                                             \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define ALLOW_IF(call, why, ...)                                                                   \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, 0, #call, why,                                             \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define REFUSE(call, err, why)                                                                     \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ERRNO(err), 0, #call, why,                                        \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define WIDE(call, why)                                                                            \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, 1, #call, why,                                             \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define FENCE_ARG(n, mask, value)                                                                  \
    {                                                                                              \
        (n) + 1, (uint64_t)(mask), (uint64_t)(value)                                               \
    }

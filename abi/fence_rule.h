/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a fence is written down. A table is a header of its own that defines FENCE_DEFAULT (what a
 * call gets that no rule admits) and
 *
 *   static const struct fence_rule fence_rules[] = {
 *       ALLOW(read, "why it is needed"),
 *       ALLOW_IF(mmap, "why", FENCE_ARG(2, PROT_EXEC, 0)),   arg 2, masked, must be 0
 *       REFUSE(clone3, ENOSYS, "why"),
 *       GLIBC(brk, "malloc"),                                only where sbx is linked with glibc
 *       RING(io_uring_enter, "why"),                         only where there is a ring
 *       TRACER_IF(ptrace, "why", ...),                       only where there is a process to trace
 *       WIDE(sigaltstack, "address sanitizer"),              in sanitizer builds only
 *   };
 *
 * least dangerous calls first, a reason for each. Several rules for a call: any of them admits it.
 * What a release is linked with is musl (cmake/musl.cmake), whose fence has none of the last three.
 */
#pragma once

#include <errno.h>
#include <seccomp.h>
#include <stdint.h>

#include "abi/fence_tracee.h"

#define FENCE_WIDE 1   /* in builds with SBX_WIDE_FILTERS */
#define FENCE_GLIBC 2  /* where the C library is glibc */
#define FENCE_RING 4   /* in filters that are made for who has an io_uring */
#define FENCE_TRACER 8 /* in filters that are made for who traces another process */

struct fence_arg {
    unsigned arg; /* number + 1; 0: no more */
    uint64_t mask, value;
};

struct fence_rule {
    int nr;
    uint32_t action;
    int only; /* FENCE_*; 0: always */
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
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_WIDE, #call, why,                                    \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define GLIBC(call, why)                                                                           \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_GLIBC, #call, why,                                   \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define GLIBC_REFUSE(call, err, why)                                                               \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ERRNO(err), FENCE_GLIBC, #call, why,                              \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define RING(call, why)                                                                            \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_RING, #call, why,                                    \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define RING_IF(call, why, ...)                                                                    \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_RING, #call, why,                                    \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define TRACER(call, why)                                                                          \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_TRACER, #call, why,                                  \
        {                                                                                          \
            {                                                                                      \
                0                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
#define TRACER_IF(call, why, ...)                                                                  \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW, FENCE_TRACER, #call, why,                                  \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define FENCE_ARG(n, mask, value)                                                                  \
    {                                                                                              \
        (n) + 1, (uint64_t)(mask), (uint64_t)(value)                                               \
    }

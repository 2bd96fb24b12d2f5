/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few types that every layer shares. A guest address is an integer and never a pointer of ours:
 * what lies behind it is reached only through sentry/mm/copy.h.
 *
 * Constants whose value is the same in glibc's public headers and in the kernel's (errno, O_*, S_*,
 * AF_*, POLL*) are taken from glibc; structures that cross the boundary are declared in abi/ as
 * struct lx_*, and tests/unit/abi compares them with the kernel's own headers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint64_t gaddr_t;  /* an address inside a guest */
typedef uint64_t sigset64; /* signal n is bit n-1, as the kernel has it */
typedef int64_t ktime_t;   /* nanoseconds of CLOCK_MONOTONIC unless said otherwise */

#define KTIME_NEVER INT64_MAX
#define PAGE_SIZE_4K 4096ul
#define PAGE_ALIGN_DOWN(x) ((x) & ~(PAGE_SIZE_4K - 1))
#define PAGE_ALIGN_UP(x) PAGE_ALIGN_DOWN((x) + PAGE_SIZE_4K - 1)

/* Errors never seen by a guest. They lie above every errno and below MAX_ERRNO. */
#define ERESTARTSYS 512           /* restart if SA_RESTART or no handler */
#define ERESTARTNOINTR 513        /* restart always */
#define ERESTARTNOHAND 514        /* restart unless a handler runs */
#define ENOIOCTLCMD 515           /* this object does not know that ioctl: ENOTTY */
#define ERESTART_RESTARTBLOCK 516 /* as NOHAND, but by restart_syscall with what is left */
#define EWAITING 900  /* the record is queued; the handler is run again when it is woken */
#define EDETACHED 901 /* the handler has taken over: no answer, regs are already as wanted */

/* The kernel's; musl's O_ACCMODE has O_PATH in it. */
#define LX_O_ACCMODE 3

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define __must_check __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fences of our own processes: seccomp allow-lists, written as tables (gofer/fence_table.h and
 * others), compiled by libseccomp when sbx is built (abi/fence_gen.c) and installed from a constant
 * array, since compiling one at start costs more than everything else there.
 */
#pragma once

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Sets no_new_privs and installs the filter for the calling thread and those it makes. 0 or -errno
 * (-EINVAL: the host has no seccomp filters).
 */
int fence_apply(const struct sock_filter *filter, unsigned n);

/* The same, of a filter in which FENCE_TRACEE stands for the process that may be traced. */
int fence_apply_tracer(const struct sock_filter *filter, unsigned n, pid_t tracee);

/* Nothing of these resources (RLIMIT_*), hard and soft. 0 or -errno. */
int fence_limits(const int *none, unsigned n);

/* At most max of it, where the limit is not lower already. 0 or -errno. */
int fence_limit(int what, uint64_t max);

/*
 * Memory that could be written never becomes executable, nor is any new made that is both (since Linux
 * 6.3). An older host goes without: the filters refuse executable maps whole.
 */
void fence_no_new_code(void);

/* Of the capabilities, permitted and to be gained, none but those of the mask is left. 0 or -errno. */
int fence_capabilities(uint64_t keep);

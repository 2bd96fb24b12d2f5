/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps. A process that dies of a signal which says so, and whose RLIMIT_CORE lets it, leaves a
 * picture of itself in a file of the guest's (kernel.core_pattern, in its working directory).
 *
 *   core_begin_locked (the signal is taken) -> core_note (each thread, as it leaves: registers) ->
 *   core_bases (each: operations of its own context) -> core_write (the last thread, while the
 *   memory is still there)
 */
#pragma once

#include <stdbool.h>

#include "sentry/kernel/task.h"

#define CORE_PATTERN_MAX 128
#define CORE_FILTER_ALL 0x1ffu
#define CORE_FILTER_DEFAULT 0x33u /* anonymous memory, ELF headers, private huge pages */

struct core;

/* t's process is about to be killed by info->signo: notes that it dumps core, if it does. Before
 * group_kill_locked; tasks_lock held. */
void core_begin_locked(struct task *t, const struct lx_siginfo *info);
/* t begins to leave. */
void core_note(struct task *t);
/* Operations that t's context is to carry out before it leaves; NULL: none. *ret_n of them. */
struct as_op *core_bases(struct task *t, unsigned *ret_n);
/* By the last thread: 0, or -EWAITING (call it again). Then the wait status says whether there is one. */
int core_write(struct task *t);
/* It is over: what it held goes. Without locks. */
void core_end(struct tgroup *g);
/* Of a group that never came so far; takes no locks. */
void core_free(struct core *c);

/* kernel.core_pattern: at most CORE_PATTERN_MAX bytes with the NUL. */
void core_pattern_get(char ret[CORE_PATTERN_MAX]);
/* -EINVAL: too long. -EPERM: a program to run is outside of what there is here. */
int core_pattern_set(const char *text, size_t len);

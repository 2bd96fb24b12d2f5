/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox spends that nobody can be refused: processor time and output. Where a limit of
 * limits.def is reached the sandbox ends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arms the look at processor time; after limits and timers are there. */
void spent_start(void);

/*
 * How much of n bytes may still be printed; 0 at the limit, and then the sandbox is about to end. Any
 * lock may be held.
 */
size_t spent_room(size_t n);
/* Is the sandbox about to end by the limit of output? Then its first program's own end is no news. */
bool spent_ends(void);
/* Nanoseconds of processor time so far: of all that ran, and of the sentry. Takes tasks_lock. */
uint64_t spent_cpu(void);
/* The same in two: the programs' own, and what was done for them. */
void spent_cpu_split(uint64_t *ret_user, uint64_t *ret_sys);
/* Bytes printed so far. */
uint64_t spent_printed(void);
/* So much was printed. */
void spent_output(size_t n);

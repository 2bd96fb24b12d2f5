/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox spends that nobody can be refused: processor time and output. Where a limit of
 * limits.def is reached the sandbox ends.
 */
#pragma once

#include <stddef.h>

/* Arms the look at processor time; after limits and timers are there. */
void spent_start(void);

/*
 * How much of n bytes may still be printed; 0 at the limit, and then the sandbox is about to end. Any
 * lock may be held.
 */
size_t spent_room(size_t n);
/* So much was printed. */
void spent_output(size_t n);

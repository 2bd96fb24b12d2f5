/* SPDX-License-Identifier: Apache-2.0 */
/* What of results.h writes: the question, the writer's process, and what it says. */
#pragma once

#include "cli/results.h"

/* The directory of the journals, made if it is not there. 0, or the exit status after an error. */
int write_state(int *ret_fd);
bool write_empty(int dir);
/* Can be asked about (a terminal), and written to. */
int write_may_apply(const struct results *r);
/* These return 0, or the exit status after the error was printed. */
int write_save(struct results *r);
int write_apply(struct results *r);

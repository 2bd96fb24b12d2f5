/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sbx learn`: a run that sees all that its caller may read (credentials excepted) and reaches all that the
 * host does, whose writes stay in memory like any other's; from what it used beyond what every sandbox has, the
 * smallest profile is made.
 */
#pragma once

#include "cli/control.h"
#include "cli/options.h"
#include "cli/shown.h"
#include "cli/user.h"

/* CTL_LEARNED, which is checked. */
void learn_message(const struct control_msg *m);
/* Prints the profile. 0, or the exit status after the error was printed. */
int learn_print(FILE *f, const struct run_options *o, const struct user *u, const struct shown *s);

/* SPDX-License-Identifier: Apache-2.0 */
/* The program's environment: a short list, not the caller's. */
#pragma once

#include "cli/options.h"
#include "cli/shown.h"
#include "cli/user.h"

char **environ_build(const struct run_options *o, const struct shown *s, const struct user *u);

/* SPDX-License-Identifier: Apache-2.0 */
/* The sentry's own fence, put up when the zygote exists and before the first foreign byte is read. */
#pragma once

#include "sentry/sentry.h"

/*
 * Landlock, where the host has it: of files its procfs and nothing else. Before the zygote is forked,
 * because it traces, signals and reads only processes of its own domain. 0 or -errno.
 */
int fence_early(const struct sentry_config *cfg);
/* No capabilities, no new privileges, not dumpable, only the host calls of the list. 0 or -errno. */
int fence_put_up(const struct sentry_config *cfg);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's own fences, put up before the first foreign byte is read. In two steps, because the
 * zygote is forked between them.
 */
#pragma once

#include "sentry/sentry.h"

/*
 * For the sentry and the stubs to be, which the host then takes for one another's own: Landlock. It
 * leaves them the sentry's procfs. A host without it is done without. 0 or -errno.
 */
int fence_landlock(const struct sentry_config *cfg);

/*
 * For the sentry alone: no capabilities, no new privileges, not dumpable, limits of resources, no new
 * executable memory, only the host calls of the list (fence_table.h). 0 or -errno.
 */
int fence_put_up(const struct sentry_config *cfg);

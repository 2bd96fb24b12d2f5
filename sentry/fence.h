/* SPDX-License-Identifier: Apache-2.0 */
/* The sentry's own fence, put up when the zygote exists and before the first foreign byte is read. */
#pragma once

#include "sentry/sentry.h"

/* No capabilities, no new privileges, not dumpable, only the host calls of the list. 0 or -errno. */
int fence_put_up(const struct sentry_config *cfg);

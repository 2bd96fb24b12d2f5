/* SPDX-License-Identifier: Apache-2.0 */
/* What a run changed, handed to the front end at the end: gofer/changes.h is what is said. */
#pragma once

#include "sentry/sentry.h"

/*
 * Ends every process inside, tells the changes beneath cfg->results_path, answers requests for content,
 * and returns when the other side has closed. No-op where cfg->results_sock is -1. [io]; called once,
 * by whoever ends the sandbox, with no lock held.
 */
void results_serve(const struct sentry_config *cfg);

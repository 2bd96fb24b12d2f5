/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sentry/ipc/aio.h"

/* All polls of a context that is dead end as events. */
void aio_poll_cancel_all(struct aio_ctx *c);

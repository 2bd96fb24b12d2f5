/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a 64-bit counter behind a descriptor. */
#pragma once

#include "sentry/vfs/file.h"

/* flags EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC (checked by the caller); ERR_PTR. */
struct file *eventfd_new(unsigned count, unsigned flags);
bool eventfd_is(const struct file *f);
/* Adds one, where there is room; never waits. For the ends of asynchronous calls. */
void eventfd_signal(struct file *f);

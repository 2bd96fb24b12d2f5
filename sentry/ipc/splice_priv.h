/* SPDX-License-Identifier: Apache-2.0 */
/* What splice.c and splice_pipe.c share. */
#pragma once

#include "sentry/vfs/file.h"

/* Pipe to another pipe; one run. */
long splice_pipes(struct task *t, struct file *in, struct file *out, size_t len, unsigned flags);
bool splice_nonblock(const struct file *pipe, unsigned flags);

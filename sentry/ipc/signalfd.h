/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd(2): pending signals, read from a descriptor. */
#pragma once

#include "sentry/vfs/file.h"

extern const struct file_ops signalfd_ops; /* epoll keeps the watching task alive for these */

/* ERR_PTR. SIGKILL and SIGSTOP are taken out of mask. */
struct file *signalfd_new(sigset64 mask, unsigned flags);
/* Gives an existing one another mask; -EINVAL when f is none. t: whose waits are to look again. */
int signalfd_set_mask(struct task *t, struct file *f, sigset64 mask);

/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2) and what else names a process by descriptor. */
#pragma once

#include "sentry/kernel/signal.h"
#include "sentry/vfs/file.h"

struct tgroup;

/* ERR_PTR. For CLONE_PIDFD and pidfd_open; flags O_NONBLOCK. */
struct file *pidfd_new(struct tgroup *g, unsigned flags);
/* The process of pid; -ESRCH, or -EINVAL where pid is a thread but no process. */
struct file *pidfd_open_pid(pid_t pid, unsigned flags);
/* Borrowed from f, which keeps it; NULL when f is no pidfd. */
struct tgroup *pidfd_group(struct file *f);

/* info NULL: as kill(2). */
int pidfd_send_signal(struct task *t, struct file *f, int sig, const struct lx_siginfo *info);
/* Another process's descriptor targetfd: ERR_PTR(-EPERM, -ESRCH, -EBADF). */
struct file *pidfd_get_file(struct task *t, struct file *f, int targetfd);

/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2) and what else names a process by descriptor. */
#pragma once

#include "sentry/kernel/signal.h"
#include "sentry/vfs/file.h"

struct task;
struct tgroup;

#define PIDFD_THREAD 0200u /* O_EXCL: of one thread */

#define PIDFD_SIGNAL_THREAD 1u
#define PIDFD_SIGNAL_THREAD_GROUP 2u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u

/* ERR_PTR. For CLONE_PIDFD and pidfd_open; flags O_NONBLOCK, PIDFD_THREAD. */
struct file *pidfd_new(struct tgroup *g, unsigned flags);
struct file *pidfd_new_thread(struct task *t, unsigned flags); /* t is not the leader */
/* The process or thread of pid; -ESRCH, or -EINVAL where pid is a thread but no process. */
struct file *pidfd_open_pid(struct task *by, pid_t pid, unsigned flags);
/* The process of it or its thread, borrowed from f, which keeps it; NULL when f is no pidfd. */
struct tgroup *pidfd_group(struct file *f);
/* Does it name a process, or the thread that leads one? */
bool pidfd_is_process(struct file *f);

/* info NULL: as kill(2). scope: PIDFD_SIGNAL_*, 0: what f is made for. */
int pidfd_send_signal(struct task *t, struct file *f, int sig, const struct lx_siginfo *info,
                      unsigned scope);
/* Another process's descriptor targetfd: ERR_PTR(-EPERM, -ESRCH, -EBADF). */
struct file *pidfd_get_file(struct task *t, struct file *f, int targetfd);

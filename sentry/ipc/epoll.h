/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: interest sets. */
#pragma once

#include "abi/poll.h"
#include "sentry/vfs/file.h"

#define EPOLL_MAX_EVENTS ((int)(INT32_MAX / sizeof(struct lx_epoll_event)))

struct file *epoll_new(void); /* ERR_PTR */

/* ev is NULL for EPOLL_CTL_DEL. target: what fd names. */
int epoll_control(struct task *t, struct file *epf, int op, int fd, struct file *target,
                  const struct lx_epoll_event *ev);

/*
 * One run: as many events as hold (at most max) go to the guest; 0 when the record's deadline has
 * passed (or now is true); -EWAITING, -EINTR, -EFAULT; -EINVAL when epf is no epoll set.
 */
long epoll_collect(struct task *t, struct file *epf, gaddr_t events, int max, bool now);

/*
 * The file that epf watches as fd, the nth of those; compared only, not a reference. ERR_PTR(-EINVAL)
 * where epf is no set, -ENOENT.
 */
struct file *epoll_watched(struct file *epf, int fd, unsigned nth);

/* file_put, before ops->release of f's last reference: f leaves all sets. */
void epoll_file_gone(struct file *f);

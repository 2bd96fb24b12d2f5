/* SPDX-License-Identifier: Apache-2.0 */
/* inotify instances. */
#pragma once

#include <stdint.h>

#include "sentry/vfs/file.h"

struct file *inotify_new(struct task *t, unsigned flags); /* flags: O_NONBLOCK. ERR_PTR */
/* The watch descriptor. -EINVAL when f is no inotify instance. Permission was checked. */
int inotify_add(struct file *f, struct inode *inode, uint32_t mask);
int inotify_remove(struct file *f, int wd);
bool file_is_inotify(const struct file *f);

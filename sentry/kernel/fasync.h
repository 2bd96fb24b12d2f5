/* SPDX-License-Identifier: Apache-2.0 */
/* Signals for I/O: O_ASYNC, with F_SETOWN and F_SETSIG. */
#pragma once

#include <stdbool.h>

struct file;

/* Whether Linux would send signals for files of this kind; elsewhere O_ASYNC is ignored. */
bool fasync_possible(const struct file *f);
/* Switches it on (fd: what si_fd says) or off. Sets or clears O_ASYNC in f->flags. 0 or -ENOMEM. */
int fasync_set(struct file *f, int fd, bool on);
/* file_put: f ends. */
void fasync_gone(struct file *f);

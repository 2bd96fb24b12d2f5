/* SPDX-License-Identifier: Apache-2.0 */
/* Signals for I/O: O_ASYNC, with F_SETOWN and F_SETSIG. */
#pragma once

#include <stdbool.h>

#include <stdint.h>

struct file;
struct task;

/* Whether Linux would send signals for files of this kind; elsewhere O_ASYNC is ignored. */
bool fasync_possible(const struct file *f);
/* Switches it on (fd: what si_fd says) or off. Sets or clears O_ASYNC in f->flags. 0 or -ENOMEM. */
int fasync_set(struct file *f, int fd, bool on);
/* file_put: f ends. */
void fasync_gone(struct file *f);

/* Tells f's owner: F_SETSIG's signal with this si_code and si_band, or a plain SIGIO. Takes tasks_lock. */
void fasync_tell(struct file *f, int fd, int code, int64_t band);
/* t's process is f's owner from now on, if f has none / it has none. */
void fasync_own(struct task *t, struct file *f);
void fasync_disown(struct file *f);
/* F_SETOWN. */
void fasync_set_owner(struct task *t, struct file *f, int type, int pid);

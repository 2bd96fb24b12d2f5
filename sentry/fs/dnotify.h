/* SPDX-License-Identifier: Apache-2.0 */
/* F_NOTIFY: a signal when something changes in an open directory. */
#pragma once

struct file;
struct files;
struct task;

/* arg: DN_* bits; none of them ends it. fd: what si_fd says. */
int dnotify_set(struct task *t, struct file *f, int fd, unsigned arg);
/* A descriptor of f in table owner was closed: what was asked for through that table ends. */
void dnotify_closed(struct file *f, struct files *owner);

/* SPDX-License-Identifier: Apache-2.0 */
/* fanotify: groups that learn what happens to files, mounts and file systems, and may forbid it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct file;
struct path;
struct task;

#define FANOTIFY_MAX_QUEUED 16384 /* events of a group, but with FAN_UNLIMITED_QUEUE */
#define FANOTIFY_MAX_GROUPS 128   /* of a user */
#define FANOTIFY_MAX_MARKS 8192   /* of a user's groups, but with FAN_UNLIMITED_MARKS */

/* A group, with flags that were checked. unprivileged: of who has no CAP_SYS_ADMIN. ERR_PTR. */
struct file *fanotify_new(struct task *t, unsigned flags, unsigned event_flags, bool unprivileged);
bool file_is_fanotify(const struct file *f);
unsigned fanotify_flags(const struct file *f);
bool fanotify_unprivileged(const struct file *f);

/* fanotify_mark of a checked command: -ENOENT, -EEXIST, -ENOSPC, -ENOMEM. */
int fanotify_mark_add(struct file *f, const struct path *p, unsigned flags, uint32_t mask);
int fanotify_mark_remove(struct file *f, const struct path *p, unsigned flags, uint32_t mask,
                         uint32_t keep);
/* All of the kind that flags name. */
void fanotify_mark_flush(struct file *f, unsigned flags);

/* call_end: the question that t's call asked is withdrawn. */
void fanotify_call_end(struct task *t);

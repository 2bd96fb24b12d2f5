/* SPDX-License-Identifier: Apache-2.0 */
/* The id table, process groups and sessions. All under kernel.tasks_lock. */
#pragma once

#include <stdbool.h>

#include "sentry/kernel/task.h"

#define PID_LIMIT 32768 /* size of the table; kernel.pid_max is at most that */

/*
 * The next free number, or the wanted one (not 0), with one reference; -EAGAIN, -ENOMEM; -EEXIST, -EINVAL.
 * PID_NONE: an entry that has no number, and that no look-up finds.
 */
#define PID_NONE (-1)
int pid_new_locked(pid_t wanted, struct pid_entry **ret);
struct pid_entry *pid_ref_locked(struct pid_entry *e);
void pid_put_locked(struct pid_entry *e);
/* NULL: not in use. */
struct pid_entry *pid_find_locked(pid_t nr);
pid_t pid_last(void); /* the number given last */
void pid_set_last(pid_t nr);

struct session *session_new(pid_t sid);
struct session *session_ref(struct session *s);
void session_put(struct session *s);

/* Puts g into the process group / session of that id; takes over nothing. */
void group_set_pgrp_locked(struct tgroup *g, struct pid_entry *e);
void group_set_session_locked(struct tgroup *g, struct pid_entry *e, struct session *s);

static inline pid_t group_pgid(const struct tgroup *g)
{
    return g->pgrp ? g->pgrp->nr : 0;
}

static inline pid_t group_sid(const struct tgroup *g)
{
    return g->sess_entry ? g->sess_entry->nr : 0;
}

/* No member has a parent in another group of the same session (but for ignored, which is leaving). */
bool pgrp_orphaned_locked(const struct pid_entry *pgrp, const struct tgroup *ignored);
bool pgrp_has_stopped_locked(const struct pid_entry *pgrp);
/* Is pgid a process group in session sid? */
bool pgrp_in_session_locked(pid_t pgid, pid_t sid);

int do_setpgid(struct task *t, pid_t pid, pid_t pgid);
long do_setsid(struct task *t);

/* SPDX-License-Identifier: Apache-2.0 */
/* The id tables, process groups and sessions. All under kernel.tasks_lock. */
#pragma once

#include <stdbool.h>

#include "sentry/kernel/task.h"

#define PID_LIMIT 32768 /* size of a table; kernel.pid_max is at most that */

/*
 * A pid namespace. They are flat: an entry has one number, in its own, and nobody sees across. Each thread group
 * is in one (tgroup.pidns), which a child inherits; a look-up says whose numbers it means.
 */
struct pidns {
    _Atomic int refs;                   /* thread groups, and who makes one */
    uint32_t id;                        /* [I] never used again: what outlives it refers to it so */
    pid_t last;                         /* [T] the number given last */
    struct list link;                   /* [T] */
    struct pid_entry *table[PID_LIMIT]; /* [T] */
};

extern struct pidns first_pidns; /* the one that the sandbox was started with */

/* A further one; NULL: no memory. */
struct pidns *pidns_new(void);
struct pidns *pidns_ref(struct pidns *ns);
void pidns_put(struct pidns *ns); /* takes no lock */
/* No look-up finds it any more; its maker's reference goes. Not of the first. */
void pidns_end(struct pidns *ns);
/* NULL: it is gone. */
struct pidns *pidns_find_locked(uint32_t id);

/*
 * The next free number, or the wanted one (not 0), with one reference; -EAGAIN, -ENOMEM; -EEXIST, -EINVAL.
 * PID_NONE: an entry that has no number, and that no look-up finds.
 */
#define PID_NONE (-1)
int pid_new_locked(struct pidns *ns, pid_t wanted, struct pid_entry **ret);
struct pid_entry *pid_ref_locked(struct pid_entry *e);
void pid_put_locked(struct pid_entry *e);
/* NULL: not in use. */
struct pid_entry *pid_find_locked(const struct pidns *ns, pid_t nr);
/* The number given last; 0: ns is gone. */
pid_t pid_last(uint32_t ns);
void pid_set_last(struct pidns *ns, pid_t nr);

/* What task t sees of a number of that namespace: the same, or 0 in another one. */
static inline pid_t pid_seen(const struct task *t, uint32_t ns, pid_t nr)
{
    return t->group->pidns->id == ns ? nr : 0;
}

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
/* Is it a process group in session sid? NULL: it is none. */
bool pgrp_in_session_locked(const struct pid_entry *pgrp, pid_t sid);

int do_setpgid(struct task *t, pid_t pid, pid_t pgid);
long do_setsid(struct task *t);

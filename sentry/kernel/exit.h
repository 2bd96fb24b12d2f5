/* SPDX-License-Identifier: Apache-2.0 */
/* What task.c, exit.c and waitid.c share: the end of a task, piece by piece. */
#pragma once

#include "sentry/kernel/task.h"

/* Puts mm, files and fs, whichever are set. Without locks. */
void task_drop_resources(struct task *t);

/* The timer that ends the host processes of a group which does not end by itself. */
void group_last_word_init(struct tgroup *g);

/* Its largest memory, if mm is that now. Without locks. */
void group_note_rss(struct tgroup *g, struct mm *mm);

/* Takes a zombie out of the tree and frees its number. tasks_lock held. */
void group_release_locked(struct tgroup *g);

/* SIGCHLD and a wake of wait4 for g's parent: why is CLD_STOPPED or CLD_CONTINUED. */
void group_notify_stop_locked(struct tgroup *g, int why, int status);

/* The status that the parent sees. */
int group_wait_status_locked(const struct tgroup *g);

/* siginfo of a child's end or stop, from its wait status. */
void siginfo_child_locked(struct lx_siginfo *info, const struct tgroup *g, int sig, int code,
                          int status);

/* Who inherits g's children: the next subreaper above, else pid 1. */
struct tgroup *group_reaper_locked(const struct tgroup *g);

/* A thread that nobody waits for leaves the tree; drops the tree's reference. */
void task_unlink_locked(struct task *t);
/* Any thread that has not left; the leader where there is none. */
struct task *group_live_task_locked(struct tgroup *g);
/* t has left: its children go to another thread, or when it was the last to the reaper. */
void task_orphan_children_locked(struct task *t);
/* All threads have left: tells everyone. true: nobody waits for it, release it. */
bool group_became_zombie_locked(struct tgroup *g);

/* sentry/ipc/tty.c: t, the leader of its session, is gone: the terminal leaves the session. */
void tty_session_leader_exit(struct task *t);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory file locks of the guest: POSIX record locks (owner: a descriptor table), open file
 * description locks (owner: the file) and flock (owner: the file). They hang on the inode and are
 * guarded by one lock for all (deadlock detection looks across inodes).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/fs.h"
#include "abi/types.h"
#include "sentry/kernel/list.h"

struct file;
struct files;
struct inode;
struct task;

/*
 * A lock call's part of the record (call_scratch): the decoded request, and, while it waits, its
 * place among the waiters. locks_call makes it; it leaves the waiters when the record ends.
 */
struct lock_call {
    struct lx_flock fl;
    struct list link; /* all waiters; guarded by locks_lock */
    const void *owner;
    const void *blocker; /* owner of what is in the way */
    unsigned tries;      /* that the host refused */
};
struct lock_call *locks_call(struct task *t); /* NULL: no memory */

/* F_SETLK and F_SETLKW (wait) of lc->fl, ofd: the F_OFD_ ones. May be -EWAITING. */
int locks_set(struct task *t, struct file *f, struct lock_call *lc, bool wait, bool ofd);
/* F_GETLK: *fl becomes the first lock in the way, or F_UNLCK. */
int locks_get(struct task *t, struct file *f, struct lx_flock *fl, bool ofd);
/* flock(2): op LOCK_SH, LOCK_EX, LOCK_UN with LOCK_NB. May be -EWAITING. */
int locks_flock(struct task *t, struct file *f, int op);

/* A descriptor in table owner of f's inode was closed: its POSIX locks there go. */
void locks_posix_gone(struct file *f, struct files *owner);
/* The file ends: its flock and OFD locks go. */
void locks_file_gone(struct file *f);

/* The inode ends. */
void locks_inode_gone(struct inode *i);

/* Each lock of the sandbox, for /proc/locks; a line's text goes to emit. */
void locks_each(void (*emit)(void *arg, const char *line), void *arg);

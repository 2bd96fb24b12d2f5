/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the advisory locks share (locks.c, locks_flock.c, locks_host.c). */
#pragma once

#include "sentry/kernel/timer.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/vfs.h"

enum lock_kind { KIND_POSIX, KIND_OFD, KIND_FLOCK };

struct file_lock {
    struct list link; /* in its inode's list, by start */
    enum lock_kind kind;
    const void *owner; /* struct files (POSIX) or struct file */
    bool write;
    int64_t start, end; /* inclusive */
    pid_t pid;
};

struct file_locks {
    struct list all; /* every inode that has some */
    struct inode *inode;
    struct list records, flocks;
    struct waitqueue wq;
    struct ktimer retry; /* what others on the host hold is tried again: wakes wq */
    ktime_t retry_at;    /* KTIME_NEVER: not armed */
};

extern struct lock locks_lock; /* LOCK_OBJECT */

/* The inode's, made at need; NULL: no memory. */
struct file_locks *inode_locks_locked(struct inode *i);
bool has_locks(const struct inode *i);
/* always: beyond the limit too, for what is to be unlocked. NULL: no memory, or the limit. */
struct file_lock *lock_new(bool always);
void lock_free(struct file_lock *l);
void remove_lock(struct file_lock *l);
/* Waits because of what blocker holds; the place in the line is kept from run to run. */
int wait_for_lock_locked(struct task *t, struct file_locks *ls, struct lock_call *lc,
                         const void *owner, const void *blocker, bool deadlock_check);
void lock_tell(const struct file_lock *l, struct lx_flock *ret);

/* ---- locks_host.c; all but the first make trips ---- */

bool lock_hosted(const struct file *f);
void lock_retry_now(struct ktimer *tm);
/* Waits because somebody on the host holds it. */
int lock_wait_for_host(struct task *t, struct inode *i, struct lock_call *lc, const void *owner);
/* Takes or gives back (type) l's range on the host. 0, -EAGAIN, or another error. */
int lock_on_host(struct task *t, struct file *f, const struct file_lock *l, int type);
/* On the host, before it is noted here: owner gives back what it has of f's inode. */
void lock_drop_on_host(struct file *f, const void *owner);
int lock_get_of_host(struct task *t, struct file *f, const struct file_lock *want,
                     struct lx_flock *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory file locks of the guest: POSIX record locks (owner: a descriptor table), open file
 * description locks (owner: the file) and flock (owner: the file). They hang on the inode and are
 * guarded by one lock for all (deadlock detection looks across inodes).
 */
#pragma once

#include <stdint.h>

#include "abi/types.h"

struct file;
struct files;
struct task;

/* struct flock as the guest has it on x86-64. */
struct lx_flock {
    int16_t type, whence;
    int32_t pad;
    int64_t start, len;
    int32_t pid, pad2;
};

/* F_SETLK and F_SETLKW (wait), ofd: the F_OFD_ ones. May be -EWAITING. */
int locks_set(struct task *t, struct file *f, const struct lx_flock *fl, bool wait, bool ofd);
/* F_GETLK: *fl becomes the first lock in the way, or F_UNLCK. */
int locks_get(struct task *t, struct file *f, struct lx_flock *fl, bool ofd);
/* flock(2): op LOCK_SH, LOCK_EX, LOCK_UN with LOCK_NB. May be -EWAITING. */
int locks_flock(struct task *t, struct file *f, int op);

/* A descriptor in table owner of f's inode was closed: its POSIX locks there go. */
void locks_posix_gone(struct file *f, struct files *owner);
/* The file ends: its flock and OFD locks go. */
void locks_file_gone(struct file *f);

struct file_locks;
struct inode;
/* The inode ends. */
void locks_inode_gone(struct inode *i);

/* Each lock of the sandbox, for /proc/locks; a line's text goes to emit. */
void locks_each(void (*emit)(void *arg, const char *line), void *arg);

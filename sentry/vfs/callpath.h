/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a path call has resolved and locked so far. A handler that has to wait for an inode's lock
 * is run again from its first line; it must then go on with the very directories that it resolved,
 * so these lie in the record, with the locks. Made by the first use, ended by callpath_end, which
 * whole operations call through callpath_done() when they return something else than -EWAITING;
 * call_end() (the dispatcher) calls callpath_end for what an interrupted call left.
 *
 * task NULL (start-up, one thread): no locks, and nothing is kept from run to run.
 */
#pragma once

#include "sentry/vfs/vfs.h"

#define CALLPATH_LOCKS 12

struct callpath_slot {
    enum { SLOT_EMPTY, SLOT_PARENT, SLOT_PATH } state;
    struct nameidata_last last;
    struct path path;
};

struct callpath {
    struct callpath_slot slot[2];
    struct inode *locked[CALLPATH_LOCKS]; /* references; rw held or being waited for */
    unsigned nlocked;
    bool rename;            /* vfs.rename is held or being waited for */
    struct file *opening;   /* an open that waits: for a FIFO's other end, a lease, a listener */
    unsigned opening_flags; /* what is to be done when it is open: O_CREAT, O_TRUNC (open.c) */
};

/* walk_parent / walk_path once; later runs get the same again. Results belong to the record. */
int callpath_parent(struct task *t, unsigned slot, int dfd, const char *path, unsigned flags,
                    struct nameidata_last **ret);
int callpath_path(struct task *t, unsigned slot, int dfd, const char *path, unsigned flags,
                  struct path *ret);

/* Locks i->rw for this call / vfs.rename. 0 or -EWAITING. */
int callpath_lock(struct task *t, struct inode *i) __must_check;
/* Before the call's end; for what callpath_holds said no about, and then was locked. */
void callpath_unlock(struct task *t, struct inode *i);
bool callpath_holds(struct task *t, const struct inode *i);
int callpath_lock_rename(struct task *t) __must_check;

/* The open that waits: keeps f (reference taken over) / gives it back to the caller. */
int callpath_keep_opening(struct task *t, struct file *f);
struct file *callpath_opening(struct task *t);

void callpath_end(struct task *t);

/* For the last line of an operation: ends what was kept unless r is -EWAITING. */
static inline int callpath_done(struct task *t, int r)
{
    if (t && r != -EWAITING)
        callpath_end(t);
    return r;
}

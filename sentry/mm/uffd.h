/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd. Behind the guest's file is a userfaultfd of the host's that the guest's own stub has
 * made, of the kind that is told of faults in user mode alone: what guest code touches is wholly the
 * host's. Where the sentry's own copies meet a page that is registered and not there, they fail at
 * once; then the call that wanted it queues a message of ours, waits, and is run from its beginning
 * once the page has been seen to (uffd_fault.c). So a reader that never answers holds up its own
 * callers only, and those can be killed.
 *
 * Locks: uffd->lock (LOCK_OBJECT) for what is read from it and who waits; uffds_lock (LOCK_LEAF) for
 * what belongs to which address space, and what is registered.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "abi/types.h"
#include "abi/uffd.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/lock.h"
#include "sentry/kernel/wait.h"

struct file;
struct mm;
struct task;

struct uffd_range {
    gaddr_t start, end;
    uint64_t mode;
};

struct uffd {
    _Atomic int refs;
    int fd;         /* [I] the host's */
    bool user_only; /* [I] faults of calls are EFAULT, as without it */
    struct lock lock;
    struct waitqueue rd_wq;    /* who reads */
    struct waitqueue fault_wq; /* calls that wait for a page */
    struct list waits;         /* struct uffd_wait */
    unsigned unread;           /* of them */
    bool ready;                /* UFFDIO_API has been made */
    bool closed;               /* nobody will answer any more */
    uint64_t features;
    struct list mm_link; /* uffds_lock, these three: mm->uffds */
    struct mm *mm;       /* no reference; NULL: it is gone */
    struct uffd_range *ranges;
    unsigned nranges, cap;
};

struct uffd_wait { /* a call that waits; task->uffd_wait */
    struct list link;
    struct uffd *u; /* a reference */
    gaddr_t at;
    uint64_t flags; /* LX_UFFD_FAULT_* */
    pid_t tid;
    bool told, woken;
};

extern struct lock uffds_lock;

/* A file over the host's userfaultfd fd of mm, which it takes over on success. ERR_PTR. */
struct file *uffd_file_new(struct mm *mm, int fd, unsigned flags);
/*
 * The whole of userfaultfd(2) but for its permission: a handler returns what this returns, and is run
 * again. A descriptor or -errno.
 */
long uffd_open(struct task *t, unsigned flags);
/* mm ends. */
void uffd_mm_gone(struct mm *mm);

void uffd_ref(struct uffd *u);
void uffd_put(struct uffd *u);

/* Notes that mode holds in the range (0: nothing is registered there). 0, -ENOMEM. */
int uffd_note_range(struct uffd *u, gaddr_t start, gaddr_t end, uint64_t mode);
/* Calls that wait for something in the range go on. */
void uffd_wake(struct uffd *u, gaddr_t start, gaddr_t len);

long uffd_ioctl(struct task *t, struct file *f, unsigned cmd, uint64_t arg);

/* ---- faults of calls (uffd_fault.c); the dispatcher's ---- */

/*
 * Before a run of the handler of t's call: is a page that it names awaited? 0: go on. -EWAITING:
 * the record is queued. Other errors end the call.
 */
long uffd_before(struct task *t);
/* The handler said EFAULT: the call's result, -EWAITING, or 0: run the call from its beginning. */
long uffd_after(struct task *t);

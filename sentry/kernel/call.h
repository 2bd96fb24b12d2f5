/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of one system call. It stands in struct task, is made by the dispatcher when the call
 * arrives and released when it is answered. A handler may run several times for one call (wait.h);
 * everything here survives from run to run:
 *
 *   call_file(t, slot, fd)  the file behind a descriptor number, looked up in the first run only
 *   call_keep_file()        a file that the handler made itself
 *   call_scratch(t, n)      n zeroed bytes for decoded arguments and progress; same block each run
 *   call_deadline(t, when)  absolute deadline; the first call counts, later ones do nothing
 *   t->call.done            bytes (or items) done so far
 *   t->call.phase           0 in the first run; the handler's own afterwards
 */
#pragma once

#include "abi/types.h"
#include "sentry/kernel/wait.h"

struct task;
struct file;
struct as_op;

#define CALL_FILES 3
#define CALL_ENTRIES 2

struct call {
    uint64_t nr;
    uint64_t serial; /* of the task's calls */
    uint64_t args[6];
    uint64_t done;
    int phase;
    int rwf;                        /* RWF_* of preadv2 and pwritev2 */
    unsigned runs;                  /* how often the handler has been run */
    struct file *files[CALL_FILES]; /* references */
    void *scratch;
    void (*scratch_free)(void *scratch); /* called before scratch is freed; may be NULL */
    ktime_t deadline;                    /* KTIME_NEVER: none */
    bool expired;                        /* the deadline has passed */
    struct wait_entry entries[CALL_ENTRIES];
    /*
     * poll and select (ipc/poll.c): more_cap entries, kzalloc'd by the handler, freed by call_end.
     * The first more_used hang on queues; they come off with entries[] whenever the record is
     * claimed, and more_used is 0 again.
     */
    struct wait_entry *more;
    unsigned more_used, more_cap;
    struct callpath
        *paths; /* vfs/callpath.h: resolved and locked so far; call_end: callpath_end(t) */
    const struct cred *fs_cred; /* access(2), for one run: in place of task.cred; else NULL */
    unsigned wait_flags;        /* of the last wait */
    bool lend;                  /* its file had better be lent: file_ops.lend */
    struct as_op *ops;          /* operations that the thread's own context is doing now */
    unsigned nops;
    /* Where a new file goes instead of the table of descriptors: io_uring. Takes over f. */
    int (*install)(struct task *t, struct file *f);
    struct fan_perm *perm; /* a fanotify listener was asked: fs/fanotify_perm.c */
    gaddr_t fault; /* where a copy has met a fault, while there is a userfaultfd (mm/uffd.h) */
    bool faulted, fault_write;
    struct ctx *ops_ctx; /* does the operations; NULL: the task's own (exec: the new one) */
};

/* A reference held by the record (do not put it); ERR_PTR(-EBADF). slot < CALL_FILES. */
struct file *call_file(struct task *t, unsigned slot, int fd);
/* Hands f's reference to the record; returns f. */
struct file *call_keep_file(struct task *t, unsigned slot, struct file *f);

/* NULL when memory is at its limit (-ENOMEM). n must be the same in each run. */
void *call_scratch(struct task *t, size_t n);

void call_deadline(struct task *t, ktime_t when);

/*
 * Has the calling task's own context carry out n operations on its address space; the handler
 * returns what this returns (-EWAITING) and is run again when ops[].ret are filled in. ops must lie
 * in the scratch block. No signal interrupts it.
 */
int call_ops(struct task *t, struct as_op *ops, unsigned n) __must_check;

/* The record of a new task (timer, list node, states); task_alloc calls it. */
void call_task_init(struct task *t);

/* Dispatcher only. */
void call_begin(struct task *t, uint64_t nr, const uint64_t args[6]);
void call_end(struct task *t);

#define ERR_PTR(e) ((void *)(intptr_t)(e))
#define PTR_ERR(p) ((int)(intptr_t)(p))
#define IS_ERR(p) ((uintptr_t)(p) >= (uintptr_t)-4095)

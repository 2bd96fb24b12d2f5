/* SPDX-License-Identifier: Apache-2.0 */
/* The record of one call; see call.h. Touched only by the worker that runs it. */
#include "sentry/fs/fanotify.h"
#include "sentry/kernel/call.h"

#include <errno.h>
#include <string.h>

#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/vfs/callpath.h"
#include "sentry/vfs/file.h"

void call_task_init(struct task *t)
{
    atomic_init(&t->rec, REC_RUN);
    atomic_init(&t->where, IN_SENTRY);
    list_init(&t->ready_link);
    ktimer_init(&t->deadline, task_deadline);
    t->call.deadline = KTIME_NEVER;
}

void call_begin(struct task *t, uint64_t nr, const uint64_t args[6])
{
    struct call *c = &t->call;

    c->nr = nr;
    c->serial++;
    memcpy(c->args, args, sizeof c->args);
    c->done = 0;
    c->phase = 0;
    c->rwf = 0;
    c->install = NULL;
    c->runs = 0;
    c->deadline = KTIME_NEVER;
    c->expired = false;
    c->wait_flags = 0;
    c->lend = false;
    c->faulted = false;
}

/* What was taken in the first run goes; what a handler never used is not touched. */
void call_end(struct task *t)
{
    struct call *c = &t->call;

    if (c->paths)
        callpath_end(t);
    for (unsigned i = 0; i < CALL_FILES; i++) {
        if (c->files[i]) {
            struct file *f = c->files[i];

            c->files[i] = NULL;
            file_put(f);
        }
    }
    if (c->scratch) {
        if (c->scratch_free)
            c->scratch_free(c->scratch);
        kfree(c->scratch);
        c->scratch = NULL;
        c->scratch_free = NULL;
    }
    if (c->more) {
        kfree(c->more);
        c->more = NULL;
        c->more_cap = c->more_used = 0;
    }
    c->ops = NULL;
    c->nops = 0;
    if (c->perm)
        fanotify_call_end(t);
}

struct file *call_file(struct task *t, unsigned slot, int fd)
{
    struct file *f = t->call.files[slot];

    if (!f) {
        f = fd_get(t, fd);
        if (!f)
            return ERR_PTR(-EBADF);
        t->call.files[slot] = f;
    }
    return f;
}

struct file *call_keep_file(struct task *t, unsigned slot, struct file *f)
{
    t->call.files[slot] = f;
    return f;
}

void *call_scratch(struct task *t, size_t n)
{
    if (!t->call.scratch)
        t->call.scratch = kzalloc(n);
    return t->call.scratch;
}

void call_deadline(struct task *t, ktime_t when)
{
    if (t->call.deadline == KTIME_NEVER)
        t->call.deadline = when;
}

int call_ops(struct task *t, struct as_op *ops, unsigned n)
{
    t->call.ops = ops;
    t->call.nops = n;
    return -EWAITING;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* unshare: what the caller shares with other tasks becomes its own. There are no new namespaces. */
#include <errno.h>
#include <sched.h>

#include "sentry/ipc/sysv/sem.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)
/* What only a process of one thread can have alone, and has then. */
#define OF_THREADS (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
#define KNOWN (NAMESPACES | OF_THREADS | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)

static bool alone(struct task *t, unsigned long flags)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    if (t->group->nlive > 1)
        return false;
    if (flags & (CLONE_SIGHAND | CLONE_VM) && t->group->sighand->refs > 1)
        return false;
    return !(flags & CLONE_VM) || atomic_load(&t->mm->refs) == 1;
}

static int unshare_fs(struct task *t)
{
    struct fs_ctx *old = t->fs, *new;

    if (atomic_load(&old->refs) == 1)
        return 0;
    new = fs_ctx_copy(old);
    if (!new)
        return -ENOMEM;
    lock(&kernel.tasks_lock);
    t->fs = new;
    unlock(&kernel.tasks_lock);
    fs_ctx_put(old);
    return 0;
}

long sys_unshare(struct task *t, unsigned long flags)
{
    int r = 0;

    if (flags & ~(unsigned long)KNOWN)
        return -EINVAL;
    if (flags & CLONE_NEWUSER)
        flags |= CLONE_THREAD;
    if (flags & OF_THREADS && !alone(t, flags))
        return -EINVAL;
    if (flags & NAMESPACES)
        return -EPERM;
    if (flags & CLONE_FS)
        r = unshare_fs(t);
    if (r == 0 && flags & CLONE_FILES)
        r = files_unshare(t);
    if (r == 0 && flags & CLONE_SYSVSEM)
        sem_exit(t);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unshare: what the caller shares with other tasks becomes its own. setns: into a namespace. There are
 * no namespaces but the first ones, so nothing new is made, and who joins one is in it already.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>

#include "sentry/fs/nsfs.h"
#include "sentry/ipc/pidfd.h"
#include "sentry/ipc/sysv/sem.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/table.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define NS_FLAGS                                                                                   \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET | CLONE_NEWTIME)
/* What only a process of one thread can have alone, and has then. */
#define OF_THREADS (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
#define KNOWN (NS_FLAGS | OF_THREADS | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)

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
    if (flags & NS_FLAGS)
        return -EPERM;
    if (flags & CLONE_FS)
        r = unshare_fs(t);
    if (r == 0 && flags & CLONE_FILES)
        r = files_unshare(t);
    if (r == 0 && flags & CLONE_SYSVSEM)
        sem_exit(t);
    return r;
}

static int may_join(struct task *t, unsigned flags)
{
    bool many;

    if (flags & CLONE_NEWUSER) /* its own */
        return -EINVAL;
    if (!task_capable(t, CAP_SYS_ADMIN) ||
        (flags & CLONE_NEWNS && !task_capable(t, CAP_SYS_CHROOT)))
        return -EPERM;
    lock(&kernel.tasks_lock);
    many = t->group->nlive > 1;
    unlock(&kernel.tasks_lock);
    if (flags & CLONE_NEWTIME && many)
        return -EUSERS;
    return flags & CLONE_NEWNS && atomic_load(&t->fs->refs) > 1 ? -EINVAL : 0;
}

/* Who enters a mount namespace stands at its root afterwards. */
static void go_to_root(struct task *t)
{
    struct path root = fs_ctx_root(NULL), cwd = path_ref(root), old_root, old_cwd;

    lock(&t->fs->lock);
    old_root = t->fs->root;
    old_cwd = t->fs->cwd;
    t->fs->root = root;
    t->fs->cwd = cwd;
    unlock(&t->fs->lock);
    path_put(&old_root);
    path_put(&old_cwd);
}

long sys_setns(struct task *t, int fd, unsigned long nstype)
{
    struct file *f = call_file(t, 0, fd);
    unsigned flags = (unsigned)nstype, of;
    int r;

    if (IS_ERR(f))
        return PTR_ERR(f);
    of = (unsigned)nsfs_flag(f);
    if (of && flags && flags != of)
        return -EINVAL;
    if (of)
        flags = of;
    else if (!pidfd_group(f) || !flags || flags & ~(unsigned)NS_FLAGS)
        return -EINVAL;
    r = may_join(t, flags);
    if (r == 0 && flags & CLONE_NEWNS)
        go_to_root(t);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of resources. What a limit does lies with who counts the resource. */
#include <errno.h>
#include <linux/capability.h>

#include "abi/resource.h"
#include "sentry/kernel/cpulimit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/sysctl.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

/* May t see and change the limits of other? tasks_lock held. */
static bool may_limit_locked(const struct task *t, const struct task *other)
{
    const struct cred *a = t->cred, *b = other->cred;

    if (t->group == other->group || task_capable(t, CAP_SYS_RESOURCE))
        return true;
    return a->uid == b->euid && a->uid == b->suid && a->uid == b->uid && a->gid == b->egid &&
           a->gid == b->sgid && a->gid == b->gid;
}

static int set_locked(struct task *t, struct rlimit *lim, unsigned res, const struct lx_rlimit *new)
{
    if (new->rlim_cur > new->rlim_max)
        return -EINVAL;
    if (res == RLIMIT_NOFILE && new->rlim_max > sysctl_ulong(SYSCTL_NR_OPEN))
        return -EPERM;
    if (new->rlim_max > lim->rlim_max && !task_capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    /* Some are read without the lock: one word each. */
    __atomic_store_n(&lim->rlim_cur, new->rlim_cur, __ATOMIC_RELAXED);
    __atomic_store_n(&lim->rlim_max, new->rlim_max, __ATOMIC_RELAXED);
    return 0;
}

/* new and old may be NULL. */
static int do_prlimit(struct task *t, pid_t pid, unsigned res, const struct lx_rlimit *new,
                      struct lx_rlimit *old)
{
    struct task *other;
    struct rlimit *lim;
    int r;

    if (res >= RLIM_NLIMITS)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    other = pid ? task_find_locked(t->group->pidns, pid) : t;
    if (!other)
        return -ESRCH;
    if (!may_limit_locked(t, other))
        return -EPERM;
    lim = &other->group->rlim[res];
    if (old)
        *old = (struct lx_rlimit){ lim->rlim_cur, lim->rlim_max };
    r = new ? set_locked(t, lim, res, new) : 0;
    if (new &&r == 0 && res == RLIMIT_CPU)
        cpulimit_changed_locked(other->group);
    return r;
}

long sys_prlimit64(struct task *t, pid_t pid, unsigned resource, gaddr_t new, gaddr_t old)
{
    struct lx_rlimit n, o;
    int r;

    if (new &&get_guest(t, &n, new) < 0)
        return -EFAULT;
    r = do_prlimit(t, pid, resource, new ? &n : NULL, &o);
    if (r < 0)
        return r;
    return old ? put_guest(t, old, &o) : 0;
}

long sys_getrlimit(struct task *t, unsigned resource, gaddr_t rlim)
{
    struct lx_rlimit o;
    int r = do_prlimit(t, 0, resource, NULL, &o);

    return r < 0 ? r : put_guest(t, rlim, &o);
}

long sys_setrlimit(struct task *t, unsigned resource, gaddr_t rlim)
{
    struct lx_rlimit n;

    if (get_guest(t, &n, rlim) < 0)
        return -EFAULT;
    return do_prlimit(t, 0, resource, &n, NULL);
}

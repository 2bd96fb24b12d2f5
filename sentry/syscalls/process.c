/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: ids, groups, sessions, the end of one and the wait for it. */
#include <errno.h>
#include <limits.h>
#include <sys/wait.h>

#include "abi/sched.h"
#include "sentry/kernel/access.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/mm/copy.h"
#include "sentry/syscalls/table.h"

long sys_exit(struct task *t, int status)
{
    return do_exit(t, (status & 0xff) << 8);
}

long sys_exit_group(struct task *t, int status)
{
    return do_exit_group(t, (status & 0xff) << 8);
}

#define WAIT_KIND 0xe0000000u /* __WNOTHREAD __WALL __WCLONE */

long sys_wait4(struct task *t, pid_t pid, gaddr_t status, int options, gaddr_t rusage)
{
    if ((unsigned)options & ~(WNOHANG | WUNTRACED | WCONTINUED | WAIT_KIND))
        return -EINVAL;
    if (pid == INT_MIN)
        return -ESRCH;
    int type = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
    pid_t id = pid > 0 ? pid : pid < -1 ? -pid : 0;
    return do_wait(t, type, id, options | WEXITED, status, 0, rusage, false);
}

long sys_waitid(struct task *t, int which, pid_t upid, gaddr_t info, int options, gaddr_t rusage)
{
    if ((unsigned)options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | WAIT_KIND))
        return -EINVAL;
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    return do_wait(t, which, upid, options, 0, info, rusage, true);
}

long sys_getpid(struct task *t)
{
    return t->group->pid;
}

long sys_gettid(struct task *t)
{
    return t->tid;
}

long sys_getppid(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return t->group->parent ? t->group->parent->pid : 0;
}

static struct tgroup *group_of(struct task *t, pid_t pid)
{
    struct task *o = pid ? task_find_locked(t->group->pidns, pid) : t;
    return o ? o->group : NULL;
}

long sys_getpgid(struct task *t, pid_t pid)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *g = group_of(t, pid);
    return g ? group_pgid(g) : -ESRCH;
}

long sys_getpgrp(struct task *t)
{
    return sys_getpgid(t, 0);
}

long sys_getsid(struct task *t, pid_t pid)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *g = group_of(t, pid);
    return g ? group_sid(g) : -ESRCH;
}

long sys_setpgid(struct task *t, pid_t pid, pid_t pgid)
{
    return do_setpgid(t, pid, pgid);
}

long sys_setsid(struct task *t)
{
    return do_setsid(t);
}

long sys_set_tid_address(struct task *t, gaddr_t tidptr)
{
    t->clear_child_tid = tidptr;
    return t->tid;
}

long sys_set_robust_list(struct task *t, gaddr_t head, size_t len)
{
    if (len != sizeof(struct lx_robust_list_head))
        return -EINVAL;
    kernel.platform->ctx_set_word(t->ctx, CW_ROBUST, head);
    return 0;
}

static int robust_list_of(struct task *t, pid_t pid, gaddr_t *ret)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct task *o = pid ? task_find_locked(t->group->pidns, pid) : t;
    if (!o)
        return -ESRCH;
    if (!task_may_access_locked(t, o, /* fs= */ false))
        return -EPERM;
    *ret = o->ctx ? kernel.platform->ctx_word(o->ctx, CW_ROBUST) : 0;
    return 0;
}

long sys_get_robust_list(struct task *t, pid_t pid, gaddr_t head, gaddr_t len)
{
    gaddr_t list;
    uint64_t size = sizeof(struct lx_robust_list_head);
    int r = robust_list_of(t, pid, &list);
    if (r)
        return r;
    return put_guest(t, len, &size) || put_guest(t, head, &list) ? -EFAULT : 0;
}

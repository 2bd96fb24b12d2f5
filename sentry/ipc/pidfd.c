/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pidfds: a reference to a thread group, readable (for poll) once it has become a zombie. The
 * group's number may be used again by then; the group itself may not.
 *
 * No lock of its own; kernel.tasks_lock guards what it looks at. Not here: PIDFD_THREAD, and the
 * ioctls of pidfs.
 */
#include "sentry/ipc/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "sentry/kernel/access.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
    struct tgroup *g = f->priv;
    poll_wait(pt, &g->exit_wq);
    LOCK_SCOPE(&kernel.tasks_lock);
    if (g->reaped)
        return POLLIN | POLLRDNORM | POLLHUP;
    return g->zombie ? POLLIN | POLLRDNORM : 0;
}

static size_t pidfd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct tgroup *g = f->priv;
    LOCK_SCOPE(&kernel.tasks_lock);
    int pid = g->reaped ? -1 : g->pid;
    int n = snprintf(buf, cap, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

static void pidfd_release(struct file *f)
{
    tgroup_put(f->priv);
}

static const struct file_ops pidfd_ops = {
    .name = "pidfd",
    .poll = pidfd_poll,
    .fdinfo = pidfd_fdinfo,
    .release = pidfd_release,
};

struct file *pidfd_new(struct tgroup *g, unsigned flags)
{
    struct file *f = anon_file_new("pidfd", &pidfd_ops, g, O_RDWR | (flags & O_NONBLOCK));
    if (!IS_ERR(f)) {
        f->mode |= FMODE_STREAM;
        tgroup_ref(g);
    }
    return f;
}

struct file *pidfd_open_pid(pid_t pid, unsigned flags)
{
    lock(&kernel.tasks_lock);
    struct tgroup *g = tgroup_find_locked(pid);
    bool thread = !g && task_find_locked(pid);
    if (g)
        tgroup_ref(g);
    unlock(&kernel.tasks_lock);
    if (!g)
        return ERR_PTR(thread ? -ENOENT : -ESRCH);
    struct file *f = pidfd_new(g, flags);
    tgroup_put(g);
    return f;
}

struct tgroup *pidfd_group(struct file *f)
{
    return f->ops == &pidfd_ops ? f->priv : NULL;
}

int pidfd_send_signal(struct task *t, struct file *f, int sig, const struct lx_siginfo *info)
{
    struct tgroup *g = pidfd_group(f);
    struct lx_siginfo own;
    if (!g)
        g = proc_dir_group(f);
    if (!g)
        return -EBADF;
    if (sig < 0 || sig > LX_NSIG)
        return -EINVAL;
    if (info && info->signo != sig)
        return -EINVAL;
    /* what claims to come from the kernel or from kill may only be told to oneself */
    if (info && g != t->group && (info->code >= 0 || info->code == SI_TKILL))
        return -EPERM;
    if (!info) {
        siginfo_user(&own, sig, SI_USER, t);
        info = &own;
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    if (g->reaped)
        return -ESRCH;
    int r = signal_permitted(t, g, sig);
    if (r || !sig)
        return r;
    return signal_send_group_locked(g, sig, info);
}

struct file *pidfd_get_file(struct task *t, struct file *f, int targetfd)
{
    struct tgroup *g = pidfd_group(f);
    if (!g)
        return ERR_PTR(-EBADF);
    struct files *files = NULL;
    int r = -ESRCH;
    lock(&kernel.tasks_lock);
    struct task *leader = g->leader;
    if (leader && !g->zombie && leader->files) {
        r = task_may_access_locked(t, leader, false) ? 0 : -EPERM;
        if (!r)
            files = files_ref(leader->files);
    }
    unlock(&kernel.tasks_lock);
    if (r)
        return ERR_PTR(r);
    struct file *ret = ERR_PTR(-EBADF);
    lock(&files->lock);
    if (targetfd >= 0 && (unsigned)targetfd < files->cap && files->fds[targetfd].file)
        ret = file_ref(files->fds[targetfd].file);
    unlock(&files->lock);
    files_put(files);
    return ret;
}

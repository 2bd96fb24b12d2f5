/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pidfds: a reference to a process, or to a thread, readable (for poll) once it has ended. The number
 * may be used again by then; the object itself may not.
 *
 * No lock of its own; kernel.tasks_lock guards what it looks at.
 */
#include "sentry/ipc/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/kernel/access.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/kill.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"

struct pidfd {            /* all [I] */
    struct tgroup *group; /* a reference */
    struct task *thread;  /* a reference; NULL: the leader, whoever that is */
    bool of_thread;       /* made for one thread, the leader perhaps */
};

static const struct file_ops pidfd_ops;

static struct pidfd *pidfd_of(struct file *f)
{
    return f->ops == &pidfd_ops ? f->priv : NULL;
}

/* Its thread, NULL once that is out of the tree. */
static struct task *task_locked(const struct pidfd *p)
{
    assert_locked(&kernel.tasks_lock);
    if (p->group->reaped)
        return NULL;
    if (!p->thread)
        return p->group->leader;
    return p->thread->dead ? NULL : p->thread;
}

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
    const struct pidfd *p = f->priv;
    struct task *t;

    poll_wait(pt, &p->group->exit_wq);
    LOCK_SCOPE(&kernel.tasks_lock);
    t = task_locked(p);
    if (!t)
        return POLLIN | POLLRDNORM | POLLHUP;
    return p->group->zombie || (p->of_thread && t->dead) ? POLLIN | POLLRDNORM : 0;
}

static size_t pidfd_fdinfo(struct file *f, char *buf, size_t cap)
{
    struct task *t;
    int pid, n;

    LOCK_SCOPE(&kernel.tasks_lock);
    t = task_locked(f->priv);
    pid = t ? t->tid : -1;
    n = snprintf(buf, cap, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
    return n < 0 ? 0 : MIN((size_t)n, cap);
}

#define PIDFS_IOCTL(cmd) ((cmd) >> 8 == 0xff && ((cmd)&0xff) >= 1 && ((cmd)&0xff) <= 10)

/* Of the ones that 6.12 has each opens a namespace, as where the kernel is built without them. */
static long pidfd_ioctl(struct task *t, struct file *f, unsigned cmd, gaddr_t arg)
{
    (void)t;
    if (!PIDFS_IOCTL(cmd))
        return -ENOTTY;
    if (arg)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    return task_locked(f->priv) ? -EOPNOTSUPP : -ESRCH;
}

static void pidfd_free(struct pidfd *p)
{
    tgroup_put(p->group);
    task_put(p->thread);
    kfree(p);
}

static void pidfd_release(struct file *f)
{
    pidfd_free(f->priv);
}

static const struct file_ops pidfd_ops = {
    .name = "pidfd",
    .poll = pidfd_poll,
    .ioctl = pidfd_ioctl,
    .fdinfo = pidfd_fdinfo,
    .release = pidfd_release,
};

static struct file *new_file(struct tgroup *g, struct task *thread, unsigned flags)
{
    struct pidfd *p = kzalloc(sizeof *p);
    struct file *f;

    if (!p)
        return ERR_PTR(-ENOMEM);
    p->group = tgroup_ref(g);
    p->thread = thread ? task_ref(thread) : NULL;
    p->of_thread = flags & PIDFD_THREAD;
    f = anon_file_new("pidfd", &pidfd_ops, p, O_RDWR | (flags & (O_NONBLOCK | PIDFD_THREAD)));
    if (IS_ERR(f))
        pidfd_free(p);
    else
        f->mode |= FMODE_STREAM;
    return f;
}

struct file *pidfd_new(struct tgroup *g, unsigned flags)
{
    return new_file(g, NULL, flags);
}

struct file *pidfd_new_thread(struct task *t, unsigned flags)
{
    return new_file(t->group, t, flags | PIDFD_THREAD);
}

struct file *pidfd_open_pid(struct task *by, pid_t pid, unsigned flags)
{
    const struct pidns *ns = by->group->pidns;
    struct task *t, *other = NULL;
    struct tgroup *g = NULL;
    struct file *f;

    lock(&kernel.tasks_lock);
    t = task_find_locked(ns, pid);
    if (t && t->group->leader != t)
        other = task_ref(t);
    if (other && (flags & PIDFD_THREAD))
        g = tgroup_ref(t->group);
    else if (!other && (g = tgroup_find_locked(ns, pid)))
        tgroup_ref(g);
    unlock(&kernel.tasks_lock);
    if (g)
        f = new_file(g, other, flags);
    else
        f = ERR_PTR(other ? -EINVAL : -ESRCH);
    tgroup_put(g);
    task_put(other);
    return f;
}

struct tgroup *pidfd_group(struct file *f)
{
    struct pidfd *p = pidfd_of(f);

    return p ? p->group : NULL;
}

bool pidfd_is_process(struct file *f)
{
    struct pidfd *p = pidfd_of(f);

    return p && !p->thread;
}

/* ---- signals ---- */

static int send_locked(struct task *t, struct tgroup *g, struct task *to, unsigned scope, int sig,
                       const struct lx_siginfo *info)
{
    int r;

    if (scope == PIDFD_SIGNAL_PROCESS_GROUP)
        return kill_pgrp_locked(t, pid_find_locked(t->group->pidns, to->tid), sig, info);
    r = signal_permitted(t, g, sig);
    if (r || !sig)
        return r;
    if (scope == PIDFD_SIGNAL_THREAD)
        return to->dead ? 0 : signal_send_task_locked(to, sig, info);
    return signal_send_group_locked(g, sig, info);
}

int pidfd_send_signal(struct task *t, struct file *f, int sig, const struct lx_siginfo *info,
                      unsigned scope)
{
    struct pidfd of_dir = { .group = proc_dir_group(f) }, *p = pidfd_of(f);
    struct lx_siginfo own;
    struct task *to;

    if (!p)
        p = &of_dir;
    if (!p->group)
        return -EBADF;
    if (p->group->pidns != t->group->pidns) /* handed over from another container */
        return -EINVAL;
    if (!scope)
        scope = p->of_thread ? PIDFD_SIGNAL_THREAD : PIDFD_SIGNAL_THREAD_GROUP;
    if (sig < 0 || sig > LX_NSIG)
        return -EINVAL;
    if (info && info->signo != sig)
        return -EINVAL;
    if (!info) {
        siginfo_user(&own, sig, scope == PIDFD_SIGNAL_THREAD ? SI_TKILL : SI_USER, t);
    } else {
        own = *info;
    }
    LOCK_SCOPE(&kernel.tasks_lock);
    to = task_locked(p);
    /* what claims to come from the kernel or from kill may only be told to oneself */
    if (info && (to != t || scope == PIDFD_SIGNAL_PROCESS_GROUP) &&
        (info->code >= 0 || info->code == SI_TKILL))
        return -EPERM;
    return to ? send_locked(t, p->group, to, scope, sig, &own) : -ESRCH;
}

struct file *pidfd_get_file(struct task *t, struct file *f, int targetfd)
{
    struct pidfd *p = pidfd_of(f);
    if (!p)
        return ERR_PTR(-EBADF);
    struct files *files = NULL;
    int r = -ESRCH;
    lock(&kernel.tasks_lock);
    struct task *of = task_locked(p);
    if (of && !of->dead && of->files) {
        r = task_may_access_locked(t, of, false) ? 0 : -EPERM;
        if (!r)
            files = files_ref(of->files);
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

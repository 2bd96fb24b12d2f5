/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait4 and waitid: one look at the children under tasks_lock, and the queue of the parent's group
 * where nothing is to be had yet. What was found is taken (reaped, marked as reported) in the same
 * step, and only then written to the guest, as Linux does: a bad pointer loses it.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "sentry/ipc/pidfd.h"
#include "sentry/kernel/cputime.h"
#include "sentry/kernel/exit.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#define OPT_NOTHREAD 0x20000000
#define OPT_ALL 0x40000000
#define OPT_CLONE 0x80000000u

struct wanted {
    struct task *task;
    int type, options;
    pid_t id;
    struct tgroup *group; /* P_PIDFD */
};

struct found {
    pid_t pid;
    uid_t uid;
    int status;      /* as wait4 */
    int code, value; /* as waitid */
    struct lx_rusage usage;
};

static bool matches(const struct wanted *w, const struct tgroup *g)
{
    if ((w->type == P_PID && g->pid != w->id) || (w->type == P_PGID && group_pgid(g) != w->id) ||
        (w->type == P_PIDFD && g != w->group))
        return false;
    if ((w->options & OPT_NOTHREAD) && g->parent_task != w->task)
        return false;
    if (w->options & OPT_ALL)
        return true;
    return (g->leader->exit_signal != SIGCHLD) == !!((unsigned)w->options & OPT_CLONE);
}

/* Adds what g and its waited-for children used to the parent's account. */
static void account(struct tgroup *parent, const struct tgroup *g)
{
    parent->cutime_ns += g->utime_ns + g->cutime_ns;
    parent->cstime_ns += g->stime_ns + g->cstime_ns;
    parent->cmaxrss = MAX(parent->cmaxrss, MAX(g->maxrss, g->cmaxrss));
    const struct rusage_extra *a = &g->ru, *b = &g->cru;
    struct rusage_extra *to = &parent->cru;
    to->minflt += a->minflt + b->minflt;
    to->majflt += a->majflt + b->majflt;
    to->nvcsw += a->nvcsw + b->nvcsw;
    to->nivcsw += a->nivcsw + b->nivcsw;
    to->inblock += a->inblock + b->inblock;
    to->oublock += a->oublock + b->oublock;
}

static void fill(struct found *f, struct tgroup *g, int status, int code, int value)
{
    f->pid = g->pid;
    f->uid = g->leader->cred->uid;
    f->status = status;
    f->code = code;
    f->value = value;
    group_rusage_both_locked(g, &f->usage);
}

static bool take(const struct wanted *w, struct tgroup *g, struct found *f)
{
    bool keep = w->options & WNOWAIT;
    if (g->zombie) {
        if (!(w->options & WEXITED))
            return false;
        int s = group_wait_status_locked(g);
        if (!(s & 0x7f))
            fill(f, g, s, CLD_EXITED, s >> 8 & 0xff);
        else
            fill(f, g, s, s & 0x80 ? CLD_DUMPED : CLD_KILLED, s & 0x7f);
        if (!keep) {
            account(w->task->group, g);
            group_release_locked(g);
        }
        return true;
    }
    if (g->stopped && !g->stop_reported && (w->options & WSTOPPED)) {
        fill(f, g, g->stop_signal << 8 | 0x7f, CLD_STOPPED, g->stop_signal);
        g->stop_reported |= !keep;
        return true;
    }
    if (g->continued && (w->options & WCONTINUED)) {
        fill(f, g, 0xffff, CLD_CONTINUED, SIGCONT);
        g->continued &= keep;
        return true;
    }
    return false;
}

/* The pid found, 0 (none yet, WNOHANG), -ECHILD, -EWAITING, -ERESTARTSYS. */
static long look(const struct wanted *w, struct found *f)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct tgroup *self = w->task->group, *g;
    bool any = false;
    list_for_each(g, &self->children, sibling) {
        if (!matches(w, g))
            continue;
        any = true;
        if (take(w, g, f))
            return f->pid;
    }
    if (!any)
        return -ECHILD;
    if (w->options & WNOHANG)
        return 0;
    return task_wait(w->task, &self->child_wq, 0);
}

static int write_info(struct task *t, gaddr_t to, const struct found *f)
{
    struct lx_siginfo info = { 0 };
    if (f->pid) {
        info.signo = SIGCHLD;
        info.code = f->code;
        info.chld.pid = f->pid;
        info.chld.uid = f->uid;
        info.chld.status = f->value;
    }
    /* Linux writes these fields one by one, and no more. */
    return copy_out(t, to, &info, 12) ||
                   copy_out(t, to + offsetof(struct lx_siginfo, chld), &info.chld, 12)
               ? -EFAULT
               : 0;
}

static int wanted_set(struct wanted *w, struct task *t, int type, pid_t id, int options)
{
    *w = (struct wanted){ .task = t, .type = type, .id = id, .options = options };
    if ((type == P_PID || type == P_PGID) && id < (type == P_PID))
        return -EINVAL;
    if (type == P_PGID && id == 0) {
        LOCK_SCOPE(&kernel.tasks_lock);
        w->id = group_pgid(t->group);
    }
    if (type != P_PIDFD)
        return type == P_ALL || type == P_PID || type == P_PGID ? 0 : -EINVAL;
    if (id < 0)
        return -EINVAL;
    struct file *f = call_file(t, 0, id);
    if (IS_ERR(f))
        return PTR_ERR(f);
    w->group = pidfd_group(f);
    if (!w->group)
        return -EBADF;
    if (!pidfd_is_process(f))
        return -ECHILD;
    if (file_nonblock(f))
        w->options |= WNOHANG;
    return 0;
}

/* A pidfd that does not block answers EAGAIN where waitid would wait. */
static bool pidfd_would_block(const struct wanted *w, int options)
{
    return w->type == P_PIDFD && !(options & WNOHANG) && (w->options & WNOHANG);
}

long do_wait(struct task *t, int type, pid_t id, int options, gaddr_t status, gaddr_t info,
             gaddr_t rusage, bool waitid)
{
    struct wanted w;
    int r = wanted_set(&w, t, type, id, options);
    if (r)
        return r;
    struct found f = { 0 };
    long pid = look(&w, &f);
    if (pid < 0)
        return pid;
    if (pid == 0 && pidfd_would_block(&w, options))
        return -EAGAIN;
    if (pid && rusage && put_guest(t, rusage, &f.usage))
        return -EFAULT;
    if (pid && status && put_guest(t, status, &f.status))
        return -EFAULT;
    if (waitid) {
        if (info && write_info(t, info, &f))
            return -EFAULT;
        return 0;
    }
    return pid;
}

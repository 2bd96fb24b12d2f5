/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals and job control: controlling terminals, foreground groups, and what keys and hang-ups
 * send. session->tty, tty->session and tty->pgrp belong together and are guarded by
 * kernel.tasks_lock; session and terminal hold a reference to each other while they do.
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/task.h"

static bool controls_locked(const struct task *t, const struct tty *tty)
{
    return t->group->session && t->group->session->tty == tty;
}

static void signal_pgrp_locked(struct pid_entry *pgrp, int sig)
{
    if (pgrp)
        (void)signal_send_pgrp_locked(pgrp, sig, NULL);
}

static void set_pgrp_locked(struct tty *tty, struct pid_entry *pgrp)
{
    if (pgrp)
        pid_ref_locked(pgrp);
    if (tty->pgrp)
        pid_put_locked(tty->pgrp);
    tty->pgrp = pgrp;
}

/* Session and terminal part. The caller puts what *ret_tty, *ret_session say, without locks. */
static void part_locked(struct tty *tty, struct tty **ret_tty, struct session **ret_session)
{
    assert_locked(&kernel.tasks_lock);
    *ret_session = tty->session;
    *ret_tty = NULL;
    tty->session = NULL;
    set_pgrp_locked(tty, NULL);
    if (*ret_session && (*ret_session)->tty == tty) {
        *ret_tty = tty;
        (*ret_session)->tty = NULL;
    }
}

static void part_put(struct tty *tty, struct session *session)
{
    tty_put(tty);
    if (session)
        session_put(session);
}

struct tty *tty_controlling(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    struct session *s = t->group->session;
    return s && s->tty ? tty_ref(s->tty) : NULL;
}

uint64_t tty_session_rdev_locked(const struct session *s)
{
    return s && s->tty ? makedev(136, (unsigned)s->tty->index) : 0;
}

pid_t tty_session_pgrp_locked(const struct session *s)
{
    return s && s->tty && s->tty->pgrp ? s->tty->pgrp->nr : -1;
}

int tty_job_check(struct task *t, struct tty *tty, int sig)
{
    enum term_place where;
    int r = tty_host_where(t, tty, &where);
    if (r)
        return r;
    LOCK_SCOPE(&kernel.tasks_lock);
    struct pid_entry *own = t->group->pgrp;
    if (!controls_locked(t, tty) || !tty->pgrp)
        return 0;
    if (tty->pgrp == own && where == TERM_FOREGROUND)
        return 0;
    signal_pull_mask_locked(t);
    if ((t->blocked & SIGBIT(sig)) || t->group->sighand->action[sig - 1].handler == 1 /* SIG_IGN */)
        return sig == SIGTTIN ? -EIO : 0;
    if (pgrp_orphaned_locked(own, NULL) || where == TERM_ORPHANED)
        return -EIO;
    signal_pgrp_locked(own, sig);
    return -ERESTARTSYS;
}

void tty_signal_foreground(struct tty *tty, int sig)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    signal_pgrp_locked(tty->pgrp, sig);
}

/* ---- which terminal controls which session ---- */

static void join_locked(struct task *t, struct tty *tty)
{
    struct session *s = t->group->session;
    s->tty = tty_ref(tty);
    tty->session = session_ref(s);
    set_pgrp_locked(tty, t->group->pgrp);
}

static bool leads_session(const struct task *t)
{
    return group_sid(t->group) == t->group->pid;
}

void tty_open_controls(struct task *t, struct tty *tty, struct file *f)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    if ((f->mode & FMODE_READ) && leads_session(t) && t->group->session &&
        !t->group->session->tty && !tty->session)
        join_locked(t, tty);
}

/* for_leader: pid 1 wants it for its session, whose foreground group is t's then. */
static int set_controlling(struct task *t, struct tty *tty, bool readable, bool steal,
                           bool for_leader)
{
    bool leads = for_leader || leads_session(t);
    struct tty *old_tty = NULL;
    struct session *old_session = NULL;
    int r = 0;
    lock(&kernel.tasks_lock);
    struct session *s = t->group->session;
    if (leads && s && tty->session == s)
        goto out;
    r = -EPERM;
    if (!leads || !s || s->tty)
        goto out;
    if (tty->session && !(steal && task_capable(t, CAP_SYS_ADMIN)))
        goto out;
    if (!readable && !task_capable(t, CAP_SYS_ADMIN))
        goto out;
    if (tty->session)
        part_locked(tty, &old_tty, &old_session);
    join_locked(t, tty);
    r = 0;
out:
    unlock(&kernel.tasks_lock);
    part_put(old_tty, old_session);
    return r;
}

int tty_set_controlling(struct task *t, struct file *slave)
{
    return set_controlling(t, slave->priv, true, false, true);
}

/* TIOCNOTTY by a session's leader, or its end. Without locks. */
static int give_up(struct task *t, struct tty *only, bool at_exit)
{
    struct tty *tty = NULL;
    struct session *session = NULL;
    lock(&kernel.tasks_lock);
    struct session *s = t->group->session;
    struct tty *own = s ? s->tty : NULL;
    if (only && own != only) {
        unlock(&kernel.tasks_lock);
        return -ENOTTY;
    }
    if (own) {
        signal_pgrp_locked(own->pgrp, SIGHUP);
        if (!at_exit)
            signal_pgrp_locked(own->pgrp, SIGCONT);
        part_locked(own, &tty, &session);
    } else if (at_exit && s && s->old_pgrp) {
        signal_pgrp_locked(s->old_pgrp, SIGHUP);
        signal_pgrp_locked(s->old_pgrp, SIGCONT);
    }
    if (at_exit && s && s->old_pgrp) {
        pid_put_locked(s->old_pgrp);
        s->old_pgrp = NULL;
    }
    unlock(&kernel.tasks_lock);
    part_put(tty, session);
    return 0;
}

void tty_session_leader_exit(struct task *t)
{
    (void)give_up(t, NULL, true);
}

void tty_hangup_session(struct tty *tty)
{
    struct tty *held = NULL;
    struct session *session = NULL;
    lock(&kernel.tasks_lock);
    struct session *s = tty->session;
    if (s) {
        /* the leader is told, and tells its jobs; at its own end they are told again */
        const struct pidns *ns = pidns_find_locked(s->ns);
        struct tgroup *leader = ns ? tgroup_find_locked(ns, s->sid) : NULL;
        if (leader && !leader->zombie) {
            (void)signal_send_group_locked(leader, SIGHUP, NULL);
            (void)signal_send_group_locked(leader, SIGCONT, NULL);
            if (!s->old_pgrp && tty->pgrp)
                s->old_pgrp = pid_ref_locked(tty->pgrp);
        }
        part_locked(tty, &held, &session);
    }
    unlock(&kernel.tasks_lock);
    part_put(held, session);
}

/* ---- ioctls ---- */

static long get_pgrp(struct task *t, struct file *f, struct tty *tty, gaddr_t arg)
{
    int nr;
    lock(&kernel.tasks_lock);
    bool may = tty_is_master(f) || controls_locked(t, tty);
    nr = tty->pgrp ? tty->pgrp->nr : 0;
    if (nr && tty_host_lent(tty))
        nr = 1; /* somebody outside has the terminal: a group that is nobody's here */
    unlock(&kernel.tasks_lock);
    return may ? put_guest(t, arg, &nr) : -ENOTTY;
}

static long set_pgrp(struct task *t, struct tty *tty, gaddr_t arg)
{
    int nr;
    int r = tty_job_check(t, tty, SIGTTOU);
    if (r)
        return r == -EIO ? -ENOTTY : r;
    if (get_guest(t, &nr, arg))
        return -EFAULT;
    if (nr < 0)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (!controls_locked(t, tty) || tty->session != t->group->session)
        return -ENOTTY;
    struct pid_entry *e = pid_find_locked(t->group->pidns, nr);
    if (!e || list_empty(&e->pgrp))
        return -ESRCH;
    if (!pgrp_in_session_locked(e, group_sid(t->group)))
        return -EPERM;
    set_pgrp_locked(tty, e);
    return 0;
}

static long get_sid(struct task *t, struct file *f, struct tty *tty, gaddr_t arg)
{
    int sid = 0;
    lock(&kernel.tasks_lock);
    bool may = (tty_is_master(f) || controls_locked(t, tty)) && tty->session;
    if (may)
        sid = tty->session->sid;
    unlock(&kernel.tasks_lock);
    return may ? put_guest(t, arg, &sid) : -ENOTTY;
}

static long no_tty(struct task *t, struct tty *tty)
{
    if (leads_session(t))
        return give_up(t, tty, false);
    /* the terminal is the session's here, not each process's: only its leader can give it up */
    LOCK_SCOPE(&kernel.tasks_lock);
    return controls_locked(t, tty) ? -EPERM : -ENOTTY;
}

long tty_job_ioctl(struct task *t, struct file *f, struct tty *tty, unsigned cmd, uint64_t arg)
{
    switch (cmd) {
    case TIOCSCTTY:
        if (tty_is_master(f))
            return -EINVAL;
        return set_controlling(t, tty, f->mode & FMODE_READ, arg == 1, false);
    case TIOCNOTTY:
        return no_tty(t, tty);
    case TIOCGPGRP:
        return get_pgrp(t, f, tty, arg);
    case TIOCSPGRP:
        return set_pgrp(t, tty, arg);
    case TIOCGSID:
        return get_sid(t, f, tty, arg);
    default:
        return -ENOIOCTLCMD;
    }
}

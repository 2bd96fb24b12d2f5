/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prctl(2). An option that is not there gives EINVAL, as from a kernel built without it: KSM, core
 * scheduling, memory that stays not executable once written to (the host would have to hold us to it).
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "sentry/kernel/cred.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/capability.h"
#include "sentry/syscalls/prctl.h"
#include "sentry/syscalls/table.h"

#define LX_PR_GET_AUXV 0x41555856
#define LX_PR_SET_VMA 0x53564d41

static long set_name(struct task *t, gaddr_t arg)
{
    char name[16] = "";
    ssize_t n = copy_in_str(t, name, arg, sizeof name);

    if (n < 0 && n != -ENAMETOOLONG)
        return n;
    name[sizeof name - 1] = '\0';
    LOCK_SCOPE(&kernel.tasks_lock);
    memset(t->comm, 0, sizeof t->comm);
    memcpy(t->comm, name, strlen(name));
    return 0;
}

static long get_name(struct task *t, gaddr_t arg)
{
    char name[16];

    lock(&kernel.tasks_lock);
    memcpy(name, t->comm, sizeof name);
    unlock(&kernel.tasks_lock);
    return copy_out(t, arg, name, sizeof name);
}

static long set_no_new_privs(struct task *t)
{
    struct cred *c;

    if (t->cred->no_new_privs)
        return 0;
    c = cred_copy(t->cred);
    if (!c)
        return -ENOMEM;
    c->no_new_privs = true;
    return cred_commit(t, c);
}

static long set_pdeath(struct task *t, unsigned long sig)
{
    if (sig > LX_NSIG)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    t->pdeath_signal = (int)sig;
    return 0;
}

static long set_dumpable(struct task *t, unsigned long on)
{
    if (on > 1)
        return -EINVAL;
    LOCK_SCOPE(&kernel.tasks_lock);
    t->group->dumpable = on;
    return 0;
}

static long put_int(struct task *t, gaddr_t arg, int v)
{
    return put_guest(t, arg, &v);
}

/* An option of the host's, by the caller's own context. */
static long host_prctl(struct task *t, int option, unsigned long a2, unsigned long a3)
{
    struct as_op *op = call_scratch(t, sizeof *op);

    if (!op)
        return -ENOMEM;
    if (t->call.phase)
        return op->ret;
    t->call.phase = 1;
    *op = (struct as_op){ .kind = AS_PRCTL, .fd = -1, .a = { (uint64_t)option, a2, a3 } };
    return call_ops(t, op, 1);
}

static long set_tsc(struct task *t, unsigned long mode)
{
    long r;

    if (mode != PR_TSC_ENABLE && mode != PR_TSC_SIGSEGV)
        return -EINVAL;
    r = host_prctl(t, PR_SET_TSC, mode, 0);
    if (r == 0)
        t->no_tsc = mode == PR_TSC_SIGSEGV;
    return r;
}

static long set_io_flusher(struct task *t, unsigned long on)
{
    if (!task_capable(t, CAP_SYS_RESOURCE))
        return -EPERM;
    if (on > 1)
        return -EINVAL;
    t->io_flusher = on;
    return 0;
}

/* What happens when the hardware finds memory broken: the host's matter, and not reported inside. */
static long set_mce_kill(struct task *t, unsigned long what, unsigned long policy)
{
    if (what == PR_MCE_KILL_CLEAR && !policy) {
        t->mce_kill = 0;
        return 0;
    }
    if (what != PR_MCE_KILL_SET || policy > PR_MCE_KILL_DEFAULT)
        return -EINVAL;
    t->mce_kill = policy == PR_MCE_KILL_DEFAULT ? 0 : (uint8_t)(policy + 1);
    return 0;
}

static long set_subreaper(struct task *t, unsigned long on)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    t->group->child_subreaper = on != 0;
    return 0;
}

static long get_auxv(struct task *t, gaddr_t buf, unsigned long len)
{
    if (copy_out(t, buf, t->mm->saved_auxv, MIN(sizeof t->mm->saved_auxv, len)) < 0)
        return -EFAULT;
    return sizeof t->mm->saved_auxv;
}

/* Options whose value is a number of the caller's own. */
static long get_option(struct task *t, int option, unsigned long a2)
{
    switch (option) {
    case PR_GET_PDEATHSIG:
        return put_int(t, a2, t->pdeath_signal);
    case PR_GET_DUMPABLE:
        return t->group->dumpable;
    case PR_GET_TIMING:
        return PR_TIMING_STATISTICAL;
    case PR_GET_TSC:
        return put_int(t, a2, t->no_tsc ? PR_TSC_SIGSEGV : PR_TSC_ENABLE);
    case PR_GET_TIMERSLACK:
        return (long)task_timer_slack(t);
    case PR_GET_CHILD_SUBREAPER:
        return put_int(t, a2, t->group->child_subreaper);
    case PR_GET_TID_ADDRESS:
        return put_guest(t, a2, &t->clear_child_tid);
    default:
        return -EINVAL;
    }
}

static long set_option(struct task *t, int option, unsigned long a2)
{
    switch (option) {
    case PR_SET_PDEATHSIG:
        return set_pdeath(t, a2);
    case PR_SET_DUMPABLE:
        return set_dumpable(t, a2);
    case PR_SET_NAME:
        return set_name(t, a2);
    case PR_GET_NAME:
        return get_name(t, a2);
    case PR_SET_TIMING:
        return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
    case PR_SET_TSC:
        return set_tsc(t, a2);
    case PR_SET_TIMERSLACK:
        t->sched.slack_ns = (long)a2 <= 0 ? 0 : a2;
        return 0;
    case PR_SET_CHILD_SUBREAPER:
        return set_subreaper(t, a2);
    default:
        return get_option(t, option, a2);
    }
}

long sys_prctl(struct task *t, int option, unsigned long a2, unsigned long a3, unsigned long a4,
               unsigned long a5)
{
    switch (option) {
    case PR_SET_NO_NEW_PRIVS:
        return a2 != 1 || a3 || a4 || a5 ? -EINVAL : set_no_new_privs(t);
    case PR_GET_NO_NEW_PRIVS:
        return a2 || a3 || a4 || a5 ? -EINVAL : t->cred->no_new_privs;
    case PR_SET_THP_DISABLE: /* advice: pages are the host's */
        if (a3 || a4 || a5)
            return -EINVAL;
        lock(&t->mm->lock);
        t->mm->thp_disable = a2 != 0;
        unlock(&t->mm->lock);
        return 0;
    case PR_GET_THP_DISABLE:
        return a2 || a3 || a4 || a5 ? -EINVAL : t->mm->thp_disable;
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_GET_SECUREBITS:
    case PR_SET_SECUREBITS:
    case PR_GET_KEEPCAPS:
    case PR_SET_KEEPCAPS:
    case PR_CAP_AMBIENT:
        return cap_prctl(t, option, a2, a3, a4, a5);
    case PR_GET_SPECULATION_CTRL:
        return a3 || a4 || a5 ? -EINVAL : host_prctl(t, option, a2, 0);
    case PR_SET_SPECULATION_CTRL:
        return a4 || a5 ? -EINVAL : host_prctl(t, option, a2, a3);
    case PR_SET_IO_FLUSHER:
        return a3 || a4 || a5 ? -EINVAL : set_io_flusher(t, a2);
    case PR_GET_IO_FLUSHER:
        if (!task_capable(t, CAP_SYS_RESOURCE))
            return -EPERM;
        return a2 || a3 || a4 || a5 ? -EINVAL : t->io_flusher;
    case PR_MCE_KILL:
        return a4 || a5 ? -EINVAL : set_mce_kill(t, a2, a3);
    case PR_MCE_KILL_GET:
        if (a2 || a3 || a4 || a5)
            return -EINVAL;
        return t->mce_kill ? t->mce_kill - 1 : PR_MCE_KILL_DEFAULT;
    case PR_SET_MM:
        return prctl_set_mm(t, a2, a3, a4, a5);
    case LX_PR_SET_VMA:
        return prctl_set_vma(t, a2, a3, a4, a5);
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
        return 0; /* there are none */
    case LX_PR_GET_AUXV:
        return a4 || a5 ? -EINVAL : get_auxv(t, a2, a3);
    default:
        return set_option(t, option, a2);
    }
}

long sys_personality(struct task *t, unsigned persona)
{
    long old;

    LOCK_SCOPE(&kernel.tasks_lock);
    old = (long)t->personality;
    if (persona != 0xffffffffu)
        t->personality = persona;
    return old;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery: on the way back to guest code signals are taken one by one until one ends or stops the
 * task or none is left; each that has a handler gets a frame, the last one's handler runs first.
 *
 * Here, and only here, the four restart kinds are decided: with a handler before its frame is made,
 * without one at the end. What is decided is written to rax and rip, and to t->ret, so that a
 * second look finds a finished call.
 */
#include <errno.h>
#include <string.h>

#include "sentry/kernel/core.h"
#include "sentry/kernel/jobctl.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/sigset.h"
#include "sentry/strace/strace.h"
#include "sentry/strace/strace.h"

#define NR_RESTART_SYSCALL 219

/* ---- restart ---- */

static void call_result(struct task *t, struct regs *r, long ret)
{
    r->rax = (uint64_t)ret;
    t->ret = ret;
}

static void call_again(struct task *t, struct regs *r, uint64_t nr)
{
    call_result(t, r, (long)nr);
    r->rip -= 2; /* the syscall instruction */
}

/* sa: of the handler that will run; NULL: none. */
static void decide_restart(struct task *t, const struct lx_sigaction *sa)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);
    if (!t->in_call || (int64_t)r->orig_rax < 0)
        return;
    switch (-(int64_t)r->rax) {
    case ERESTARTNOINTR:
        call_again(t, r, r->orig_rax);
        break;
    case ERESTARTSYS:
        if (sa && !(sa->flags & LX_SA_RESTART))
            call_result(t, r, -EINTR);
        else
            call_again(t, r, r->orig_rax);
        break;
    case ERESTARTNOHAND:
        if (sa)
            call_result(t, r, -EINTR);
        else
            call_again(t, r, r->orig_rax);
        break;
    case ERESTART_RESTARTBLOCK:
        if (sa)
            call_result(t, r, -EINTR);
        else
            call_again(t, r, NR_RESTART_SYSCALL);
        break;
    }
}

/* ---- masks ---- */

/* The mask of ppoll and its like ends with the call, unless a signal that it let in ends the call. */
static void restore_mask_locked(struct task *t)
{
    if (!t->restore_blocked)
        return;
    t->restore_blocked = false;
    signal_set_blocked_locked(t, t->saved_blocked);
}

static bool interrupted(const struct task *t)
{
    return t->in_call &&
           (t->ret == -EINTR || (t->ret <= -ERESTARTSYS && t->ret >= -ERESTART_RESTARTBLOCK));
}

/* ---- taking ---- */

enum verdict { NONE, HANDLE, STOPPED, ENDED };

/*
 * The next signal that has a handler, with its action; everything before it is done by default.
 * STOPPED: the record is queued. ENDED: the process is on its way out.
 */
static enum verdict take_locked(struct task *t, struct lx_siginfo *info, struct lx_sigaction *ret)
{
    struct tgroup *g = t->group;
    for (;;) {
        if (atomic_load(&t->fatal))
            return ENDED;
        if (jobctl_stop_locked(t) == -EWAITING)
            return STOPPED;
        if (atomic_load(&t->fatal))
            return ENDED;
        int sig = signal_dequeue_locked(t, ~t->blocked, info);
        if (!sig)
            return NONE;
        struct lx_sigaction *sa = &g->sighand->action[sig - 1];
        if (sa->handler == LX_SIG_IGN)
            continue;
        if (sa->handler != LX_SIG_DFL) {
            *ret = *sa;
            if (sa->flags & LX_SA_RESETHAND)
                sa->handler = LX_SIG_DFL;
            return HANDLE;
        }
        sigset64 bit = SIGBIT(sig);
        if ((bit & SIG_IGNORED) || (g->unkillable && !(bit & SIG_UNBLOCKABLE)))
            continue;
        if (!(bit & SIG_STOPS)) {
            if (bit & SIG_CORES)
                core_begin_locked(t, info);
            group_kill_locked(g, sig);
        } else if (sig == SIGSTOP || !g->pgrp || !pgrp_orphaned_locked(g->pgrp, NULL))
            group_stop_locked(g, sig);
    }
}

/* The frame is up: the handler's mask, and no restored mask behind its back (it is in the frame). */
static void entered_handler(struct task *t, int sig, const struct lx_sigaction *sa)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    t->restore_blocked = false;
    sigset64 set = t->blocked | sa->mask;
    if (!(sa->flags & LX_SA_NODEFER))
        set |= SIGBIT(sig);
    signal_set_blocked_locked(t, set);
    if ((uint32_t)t->altstack.flags & (1u << 31) /* SS_AUTODISARM */)
        t->altstack = (struct lx_sigaltstack){ .flags = SS_DISABLE };
}

static void frame_failed(struct task *t, int sig)
{
    if (sig == SIGSEGV) {
        lock(&kernel.tasks_lock);
        t->group->sighand->action[SIGSEGV - 1].handler = LX_SIG_DFL;
        unlock(&kernel.tasks_lock);
    }
    signal_force_lost(t);
}

static int leave_by_signal(struct task *t)
{
    lock(&kernel.tasks_lock);
    int code = t->group->exiting ? t->group->exit_code : SIGKILL;
    unlock(&kernel.tasks_lock);
    return (int)do_exit(t, code);
}

int signal_deliver(struct task *t)
{
    if (atomic_load(&t->leaving))
        return (int)do_exit(t, t->exit_code);
    for (;;) {
        struct lx_siginfo info = { .signo = 0 };
        struct lx_sigaction sa;
        lock(&kernel.tasks_lock);
        signal_pull_mask_locked(t);
        if (!interrupted(t))
            restore_mask_locked(t);
        enum verdict v = take_locked(t, &info, &sa);
        if (v == NONE) {
            restore_mask_locked(t);
            signal_recalc_locked(t);
            decide_restart(t, NULL);
        }
        bool again = v == NONE && atomic_load(&t->sigpending);
        unlock(&kernel.tasks_lock);
        if (kernel.strace && v != NONE && info.signo)
            strace_signal(t, info.signo, &info);
        if (v == ENDED)
            return leave_by_signal(t);
        if (v == STOPPED)
            return -EWAITING;
        if (again && kernel.platform->ctx_is_light(t->ctx))
            return 0; /* task_return looks again, and fetches the frame first */
        if (again)
            continue; /* the restored mask let one in */
        if (v == NONE)
            return 0;
        decide_restart(t, &sa);
        if (signal_setup_frame(t, info.signo, &info, &sa) == 0) {
            entered_handler(t, info.signo, &sa);
            t->ret = (long)kernel.platform->ctx_regs(t->ctx)->rax;
        } else {
            frame_failed(t, info.signo);
        }
    }
}

void signal_fault(struct task *t, const struct fault *f)
{
    struct lx_siginfo info = { .signo = f->signo, .code = f->code };
    info.fault.addr = f->addr;
    t->last_fault.trapno = f->trapno;
    t->last_fault.err = f->err;
    t->last_fault.cr2 = f->cr2;
    signal_force(t, f->signo, &info);
}

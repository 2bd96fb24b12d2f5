/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stops a running stub, and how it is resumed; on the tracer.
 *
 * With a filter a stub runs freely, and its calls other than the native ones stop it in the filter.
 * Without one it runs by PTRACE_SYSEMU: each call stops it and is never carried out. A native one,
 * by the same filter's rules, is then made to be executed once more under PTRACE_SYSCALL, where it
 * stops again, is looked at again (it is another thread's memory, too), and let through.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/types.h"
#include "abi/unfenced.h"
#include "platform/ptrace/ptrace.h"

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define VSYSCALL_PAGE 0xffffffffff600000ull
/* ---- to the guest ---- */

static void kill_stub(struct stub *s)
{
    pthread_mutex_lock(&pt.lock);
    pt_kill_locked(s);
    pthread_mutex_unlock(&pt.lock);
}

static void go(struct ctx *c, int sig)
{
    long how = pt.filtered ? PTRACE_CONT : c->again ? PTRACE_SYSCALL : PTRACE_SYSEMU;

    atomic_store(&c->state, PT_RUNNING);
    pt_ptrace(how, c->tid, 0, (uint64_t)sig); /* ESRCH: killed; its end will be told */
}

void pt_resume_now(struct ctx *c)
{
    if (atomic_load(&c->gone)) /* its number may be another's */
        return;
    pt_run_deferred(c);
    if (c->over)
        return;
    if ((c->fpu_dirty && pt_fpu_put(c) == -EINVAL) || pt_regs_put(c) == -EIO) {
        kill_stub(c->stub);
        return;
    }
    c->whole = false;
    if (c->kicked) {
        c->kicked = false;
        syscall(SYS_tgkill, c->stub->pid, c->tid, SIG_KICK);
    }
    go(c, 0);
}

/* Its thread ends, with a call as in inject.c. */
void pt_leave(struct ctx *c)
{
    struct user_regs_struct r = c->raw;

    r.rip = pt.call_at;
    r.rax = SYS_exit;
    r.orig_rax = (uint64_t)-1;
    r.rdi = 0;
    r.eflags = PT_STEP_FLAGS;
    atomic_store(&c->state, PT_LEAVING);
    pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r);
    pt_ptrace(pt.filtered ? PTRACE_CONT : PTRACE_SYSCALL, c->tid, 0, 0);
}

/* It is stopped on the way there, or was led off it. */
static void on_leaving(struct ctx *c, int status)
{
    int event = status >> 16, sig = WSTOPSIG(status);
    struct user_regs_struct r;

    if (event == PTRACE_EVENT_SECCOMP || (event == 0 && sig == (SIGTRAP | 0x80))) {
        if (pt_ptrace(PTRACE_GETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r) < 0)
            return;
        if (r.rip == pt.call_at + 2 && r.orig_rax == SYS_exit)
            pt_ptrace(PTRACE_CONT, c->tid, 0, 0);
        else if (!event && r.rip == pt.call_at && r.orig_rax == (uint64_t)-1)
            pt_ptrace(PTRACE_SYSCALL, c->tid, 0, 0);
        else
            kill_stub(c->stub);
    } else if (event == PTRACE_EVENT_STOP || sig == SIG_KICK) {
        pt_ptrace(pt.filtered ? PTRACE_CONT : PTRACE_SYSCALL, c->tid, 0, 0);
    } else {
        kill_stub(c->stub);
    }
}

/* ---- stops ---- */

static void held(struct ctx *c, enum platform_event ev)
{
    atomic_store(&c->state, PT_HELD);
    pt_deliver(c, ev);
}

/*
 * A call from the vsyscall page: the host is emulating it, and forbids that rip be changed. It is
 * skipped, the host returns for it, and there c is stopped again: then it is told.
 */
static void leave_vsyscall(struct ctx *c)
{
    struct user_regs_struct r = c->raw;

    pt_regs_call(c);
    c->vsyscall = true;
    r.orig_rax = (uint64_t)-1;
    pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r);
    pt_ptrace(PTRACE_INTERRUPT, c->tid, 0, 0);
    pt_ptrace(PTRACE_CONT, c->tid, 0, 0);
}

static void left_vsyscall(struct ctx *c)
{
    uint64_t nr = c->regs.orig_rax;

    c->vsyscall = false;
    if (pt_regs_take(c) < 0)
        return;
    c->raw.orig_rax = nr;
    pt_regs_call(c);
    held(c, EV_SYSCALL);
}

static void on_call(struct ctx *c)
{
    if (unfenced("stubfilter") && c->raw.rip - stubs.slot < BLOB_MAX) {
        go(c, 0);
        return;
    }
    if (!pt_is_native(c)) { /* as on a host that has only 64-bit calls */
        c->raw.rax = c->raw.orig_rax;
        c->raw.orig_rax = (uint64_t)-1;
        c->raw.rip -= 2;
        pt_regs_kick(c);
        c->fault = (struct fault){
            .signo = SIGSEGV, .code = SI_KERNEL, .trapno = 13, .err = 0x402
        };
        atomic_fetch_add_explicit(&pt.st.faults, 1, memory_order_relaxed);
        held(c, EV_FAULT);
        return;
    }
    pt_regs_call(c);
    held(c, EV_SYSCALL);
}

bool pt_passes(const struct user_regs_struct *r)
{
    const struct seccomp_data d = { .nr = (int)r->orig_rax,
                                    .arch = AUDIT_ARCH_X86_64,
                                    .instruction_pointer = r->rip,
                                    .args = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 } };

    return bpf_run(&pt.filter, &d) == SECCOMP_RET_ALLOW;
}

/* A call where there is no filter. */
static void on_unfiltered(struct ctx *c)
{
    bool executes = c->again == AGAIN_ENTRY;

    if (c->again == AGAIN_END) {
        c->again = AGAIN_ENTRY;
        go(c, 0);
        return;
    }
    c->again = AGAIN_NOT;
    if (!pt_is_native(c) || !pt_passes(&c->raw)) {
        on_call(c);
    } else if (executes) { /* it goes on into the host */
        go(c, 0);
    } else {
        c->raw.rip -= 2;
        c->raw.rax = c->raw.orig_rax;
        c->raw.orig_rax = (uint64_t)-1;
        pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&c->raw);
        c->again = AGAIN_END;
        go(c, 0);
    }
}

static void on_signal(struct ctx *c, int sig)
{
    c->again = AGAIN_NOT;
    switch (sig) {
    case SIG_KICK:
        if (pt_regs_take(c) < 0)
            return;
        pt_regs_kick(c);
        held(c, EV_KICK);
        return;
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        switch (pt_fault_take(c, sig)) {
        case 0:
            atomic_fetch_add_explicit(&pt.st.faults, 1, memory_order_relaxed);
            held(c, EV_FAULT);
            return;
        case -ENOENT:
            sig = SIGKILL; /* it would end it; these two have a handler (pt_signal_frame) */
            break;
        default:
            return;
        }
        break;
    default:
        break;
    }
    go(c, sig); /* somebody on the host has sent it: it does what it does to a process */
}

static bool is_stop(int sig)
{
    return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void on_running(struct ctx *c, int status)
{
    int sig = WSTOPSIG(status), event = status >> 16;

    atomic_fetch_add_explicit(&pt.st.stops, 1, memory_order_relaxed);
    if (event == PTRACE_EVENT_STOP && is_stop(sig)) {
        pt_ptrace(PTRACE_LISTEN, c->tid, 0, 0); /* stopped by the host, until that continues it */
    } else if (event == PTRACE_EVENT_STOP) {
        if (c->vsyscall)
            left_vsyscall(c);
        else
            go(c, 0);
    } else if (event == PTRACE_EVENT_SECCOMP || (event == 0 && sig == (SIGTRAP | 0x80))) {
        if (pt_regs_take(c) < 0)
            return;
        if (event && (c->raw.rip & ~0xfffull) == VSYSCALL_PAGE)
            leave_vsyscall(c);
        else if (event)
            on_call(c);
        else
            on_unfiltered(c);
    } else if (event == 0) {
        on_signal(c, sig);
    } else {
        go(c, 0);
    }
}

void pt_on_stop(struct ctx *c, int status)
{
    if (atomic_load(&c->state) == PT_RUNNING)
        on_running(c, status);
    else if (atomic_load(&c->state) == PT_LEAVING)
        on_leaving(c, status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer: the one thread that is attached to the stubs. It takes what is wanted of it, then
 * waits for a stop, tells its client, and begins again. The client's handlers run on it, and resume
 * their contexts at once; only other threads need the queue, and a nudge.
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
#include "platform/ptrace/ptrace.h"

#ifndef PTRACE_SYSEMU
#define PTRACE_SYSEMU 31
#endif
#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define VSYSCALL_PAGE 0xffffffffff600000ull
#define TRACER_STACK (1024 * 1024)

static _Thread_local bool is_tracer;

bool pt_is_tracer(void)
{
    return is_tracer;
}

/* ---- what others want of it ---- */

static void nudge(bool waits)
{
    if (waits && !is_tracer)
        pthread_kill(pt.tracer, SIG_NUDGE);
}

void pt_want(struct ctx *c, enum want w)
{
    bool waits, gone;

    pthread_mutex_lock(&pt.lock);
    gone = atomic_load(&c->gone);
    if (!gone) {
        pt_ctx_get(c);
        c->want = w;
        tlist_del(&c->want_link);
        tlist_add(&pt.wanted, &c->want_link);
    }
    waits = pt.waiting && !gone;
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
}

void pt_errand(void (*run)(void *arg), void *arg)
{
    struct errand e = { .run = run, .arg = arg };
    bool waits;

    if (is_tracer) {
        run(arg);
        return;
    }
    pthread_mutex_lock(&pt.lock);
    tlist_add(&pt.errands, &e.link);
    waits = pt.waiting;
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
    pthread_mutex_lock(&pt.lock);
    while (!e.done && !(atomic_load(&pt.stopping) && !tlist_empty(&e.link)))
        pthread_cond_wait(&pt.cond, &pt.lock);
    tlist_del(&e.link); /* where nobody will run it any more */
    pthread_mutex_unlock(&pt.lock);
}

/* To all of its threads: the host forgets a signal that ends all when it meets one that is ending. */
static void kill_threads_locked(struct stub *s)
{
    for (struct tlist *n = s->ctxs.next; n != &s->ctxs; n = n->next)
        syscall(SYS_tgkill, s->pid, tlist_entry(n, struct ctx, stub_link)->tid, SIGKILL);
}

/* By the tracer, which alone knows that the number is still that process's. */
void pt_kill_locked(struct stub *s)
{
    if (is_tracer) {
        kill_threads_locked(s);
    } else if (tlist_empty(&s->kill_link)) {
        tlist_add(&pt.kills, &s->kill_link);
        nudge(pt.waiting);
    }
}

void pt_deliver(struct ctx *c, enum platform_event ev)
{
    void *owner = NULL;

    pthread_mutex_lock(&pt.lock);
    if (!atomic_load(&c->gone) && c->owner) {
        owner = c->owner;
        pt.client->owner_ref(owner);
    }
    pthread_mutex_unlock(&pt.lock);
    if (!owner)
        return;
    pt.client->event(owner, c, ev);
    pt.client->owner_put(owner);
}

/* ---- to the guest ---- */

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
        pthread_mutex_lock(&pt.lock);
        kill_threads_locked(c->stub);
        pthread_mutex_unlock(&pt.lock);
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
static void leave(struct ctx *c)
{
    struct user_regs_struct r = c->raw;

    r.rip = pt.call_at;
    r.rax = SYS_exit;
    r.orig_rax = (uint64_t)-1;
    r.rdi = 0;
    r.eflags = 0x202;
    atomic_store(&c->state, PT_LEAVING);
    pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)&r);
    pt_ptrace(pt.filtered ? PTRACE_CONT : PTRACE_SYSCALL, c->tid, 0, 0);
}

static void kill_stub(struct stub *s)
{
    pthread_mutex_lock(&pt.lock);
    kill_threads_locked(s);
    pthread_mutex_unlock(&pt.lock);
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

static void zygote_over(void)
{
    pt_unhash(pt.zygote);
    pt.zygote->over = true;
    if (!atomic_load(&pt.stopping) && pt.client->lost)
        pt.client->lost("zygote");
}

static void on_status(struct ctx *c, int status)
{
    bool over = WIFEXITED(status) || WIFSIGNALED(status);

    if (c == pt.zygote) {
        if (over)
            zygote_over();
        return;
    }
    if (over) {
        pt_ctx_over(c);
        return;
    }
    pt_ctx_get(c);
    if (atomic_load(&c->state) == PT_RUNNING)
        on_running(c, status);
    else if (atomic_load(&c->state) == PT_LEAVING)
        on_leaving(c, status);
    pt_ctx_drop(c);
}

/* ---- the loop ---- */

static void do_want(struct ctx *c, enum want w)
{
    switch (w) {
    case WANT_RESUME:
        pt_resume_now(c);
        break;
    case WANT_OPS:
        pt_run_ops(c);
        break;
    case WANT_FPU:
        if (pt_fpu_fetch(c) == 0)
            pt_deliver(c, EV_OPS);
        break;
    case WANT_EXIT:
        leave(c);
        break;
    default:
        break;
    }
}

static struct ctx *next_wanted(enum want *ret)
{
    struct ctx *c = NULL;

    pthread_mutex_lock(&pt.lock);
    while (!tlist_empty(&pt.kills)) {
        struct stub *s = tlist_entry(pt.kills.next, struct stub, kill_link);

        tlist_del(&s->kill_link);
        kill_threads_locked(s);
    }
    if (!tlist_empty(&pt.wanted)) {
        c = tlist_entry(pt.wanted.next, struct ctx, want_link);
        tlist_del(&c->want_link);
        *ret = c->want;
        c->busy = c->want == WANT_OPS;
        c->want = WANT_NOTHING;
    }
    pthread_mutex_unlock(&pt.lock);
    return c;
}

static void run_errands(void)
{
    pthread_mutex_lock(&pt.lock);
    while (!tlist_empty(&pt.errands)) {
        struct errand *e = tlist_entry(pt.errands.next, struct errand, link);

        tlist_del(&e->link);
        pthread_mutex_unlock(&pt.lock);
        e->run(e->arg);
        pthread_mutex_lock(&pt.lock);
        e->done = true;
        pthread_cond_broadcast(&pt.cond);
    }
    pthread_mutex_unlock(&pt.lock);
}

/* What is wanted, and what has been put aside on the way. */
static void run_queue(void)
{
    struct ctx *c;
    enum want w = WANT_NOTHING;
    int status;

    for (;;) {
        run_errands();
        if ((c = next_wanted(&w))) {
            do_want(c, w);
            pt.client->drain();
            pt_ctx_drop(c);
        } else if ((c = pt_unstash(&status))) {
            on_status(c, status);
            pt.client->drain();
        } else {
            break;
        }
    }
    pt_forget_new();
}

/* False: something is wanted already. */
static bool may_wait(void)
{
    bool may;

    pthread_mutex_lock(&pt.lock);
    may = tlist_empty(&pt.wanted) && tlist_empty(&pt.errands) && tlist_empty(&pt.kills) &&
          !atomic_load(&pt.stopping);
    pt.waiting = may;
    pthread_mutex_unlock(&pt.lock);
    return may;
}

static void wait_and_tell(void)
{
    int status;
    pid_t tid = pt_wait(&status, true);

    pthread_mutex_lock(&pt.lock);
    pt.waiting = false;
    pthread_mutex_unlock(&pt.lock);
    if (tid == -ECHILD) { /* nothing is left that could stop */
        pthread_mutex_lock(&pt.lock);
        while (!atomic_load(&pt.stopping) && tlist_empty(&pt.errands))
            pthread_cond_wait(&pt.cond, &pt.lock);
        pthread_mutex_unlock(&pt.lock);
    }
    if (tid > 0) {
        struct ctx *c = pt_by_tid(tid);

        if (c)
            on_status(c, status);
        else
            pt_put_aside(tid, status);
        pt.client->drain();
    }
}

struct starting {
    int r;
    bool done;
};

static void *tracer_main(void *arg)
{
    struct starting *st = arg;
    int r;

    is_tracer = true;
    if (pt.client->worker_start)
        pt.client->worker_start();
    r = pt_take_zygote();
    pthread_mutex_lock(&pt.lock);
    st->r = r;
    st->done = true;
    pthread_cond_broadcast(&pt.cond);
    pthread_mutex_unlock(&pt.lock);
    while (r == 0 && !atomic_load(&pt.stopping)) {
        run_queue();
        if (may_wait())
            wait_and_tell();
    }
    return NULL;
}

int pt_tracer_start(void)
{
    struct starting st = { 0 };
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, TRACER_STACK);
    r = -pthread_create(&pt.tracer, &attr, tracer_main, &st);
    if (r < 0)
        return r;
    pthread_mutex_lock(&pt.lock);
    while (!st.done)
        pthread_cond_wait(&pt.cond, &pt.lock);
    pthread_mutex_unlock(&pt.lock);
    return st.r;
}

void pt_tracer_stop(void)
{
    bool waits;

    pthread_mutex_lock(&pt.lock);
    atomic_store(&pt.stopping, true);
    waits = pt.waiting;
    pthread_cond_broadcast(&pt.cond);
    pthread_mutex_unlock(&pt.lock);
    nudge(waits);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of stopped threads, faults, and the FPU image. c->raw is what the host has told at the
 * stop of guest code; segments and bases live there only. The image is fetched when it is asked for.
 */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "abi/types.h"
#include "platform/ptrace/ptrace.h"

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#define FPU_MAX 16384
#define XSAVE_HEADER 512
#define FP_SW_OFF 464u /* the host tells the features here */

/* What a call that a signal has interrupted returns inside the host. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

int pt_regs_take(struct ctx *c)
{
    return (int)pt_ptrace(PTRACE_GETREGS, c->tid, 0, (uint64_t)(uintptr_t)&c->raw);
}

int pt_regs_put(struct ctx *c)
{
    struct user_regs_struct *u = &c->raw;
    const struct regs *r = &c->regs;

    u->r15 = r->r15, u->r14 = r->r14, u->r13 = r->r13, u->r12 = r->r12, u->rbp = r->rbp;
    u->rbx = r->rbx, u->r11 = r->r11, u->r10 = r->r10, u->r9 = r->r9, u->r8 = r->r8;
    u->rax = r->rax, u->rcx = r->rcx, u->rdx = r->rdx, u->rsi = r->rsi, u->rdi = r->rdi;
    u->rip = r->rip, u->eflags = r->rflags, u->rsp = r->rsp;
    u->orig_rax = (uint64_t)-1; /* the host is not to carry out, nor to restart, any call */
    return (int)pt_ptrace(PTRACE_SETREGS, c->tid, 0, (uint64_t)(uintptr_t)u);
}

static void regs_from(struct regs *r, const struct user_regs_struct *u)
{
    *r = (struct regs){ .r15 = u->r15,
                        .r14 = u->r14,
                        .r13 = u->r13,
                        .r12 = u->r12,
                        .rbp = u->rbp,
                        .rbx = u->rbx,
                        .r11 = u->r11,
                        .r10 = u->r10,
                        .r9 = u->r9,
                        .r8 = u->r8,
                        .rax = u->rax,
                        .rcx = u->rcx,
                        .rdx = u->rdx,
                        .rsi = u->rsi,
                        .rdi = u->rdi,
                        .orig_rax = (uint64_t)-1,
                        .rip = u->rip,
                        .rflags = u->eflags,
                        .rsp = u->rsp };
}

void pt_regs_call(struct ctx *c)
{
    regs_from(&c->regs, &c->raw);
    c->regs.rax = c->raw.orig_rax;
    c->regs.orig_rax = (uint32_t)c->raw.orig_rax;
}

/*
 * `syscall` leaves rip and the flags in rcx and r11. A guest can make an older way of calling look so:
 * then its call is taken for what it looks like. Where it does not look so the host is asked, for some
 * cpus do not leave them.
 */
bool pt_is_native(struct ctx *c)
{
    struct {
        uint8_t op, pad[3];
        uint32_t arch;
        uint64_t more[14];
    } info = { 0 };

    if (c->raw.cs == pt.zygote->raw.cs && c->raw.rcx == c->raw.rip && c->raw.r11 == c->raw.eflags)
        return true;
    if (pt_ptrace(0x420e /* PTRACE_GET_SYSCALL_INFO, Linux 5.3 */, c->tid, sizeof info,
                  (uint64_t)(uintptr_t)&info) < 0)
        return false;
    return info.arch == AUDIT_ARCH_X86_64;
}

/* ---- restartable sequences ---- */

/*
 * A signal that meets a thread inside one takes it to the abort handler, where the host delivers it.
 * Here the sentry may: so this is done for any stop outside of a call.
 */
static void leave_rseq(struct ctx *c)
{
    uint64_t area = atomic_load(&c->words[CW_RSEQ]), cs, none = 0;
    struct {
        uint32_t version, flags;
        uint64_t start, length, abort;
    } d;
    struct stub_memory *mem = &c->stub->as->mem;
    uint32_t sig;

    if (!area || stub_read(mem, area + 8, &cs, sizeof cs) != sizeof cs || !cs ||
        stub_read(mem, cs, &d, sizeof d) != sizeof d || c->raw.rip - d.start >= d.length ||
        stub_read(mem, d.abort - 4, &sig, sizeof sig) != sizeof sig ||
        sig != (uint32_t)atomic_load(&c->words[CW_RSEQ_SIG]))
        return;
    if (stub_write(mem, area + 8, &none, sizeof none, false) == sizeof none)
        c->raw.rip = d.abort;
}

/*
 * A native call that the signal has interrupted: as the host sets the registers for a handler with
 * SA_RESTART.
 */
void pt_regs_kick(struct ctx *c)
{
    if ((int64_t)c->raw.orig_rax >= 0) {
        switch (-(int64_t)c->raw.rax) {
        case ERESTARTSYS:
        case ERESTARTNOINTR:
            c->raw.rax = c->raw.orig_rax;
            c->raw.rip -= 2;
            break;
        case ERESTARTNOHAND:
        case ERESTART_RESTARTBLOCK:
            c->raw.rax = (uint64_t)-EINTR;
            break;
        default:
            break;
        }
    }
    leave_rseq(c);
    regs_from(&c->regs, &c->raw);
}

/* ---- faults ---- */

static uint64_t trap_number(int sig, int code)
{
    switch (sig) {
    case SIGFPE:
        return code == FPE_INTDIV ? 0 : code == FPE_INTOVF ? 4 : 19;
    case SIGILL:
        return 6;
    case SIGTRAP:
        return code == SI_KERNEL ? 3 : 1;
    case SIGBUS:
        return code == BUS_ADRALN ? 17 : 14;
    default:
        return code == SI_KERNEL ? 13 : 14;
    }
}

/*
 * The host tells error code and cr2 in a signal frame only, not to a tracer: so it is made to write one,
 * into our own pages, and the FPU, which it clears for a handler, is written back. What other threads
 * of the guest may have put there meanwhile is their own affair.
 */
static int read_frame(struct ctx *c, int sig)
{
    enum {
        ERR = 8 + 40 + 8 * 19
    };                             /* behind the return address, in the registers of the ucontext */
    uint64_t at = 0, w[4] = { 0 }; /* err, trapno, oldmask, cr2 */
    int r = pt_fpu_fetch(c);

    if (r == 0)
        r = pt_signal_frame(c, sig, SCRATCH + SCRATCH_SIZE, &at);
    c->fpu_dirty = c->whole;
    for (unsigned i = 0; i < ARRAY_SIZE(w) && r == 0; i++)
        r = (int)pt_ptrace(PTRACE_PEEKDATA, c->tid, at + ERR + 8 * i, (uint64_t)(uintptr_t)&w[i]);
    if (r == 0)
        c->fault.err = w[0], c->fault.trapno = w[1], c->fault.cr2 = w[3];
    return r == -ESRCH ? r : 0;
}

/* The signal stop of guest code that sig has met. -ENOENT: it is none of its own faults. */
int pt_fault_take(struct ctx *c, int sig)
{
    siginfo_t info;

    if (pt_ptrace(PTRACE_GETSIGINFO, c->tid, 0, (uint64_t)(uintptr_t)&info) < 0 ||
        pt_regs_take(c) < 0)
        return -ESRCH;
    if (info.si_code <= 0)
        return -ENOENT;
    c->fault = (struct fault){ .signo = sig,
                               .code = info.si_code,
                               .addr = (uint64_t)(uintptr_t)info.si_addr,
                               .trapno = trap_number(sig, info.si_code) };
    pt_regs_kick(c); /* first: the host would leave a restartable sequence, too, in the frame */
    if ((sig == SIGSEGV || sig == SIGBUS) && pt.fpu_size <= SCRATCH_SIZE - 2048 &&
        read_frame(c, sig) < 0)
        return -ESRCH;
    return 0;
}

/* ---- the FPU ---- */

static int fpu_move(pid_t tid, long request, void *buf, size_t *n)
{
    struct iovec iov = { buf, *n };
    long r = pt_ptrace(request, tid, NT_X86_XSTATE, (uint64_t)(uintptr_t)&iov);

    *n = iov.iov_len;
    return (int)r;
}

int pt_fpu_learn(struct ctx *zygote)
{
    size_t n = FPU_MAX;
    uint8_t *buf = calloc(1, n);
    int r = buf ? fpu_move(zygote->tid, PTRACE_GETREGSET, buf, &n) : -ENOMEM;

    if (r == 0 && n >= XSAVE_HEADER + 64) {
        pt.fpu_size = n;
        memcpy(&pt.fpu_features, buf + FP_SW_OFF, 8);
        memcpy(&pt.mxcsr_mask, buf + 28, 4);
        if (!pt.mxcsr_mask)
            pt.mxcsr_mask = 0xffbf;
    } else if (r == 0) {
        r = -ENOSYS;
    }
    free(buf);
    return r;
}

int pt_fpu_fetch(struct ctx *c)
{
    size_t n = pt.fpu_size;
    int r;

    if (!c->fpu)
        c->fpu = malloc(n);
    if (!c->fpu)
        return -ENOMEM;
    r = fpu_move(c->tid, PTRACE_GETREGSET, c->fpu, &n);
    c->whole = r == 0;
    return r;
}

int pt_fpu_put(struct ctx *c)
{
    size_t n = pt.fpu_size;

    c->fpu_dirty = false;
    return fpu_move(c->tid, PTRACE_SETREGSET, c->fpu, &n);
}

int pt_fpu_blank(struct ctx *c)
{
    pt_fpu_reset(c);
    return c->fpu ? pt_fpu_put(c) : -ENOMEM;
}

size_t pt_fpu_size(struct ctx *c)
{
    (void)c;
    return pt.fpu_size;
}

int pt_fpu_get(struct ctx *c, void *buf, size_t n)
{
    if (!c->whole || n > pt.fpu_size)
        return -EINVAL;
    memcpy(buf, c->fpu, n);
    return 0;
}

/* An image that owes nothing to the one before. */
static uint8_t *fpu_clear(struct ctx *c)
{
    if (!c->fpu)
        c->fpu = malloc(pt.fpu_size);
    if (c->fpu) {
        memset(c->fpu, 0, pt.fpu_size);
        memcpy(c->fpu + 28, &pt.mxcsr_mask, 4);
        c->whole = c->fpu_dirty = true;
    }
    return c->fpu;
}

int pt_fpu_set(struct ctx *c, const void *buf, size_t n)
{
    uint32_t mxcsr;
    uint64_t features;
    uint8_t *at;

    if (n > pt.fpu_size || n < XSAVE_HEADER)
        return -EINVAL;
    at = fpu_clear(c);
    if (!at)
        return -ENOMEM;
    memcpy(at, buf, n);
    memcpy(&mxcsr, at + 24, 4);
    mxcsr &= pt.mxcsr_mask; /* the host refuses an image with what it does not know */
    memcpy(at + 24, &mxcsr, 4);
    memcpy(at + 28, &pt.mxcsr_mask, 4);
    memcpy(&features, at + XSAVE_HEADER, 8);
    features &= pt.fpu_features;
    memset(at + XSAVE_HEADER, 0, 64);
    memcpy(at + XSAVE_HEADER, &features, 8);
    return 0;
}

/* The header says: no component is in use. Without memory for it the old image stays. */
void pt_fpu_reset(struct ctx *c)
{
    static const uint16_t fcw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;
    uint8_t *at = fpu_clear(c);

    if (!at)
        return;
    memcpy(at, &fcw, sizeof fcw);
    memcpy(at + 24, &mxcsr, sizeof mxcsr);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signal frame on a guest's stack, exactly as Linux lays it out on x86-64 (abi/sigframe.h), and
 * its way back through rt_sigreturn. What comes back is the guest's own: registers are restricted
 * to what a program could set itself, and the extended state is checked before the platform
 * gets it.
 */
#include <errno.h>
#include <string.h>

#include "abi/sigframe.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/altstack.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/sigset.h"
#include "sentry/mm/copy.h"
#include "sentry/mm/mm.h"

#define REDZONE 128
#define USER_CS 0x33
#define USER_SS 0x2b
#define FXSAVE_SIZE 512
#define XSAVE_MIN (FXSAVE_SIZE + 64)

#define FLAGS_USER 0x250dd5ull          /* CF PF AF ZF SF TF DF OF RF AC ID */
#define FLAGS_SIGRETURN 0x50dd5ull      /* what rt_sigreturn takes: all but ID */
#define FLAGS_HANDLER_CLEARS 0x10500ull /* TF DF RF */
#define FLAGS_FIXED 0x202ull

/* ---- extended state ---- */

static uint64_t host_xfeatures(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

/* The image as it is to stand on the guest's stack, with its software bytes and final magic: n + 4
 * bytes, or n where there is no xsave. */
static int make_fpstate(struct task *t, uint8_t *buf, size_t n)
{
    int r = kernel.platform->ctx_fpu_get(t->ctx, buf, n);
    if (r < 0 || n < XSAVE_MIN)
        return r;
    struct lx_fpstate *fx = (void *)buf;
    struct lx_fpx_sw_bytes *sw = &fx->sw_reserved;
    uint64_t features = sw->magic1 == LX_FP_XSTATE_MAGIC1 ? sw->xfeatures : host_xfeatures();
    memset(sw, 0, sizeof *sw);
    sw->magic1 = LX_FP_XSTATE_MAGIC1;
    sw->extended_size = (uint32_t)n + 4;
    sw->xfeatures = features;
    sw->xstate_size = (uint32_t)n;
    uint32_t magic2 = LX_FP_XSTATE_MAGIC2;
    memcpy(buf + n, &magic2, 4);
    return 0;
}

/* Bytes of the guest's image that are to be believed; FXSAVE_SIZE: the legacy part only. got of the
 * n + 4 that there may be could be read. */
static ssize_t fpstate_size(const uint8_t *buf, size_t got, size_t n)
{
    const struct lx_fpstate *fx = (const void *)buf;
    if (got < MIN(n, (size_t)FXSAVE_SIZE))
        return -EFAULT;
    if (n < XSAVE_MIN)
        return (ssize_t)n;
    const struct lx_fpx_sw_bytes *sw = &fx->sw_reserved;
    if (sw->magic1 != LX_FP_XSTATE_MAGIC1 || sw->xstate_size < XSAVE_MIN || sw->xstate_size > n ||
        sw->extended_size < sw->xstate_size)
        return FXSAVE_SIZE;
    uint32_t magic2;
    if (got < sw->xstate_size + sizeof magic2)
        return -EFAULT;
    memcpy(&magic2, buf + sw->xstate_size, sizeof magic2);
    return magic2 == LX_FP_XSTATE_MAGIC2 ? (ssize_t)sw->xstate_size : FXSAVE_SIZE;
}

/* buf: got bytes of what stands there, and room for n + 4. */
static int set_fpstate(struct task *t, uint8_t *buf, size_t got, size_t n)
{
    ssize_t have = fpstate_size(buf, got, n);
    if (have < 0)
        return -EFAULT;
    memset(buf + have, 0, n - (size_t)have);
    if (have == FXSAVE_SIZE && n >= XSAVE_MIN) {
        uint64_t legacy = 3; /* x87 and SSE; the rest as after a reset */
        memcpy(buf + FXSAVE_SIZE, &legacy, sizeof legacy);
    }
    return kernel.platform->ctx_fpu_set(t->ctx, buf, n);
}

/* ---- the frame ---- */

/* Where the frame goes; 0: no room on the alternate stack. */
static gaddr_t frame_address(struct task *t, const struct lx_sigaction *sa, gaddr_t sp,
                             size_t fpu_size, gaddr_t *ret_fp)
{
    bool nested = altstack_holds(&t->altstack, sp), entering = false;
    sp -= REDZONE;
    if ((sa->flags & LX_SA_ONSTACK) && altstack_state(&t->altstack, sp) == 0) {
        sp = t->altstack.sp + t->altstack.size;
        entering = true;
    }
    sp = (sp - fpu_size) & ~63ull;
    *ret_fp = sp;
    sp = ((sp - sizeof(struct lx_rt_sigframe)) & ~15ull) - 8;
    if ((nested || entering) && !altstack_range(&t->altstack, sp))
        return 0;
    return sp;
}

/* What sigreturn is to put back. */
static sigset64 mask_before(struct task *t)
{
    LOCK_SCOPE(&kernel.tasks_lock);
    return t->restore_blocked ? t->saved_blocked : t->blocked;
}

static void fill_frame(struct lx_rt_sigframe *f, struct task *t, const struct regs *r,
                       const struct lx_sigaction *sa, sigset64 mask, gaddr_t fp)
{
    struct lx_sigcontext *c = &f->uc.uc_mcontext;
    f->pretcode = sa->restorer;
    f->uc.uc_flags = LX_UC_FP_XSTATE | LX_UC_SIGCONTEXT_SS | LX_UC_STRICT_RESTORE_SS;
    f->uc.uc_stack = t->altstack;
    f->uc.uc_sigmask = mask;
    c->r8 = r->r8, c->r9 = r->r9, c->r10 = r->r10, c->r11 = r->r11;
    c->r12 = r->r12, c->r13 = r->r13, c->r14 = r->r14, c->r15 = r->r15;
    c->rdi = r->rdi, c->rsi = r->rsi, c->rbp = r->rbp, c->rbx = r->rbx;
    c->rdx = r->rdx, c->rax = r->rax, c->rcx = r->rcx, c->rsp = r->rsp;
    c->rip = r->rip;
    c->eflags = (r->rflags & FLAGS_USER) | FLAGS_FIXED;
    c->cs = USER_CS;
    c->ss = USER_SS;
    c->err = t->last_fault.err;
    c->trapno = t->last_fault.trapno;
    c->cr2 = t->last_fault.cr2;
    c->oldmask = f->uc.uc_sigmask;
    c->fpstate = fp;
}

/* Frame and extended state, in one copy. */
static int put_frame(struct task *t, gaddr_t sp, struct lx_rt_sigframe *f, size_t len, gaddr_t fp,
                     size_t n)
{
    size_t size = n >= XSAVE_MIN ? n + 4 : n;
    uint8_t *buf _cleanup_kfree_ = kzalloc(n + 4);
    if (!buf)
        return -ENOMEM;
    int r = make_fpstate(t, buf, n);
    if (r < 0)
        return r;
    struct seg to[] = { { sp, len }, { fp, size } };
    struct iter it;
    iter_segs(&it, t, to, 2);
    r = iter_putv(&it, (struct iovec[]){ { f, len }, { buf, size } }, 2) == (ssize_t)(len + size);
    return r ? 0 : -EFAULT;
}

/*
 * The host may have ended the process this very moment, which its context tells later (EV_GONE): then it is
 * no fault of the program's. What every program has is not to be read either.
 */
static bool memory_is_gone(struct task *t)
{
    gaddr_t vdso = t->mm ? t->mm->vdso : 0;
    uint8_t b;

    return vdso && copy_in(t, &b, vdso, 1) < 0 &&
           copy_in(t, &b, kernel.platform->ctx_regs(t->ctx)->rip, 1) < 0;
}

void signal_force_lost(struct task *t)
{
    signal_force(t, memory_is_gone(t) ? SIGKILL : SIGSEGV, NULL);
}

int signal_setup_frame(struct task *t, int sig, const struct lx_siginfo *info,
                       const struct lx_sigaction *sa)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);
    size_t n = kernel.platform->ctx_fpu_size(t->ctx);
    gaddr_t fp, sp = frame_address(t, sa, r->rsp, n >= XSAVE_MIN ? n + 4 : n, &fp);
    if (!sp || !(sa->flags & LX_SA_RESTORER))
        return -EFAULT;
    struct lx_rt_sigframe f = { 0 };
    fill_frame(&f, t, r, sa, mask_before(t), fp);
    size_t len = sizeof f;
    if (sa->flags & LX_SA_SIGINFO)
        f.info = *info;
    else
        len = offsetof(struct lx_rt_sigframe, info);
    if (put_frame(t, sp, &f, len, fp, n))
        return -EFAULT;
    r->rdi = (uint64_t)sig;
    r->rsi = sp + offsetof(struct lx_rt_sigframe, info);
    r->rdx = sp + offsetof(struct lx_rt_sigframe, uc);
    r->rax = 0;
    r->rip = sa->handler;
    r->rsp = sp;
    r->rflags &= ~FLAGS_HANDLER_CLEARS;
    kernel.platform->ctx_fpu_reset(t->ctx);
    return 0;
}

/* ---- and back ---- */

static void restore_regs(struct regs *r, const struct lx_sigcontext *c)
{
    r->r8 = c->r8, r->r9 = c->r9, r->r10 = c->r10, r->r11 = c->r11;
    r->r12 = c->r12, r->r13 = c->r13, r->r14 = c->r14, r->r15 = c->r15;
    r->rdi = c->rdi, r->rsi = c->rsi, r->rbp = c->rbp, r->rbx = c->rbx;
    r->rdx = c->rdx, r->rax = c->rax, r->rcx = c->rcx, r->rsp = c->rsp;
    r->rip = c->rip;
    r->rflags = (r->rflags & ~FLAGS_SIGRETURN & FLAGS_USER) | (c->eflags & FLAGS_SIGRETURN) |
                FLAGS_FIXED;
    r->orig_rax = (uint64_t)-1;
}

/* Where frame_address put the extended state of a frame there. */
static gaddr_t fpstate_of(gaddr_t frame)
{
    return (frame + 8 + sizeof(struct lx_rt_sigframe) + 63) & ~63ull;
}

/*
 * The context, and with it in one copy the state that most likely belongs to it: what stands where
 * we put it. Bytes of the latter; it may be unmapped, or elsewhere by now.
 */
static ssize_t get_frame(struct task *t, gaddr_t frame, struct lx_ucontext *uc, uint8_t *buf,
                         size_t n)
{
    struct seg from[] = { { frame + offsetof(struct lx_rt_sigframe, uc), sizeof *uc },
                          { fpstate_of(frame), n + 4 } };
    struct iter it;
    iter_segs(&it, t, from, 2);
    ssize_t r = iter_getv(&it, (struct iovec[]){ { uc, sizeof *uc }, { buf, n + 4 } }, 2);
    return r < (ssize_t)sizeof *uc ? -EFAULT : r - (ssize_t)sizeof *uc;
}

/* The state that uc names; buf holds got bytes of the likely one. */
static int restore_fpstate(struct task *t, gaddr_t from, gaddr_t likely, uint8_t *buf, size_t got,
                           size_t n)
{
    if (!from) {
        kernel.platform->ctx_fpu_reset(t->ctx);
        return 0;
    }
    if (from & 63)
        return -EFAULT;
    if (from != likely) {
        ssize_t r = copy_in_some(t, buf, from, n + 4);
        if (r < 0)
            return -EFAULT;
        got = (size_t)r;
    }
    return set_fpstate(t, buf, got, n);
}

long do_sigreturn(struct task *t)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);
    struct lx_ucontext uc;
    /* The handler has returned through pretcode. */
    gaddr_t sp = r->rsp, frame = sp - sizeof(gaddr_t);
    size_t n = kernel.platform->ctx_fpu_size(t->ctx);
    uint8_t *buf _cleanup_kfree_ = kzalloc(n + 4);
    ssize_t got = buf ? get_frame(t, frame, &uc, buf, n) : -ENOMEM;
    if (got < 0)
        goto bad;
    signal_set_blocked(t, uc.uc_sigmask);
    restore_regs(r, &uc.uc_mcontext);
    if (restore_fpstate(t, uc.uc_mcontext.fpstate, fpstate_of(frame), buf, (size_t)got, n))
        goto bad;
    do_sigaltstack(t, &uc.uc_stack, NULL, sp); /* its errors are nobody's */
    gaddr_t limit = kernel.platform->as_limit();
    if (r->rip >= limit || r->rsp > limit)
        signal_force(t, SIGSEGV, NULL);
    return -EDETACHED;
bad:
    r->orig_rax = (uint64_t)-1;
    signal_force_lost(t);
    return -EDETACHED;
}

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

/* The image with its software bytes and final magic as they stand on the guest's stack. */
static int put_fpstate(struct task *t, gaddr_t to, size_t n)
{
    uint8_t *buf _cleanup_kfree_ = kzalloc(n + 4);
    if (!buf)
        return -ENOMEM;
    int r = kernel.platform->ctx_fpu_get(t->ctx, buf, n);
    if (r < 0)
        return r;
    struct lx_fpstate *fx = (void *)buf;
    if (n < XSAVE_MIN)
        return copy_out(t, to, buf, n);
    struct lx_fpx_sw_bytes *sw = &fx->sw_reserved;
    uint64_t features = sw->magic1 == LX_FP_XSTATE_MAGIC1 ? sw->xfeatures : host_xfeatures();
    memset(sw, 0, sizeof *sw);
    sw->magic1 = LX_FP_XSTATE_MAGIC1;
    sw->extended_size = (uint32_t)n + 4;
    sw->xfeatures = features;
    sw->xstate_size = (uint32_t)n;
    uint32_t magic2 = LX_FP_XSTATE_MAGIC2;
    memcpy(buf + n, &magic2, 4);
    return copy_out(t, to, buf, n + 4);
}

/* Bytes of the guest's image that are to be believed; FXSAVE_SIZE: the legacy part only. */
static ssize_t fpstate_size(struct task *t, gaddr_t from, size_t n)
{
    struct lx_fpstate fx;
    if (get_guest(t, &fx, from))
        return -EFAULT;
    const struct lx_fpx_sw_bytes *sw = &fx.sw_reserved;
    if (sw->magic1 != LX_FP_XSTATE_MAGIC1 || sw->xstate_size < XSAVE_MIN || sw->xstate_size > n ||
        sw->extended_size < sw->xstate_size)
        return FXSAVE_SIZE;
    uint32_t magic2;
    if (get_guest(t, &magic2, from + sw->xstate_size))
        return -EFAULT;
    return magic2 == LX_FP_XSTATE_MAGIC2 ? (ssize_t)sw->xstate_size : FXSAVE_SIZE;
}

static int get_fpstate(struct task *t, gaddr_t from)
{
    if (!from) {
        kernel.platform->ctx_fpu_reset(t->ctx);
        return 0;
    }
    size_t n = kernel.platform->ctx_fpu_size(t->ctx);
    ssize_t have = n >= XSAVE_MIN ? fpstate_size(t, from, n) : (ssize_t)n;
    if (have < 0 || (from & 63))
        return -EFAULT;
    uint8_t *buf _cleanup_kfree_ = kzalloc(n);
    if (!buf)
        return -ENOMEM;
    if (copy_in(t, buf, from, (size_t)have))
        return -EFAULT;
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

static void fill_frame(struct lx_rt_sigframe *f, struct task *t, const struct regs *r,
                       const struct lx_sigaction *sa, gaddr_t fp)
{
    struct lx_sigcontext *c = &f->uc.uc_mcontext;
    f->pretcode = sa->restorer;
    f->uc.uc_flags = LX_UC_FP_XSTATE | LX_UC_SIGCONTEXT_SS | LX_UC_STRICT_RESTORE_SS;
    f->uc.uc_stack = t->altstack;
    f->uc.uc_sigmask = t->restore_blocked ? t->saved_blocked : t->blocked;
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

int signal_setup_frame(struct task *t, int sig, const struct lx_siginfo *info,
                       const struct lx_sigaction *sa)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);
    size_t n = kernel.platform->ctx_fpu_size(t->ctx);
    gaddr_t fp, sp = frame_address(t, sa, r->rsp, n >= XSAVE_MIN ? n + 4 : n, &fp);
    if (!sp || !(sa->flags & LX_SA_RESTORER))
        return -EFAULT;
    struct lx_rt_sigframe f = { 0 };
    fill_frame(&f, t, r, sa, fp);
    size_t len = sizeof f;
    if (sa->flags & LX_SA_SIGINFO)
        f.info = *info;
    else
        len = offsetof(struct lx_rt_sigframe, info);
    if (put_fpstate(t, fp, n) || copy_out(t, sp, &f, len))
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

long do_sigreturn(struct task *t)
{
    struct regs *r = kernel.platform->ctx_regs(t->ctx);
    struct lx_ucontext uc;
    /* The handler has returned through pretcode. */
    gaddr_t sp = r->rsp, frame = sp - sizeof(gaddr_t);
    if (get_guest(t, &uc, frame + offsetof(struct lx_rt_sigframe, uc)))
        goto bad;
    signal_set_blocked(t, uc.uc_sigmask);
    restore_regs(r, &uc.uc_mcontext);
    if (get_fpstate(t, uc.uc_mcontext.fpstate))
        goto bad;
    do_sigaltstack(t, &uc.uc_stack, NULL, sp); /* its errors are nobody's */
    gaddr_t limit = kernel.platform->as_limit();
    if (r->rip >= limit || r->rsp > limit)
        signal_force(t, SIGSEGV, NULL);
    return -EDETACHED;
bad:
    r->orig_rax = (uint64_t)-1;
    signal_force(t, SIGSEGV, NULL);
    return -EDETACHED;
}

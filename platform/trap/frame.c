/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signal frame that the host kernel wrote into a thread's block: the exchange format for
 * registers. The block is the guest's: every word is read once, into the ctx; offsets are checked
 * against the stack part of the block.
 */
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "abi/unfenced.h"
#include "platform/trap/trap.h"

#define UC_SIZE 304u /* the kernel's struct ucontext: 64-bit mask, no fpregs inside */
#define FRAME_SIZE (UC_SIZE + 128u)
#define UC_FPSTATE 224u
#define UC_STACK 16u
#define FP_SW_OFF 464u /* struct _fpx_sw_bytes in the FXSAVE area */
#define FP_MAGIC1 0x46505853u

struct kframe { /* ucontext as the kernel lays it out */
    uint64_t flags, link;
    uint64_t ss_sp;
    int32_t ss_flags, pad;
    uint64_t ss_size;
    uint64_t gregs[23];
    uint64_t fpstate, reserved[8];
    uint64_t sigmask;
};
_Static_assert(sizeof(struct kframe) == UC_SIZE, "kernel layout");
_Static_assert(offsetof(struct kframe, fpstate) == UC_FPSTATE, "kernel layout");
_Static_assert(offsetof(struct kframe, ss_sp) == UC_STACK, "kernel layout");

enum {
    G_R8,
    G_R9,
    G_R10,
    G_R11,
    G_R12,
    G_R13,
    G_R14,
    G_R15,
    G_RDI,
    G_RSI,
    G_RBP,
    G_RBX,
    G_RDX,
    G_RAX,
    G_RCX,
    G_RSP,
    G_RIP,
    G_EFL,
    G_SEG,
    G_ERR,
    G_TRAPNO,
    G_OLDMASK,
    G_CR2
};

static struct kframe *frame_at(struct ctx *c)
{
    return (struct kframe *)((char *)c->block + c->uc);
}

static void regs_from(struct regs *r, const uint64_t *g)
{
    *r = (struct regs){ .r15 = g[G_R15],
                        .r14 = g[G_R14],
                        .r13 = g[G_R13],
                        .r12 = g[G_R12],
                        .rbp = g[G_RBP],
                        .rbx = g[G_RBX],
                        .r11 = g[G_R11],
                        .r10 = g[G_R10],
                        .r9 = g[G_R9],
                        .r8 = g[G_R8],
                        .rax = g[G_RAX],
                        .rcx = g[G_RCX],
                        .rdx = g[G_RDX],
                        .rsi = g[G_RSI],
                        .rdi = g[G_RDI],
                        .orig_rax = (uint64_t)-1,
                        .rip = g[G_RIP],
                        .rflags = g[G_EFL],
                        .rsp = g[G_RSP] };
}

void frame_put(struct ctx *c)
{
    uint64_t *g = frame_at(c)->gregs;
    const struct regs *r = &c->regs;

    g[G_R15] = r->r15, g[G_R14] = r->r14, g[G_R13] = r->r13, g[G_R12] = r->r12;
    g[G_RBP] = r->rbp, g[G_RBX] = r->rbx, g[G_R11] = r->r11, g[G_R10] = r->r10;
    g[G_R9] = r->r9, g[G_R8] = r->r8, g[G_RAX] = r->rax, g[G_RCX] = r->rcx;
    g[G_RDX] = r->rdx, g[G_RSI] = r->rsi, g[G_RDI] = r->rdi;
    g[G_RIP] = r->rip, g[G_EFL] = r->rflags, g[G_RSP] = r->rsp;
    g[G_SEG] = c->segs;
}

/* A trapped call, or int 0x80 (which a kernel without 32-bit support turns into a fault). */
static void take_sigsys(struct ctx *c, const char *info)
{
    int32_t code;
    uint32_t arch;

    memcpy(&code, info + 8, 4);
    memcpy(&arch, info + 28, 4);
    c->fault.signo = 0;
    if (arch == AUDIT_ARCH_X86_64) {
        c->regs.orig_rax = (uint32_t)c->regs.rax;
        return;
    }
    (void)code;
    c->regs.rip -= 2;
    c->fault = (struct fault){ .signo = SIGSEGV, .code = SI_KERNEL, .trapno = 13, .err = 0x402 };
}

/* Is the guest's state that of a light call which is over, not that of the frame? */
static bool in_light(uint64_t rip)
{
    uint64_t off = rip - stubs.slot;

    return (off >= trap.light_exit && off < trap.light_end) || off == trap.light_framed;
}

int frame_take(struct ctx *c)
{
    uint32_t uc = __atomic_load_n(&c->block->uc, __ATOMIC_RELAXED);
    uint32_t sig = __atomic_load_n(&c->block->sig, __ATOMIC_RELAXED);
    uint64_t g[23];
    char info[32];

    if (unfenced("framecheck"))
        uc %= 1u << 31;
    else if (uc % 8 || uc < BLOCK_STACK_OFF || uc > BLOCK_SIZE - FRAME_SIZE)
        return -EPROTO;
    c->uc = uc;
    light_forget(c);
    memcpy(g, frame_at(c)->gregs, sizeof g);
    c->segs = g[G_SEG];
    c->fault.signo = 0;
    if (in_light(g[G_RIP])) {
        light_regs_take(c);
        return 0;
    }
    memcpy(info, (char *)frame_at(c) + UC_SIZE, sizeof info);
    regs_from(&c->regs, g);
    switch (sig) {
    case SIGSYS:
        take_sigsys(c, info);
        return 0;
    case SIG_KICK:
        return 0;
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
        c->fault = (struct fault){
            .signo = (int)sig, .trapno = g[G_TRAPNO], .err = g[G_ERR], .cr2 = g[G_CR2]
        };
        memcpy(&c->fault.code, info + 8, 4);
        memcpy(&c->fault.addr, info + 16, 8);
        return 0;
    default:
        return -EPROTO;
    }
}

/* The frame of a light call that asked for one: its FPU image; the registers are c's already. */
int frame_take_rest(struct ctx *c)
{
    struct regs regs;
    int r;

    light_complete(c);
    regs = c->regs;
    light_flush(c);
    r = frame_take(c);
    c->regs = regs;
    return r;
}

/* The alternate stack of a block, as sigreturn will set it for the thread. */
static void set_altstack(struct kframe *f, unsigned index)
{
    f->ss_sp = block_addr(index) + BLOCK_STACK_OFF;
    f->ss_flags = (int32_t)(1u << 31); /* SS_AUTODISARM */
    f->ss_size = BLOCK_STACK_SIZE;
}

void frame_make_blank(struct ctx *c)
{
    struct kframe *f;

    c->uc = BLOCK_SIZE - 1024;
    f = frame_at(c);
    memset(f, 0, sizeof *f);
    f->flags = 2 | 4; /* UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    set_altstack(f, c->index);
    memset(&c->regs, 0, sizeof c->regs);
    c->regs.orig_rax = (uint64_t)-1;
    c->regs.rflags = 0x202;
    c->segs = 0x33 | (uint64_t)0x2b << 48;
    __atomic_store_n(&c->block->uc, c->uc, __ATOMIC_RELAXED);
}

/* The child starts from a copy of its parent's frame, FPU image included, in its own block. */
void frame_clone(struct ctx *child, const struct ctx *parent)
{
    uint32_t uc = parent->uc;
    uint64_t delta = block_addr(child->index) - block_addr(parent->index);
    struct kframe *f;

    child->uc = uc;
    f = frame_at(child);
    memcpy(f, (const char *)parent->block + uc, BLOCK_SIZE - uc);
    if (f->fpstate)
        f->fpstate += delta;
    set_altstack(f, child->index);
    child->regs = parent->regs;
    child->segs = parent->segs;
    __atomic_store_n(&child->block->uc, uc, __ATOMIC_RELAXED);
}

/* Offset and size of the FPU image, read and checked; 0 when there is none or it lies. */
static size_t fpu_at(struct ctx *c, size_t *ret_off)
{
    uint64_t p = __atomic_load_n(&frame_at(c)->fpstate, __ATOMIC_RELAXED);
    uint64_t off = p - block_addr(c->index);
    uint32_t magic, size;

    if (p == 0 || off % 16 || off < BLOCK_STACK_OFF || off > BLOCK_SIZE - 512)
        return 0;
    memcpy(&magic, (char *)c->block + off + FP_SW_OFF, 4);
    memcpy(&size, (char *)c->block + off + FP_SW_OFF + 16, 4); /* without the magic at its end */
    if (magic != FP_MAGIC1 || size < 512)
        size = 512;
    if (size > BLOCK_SIZE - off)
        return 0;
    *ret_off = off;
    return size;
}

size_t frame_fpu_size(struct ctx *c)
{
    size_t off = 0;

    return fpu_at(c, &off);
}

int frame_fpu_get(struct ctx *c, void *buf, size_t n)
{
    size_t off = 0, size = fpu_at(c, &off);

    if (size == 0 || n > size)
        return -EINVAL;
    memcpy(buf, (char *)c->block + off, n);
    return 0;
}

int frame_fpu_set(struct ctx *c, const void *buf, size_t n)
{
    size_t off = 0, size = fpu_at(c, &off);
    char sw[48];
    uint32_t mxcsr, mask;
    char *at;

    if (size == 0 || n > size || n < 512)
        return -EINVAL;
    at = (char *)c->block + off;
    memcpy(sw, at + FP_SW_OFF, sizeof sw); /* ours stays: it tells the host the size */
    memcpy(&mask, at + 28, 4);
    memcpy(at, buf, n);
    memcpy(at + FP_SW_OFF, sw, sizeof sw);
    memcpy(&mxcsr, at + 24, 4);
    mxcsr &= mask ? mask : 0xffbf; /* a reserved bit would make the host's sigreturn fault */
    memcpy(at + 24, &mxcsr, 4);
    memcpy(at + 28, &mask, 4);
    if (n >= 576)
        memset(at + 520, 0, 56); /* XSAVE header behind xstate_bv: reserved */
    return 0;
}

/* The image says "initial state", and stays one: the next signal frame is made from it. */
void frame_fpu_reset(struct ctx *c)
{
    static const uint16_t fcw = 0x37f;
    static const uint32_t mxcsr = 0x1f80;
    size_t off = 0, size = fpu_at(c, &off);
    char *at = (char *)c->block + off;

    if (size == 0) {
        __atomic_store_n(&frame_at(c)->fpstate, 0, __ATOMIC_RELAXED);
        return;
    }
    memset(at, 0, 28);
    memset(at + 32, 0, FP_SW_OFF - 32);
    memcpy(at, &fcw, sizeof fcw);
    memcpy(at + 24, &mxcsr, sizeof mxcsr);
    if (size >= 576)
        memset(at + 512, 0, 64); /* no component is in use */
}

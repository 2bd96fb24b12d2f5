/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel puts on a guest's stack when a handler is to run, and rt_sigreturn takes back:
 *
 *      higher  [ extended state: struct lx_fpstate, then the rest of XSAVE and a magic; 64-aligned ]
 *              [ struct lx_rt_sigframe; its address + 8 is a multiple of 16                        ]
 *      lower   <- rsp at the handler's first instruction (a return address, pretcode)
 */
#pragma once

#include "abi/signal.h"
#include "abi/types.h"

struct lx_fpx_sw_bytes {    /* in the unused tail of the FXSAVE area */
    uint32_t magic1;        /* LX_FP_XSTATE_MAGIC1: XSAVE state follows */
    uint32_t extended_size; /* all of it with the magic at its end */
    uint64_t xfeatures;
    uint32_t xstate_size; /* the XSAVE image alone */
    uint32_t padding[7];
};

#define LX_FP_XSTATE_MAGIC1 0x46505853u
#define LX_FP_XSTATE_MAGIC2 0x46505845u /* 4 bytes behind the XSAVE image */

struct lx_fpstate { /* FXSAVE */
    uint16_t cwd, swd, twd, fop;
    uint64_t rip, rdp;
    uint32_t mxcsr, mxcsr_mask;
    uint32_t st_space[32], xmm_space[64], reserved2[12];
    struct lx_fpx_sw_bytes sw_reserved;
};

struct lx_sigcontext {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2;
    gaddr_t fpstate;
    uint64_t reserved1[8];
};

struct lx_ucontext {
    uint64_t uc_flags;
    gaddr_t uc_link;
    struct lx_sigaltstack uc_stack;
    struct lx_sigcontext uc_mcontext;
    sigset64 uc_sigmask;
};

#define LX_UC_FP_XSTATE 1
#define LX_UC_SIGCONTEXT_SS 2
#define LX_UC_STRICT_RESTORE_SS 4

struct lx_rt_sigframe {
    gaddr_t pretcode; /* sa_restorer */
    struct lx_ucontext uc;
    struct lx_siginfo info;
};

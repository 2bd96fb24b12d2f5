/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/sigframe.h"
#include "abi/signal.h"

/* Names that libc has, too. */
#define sigset_t kernel_sigset_t
#define timeval kernel_timeval
#define itimerspec kernel_itimerspec
#define itimerval kernel_itimerval
#include <asm/sigcontext.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/ucontext.h>
#include <linux/signalfd.h>
#undef sigset_t
#undef timeval
#undef itimerspec
#undef itimerval

#include "same.h"

struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    kernel_sigset_t mask;
};

#define INFO(ours, theirs) AT(lx_siginfo, ours, siginfo, theirs)
#define MC(m) AT(lx_sigcontext, m, sigcontext_64, m)
#define FP(ours, theirs) AT(lx_fpstate, ours, _fpstate_64, theirs)
#define SFD(ours, theirs) AT(lx_signalfd_siginfo, ours, signalfd_siginfo, theirs)

static const struct same signals[] = {
    SIZE(lx_siginfo, siginfo),
    INFO(signo, si_signo),
    INFO(err, si_errno),
    INFO(code, si_code),
    INFO(rt.pid, si_pid),
    INFO(rt.uid, si_uid),
    INFO(rt.value, si_value),
    INFO(timer.tid, si_tid),
    INFO(timer.overrun, si_overrun),
    INFO(timer.value, si_value),
    INFO(timer.sys_private, si_sys_private),
    INFO(chld.pid, si_pid),
    INFO(chld.uid, si_uid),
    INFO(chld.status, si_status),
    INFO(chld.utime, si_utime),
    INFO(chld.stime, si_stime),
    INFO(fault.addr, si_addr),
    INFO(fault.addr_lsb, si_addr_lsb),
    INFO(fault.lower, si_lower),
    INFO(fault.upper, si_upper),
    INFO(poll.band, si_band),
    INFO(poll.fd, si_fd),
    INFO(sys.call_addr, si_call_addr),
    INFO(sys.syscall, si_syscall),
    INFO(sys.arch, si_arch),

    SIZE(lx_sigaction, kernel_sigaction),
    AT(lx_sigaction, handler, kernel_sigaction, handler),
    AT(lx_sigaction, flags, kernel_sigaction, flags),
    AT(lx_sigaction, restorer, kernel_sigaction, restorer),
    AT(lx_sigaction, mask, kernel_sigaction, mask),
    VALUE(LX_SA_RESTORER, SA_RESTORER),
    VALUE(LX_SIGRTMIN, SIGRTMIN),

    SIZE(lx_sigaltstack, sigaltstack),
    AT(lx_sigaltstack, sp, sigaltstack, ss_sp),
    AT(lx_sigaltstack, flags, sigaltstack, ss_flags),
    AT(lx_sigaltstack, size, sigaltstack, ss_size),

    SIZE(lx_sigevent, sigevent),
    AT(lx_sigevent, value, sigevent, sigev_value),
    AT(lx_sigevent, signo, sigevent, sigev_signo),
    AT(lx_sigevent, notify, sigevent, sigev_notify),
    AT(lx_sigevent, tid, sigevent, _sigev_un._tid),

    SIZE(lx_signalfd_siginfo, signalfd_siginfo),
    SFD(signo, ssi_signo),
    SFD(err, ssi_errno),
    SFD(code, ssi_code),
    SFD(pid, ssi_pid),
    SFD(uid, ssi_uid),
    SFD(fd, ssi_fd),
    SFD(tid, ssi_tid),
    SFD(band, ssi_band),
    SFD(overrun, ssi_overrun),
    SFD(trapno, ssi_trapno),
    SFD(status, ssi_status),
    SFD(value, ssi_int),
    SFD(ptr, ssi_ptr),
    SFD(utime, ssi_utime),
    SFD(stime, ssi_stime),
    SFD(addr, ssi_addr),
    SFD(addr_lsb, ssi_addr_lsb),
    SFD(syscall, ssi_syscall),
    SFD(call_addr, ssi_call_addr),
    SFD(arch, ssi_arch),

    SIZE(lx_sigcontext, sigcontext_64),
    MC(r8),
    MC(r15),
    AT(lx_sigcontext, rdi, sigcontext_64, di),
    AT(lx_sigcontext, rsi, sigcontext_64, si),
    AT(lx_sigcontext, rbp, sigcontext_64, bp),
    AT(lx_sigcontext, rbx, sigcontext_64, bx),
    AT(lx_sigcontext, rdx, sigcontext_64, dx),
    AT(lx_sigcontext, rax, sigcontext_64, ax),
    AT(lx_sigcontext, rcx, sigcontext_64, cx),
    AT(lx_sigcontext, rsp, sigcontext_64, sp),
    AT(lx_sigcontext, rip, sigcontext_64, ip),
    AT(lx_sigcontext, eflags, sigcontext_64, flags),
    MC(cs),
    MC(gs),
    MC(fs),
    MC(ss),
    MC(err),
    MC(trapno),
    MC(oldmask),
    MC(cr2),
    MC(fpstate),
    MC(reserved1),

    SIZE(lx_fpstate, _fpstate_64),
    FP(cwd, cwd),
    FP(swd, swd),
    FP(twd, twd),
    FP(fop, fop),
    FP(rip, rip),
    FP(rdp, rdp),
    FP(mxcsr, mxcsr),
    FP(mxcsr_mask, mxcsr_mask),
    FP(st_space, st_space),
    FP(xmm_space, xmm_space),
    FP(sw_reserved, sw_reserved),
    SIZE(lx_fpx_sw_bytes, _fpx_sw_bytes),
    AT(lx_fpx_sw_bytes, xfeatures, _fpx_sw_bytes, xfeatures),
    AT(lx_fpx_sw_bytes, xstate_size, _fpx_sw_bytes, xstate_size),
    VALUE(LX_FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC1),
    VALUE(LX_FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2),

    SIZE(lx_ucontext, ucontext),
    AT(lx_ucontext, uc_flags, ucontext, uc_flags),
    AT(lx_ucontext, uc_link, ucontext, uc_link),
    AT(lx_ucontext, uc_stack, ucontext, uc_stack),
    AT(lx_ucontext, uc_mcontext, ucontext, uc_mcontext),
    AT(lx_ucontext, uc_sigmask, ucontext, uc_sigmask),
    VALUE(LX_UC_FP_XSTATE, UC_FP_XSTATE),
    VALUE(LX_UC_SIGCONTEXT_SS, UC_SIGCONTEXT_SS),
    VALUE(LX_UC_STRICT_RESTORE_SS, UC_STRICT_RESTORE_SS),
    AT_IS(lx_rt_sigframe, uc, 8),
    AT_IS(lx_rt_sigframe, info, 8 + sizeof(struct lx_ucontext)),
    SIZE_IS(lx_sigset_arg, 16),
};

SAME_MAIN("abi/signal", signals)

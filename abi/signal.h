/* SPDX-License-Identifier: Apache-2.0 */
/* Signal structures; the frame on a guest's stack is in abi/sigframe.h. */
#pragma once

#include "abi/types.h"

#define LX_NSIG 64
#define LX_SIGRTMIN 32

/* The kernel's siginfo: 128 bytes, laid out as the guest sees it. */
struct lx_siginfo {
    int32_t signo, err, code, pad;
    union {
        struct {
            int32_t pid;
            uint32_t uid;
            uint64_t value;
        } rt; /* kill, queue, tkill */
        struct {
            int32_t tid, overrun;
            uint64_t value;
            int32_t sys_private;
        } timer;
        struct {
            int32_t pid;
            uint32_t uid;
            int32_t status, pad;
            int64_t utime, stime;
        } chld;
        struct {
            uint64_t addr;
            int16_t addr_lsb, pad[3];
            uint64_t lower, upper;
        } fault;
        struct {
            int64_t band;
            int32_t fd;
        } poll;
        struct {
            uint64_t call_addr;
            int32_t syscall;
            uint32_t arch;
        } sys;
        uint8_t raw[112];
    };
};

/* As rt_sigaction takes it. */
struct lx_sigaction {
    uint64_t handler; /* 0 SIG_DFL, 1 SIG_IGN */
    uint64_t flags, restorer;
    sigset64 mask;
};

#define LX_SA_RESTORER 0x04000000u

struct lx_sigaltstack {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
};

struct lx_sigevent {
    uint64_t value;
    int32_t signo, notify;
    int32_t tid; /* SIGEV_THREAD_ID */
    int32_t pad[11];
};

/* The last argument of pselect6 and io_pgetevents. */
struct lx_sigset_arg {
    gaddr_t set;
    uint64_t size;
};

struct lx_signalfd_siginfo {
    uint32_t signo;
    int32_t err, code;
    uint32_t pid, uid;
    int32_t fd;
    uint32_t tid, band, overrun, trapno;
    int32_t status, value;
    uint64_t ptr, utime, stime, addr;
    uint16_t addr_lsb, pad2_;
    int32_t syscall;
    uint64_t call_addr;
    uint32_t arch;
    uint8_t pad_[28];
};

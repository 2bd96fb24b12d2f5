/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of an ELF core file, as x86-64 Linux writes them. */
#pragma once

#include <stdint.h>
#include <sys/time.h>

struct lx_prstatus {
    int32_t signo, code, err;
    int16_t cursig;
    uint64_t sigpend, sighold;
    int32_t pid, ppid, pgrp, sid;
    struct timeval utime, stime, cutime, cstime;
    uint64_t regs[27]; /* struct user_regs_struct */
    int32_t fpvalid;
};

struct lx_prpsinfo {
    char state, sname, zomb, nice;
    uint64_t flag;
    uint32_t uid, gid;
    int32_t pid, ppid, pgrp, sid;
    char fname[16], psargs[80];
};

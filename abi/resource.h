/* SPDX-License-Identifier: Apache-2.0 */
/* rusage, rlimit, sysinfo and utsname. */
#pragma once

#include <sys/time.h>

#include "abi/types.h"

struct lx_rusage {
    struct timeval ru_utime, ru_stime;
    int64_t ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt, ru_majflt, ru_nswap;
    int64_t ru_inblock, ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals, ru_nvcsw, ru_nivcsw;
};

struct lx_rlimit {
    uint64_t rlim_cur, rlim_max;
};

struct lx_sysinfo {
    int64_t uptime;
    uint64_t loads[3]; /* 16 bits behind the point */
    uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, pad0_;
    uint32_t pad1_;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit, pad2_;
};

struct lx_utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

#define SBX_UTS_SYSNAME "Linux"
#define SBX_UTS_RELEASE "6.12.0-sbx"
#define SBX_UTS_VERSION "#1 SMP PREEMPT_DYNAMIC sbx"
#define SBX_UTS_MACHINE "x86_64"

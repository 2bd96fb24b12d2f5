/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times as they cross the boundary. struct timespec, timeval, itimerspec and itimerval of a 64-bit
 * libc are what the kernel has, so those are used as they are; here stands the rest.
 */
#pragma once

#include <sys/time.h>
#include <time.h>

#include "abi/types.h"

#define lx_timespec timespec
#define lx_timeval timeval
#define lx_itimerspec itimerspec
#define lx_itimerval itimerval

struct lx_timezone {
    int32_t tz_minuteswest, tz_dsttime;
};

struct lx_tms {
    int64_t tms_utime, tms_stime, tms_cutime, tms_cstime;
};

struct lx_utimbuf {
    int64_t actime, modtime;
};

struct lx_timex {
    uint32_t modes, pad0_;
    int64_t offset, freq, maxerror, esterror;
    int32_t status, pad1_;
    int64_t constant, precision, tolerance;
    struct timeval time;
    int64_t tick, ppsfreq, jitter;
    int32_t shift, pad2_;
    int64_t stabil, jitcnt, calcnt, errcnt, stbcnt;
    int32_t tai, pad3_[11];
};

/* Ticks a second in what user space sees (times, /proc/PID/stat). */
#define LX_CLK_TCK 100

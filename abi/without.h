/* SPDX-License-Identifier: Apache-2.0 */
/* SBX_WITHOUT=userns,pidns,...: host features that are not to be used, so that fallbacks are tested. */
#pragma once

#include <stdint.h>

enum {
    SBX_WITHOUT_USERNS = 1 << 0,
    SBX_WITHOUT_PIDNS = 1 << 1,
    SBX_WITHOUT_IOURING = 1 << 2,
    SBX_WITHOUT_SYNC = 1 << 3,
    SBX_WITHOUT_WAITKILLABLE = 1 << 4,
    SBX_WITHOUT_TIMENS = 1 << 5,
    SBX_WITHOUT_LANDLOCK = 1 << 6,
    SBX_WITHOUT_CGROUP = 1 << 7,
    SBX_WITHOUT_PROCESSVM = 1 << 8,
    SBX_WITHOUT_SECCOMP = 1 << 9, /* no filter around any process */
    SBX_WITHOUT_NOTIFY = 1 << 10,
    SBX_WITHOUT_STUBFILTER = 1 << 11, /* of the platform ptrace */
    SBX_WITHOUT_BPF = 1 << 12,        /* around the net broker */
};

/* A comma-separated list (NULL or empty: nothing). *ret_bad: the first unknown word, or NULL. */
uint64_t without_parse(const char *list, const char **ret_bad);

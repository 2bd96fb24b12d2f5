/* SPDX-License-Identifier: Apache-2.0 */
/* Names of values that more than one printer needs; the rest is found by kind (sx_set_of). */
#pragma once

#include "sentry/strace/line.h"

extern const struct xset x_accmode, x_af, x_archprctl, x_at, x_cap, x_clock, x_clone, x_closerange,
    x_efd, x_ep, x_epctl, x_epoll, x_faccess, x_fadvice, x_falloc, x_fcntl, x_fdflags, x_filetype,
    x_grnd, x_idtype, x_in, x_inotify, x_ipckey, x_ipcmsg, x_itimer, x_kcmp, x_lock, x_msgcmd,
    x_semcmd, x_shmcmd, x_madvice, x_map, x_membarrier, x_memfd, x_mlock, x_mlockall, x_modebits,
    x_mount, x_mremap, x_msg, x_msync, x_open, x_personality, x_pidfd, x_policy, x_poll, x_prctl,
    x_prio, x_prot, x_ptrace, x_rename, x_resolve, x_rlimit, x_rusage, x_rwf, x_sa, x_seccomp,
    x_sfd, x_shmat, x_shmget, x_shut, x_signals_how, x_sockflags, x_socktype, x_solevel, x_splice,
    x_ss, x_statx_mask, x_syncrange, x_tfd, x_tfdset, x_timer, x_umount, x_unlink, x_wait, x_whence,
    x_xattr;

#define XSET(set, table, pre) const struct xset set = { table, ARRAY_SIZE(table), pre }
#define X(n)                                                                                       \
    {                                                                                              \
        (uint64_t)(n), #n                                                                          \
    }

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of system call arguments: what stands in abi/syscalls.def beside each argument. A kind gives
 * the C type a handler takes, and tells the tracer (sentry/strace) how the argument is printed.
 *
 * Endings: _I is read from the guest, _O is written to it, neither is both or just a value.
 * Every pointer is a gaddr_t. A length that belongs to a pointer is the argument behind it, unless
 * the kind says otherwise.
 */
#pragma once

#include <sys/types.h>

#include "abi/types.h"

#define ABI_KINDS(X)                                                                               \
    /* numbers */                                                                                  \
    X(INT, int)                                                                                    \
    X(UINT, unsigned)                                                                              \
    X(LONG, long)                                                                                  \
    X(ULONG, unsigned long)                                                                        \
    X(HEX, unsigned long)                                                                          \
    X(SIZE, size_t)                                                                                \
    X(OFF, loff_t)                                                                                 \
    X(FD, int)                                                                                     \
    X(UFD, unsigned)                                                                               \
    X(DIRFD, int)                                                                                  \
    X(PID, pid_t)                                                                                  \
    X(UID, uid_t)                                                                                  \
    X(GID, gid_t)                                                                                  \
    X(MODE, unsigned)                                                                              \
    X(MKNODMODE, unsigned)                                                                         \
    X(DEV, unsigned)                                                                               \
    X(SIGNAL, int)                                                                                 \
    X(ADDR, gaddr_t) /* an address as such */                                                      \
    X(PTR, gaddr_t)  /* a pointer that is not followed */                                          \
    /* strings and buffers */                                                                      \
    X(PATH, gaddr_t)                                                                               \
    X(PATH_O, gaddr_t) /* a string, ended by its NUL */                                            \
    X(STR, gaddr_t)                                                                                \
    X(ARGV, gaddr_t)                                                                               \
    X(ENVP, gaddr_t)                                                                               \
    X(IN, gaddr_t)  /* as many bytes as the next argument says */                                  \
    X(OUT, gaddr_t) /* as many bytes as the call returns */                                        \
    X(IOV_I, gaddr_t)                                                                              \
    X(IOV_O, gaddr_t)                                                                              \
    /* structures */                                                                               \
    X(STAT_O, gaddr_t)                                                                             \
    X(STATX_O, gaddr_t)                                                                            \
    X(STATFS_O, gaddr_t)                                                                           \
    X(TS_I, gaddr_t) /* struct timespec; TS2: two of them; TV: timeval */                          \
    X(TS_O, gaddr_t)                                                                               \
    X(TS2_I, gaddr_t)                                                                              \
    X(TV_I, gaddr_t)                                                                               \
    X(TV_O, gaddr_t)                                                                               \
    X(TV2_I, gaddr_t)                                                                              \
    X(TZ_O, gaddr_t)                                                                               \
    X(TIMEP_O, gaddr_t) /* time_t */                                                               \
    X(UTIMBUF_I, gaddr_t)                                                                          \
    X(ITV_I, gaddr_t) /* itimerval */                                                              \
    X(ITV_O, gaddr_t)                                                                              \
    X(ITS_I, gaddr_t) /* itimerspec */                                                             \
    X(ITS_O, gaddr_t)                                                                              \
    X(TIMEX, gaddr_t)                                                                              \
    X(TMS_O, gaddr_t)                                                                              \
    X(RUSAGE_O, gaddr_t)                                                                           \
    X(RLIMIT_I, gaddr_t)                                                                           \
    X(RLIMIT_O, gaddr_t)                                                                           \
    X(SYSINFO_O, gaddr_t)                                                                          \
    X(UTSNAME_O, gaddr_t)                                                                          \
    X(SIGSET_I, gaddr_t)                                                                           \
    X(SIGSET_O, gaddr_t)                                                                           \
    X(SIGSETARG, gaddr_t) /* pselect6: { pointer, size } */                                        \
    X(SIGACT_I, gaddr_t)                                                                           \
    X(SIGACT_O, gaddr_t)                                                                           \
    X(SIGALT_I, gaddr_t)                                                                           \
    X(SIGALT_O, gaddr_t)                                                                           \
    X(SIGINFO_I, gaddr_t)                                                                          \
    X(SIGINFO_O, gaddr_t)                                                                          \
    X(SIGEVENT_I, gaddr_t)                                                                         \
    X(WSTATUS_O, gaddr_t)                                                                          \
    X(POLLFDS, gaddr_t)                                                                            \
    X(FDSET, gaddr_t) /* as many descriptors as argument 0 says */                                 \
    X(EPEVENT_I, gaddr_t)                                                                          \
    X(EPEVENTS_O, gaddr_t) /* as many as the call returns */                                       \
    X(SADDR_I, gaddr_t)                                                                            \
    X(SADDR_O, gaddr_t) /* its length lies where the next argument points */                       \
    X(LENP, gaddr_t)                                                                               \
    X(MSG_I, gaddr_t)                                                                              \
    X(MSG_O, gaddr_t)                                                                              \
    X(MMSG_I, gaddr_t)                                                                             \
    X(MMSG_O, gaddr_t)                                                                             \
    X(SOVAL_I, gaddr_t)                                                                            \
    X(SOVAL_O, gaddr_t)                                                                            \
    X(SEMBUFS, gaddr_t)                                                                            \
    X(FD2_O, gaddr_t)  /* int[2] */                                                                \
    X(INTP_O, gaddr_t) /* int */                                                                   \
    X(PIDP_O, gaddr_t)                                                                             \
    X(IDP_O, gaddr_t)                                                                              \
    X(OFFP, gaddr_t)                                                                               \
    X(SIZEP_O, gaddr_t)                                                                            \
    X(PTRP_O, gaddr_t)                                                                             \
    X(GIDS_I, gaddr_t) /* as many as the argument before says; _O: as the call returns */          \
    X(GIDS_O, gaddr_t)                                                                             \
    X(CPUSET_I, gaddr_t) /* bytes: the argument before; _O: as the call returns */                 \
    X(CPUSET_O, gaddr_t)                                                                           \
    X(SCHEDPARAM_I, gaddr_t)                                                                       \
    X(SCHEDPARAM_O, gaddr_t)                                                                       \
    X(SCHEDATTR_I, gaddr_t)                                                                        \
    X(SCHEDATTR_O, gaddr_t)                                                                        \
    X(CAPHDR, gaddr_t)                                                                             \
    X(CAPDATA_I, gaddr_t)                                                                          \
    X(CAPDATA_O, gaddr_t)                                                                          \
    X(DIRENT_O, gaddr_t)                                                                           \
    X(DIRENT64_O, gaddr_t)                                                                         \
    X(CLONEARGS_I, gaddr_t)                                                                        \
    X(OPENHOW_I, gaddr_t)                                                                          \
    /* what the argument means depends on an earlier one */                                        \
    X(IOCTL, unsigned)                                                                             \
    X(IOCTLARG, gaddr_t)                                                                           \
    X(FCNTL, unsigned)                                                                             \
    X(FCNTLARG, unsigned long)                                                                     \
    X(FUTEXOP, int)                                                                                \
    X(FUTEXARG, gaddr_t) /* a timespec, or a count */                                              \
    X(PRCTL, int)                                                                                  \
    X(ARCHPRCTL, int)                                                                              \
    X(PTRACEREQ, long)                                                                             \
    X(SOOPT, int) /* its level is the argument before */                                           \
    X(PROTO, int) /* its family is argument 0 */                                                   \
    /* one of a list */                                                                            \
    X(WHENCE, unsigned)                                                                            \
    X(SIGHOW, int)                                                                                 \
    X(MADVICE, int)                                                                                \
    X(FADVICE, int)                                                                                \
    X(IPCKEY, int)                                                                                 \
    X(SHMCMD, int)                                                                                 \
    X(SEMCMD, int)                                                                                 \
    X(MSGCMD, int)                                                                                 \
    X(ITIMER, int)                                                                                 \
    X(AF, int)                                                                                     \
    X(SHUTHOW, int)                                                                                \
    X(SOLEVEL, int)                                                                                \
    X(RLIMIT, unsigned)                                                                            \
    X(RUSAGEWHO, int)                                                                              \
    X(PERSONALITY, unsigned)                                                                       \
    X(PRIOWHICH, int)                                                                              \
    X(SCHEDPOLICY, int)                                                                            \
    X(CLOCKID, int)                                                                                \
    X(EPCTL, int)                                                                                  \
    X(IDTYPE, int)                                                                                 \
    X(KCMPTYPE, int)                                                                               \
    X(SECCOMPOP, unsigned)                                                                         \
    X(MEMBARRIERCMD, int)                                                                          \
    /* flags */                                                                                    \
    X(OFLAGS, int)                                                                                 \
    X(PROT, unsigned long)                                                                         \
    X(MAPFLAGS, unsigned long)                                                                     \
    X(MREMAPFLAGS, unsigned long)                                                                  \
    X(MSYNCFLAGS, int)                                                                             \
    X(MLOCKALLFLAGS, int)                                                                          \
    X(MLOCKFLAGS, int)                                                                             \
    X(ACCMODE, int)                                                                                \
    X(SHMGETFLAGS, int)                                                                            \
    X(SHMATFLAGS, int)                                                                             \
    X(IPCMSGFLAGS, int)                                                                            \
    X(SOCKTYPE, int)                                                                               \
    X(SOCKFLAGS, int)                                                                              \
    X(MSGFLAGS, unsigned)                                                                          \
    X(CLONEFLAGS, unsigned long)                                                                   \
    X(WAITOPTS, int)                                                                               \
    X(FLOCKOP, unsigned)                                                                           \
    X(MOUNTFLAGS, unsigned long)                                                                   \
    X(UMOUNTFLAGS, int)                                                                            \
    X(XATTRFLAGS, int)                                                                             \
    X(TIMERFLAGS, int)                                                                             \
    X(INOTIFYMASK, uint32_t)                                                                       \
    X(INFLAGS, int)                                                                                \
    X(ATFLAGS, int)                                                                                \
    X(UNLINKFLAGS, int)                                                                            \
    X(FACCESSFLAGS, int)                                                                           \
    X(SPLICEFLAGS, unsigned)                                                                       \
    X(SYNCRANGEFLAGS, unsigned)                                                                    \
    X(FALLOCMODE, int)                                                                             \
    X(TFDFLAGS, int)                                                                               \
    X(TFDSETFLAGS, int)                                                                            \
    X(SFDFLAGS, int)                                                                               \
    X(EFDFLAGS, int)                                                                               \
    X(EPFLAGS, int)                                                                                \
    X(RENAMEFLAGS, unsigned)                                                                       \
    X(GRNDFLAGS, unsigned)                                                                         \
    X(MEMFDFLAGS, unsigned)                                                                        \
    X(RWFFLAGS, int)                                                                               \
    X(STATXMASK, unsigned)                                                                         \
    X(PIDFDFLAGS, unsigned)                                                                        \
    X(CLOSERANGEFLAGS, unsigned)

/* K_FD, K_OUT, ... */
enum arg_kind {
#define X(k, type) K_##k,
    ABI_KINDS(X)
#undef X
        K_COUNT
};

/* kt_FD, kt_OUT, ...: the C types. */
#define X(k, type) typedef type kt_##k;
ABI_KINDS(X)
#undef X

/* SPDX-License-Identifier: Apache-2.0 */
/* Which list belongs to a kind of argument. */
#include "sentry/strace/xlat.h"

static const struct {
    const struct xset *set;
    bool flags;
} by_kind[K_COUNT] = {
    [K_ATFLAGS] = { &x_at, true },
    [K_UNLINKFLAGS] = { &x_unlink, true },
    [K_FACCESSFLAGS] = { &x_faccess, true },
    [K_WHENCE] = { &x_whence, false },
    [K_SIGHOW] = { &x_signals_how, false },
    [K_MADVICE] = { &x_madvice, false },
    [K_FADVICE] = { &x_fadvice, false },
    [K_IPCKEY] = { &x_ipckey, false },
    [K_SHMCMD] = { &x_shmcmd, false },
    [K_SEMCMD] = { &x_semcmd, false },
    [K_MSGCMD] = { &x_msgcmd, false },
    [K_ITIMER] = { &x_itimer, false },
    [K_AF] = { &x_af, false },
    [K_SHUTHOW] = { &x_shut, false },
    [K_SOLEVEL] = { &x_solevel, false },
    [K_RLIMIT] = { &x_rlimit, false },
    [K_RUSAGEWHO] = { &x_rusage, false },
    [K_PRIOWHICH] = { &x_prio, false },
    [K_SCHEDPOLICY] = { &x_policy, false },
    [K_EPCTL] = { &x_epctl, false },
    [K_IDTYPE] = { &x_idtype, false },
    [K_KCMPTYPE] = { &x_kcmp, false },
    [K_SECCOMPOP] = { &x_seccomp, false },
    [K_MEMBARRIERCMD] = { &x_membarrier, false },
    [K_PROT] = { &x_prot, true },
    [K_MAPFLAGS] = { &x_map, true },
    [K_MREMAPFLAGS] = { &x_mremap, true },
    [K_MSYNCFLAGS] = { &x_msync, true },
    [K_MLOCKALLFLAGS] = { &x_mlockall, true },
    [K_MLOCKFLAGS] = { &x_mlock, true },
    [K_SHMGETFLAGS] = { &x_shmget, true },
    [K_SHMATFLAGS] = { &x_shmat, true },
    [K_IPCMSGFLAGS] = { &x_ipcmsg, true },
    [K_SOCKFLAGS] = { &x_sockflags, true },
    [K_MSGFLAGS] = { &x_msg, true },
    [K_WAITOPTS] = { &x_wait, true },
    [K_MOUNTFLAGS] = { &x_mount, true },
    [K_UMOUNTFLAGS] = { &x_umount, true },
    [K_XATTRFLAGS] = { &x_xattr, true },
    [K_TIMERFLAGS] = { &x_timer, true },
    [K_INOTIFYMASK] = { &x_inotify, true },
    [K_INFLAGS] = { &x_in, true },
    [K_SPLICEFLAGS] = { &x_splice, true },
    [K_SYNCRANGEFLAGS] = { &x_syncrange, true },
    [K_FALLOCMODE] = { &x_falloc, true },
    [K_TFDFLAGS] = { &x_tfd, true },
    [K_TFDSETFLAGS] = { &x_tfdset, true },
    [K_SFDFLAGS] = { &x_sfd, true },
    [K_EFDFLAGS] = { &x_efd, true },
    [K_EPFLAGS] = { &x_ep, true },
    [K_RENAMEFLAGS] = { &x_rename, true },
    [K_GRNDFLAGS] = { &x_grnd, true },
    [K_MEMFDFLAGS] = { &x_memfd, true },
    [K_RWFFLAGS] = { &x_rwf, true },
    [K_STATXMASK] = { &x_statx_mask, true },
    [K_PIDFDFLAGS] = { &x_pidfd, true },
    [K_CLOSERANGEFLAGS] = { &x_closerange, true },
    [K_FCNTL] = { &x_fcntl, false },
    [K_ARCHPRCTL] = { &x_archprctl, false },
    [K_PRCTL] = { &x_prctl, false },
    [K_PTRACEREQ] = { &x_ptrace, false },
    [K_PERSONALITY] = { &x_personality, true },
};

const struct xset *sx_set_of(enum arg_kind k, bool *ret_flags)
{
    *ret_flags = by_kind[k].flags;
    return by_kind[k].set;
}

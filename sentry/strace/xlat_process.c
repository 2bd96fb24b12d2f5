/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of values: processes, memory, signals and time. An entry that covers several bits stands before those bits.
 * Values that our libc's headers do not know yet are literal.
 */
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "sentry/strace/xlat.h"

static const struct xlat t_signals_how[] = {
    X(SIG_BLOCK),
    X(SIG_UNBLOCK),
    X(SIG_SETMASK),
};
XSET(x_signals_how, t_signals_how, "SIG_");

static const struct xlat t_madvice[] = {
    X(MADV_NORMAL),          X(MADV_RANDOM),
    X(MADV_SEQUENTIAL),      X(MADV_WILLNEED),
    X(MADV_DONTNEED),        X(MADV_FREE),
    X(MADV_REMOVE),          X(MADV_DONTFORK),
    X(MADV_DOFORK),          X(MADV_MERGEABLE),
    X(MADV_UNMERGEABLE),     X(MADV_HUGEPAGE),
    X(MADV_NOHUGEPAGE),      X(MADV_DONTDUMP),
    X(MADV_DODUMP),          X(MADV_WIPEONFORK),
    X(MADV_KEEPONFORK),      X(MADV_COLD),
    X(MADV_PAGEOUT),         X(MADV_POPULATE_READ),
    X(MADV_POPULATE_WRITE),  { 24, "MADV_DONTNEED_LOCKED" },
    { 25, "MADV_COLLAPSE" }, X(MADV_HWPOISON),
};
XSET(x_madvice, t_madvice, "MADV_");

static const struct xlat t_ipckey[] = {
    X(IPC_PRIVATE),
};
XSET(x_ipckey, t_ipckey, "IPC_");

#define IPC_COMMON X(IPC_RMID), X(IPC_SET), X(IPC_STAT), X(IPC_INFO)

static const struct xlat t_shmcmd[] = {
    IPC_COMMON, X(SHM_LOCK), X(SHM_UNLOCK), X(SHM_STAT), X(SHM_INFO),
};
XSET(x_shmcmd, t_shmcmd, "SHM_");

static const struct xlat t_semcmd[] = {
    IPC_COMMON, X(GETPID), X(GETVAL), X(GETALL),   X(GETNCNT),
    X(GETZCNT), X(SETVAL), X(SETALL), X(SEM_STAT), X(SEM_INFO),
};
XSET(x_semcmd, t_semcmd, "SEM_");

static const struct xlat t_msgcmd[] = { IPC_COMMON, X(MSG_STAT), X(MSG_INFO) };
XSET(x_msgcmd, t_msgcmd, "MSG_");

static const struct xlat t_itimer[] = {
    X(ITIMER_REAL),
    X(ITIMER_VIRTUAL),
    X(ITIMER_PROF),
};
XSET(x_itimer, t_itimer, "ITIMER_");

static const struct xlat t_rlimit[] = {
    X(RLIMIT_CPU),      X(RLIMIT_FSIZE), X(RLIMIT_DATA),   X(RLIMIT_STACK),
    X(RLIMIT_CORE),     X(RLIMIT_RSS),   X(RLIMIT_NPROC),  X(RLIMIT_NOFILE),
    X(RLIMIT_MEMLOCK),  X(RLIMIT_AS),    X(RLIMIT_LOCKS),  X(RLIMIT_SIGPENDING),
    X(RLIMIT_MSGQUEUE), X(RLIMIT_NICE),  X(RLIMIT_RTPRIO), X(RLIMIT_RTTIME),
};
XSET(x_rlimit, t_rlimit, "RLIMIT_");

static const struct xlat t_rusage[] = {
    X(RUSAGE_SELF),
    X(RUSAGE_CHILDREN),
    X(RUSAGE_THREAD),
};
XSET(x_rusage, t_rusage, "RUSAGE_");

static const struct xlat t_prio[] = {
    X(PRIO_PROCESS),
    X(PRIO_PGRP),
    X(PRIO_USER),
};
XSET(x_prio, t_prio, "PRIO_");

static const struct xlat t_policy[] = {
    X(SCHED_OTHER),
    X(SCHED_FIFO),
    X(SCHED_RR),
    X(SCHED_BATCH),
    X(SCHED_IDLE),
    X(SCHED_DEADLINE),
    { SCHED_RESET_ON_FORK, "SCHED_OTHER|SCHED_RESET_ON_FORK" },
};
XSET(x_policy, t_policy, "SCHED_");

static const struct xlat t_clock[] = {
    X(CLOCK_REALTIME),          X(CLOCK_MONOTONIC),     X(CLOCK_PROCESS_CPUTIME_ID),
    X(CLOCK_THREAD_CPUTIME_ID), X(CLOCK_MONOTONIC_RAW), X(CLOCK_REALTIME_COARSE),
    X(CLOCK_MONOTONIC_COARSE),  X(CLOCK_BOOTTIME),      X(CLOCK_REALTIME_ALARM),
    X(CLOCK_BOOTTIME_ALARM),    X(CLOCK_TAI),
};
XSET(x_clock, t_clock, "CLOCK_");

static const struct xlat t_idtype[] = {
    X(P_ALL),
    X(P_PID),
    X(P_PGID),
    X(P_PIDFD),
};
XSET(x_idtype, t_idtype, "P_");

static const struct xlat t_kcmp[] = {
    { 0, "KCMP_FILE" },    { 1, "KCMP_VM" }, { 2, "KCMP_FILES" },   { 3, "KCMP_FS" },
    { 4, "KCMP_SIGHAND" }, { 5, "KCMP_IO" }, { 6, "KCMP_SYSVSEM" }, { 7, "KCMP_EPOLL_TFD" },
};
XSET(x_kcmp, t_kcmp, "KCMP_");

static const struct xlat t_seccomp[] = {
    X(SECCOMP_SET_MODE_STRICT),
    X(SECCOMP_SET_MODE_FILTER),
    X(SECCOMP_GET_ACTION_AVAIL),
    X(SECCOMP_GET_NOTIF_SIZES),
};
XSET(x_seccomp, t_seccomp, "SECCOMP_");

static const struct xlat t_membarrier[] = {
    X(MEMBARRIER_CMD_QUERY),
    X(MEMBARRIER_CMD_GLOBAL),
    X(MEMBARRIER_CMD_GLOBAL_EXPEDITED),
    X(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED),
    X(MEMBARRIER_CMD_PRIVATE_EXPEDITED),
    X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
    X(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE),
    X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE),
    X(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ),
    X(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ),
    { 512, "MEMBARRIER_CMD_GET_REGISTRATIONS" },
};
XSET(x_membarrier, t_membarrier, "MEMBARRIER_CMD_");

static const struct xlat t_prot[] = {
    X(PROT_NONE), X(PROT_READ), X(PROT_WRITE), X(PROT_EXEC), X(PROT_GROWSDOWN), X(PROT_GROWSUP),
};
XSET(x_prot, t_prot, "PROT_");

static const struct xlat t_map[] = {
    X(MAP_SHARED_VALIDATE), X(MAP_SHARED),    X(MAP_PRIVATE),   X(MAP_FIXED),
    X(MAP_ANONYMOUS),       X(MAP_32BIT),     X(MAP_NORESERVE), X(MAP_POPULATE),
    X(MAP_NONBLOCK),        X(MAP_GROWSDOWN), X(MAP_DENYWRITE), X(MAP_EXECUTABLE),
    X(MAP_LOCKED),          X(MAP_STACK),     X(MAP_HUGETLB),   X(MAP_SYNC),
    X(MAP_FIXED_NOREPLACE),
};
XSET(x_map, t_map, "MAP_");

static const struct xlat t_mremap[] = {
    X(MREMAP_MAYMOVE),
    X(MREMAP_FIXED),
    X(MREMAP_DONTUNMAP),
};
XSET(x_mremap, t_mremap, "MREMAP_");

static const struct xlat t_msync[] = {
    X(MS_ASYNC),
    X(MS_INVALIDATE),
    X(MS_SYNC),
};
XSET(x_msync, t_msync, "MS_");

static const struct xlat t_mlockall[] = {
    X(MCL_CURRENT),
    X(MCL_FUTURE),
    X(MCL_ONFAULT),
};
XSET(x_mlockall, t_mlockall, "MCL_");

static const struct xlat t_mlock[] = {
    X(MLOCK_ONFAULT),
};
XSET(x_mlock, t_mlock, "MLOCK_");

static const struct xlat t_shmget[] = {
    X(IPC_CREAT),
    X(IPC_EXCL),
    X(SHM_HUGETLB),
    X(SHM_NORESERVE),
};
XSET(x_shmget, t_shmget, "IPC_");

static const struct xlat t_shmat[] = {
    X(SHM_RDONLY),
    X(SHM_RND),
    X(SHM_REMAP),
    X(SHM_EXEC),
};
XSET(x_shmat, t_shmat, "SHM_");

static const struct xlat t_ipcmsg[] = {
    X(IPC_NOWAIT),
    X(MSG_NOERROR),
    X(MSG_EXCEPT),
    { 040000, "MSG_COPY" },
};
XSET(x_ipcmsg, t_ipcmsg, "MSG_");

static const struct xlat t_clone[] = {
    X(CLONE_VM),
    X(CLONE_FS),
    X(CLONE_FILES),
    X(CLONE_SIGHAND),
    { 0x1000, "CLONE_PIDFD" },
    X(CLONE_PTRACE),
    X(CLONE_VFORK),
    X(CLONE_PARENT),
    X(CLONE_THREAD),
    X(CLONE_NEWNS),
    X(CLONE_SYSVSEM),
    X(CLONE_SETTLS),
    X(CLONE_PARENT_SETTID),
    X(CLONE_CHILD_CLEARTID),
    X(CLONE_DETACHED),
    X(CLONE_UNTRACED),
    X(CLONE_CHILD_SETTID),
    X(CLONE_NEWCGROUP),
    X(CLONE_NEWUTS),
    X(CLONE_NEWIPC),
    X(CLONE_NEWUSER),
    X(CLONE_NEWPID),
    X(CLONE_NEWNET),
    X(CLONE_IO),
    { 0x100000000, "CLONE_CLEAR_SIGHAND" },
    { 0x200000000, "CLONE_INTO_CGROUP" },
};
XSET(x_clone, t_clone, "CLONE_");

static const struct xlat t_wait[] = {
    X(WNOHANG),
    { 2, "WSTOPPED" },
    X(WEXITED),
    X(WCONTINUED),
    X(WNOWAIT),
    { 0x20000000, "__WNOTHREAD" },
    { 0x40000000, "__WALL" },
    { 0x80000000, "__WCLONE" },
};
XSET(x_wait, t_wait, "W");

static const struct xlat t_timer[] = {
    X(TIMER_ABSTIME),
};
XSET(x_timer, t_timer, "TIMER_");

static const struct xlat t_pidfd[] = {
    { O_NONBLOCK, "PIDFD_NONBLOCK" },
    { O_EXCL, "PIDFD_THREAD" },
};
XSET(x_pidfd, t_pidfd, "PIDFD_");

static const struct xlat t_sa[] = {
    { 0x04000000, "SA_RESTORER" },
    X(SA_ONSTACK),
    X(SA_RESTART),
    { 0x20000000, "SA_INTERRUPT" },
    X(SA_NODEFER),
    X(SA_RESETHAND),
    X(SA_SIGINFO),
    X(SA_NOCLDSTOP),
    X(SA_NOCLDWAIT),
    { 0x400, "SA_UNSUPPORTED" },
    { 0x800, "SA_EXPOSE_TAGBITS" },
};
XSET(x_sa, t_sa, "SA_");

static const struct xlat t_ss[] = {
    X(SS_ONSTACK),
    X(SS_DISABLE),
    { 0x80000000, "SS_AUTODISARM" },
};
XSET(x_ss, t_ss, "SS_");

static const struct xlat t_archprctl[] = {
    X(ARCH_SET_GS),
    X(ARCH_SET_FS),
    X(ARCH_GET_FS),
    X(ARCH_GET_GS),
    { 0x1011, "ARCH_GET_CPUID" },
    { 0x1012, "ARCH_SET_CPUID" },
    { 0x1021, "ARCH_GET_XCOMP_SUPP" },
    { 0x1022, "ARCH_GET_XCOMP_PERM" },
    { 0x1023, "ARCH_REQ_XCOMP_PERM" },
    { 0x5001, "ARCH_SHSTK_ENABLE" },
    { 0x5002, "ARCH_SHSTK_DISABLE" },
    { 0x5005, "ARCH_SHSTK_STATUS" },
};
XSET(x_archprctl, t_archprctl, "ARCH_");

static const struct xlat t_prctl[] = {
    X(PR_SET_PDEATHSIG),
    X(PR_GET_PDEATHSIG),
    X(PR_GET_DUMPABLE),
    X(PR_SET_DUMPABLE),
    X(PR_GET_UNALIGN),
    X(PR_SET_UNALIGN),
    X(PR_GET_KEEPCAPS),
    X(PR_SET_KEEPCAPS),
    X(PR_GET_TIMING),
    X(PR_SET_TIMING),
    X(PR_SET_NAME),
    X(PR_GET_NAME),
    X(PR_GET_SECCOMP),
    X(PR_SET_SECCOMP),
    X(PR_CAPBSET_READ),
    X(PR_CAPBSET_DROP),
    X(PR_GET_TSC),
    X(PR_SET_TSC),
    X(PR_GET_SECUREBITS),
    X(PR_SET_SECUREBITS),
    X(PR_SET_TIMERSLACK),
    X(PR_GET_TIMERSLACK),
    X(PR_TASK_PERF_EVENTS_DISABLE),
    X(PR_TASK_PERF_EVENTS_ENABLE),
    X(PR_MCE_KILL),
    X(PR_MCE_KILL_GET),
    X(PR_SET_MM),
    X(PR_SET_PTRACER),
    X(PR_SET_CHILD_SUBREAPER),
    X(PR_GET_CHILD_SUBREAPER),
    X(PR_SET_NO_NEW_PRIVS),
    X(PR_GET_NO_NEW_PRIVS),
    X(PR_GET_TID_ADDRESS),
    X(PR_SET_THP_DISABLE),
    X(PR_GET_THP_DISABLE),
    X(PR_CAP_AMBIENT),
    X(PR_GET_SPECULATION_CTRL),
    X(PR_SET_SPECULATION_CTRL),
    X(PR_SET_IO_FLUSHER),
    X(PR_GET_IO_FLUSHER),
    X(PR_SET_SYSCALL_USER_DISPATCH),
    X(PR_SCHED_CORE),
    { 65, "PR_SET_MDWE" },
    { 66, "PR_GET_MDWE" },
    { 0x53564d41, "PR_SET_VMA" },
};
XSET(x_prctl, t_prctl, "PR_");

static const struct xlat t_cap[] = {
    X(CAP_CHOWN),
    X(CAP_DAC_OVERRIDE),
    X(CAP_DAC_READ_SEARCH),
    X(CAP_FOWNER),
    X(CAP_FSETID),
    X(CAP_KILL),
    X(CAP_SETGID),
    X(CAP_SETUID),
    X(CAP_SETPCAP),
    X(CAP_LINUX_IMMUTABLE),
    X(CAP_NET_BIND_SERVICE),
    X(CAP_NET_BROADCAST),
    X(CAP_NET_ADMIN),
    X(CAP_NET_RAW),
    X(CAP_IPC_LOCK),
    X(CAP_IPC_OWNER),
    X(CAP_SYS_MODULE),
    X(CAP_SYS_RAWIO),
    X(CAP_SYS_CHROOT),
    X(CAP_SYS_PTRACE),
    X(CAP_SYS_PACCT),
    X(CAP_SYS_ADMIN),
    X(CAP_SYS_BOOT),
    X(CAP_SYS_NICE),
    X(CAP_SYS_RESOURCE),
    X(CAP_SYS_TIME),
    X(CAP_SYS_TTY_CONFIG),
    X(CAP_MKNOD),
    X(CAP_LEASE),
    X(CAP_AUDIT_WRITE),
    X(CAP_AUDIT_CONTROL),
    X(CAP_SETFCAP),
    X(CAP_MAC_OVERRIDE),
    X(CAP_MAC_ADMIN),
    X(CAP_SYSLOG),
    X(CAP_WAKE_ALARM),
    X(CAP_BLOCK_SUSPEND),
    X(CAP_AUDIT_READ),
    X(CAP_PERFMON),
    X(CAP_BPF),
    X(CAP_CHECKPOINT_RESTORE),
};
XSET(x_cap, t_cap, "CAP_");

static const struct xlat t_ptrace[] = {
    X(PTRACE_TRACEME),    X(PTRACE_PEEKTEXT),   X(PTRACE_PEEKDATA),    X(PTRACE_PEEKUSER),
    X(PTRACE_POKETEXT),   X(PTRACE_POKEDATA),   X(PTRACE_POKEUSER),    X(PTRACE_CONT),
    X(PTRACE_KILL),       X(PTRACE_SINGLESTEP), X(PTRACE_GETREGS),     X(PTRACE_SETREGS),
    X(PTRACE_GETFPREGS),  X(PTRACE_SETFPREGS),  X(PTRACE_ATTACH),      X(PTRACE_DETACH),
    X(PTRACE_SYSCALL),    X(PTRACE_SETOPTIONS), X(PTRACE_GETEVENTMSG), X(PTRACE_GETSIGINFO),
    X(PTRACE_SETSIGINFO), X(PTRACE_GETREGSET),  X(PTRACE_SETREGSET),   X(PTRACE_SEIZE),
    X(PTRACE_INTERRUPT),  X(PTRACE_LISTEN),     X(PTRACE_PEEKSIGINFO), X(PTRACE_GETSIGMASK),
    X(PTRACE_SETSIGMASK),
};
XSET(x_ptrace, t_ptrace, "PTRACE_");

static const struct xlat t_personality[] = {
    X(PER_LINUX),         X(UNAME26),          X(ADDR_NO_RANDOMIZE),
    X(FDPIC_FUNCPTRS),    X(MMAP_PAGE_ZERO),   X(ADDR_COMPAT_LAYOUT),
    X(READ_IMPLIES_EXEC), X(ADDR_LIMIT_32BIT), X(SHORT_INODE),
    X(WHOLE_SECONDS),     X(STICKY_TIMEOUTS),  X(ADDR_LIMIT_3GB),
};
XSET(x_personality, t_personality, "PER_");

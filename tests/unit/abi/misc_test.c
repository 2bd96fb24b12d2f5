/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/fs.h"
#include "abi/ipc.h"
#include "abi/poll.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "abi/time.h"
#include "abi/tty.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/rseq.h>
#include <linux/seccomp.h>
#include <linux/utsname.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <utime.h>

/* Structures of the kernel whose names libc has, too. */
#define timeval kernel_timeval
#define timezone kernel_timezone
#define iovec kernel_iovec
#define flock kernel_flock
#define f_owner_ex kernel_f_owner_ex
#define sched_param kernel_sched_param
#define clone_args kernel_clone_args
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/termios.h>
#undef sched_param
#include <asm/ipcbuf.h>
#include <asm/msgbuf.h>
#include <asm/sembuf.h>
#include <asm/shmbuf.h>
#undef clone_args
#undef timeval
#undef timezone
#undef iovec
#undef flock
#undef f_owner_ex
#include <fcntl.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "same.h"

#define RU(m) AT(lx_rusage, m, rusage, m)
#define SI(m) AT(lx_sysinfo, m, sysinfo, m)
#define TX(m) AT(lx_timex, m, timex, m)
#define CL(m) AT(lx_clone_args, m, kernel_clone_args, m)

static const struct same misc[] = {
    SIZE(lx_tms, tms),
    SIZE(lx_utimbuf, utimbuf),
    SIZE(lx_timezone, timezone),
    SIZE(lx_timex, timex),
    TX(offset),
    TX(status),
    TX(constant),
    TX(time),
    TX(tick),
    TX(shift),
    TX(stbcnt),
    TX(tai),
    SIZE_IS(timespec, 16),
    SIZE_IS(timeval, 16),
    SIZE_IS(itimerspec, 32),
    SIZE_IS(itimerval, 32),

    SIZE(lx_rusage, rusage),
    RU(ru_utime),
    RU(ru_stime),
    RU(ru_maxrss),
    RU(ru_minflt),
    RU(ru_inblock),
    RU(ru_nivcsw),
    SIZE(lx_rlimit, rlimit),
    SIZE(lx_sysinfo, sysinfo),
    SI(loads),
    SI(totalram),
    SI(freeswap),
    SI(procs),
    SI(totalhigh),
    SI(mem_unit),
    SIZE(lx_utsname, new_utsname),
    AT(lx_utsname, machine, new_utsname, machine),
    AT(lx_utsname, domainname, new_utsname, domainname),

    SIZE(lx_pollfd, pollfd),
    AT(lx_pollfd, revents, pollfd, revents),
    SIZE(lx_epoll_event, epoll_event),
    AT(lx_epoll_event, data, epoll_event, data),
    SIZE(lx_inotify_event, inotify_event),
    AT(lx_inotify_event, len, inotify_event, len),

    SIZE(lx_iovec, iovec),
    AT(lx_iovec, len, iovec, iov_len),
    SIZE(lx_flock, flock),
    AT(lx_flock, l_whence, flock, l_whence),
    AT(lx_flock, l_start, flock, l_start),
    AT(lx_flock, l_len, flock, l_len),
    AT(lx_flock, l_pid, flock, l_pid),
    SIZE(lx_f_owner_ex, f_owner_ex),
    AT(lx_dirent64, off, dirent64, d_off),
    AT(lx_dirent64, reclen, dirent64, d_reclen),
    AT(lx_dirent64, type, dirent64, d_type),
    AT(lx_dirent64, name, dirent64, d_name),
    AT_IS(lx_dirent, name, 18),
    SIZE(lx_open_how, open_how),
    AT(lx_open_how, resolve, open_how, resolve),
    SIZE(lx_file_handle, file_handle),
    SIZE(lx_fsxattr, fsxattr),
    AT(lx_fsxattr, fsx_cowextsize, fsxattr, fsx_cowextsize),
    SIZE_IS(lx_cachestat_range, 16), /* 6.5 */
    SIZE_IS(lx_cachestat, 40),

    SIZE(lx_clone_args, kernel_clone_args),
    CL(flags),
    CL(pidfd),
    CL(child_tid),
    CL(parent_tid),
    CL(exit_signal),
    CL(stack),
    CL(stack_size),
    CL(tls),
    CL(set_tid),
    CL(set_tid_size),
    CL(cgroup),
    VALUE(LX_CLONE_ARGS_SIZE_VER0, CLONE_ARGS_SIZE_VER0),
    VALUE(LX_CLONE_ARGS_SIZE_VER2, CLONE_ARGS_SIZE_VER2),
    VALUE(LX_CLONE_PIDFD, CLONE_PIDFD),
    VALUE(LX_CLONE_CLEAR_SIGHAND, CLONE_CLEAR_SIGHAND),
    VALUE(LX_CLONE_INTO_CGROUP, CLONE_INTO_CGROUP),
    SIZE(lx_sched_attr, sched_attr),
    AT(lx_sched_attr, nice, sched_attr, sched_nice),
    AT(lx_sched_attr, runtime, sched_attr, sched_runtime),
    AT(lx_sched_attr, util_max, sched_attr, sched_util_max),
    SIZE_IS(lx_sched_param, 4),
    SIZE(lx_cap_header, __user_cap_header_struct),
    SIZE(lx_cap_data, __user_cap_data_struct),
    AT(lx_cap_data, inheritable, __user_cap_data_struct, inheritable),
    VALUE(LX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_1),
    VALUE(LX_CAPABILITY_VERSION_2, _LINUX_CAPABILITY_VERSION_2),
    VALUE(LX_CAPABILITY_VERSION_3, _LINUX_CAPABILITY_VERSION_3),
    SIZE(lx_robust_list_head, robust_list_head),
    AT(lx_robust_list_head, futex_offset, robust_list_head, futex_offset),
    AT(lx_robust_list_head, list_op_pending, robust_list_head, list_op_pending),
    VALUE(LX_ROBUST_LIST_LIMIT, ROBUST_LIST_LIMIT),
    SIZE(lx_futex_waitv, futex_waitv),
    AT(lx_futex_waitv, flags, futex_waitv, flags),
    SIZE(lx_rseq, rseq),
    AT(lx_rseq, cpu_id, rseq, cpu_id),
    AT(lx_rseq, rseq_cs, rseq, rseq_cs),
    AT(lx_rseq, flags, rseq, flags),
    AT_IS(lx_rseq, node_id, 20),
    AT_IS(lx_rseq, mm_cid, 24),
    SIZE(lx_rseq_cs, rseq_cs),
    AT(lx_rseq_cs, abort_ip, rseq_cs, abort_ip),
    SIZE(lx_kcmp_epoll_slot, kcmp_epoll_slot),
    SIZE(lx_sock_filter, sock_filter),
    AT(lx_sock_filter, k, sock_filter, k),
    SIZE(lx_sock_fprog, sock_fprog),
    AT(lx_sock_fprog, filter, sock_fprog, filter),
    SIZE(lx_seccomp_data, seccomp_data),
    AT(lx_seccomp_data, args, seccomp_data, args),

    SIZE(lx_termios, termios),
    AT(lx_termios, c_cc, termios, c_cc),
    SIZE(lx_termios2, termios2),
    AT(lx_termios2, c_ospeed, termios2, c_ospeed),
    SIZE(lx_winsize, winsize),

    SIZE(lx_ipc64_perm, ipc64_perm),
    AT(lx_ipc64_perm, mode, ipc64_perm, mode),
    AT(lx_ipc64_perm, seq, ipc64_perm, seq),
    SIZE(lx_shmid64_ds, shmid64_ds),
    AT(lx_shmid64_ds, shm_segsz, shmid64_ds, shm_segsz),
    AT(lx_shmid64_ds, shm_cpid, shmid64_ds, shm_cpid),
    AT(lx_shmid64_ds, shm_nattch, shmid64_ds, shm_nattch),
    SIZE(lx_shminfo64, shminfo64),
    AT(lx_shminfo64, shmall, shminfo64, shmall),
    SIZE(lx_shm_info, shm_info),
    AT(lx_shm_info, swap_successes, shm_info, swap_successes),
    SIZE(lx_sembuf, sembuf),
    SIZE(lx_semid64_ds, semid64_ds),
    AT(lx_semid64_ds, sem_ctime_, semid64_ds, sem_ctime),
    AT(lx_semid64_ds, sem_nsems, semid64_ds, sem_nsems),
    SIZE(lx_seminfo, seminfo),
    SIZE(lx_msqid64_ds, msqid64_ds),
    AT(lx_msqid64_ds, msg_qbytes, msqid64_ds, msg_qbytes),
    AT(lx_msqid64_ds, msg_lrpid, msqid64_ds, msg_lrpid),
    SIZE(lx_msginfo, msginfo),
    SIZE(lx_mq_attr, mq_attr),
};

SAME_MAIN("abi/misc", misc)

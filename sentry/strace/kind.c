/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which printer belongs to a kind of argument; plain numbers and strings are printed here. A kind
 * without a line here is flags or one of a list (xlat_kind.c).
 */
#include <stdint.h>
#include <string.h>

#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static void p_int(struct sx *s, unsigned i)
{
    sx_printf(s, "%d", (int)s->a[i]);
}

static void p_uint(struct sx *s, unsigned i)
{
    sx_printf(s, "%u", (unsigned)s->a[i]);
}

static void p_long(struct sx *s, unsigned i)
{
    sx_printf(s, "%ld", (long)s->a[i]);
}

static void p_ulong(struct sx *s, unsigned i)
{
    sx_printf(s, "%lu", (unsigned long)s->a[i]);
}

static void p_hex(struct sx *s, unsigned i)
{
    if (!strcmp(s->d->name, "prctl"))
        p_prctl_arg(s, i);
    else
        sx_printf(s, "%#lx", (unsigned long)s->a[i]);
}

static void p_fd(struct sx *s, unsigned i)
{
    sx_fd(s, (int)s->a[i]);
}

static void p_dirfd(struct sx *s, unsigned i)
{
    sx_dirfd(s, (int)s->a[i]);
}

static void p_id(struct sx *s, unsigned i)
{
    sx_id(s, (unsigned)s->a[i]);
}

static void p_mode(struct sx *s, unsigned i)
{
    sx_mode(s, (unsigned)s->a[i]);
}

static void p_dev(struct sx *s, unsigned i)
{
    sx_dev(s, s->a[i]);
}

static void p_signal(struct sx *s, unsigned i)
{
    sx_signame(s, (int)s->a[i]);
}

static void p_addr(struct sx *s, unsigned i)
{
    sx_addr(s, s->a[i]);
}

static void p_cstr(struct sx *s, unsigned i)
{
    sx_cstr(s, s->a[i]);
}

static void p_cstr_out(struct sx *s, unsigned i)
{
    s->ret < 0 ? sx_addr(s, s->a[i]) : sx_cstr(s, s->a[i]);
}

static void p_in(struct sx *s, unsigned i)
{
    sx_bytes(s, s->a[i], i + 1 < s->d->nargs ? s->a[i + 1] : 0);
}

static void p_out(struct sx *s, unsigned i)
{
    if (s->ret < 0)
        sx_addr(s, s->a[i]);
    else
        sx_bytes(s, s->a[i], MIN((uint64_t)s->ret, s->a[i + 1]));
}

static void p_fd2(struct sx *s, unsigned i)
{
    int32_t v[2];

    if (sx_fetch_out(s, s->a[i], v, sizeof v))
        sx_printf(s, "[%d, %d]", v[0], v[1]);
}

static void p_intp(struct sx *s, unsigned i)
{
    int32_t v;

    if (sx_fetch_out(s, s->a[i], &v, sizeof v))
        sx_printf(s, "[%d]", v);
}

static void p_offp(struct sx *s, unsigned i)
{
    int64_t v;

    if (sx_fetch(s, s->a[i], &v, sizeof v))
        sx_printf(s, "[%ld]", (long)v);
}

static void p_word_out(struct sx *s, unsigned i)
{
    uint64_t v;

    if (sx_fetch_out(s, s->a[i], &v, sizeof v))
        sx_printf(s, "[%#lx]", (unsigned long)v);
}

static const sx_printer by_kind[K_COUNT] = {
    [K_INT] = p_int,
    [K_UINT] = p_uint,
    [K_LONG] = p_long,
    [K_ULONG] = p_ulong,
    [K_HEX] = p_hex,
    [K_SIZE] = p_ulong,
    [K_OFF] = p_long,
    [K_FD] = p_fd,
    [K_UFD] = p_uint,
    [K_DIRFD] = p_dirfd,
    [K_PID] = p_int,
    [K_UID] = p_id,
    [K_GID] = p_id,
    [K_MODE] = p_mode,
    [K_MKNODMODE] = p_mknod_mode,
    [K_DEV] = p_dev,
    [K_SIGNAL] = p_signal,
    [K_ADDR] = p_addr,
    [K_PTR] = p_addr,
    [K_PATH] = p_cstr,
    [K_PATH_O] = p_cstr_out,
    [K_STR] = p_cstr,
    [K_ARGV] = p_argv,
    [K_ENVP] = p_envp,
    [K_IN] = p_in,
    [K_OUT] = p_out,
    [K_IOV_I] = p_iov,
    [K_IOV_O] = p_iov,
    [K_STAT_O] = p_stat,
    [K_STATX_O] = p_statx,
    [K_STATFS_O] = p_statfs,
    [K_TS_I] = p_timespec,
    [K_TS_O] = p_timespec,
    [K_TS2_I] = p_timespec2,
    [K_TV_I] = p_timeval,
    [K_TV_O] = p_timeval,
    [K_TV2_I] = p_timeval2,
    [K_TZ_O] = p_timezone,
    [K_TIMEP_O] = p_time,
    [K_UTIMBUF_I] = p_utimbuf,
    [K_ITV_I] = p_itimerval,
    [K_ITV_O] = p_itimerval,
    [K_ITS_I] = p_itimerspec,
    [K_ITS_O] = p_itimerspec,
    [K_TIMEX] = p_addr,
    [K_TMS_O] = p_tms,
    [K_RUSAGE_O] = p_rusage,
    [K_RLIMIT_I] = p_rlimit,
    [K_RLIMIT_O] = p_rlimit,
    [K_SYSINFO_O] = p_sysinfo,
    [K_UTSNAME_O] = p_utsname,
    [K_SIGSET_I] = p_sigset,
    [K_SIGSET_O] = p_sigset,
    [K_SIGSETARG] = p_sigset_arg,
    [K_SIGACT_I] = p_sigaction,
    [K_SIGACT_O] = p_sigaction,
    [K_SIGALT_I] = p_sigaltstack,
    [K_SIGALT_O] = p_sigaltstack,
    [K_SIGINFO_I] = p_siginfo,
    [K_SIGINFO_O] = p_siginfo,
    [K_SIGEVENT_I] = p_sigevent,
    [K_WSTATUS_O] = p_wstatus,
    [K_POLLFDS] = p_pollfds,
    [K_FDSET] = p_fdset,
    [K_EPEVENT_I] = p_epevent,
    [K_EPEVENTS_O] = p_epevents,
    [K_SADDR_I] = p_sockaddr_in,
    [K_SADDR_O] = p_sockaddr_out,
    [K_LENP] = p_lenp,
    [K_MSG_I] = p_msg,
    [K_MSG_O] = p_msg,
    [K_MMSG_I] = p_mmsg,
    [K_MMSG_O] = p_mmsg,
    [K_SOVAL_I] = p_sockval,
    [K_SOVAL_O] = p_sockval,
    [K_SEMBUFS] = p_sembufs,
    [K_FD2_O] = p_fd2,
    [K_INTP_O] = p_intp,
    [K_PIDP_O] = p_intp,
    [K_IDP_O] = p_intp,
    [K_OFFP] = p_offp,
    [K_SIZEP_O] = p_word_out,
    [K_PTRP_O] = p_word_out,
    [K_GIDS_I] = p_gids,
    [K_GIDS_O] = p_gids,
    [K_CPUSET_I] = p_cpuset,
    [K_CPUSET_O] = p_cpuset,
    [K_SCHEDPARAM_I] = p_sched_param,
    [K_SCHEDPARAM_O] = p_sched_param,
    [K_SCHEDATTR_I] = p_sched_attr,
    [K_SCHEDATTR_O] = p_sched_attr,
    [K_CAPHDR] = p_cap_header,
    [K_CAPDATA_I] = p_cap_data,
    [K_CAPDATA_O] = p_cap_data,
    [K_DIRENT_O] = p_dirents,
    [K_DIRENT64_O] = p_dirents,
    [K_CLONEARGS_I] = p_clone_args,
    [K_OPENHOW_I] = p_open_how,
    [K_IOCTL] = p_ioctl,
    [K_IOCTLARG] = p_ioctl_arg,
    [K_FCNTLARG] = p_fcntl_arg,
    [K_FUTEXOP] = p_futex_op,
    [K_FUTEXARG] = p_futex_arg,
    [K_SOOPT] = p_sockopt,
    [K_PROTO] = p_protocol,
    [K_CLOCKID] = p_clockid,
    [K_OFLAGS] = p_oflags,
    [K_ACCMODE] = p_accmode,
    [K_SOCKTYPE] = p_socktype,
    [K_CLONEFLAGS] = p_clone_flags,
    [K_FLOCKOP] = p_flock_op,
};

sx_printer sx_printer_of(enum arg_kind k)
{
    return by_kind[k];
}

bool sx_is_out(enum arg_kind k)
{
    switch (k) {
    case K_PATH_O:
    case K_OUT:
    case K_IOV_O:
    case K_STAT_O:
    case K_STATX_O:
    case K_STATFS_O:
    case K_TS_O:
    case K_TV_O:
    case K_TZ_O:
    case K_TIMEP_O:
    case K_ITV_O:
    case K_ITS_O:
    case K_TMS_O:
    case K_RUSAGE_O:
    case K_RLIMIT_O:
    case K_SYSINFO_O:
    case K_UTSNAME_O:
    case K_SIGSET_O:
    case K_SIGACT_O:
    case K_SIGALT_O:
    case K_SIGINFO_O:
    case K_WSTATUS_O:
    case K_EPEVENTS_O:
    case K_SADDR_O:
    case K_LENP:
    case K_MSG_O:
    case K_MMSG_O:
    case K_SOVAL_O:
    case K_FD2_O:
    case K_INTP_O:
    case K_PIDP_O:
    case K_IDP_O:
    case K_SIZEP_O:
    case K_PTRP_O:
    case K_GIDS_O:
    case K_CPUSET_O:
    case K_SCHEDPARAM_O:
    case K_SCHEDATTR_O:
    case K_CAPDATA_O:
    case K_DIRENT_O:
    case K_DIRENT64_O:
    case K_IOCTLARG:
    case K_FCNTLARG:
        return true;
    default:
        return false;
    }
}

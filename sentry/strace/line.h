/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of the tracer while it is made, and what every printer uses. Private to sentry/strace.
 * Text beyond the buffer is dropped: a line is cut, never a later one spoiled.
 */
#pragma once

#include <stdbool.h>

#include "abi/kinds.h"
#include "abi/types.h"

struct task;
struct syscall_desc;

#define SX_STRING 32   /* bytes of a string that are shown */
#define SX_ELEMENTS 32 /* elements of an array */

struct sx {
    struct task *t;
    const struct syscall_desc *d;
    uint64_t a[6];
    unsigned next;     /* the argument to be printed next */
    int32_t len_given; /* what a LENP pointed at when the call came */
    bool exiting;      /* the call is done, ret is its result */
    long ret;
    size_t len;
    char buf[4096];
};

void sx_puts(struct sx *s, const char *text);
void sx_printf(struct sx *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "text" with escapes; ... behind it when it is only the beginning. */
void sx_quote(struct sx *s, const char *bytes, size_t n, bool more);

/* NULL, or 0x...; for pointers that are not (or could not be) followed. */
void sx_addr(struct sx *s, gaddr_t p);
/* Reads n bytes at p. When that fails, or p is NULL, or an out-argument has no value because the
 * call failed, prints the pointer and returns false. */
bool sx_fetch(struct sx *s, gaddr_t p, void *to, size_t n);
bool sx_fetch_out(struct sx *s, gaddr_t p, void *to, size_t n);
/* A NUL-terminated string of the guest's. */
void sx_cstr(struct sx *s, gaddr_t p);
/* n bytes of the guest's. */
void sx_bytes(struct sx *s, gaddr_t p, uint64_t n);

/* ---- names of values ---- */

struct xlat {
    uint64_t v;
    const char *name;
};

struct xset {
    const struct xlat *x;
    unsigned n;
    const char *prefix; /* of names of this set: "O_" gives O_??? for what is not known */
};

/* One of the set; else the number and a comment. */
void sx_value(struct sx *s, const struct xset *set, uint64_t v);
/* Several joined by |; what is left over in hex. 0 when none, or the name that is 0. */
void sx_flags(struct sx *s, const struct xset *set, uint64_t v);
const char *xset_name(const struct xset *set, uint64_t v); /* NULL when not there */

void sx_signame(struct sx *s, int sig);
void sx_errno(struct sx *s, int err);
void sx_fd(struct sx *s, int fd);
void sx_dirfd(struct sx *s, int fd);
void sx_mode(struct sx *s, unsigned mode);      /* 0644 */
void sx_full_mode(struct sx *s, unsigned mode); /* S_IFREG|0644 */
void sx_id(struct sx *s, unsigned id);          /* -1 for no change */
void sx_dev(struct sx *s, uint64_t dev);

/* ---- printers, by area; each prints argument i ---- */

typedef void (*sx_printer)(struct sx *s, unsigned i);

/* NULL where no area knows the kind. */
sx_printer sx_printer_of(enum arg_kind k);
/* It is written by the call: printed when the call is done. */
bool sx_is_out(enum arg_kind k);
/* The list of a kind that is flags or one of a list; NULL. *ret_flags: it is flags. */
const struct xset *sx_set_of(enum arg_kind k, bool *ret_flags);

/* file.c */
void p_oflags(struct sx *s, unsigned i);
void p_mknod_mode(struct sx *s, unsigned i);
void p_accmode(struct sx *s, unsigned i);
void p_stat(struct sx *s, unsigned i);
void p_statx(struct sx *s, unsigned i);
void p_statfs(struct sx *s, unsigned i);
void p_iov(struct sx *s, unsigned i);
void p_dirents(struct sx *s, unsigned i);
void p_fcntl_arg(struct sx *s, unsigned i);
void p_flock_op(struct sx *s, unsigned i);
void p_open_how(struct sx *s, unsigned i);
void sx_iovec(struct sx *s, gaddr_t iov, uint64_t n, uint64_t limit);
void sx_result_oflags(struct sx *s); /* what fcntl F_GETFL gave */

/* pollset.c */
void p_pollfds(struct sx *s, unsigned i);
void p_fdset(struct sx *s, unsigned i);
void p_epevent(struct sx *s, unsigned i);
void p_epevents(struct sx *s, unsigned i);
/* Behind the result: what poll and select say is ready. */
void sx_poll_result(struct sx *s);

/* time.c */
void p_timespec(struct sx *s, unsigned i);
void p_timespec2(struct sx *s, unsigned i);
void p_timeval(struct sx *s, unsigned i);
void p_timeval2(struct sx *s, unsigned i);
void p_timezone(struct sx *s, unsigned i);
void p_time(struct sx *s, unsigned i);
void p_utimbuf(struct sx *s, unsigned i);
void p_itimerspec(struct sx *s, unsigned i);
void p_itimerval(struct sx *s, unsigned i);
void p_tms(struct sx *s, unsigned i);
void p_clockid(struct sx *s, unsigned i);
void p_futex_op(struct sx *s, unsigned i);
void p_futex_arg(struct sx *s, unsigned i);

/* net.c */
void p_sockaddr_in(struct sx *s, unsigned i);
void p_sockaddr_out(struct sx *s, unsigned i);
void p_lenp(struct sx *s, unsigned i);
void p_msg(struct sx *s, unsigned i);
void p_mmsg(struct sx *s, unsigned i);
void p_socktype(struct sx *s, unsigned i);
void p_protocol(struct sx *s, unsigned i);
void p_sockopt(struct sx *s, unsigned i);
void p_sockval(struct sx *s, unsigned i);

/* signal.c */
void p_sigset(struct sx *s, unsigned i);
void p_sigset_arg(struct sx *s, unsigned i);
void p_sigaction(struct sx *s, unsigned i);
void p_sigaltstack(struct sx *s, unsigned i);
void p_siginfo(struct sx *s, unsigned i);
void p_sigevent(struct sx *s, unsigned i);
void p_wstatus(struct sx *s, unsigned i);
struct lx_siginfo;
void sx_siginfo(struct sx *s, const struct lx_siginfo *info);

/* process.c */
void p_argv(struct sx *s, unsigned i);
void p_envp(struct sx *s, unsigned i);
void p_clone_flags(struct sx *s, unsigned i);
void p_clone_args(struct sx *s, unsigned i);
void p_rusage(struct sx *s, unsigned i);
void p_rlimit(struct sx *s, unsigned i);
void p_sysinfo(struct sx *s, unsigned i);
void p_utsname(struct sx *s, unsigned i);
void p_gids(struct sx *s, unsigned i);
void p_cpuset(struct sx *s, unsigned i);
void p_sched_param(struct sx *s, unsigned i);
void p_sched_attr(struct sx *s, unsigned i);
void p_cap_header(struct sx *s, unsigned i);
void p_cap_data(struct sx *s, unsigned i);
void p_prctl_arg(struct sx *s, unsigned i);
void p_sembufs(struct sx *s, unsigned i);

/* ioctl.c */
void p_ioctl(struct sx *s, unsigned i);
void p_ioctl_arg(struct sx *s, unsigned i);

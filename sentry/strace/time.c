/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of times, clocks and futexes. See line.h. */
#include "abi/time.h"

#include <linux/futex.h>

#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static bool fetch(struct sx *s, unsigned i, void *to, size_t n)
{
    switch (s->d->kinds[i]) {
    case K_TS_O:
    case K_TV_O:
    case K_ITS_O:
    case K_ITV_O:
    case K_TZ_O:
    case K_TMS_O:
    case K_TIMEP_O:
        return sx_fetch_out(s, s->a[i], to, n);
    default:
        return sx_fetch(s, s->a[i], to, n);
    }
}

static void ts_print(struct sx *s, const struct timespec *ts, bool utime)
{
    if (utime && ts->tv_nsec == 0x3fffffff)
        sx_puts(s, "UTIME_NOW");
    else if (utime && ts->tv_nsec == 0x3ffffffe)
        sx_puts(s, "UTIME_OMIT");
    else
        sx_printf(s, "{tv_sec=%ld, tv_nsec=%ld}", (long)ts->tv_sec, ts->tv_nsec);
}

static void tv_print(struct sx *s, const struct timeval *tv)
{
    sx_printf(s, "{tv_sec=%ld, tv_usec=%ld}", (long)tv->tv_sec, (long)tv->tv_usec);
}

void p_timespec(struct sx *s, unsigned i)
{
    struct timespec ts;

    /* What is left of a sleep is written only when a signal ended it. */
    if (s->exiting && s->ret == -ERESTART_RESTARTBLOCK && s->d->kinds[i] == K_TS_O) {
        if (sx_fetch(s, s->a[i], &ts, sizeof ts))
            ts_print(s, &ts, false);
    } else if (fetch(s, i, &ts, sizeof ts)) {
        ts_print(s, &ts, false);
    }
}

void p_timespec2(struct sx *s, unsigned i)
{
    struct timespec ts[2];

    if (!fetch(s, i, ts, sizeof ts))
        return;
    sx_puts(s, "[");
    ts_print(s, &ts[0], true);
    sx_puts(s, ", ");
    ts_print(s, &ts[1], true);
    sx_puts(s, "]");
}

void p_timeval(struct sx *s, unsigned i)
{
    struct timeval tv;

    if (fetch(s, i, &tv, sizeof tv))
        tv_print(s, &tv);
}

void p_timeval2(struct sx *s, unsigned i)
{
    struct timeval tv[2];

    if (!fetch(s, i, tv, sizeof tv))
        return;
    sx_puts(s, "[");
    tv_print(s, &tv[0]);
    sx_puts(s, ", ");
    tv_print(s, &tv[1]);
    sx_puts(s, "]");
}

void p_timezone(struct sx *s, unsigned i)
{
    struct lx_timezone tz;

    if (fetch(s, i, &tz, sizeof tz))
        sx_printf(s, "{tz_minuteswest=%d, tz_dsttime=%d}", tz.tz_minuteswest, tz.tz_dsttime);
}

void p_time(struct sx *s, unsigned i)
{
    int64_t v;

    if (fetch(s, i, &v, sizeof v))
        sx_printf(s, "[%ld]", (long)v);
}

void p_utimbuf(struct sx *s, unsigned i)
{
    struct lx_utimbuf u;

    if (fetch(s, i, &u, sizeof u))
        sx_printf(s, "{actime=%ld, modtime=%ld}", (long)u.actime, (long)u.modtime);
}

void p_itimerspec(struct sx *s, unsigned i)
{
    struct itimerspec its;

    if (!fetch(s, i, &its, sizeof its))
        return;
    sx_puts(s, "{it_interval=");
    ts_print(s, &its.it_interval, false);
    sx_puts(s, ", it_value=");
    ts_print(s, &its.it_value, false);
    sx_puts(s, "}");
}

void p_itimerval(struct sx *s, unsigned i)
{
    struct itimerval itv;

    if (!fetch(s, i, &itv, sizeof itv))
        return;
    sx_puts(s, "{it_interval=");
    tv_print(s, &itv.it_interval);
    sx_puts(s, ", it_value=");
    tv_print(s, &itv.it_value);
    sx_puts(s, "}");
}

void p_tms(struct sx *s, unsigned i)
{
    struct lx_tms t;

    if (fetch(s, i, &t, sizeof t))
        sx_printf(s, "{tms_utime=%ld, tms_stime=%ld, tms_cutime=%ld, tms_cstime=%ld}",
                  (long)t.tms_utime, (long)t.tms_stime, (long)t.tms_cutime, (long)t.tms_cstime);
}

void p_clockid(struct sx *s, unsigned i)
{
    int id = (int)s->a[i];
    int pid = ~(id >> 3);

    if (id >= 0)
        sx_value(s, &x_clock, (unsigned)id);
    else if ((id & 7) == 3)
        sx_printf(s, "FD_TO_CLOCKID(%d)", pid);
    else
        sx_printf(s, "MAKE_%s_CPUCLOCK(%d, %s)", id & 4 ? "THREAD" : "PROCESS", pid,
                  (id & 3) == 0   ? "CPUCLOCK_PROF"
                  : (id & 3) == 1 ? "CPUCLOCK_VIRT"
                                  : "CPUCLOCK_SCHED");
}

static const struct xlat t_futex[] = {
    X(FUTEX_WAIT),           X(FUTEX_WAKE),        X(FUTEX_FD),          X(FUTEX_REQUEUE),
    X(FUTEX_CMP_REQUEUE),    X(FUTEX_WAKE_OP),     X(FUTEX_LOCK_PI),     X(FUTEX_UNLOCK_PI),
    X(FUTEX_TRYLOCK_PI),     X(FUTEX_WAIT_BITSET), X(FUTEX_WAKE_BITSET), X(FUTEX_WAIT_REQUEUE_PI),
    X(FUTEX_CMP_REQUEUE_PI), X(FUTEX_LOCK_PI2),
};
static const struct xset x_futex = { t_futex, ARRAY_SIZE(t_futex), "FUTEX_" };

void p_futex_op(struct sx *s, unsigned i)
{
    unsigned op = (unsigned)s->a[i];
    const char *name = xset_name(&x_futex, op & (unsigned)FUTEX_CMD_MASK);

    if (!name) {
        sx_value(s, &x_futex, op);
        return;
    }
    sx_printf(s, "%s%s%s", name, op & FUTEX_PRIVATE_FLAG ? "_PRIVATE" : "",
              op & FUTEX_CLOCK_REALTIME ? "|FUTEX_CLOCK_REALTIME" : "");
}

void p_futex_arg(struct sx *s, unsigned i)
{
    switch (s->a[1] & (uint64_t)FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI:
        p_timespec(s, i);
        break;
    default:
        sx_printf(s, "%lu", (unsigned long)s->a[i]);
    }
}

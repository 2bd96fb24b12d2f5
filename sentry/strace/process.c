/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of calls on processes: exec, clone, limits, scheduling, capabilities. See line.h. */
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>

#include "abi/ipc.h"
#include "abi/resource.h"
#include "abi/sched.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

void p_argv(struct sx *s, unsigned i)
{
    gaddr_t p;

    if (!s->a[i]) {
        sx_puts(s, "NULL");
        return;
    }
    sx_puts(s, "[");
    for (unsigned k = 0;; k++) {
        if (copy_in(s->t, &p, s->a[i] + 8ul * k, sizeof p) || !p)
            break;
        if (k)
            sx_puts(s, ", ");
        if (k == SX_ELEMENTS) {
            sx_puts(s, "...");
            break;
        }
        sx_cstr(s, p);
    }
    sx_puts(s, "]");
}

void p_envp(struct sx *s, unsigned i)
{
    gaddr_t p;
    unsigned n = 0;

    sx_addr(s, s->a[i]);
    if (!s->a[i])
        return;
    while (n < 100000 && copy_in(s->t, &p, s->a[i] + 8ul * n, sizeof p) == 0 && p)
        n++;
    sx_printf(s, " /* %u var%s */", n, n == 1 ? "" : "s");
}

static void clone_print(struct sx *s, uint64_t flags, int sig)
{
    if (flags)
        sx_flags(s, &x_clone, flags);
    if (sig) {
        sx_puts(s, flags ? "|" : "");
        sx_signame(s, sig);
    } else if (!flags) {
        sx_puts(s, "0");
    }
}

void p_clone_flags(struct sx *s, unsigned i)
{
    if (!strcmp(s->d->name, "clone"))
        clone_print(s, s->a[i] & ~0xfful, (int)(s->a[i] & 0xff));
    else
        sx_flags(s, &x_clone, s->a[i]);
}

void p_clone_args(struct sx *s, unsigned i)
{
    struct lx_clone_args c = { 0 };

    if (!sx_fetch(s, s->a[i], &c, MIN(sizeof c, s->a[i + 1])))
        return;
    sx_puts(s, "{flags=");
    sx_flags(s, &x_clone, c.flags);
    if (c.pidfd)
        sx_printf(s, ", pidfd=%#lx", (unsigned long)c.pidfd);
    if (c.child_tid)
        sx_printf(s, ", child_tid=%#lx", (unsigned long)c.child_tid);
    if (c.parent_tid)
        sx_printf(s, ", parent_tid=%#lx", (unsigned long)c.parent_tid);
    sx_puts(s, ", exit_signal=");
    sx_signame(s, (int)c.exit_signal);
    sx_puts(s, ", stack=");
    sx_addr(s, c.stack);
    sx_printf(s, ", stack_size=%#lx", (unsigned long)c.stack_size);
    if (c.tls)
        sx_printf(s, ", tls=%#lx", (unsigned long)c.tls);
    sx_puts(s, "}");
}

void p_rusage(struct sx *s, unsigned i)
{
    struct lx_rusage r;

    if (s->d->kinds[0] == K_PID && s->ret <= 0) { /* wait4 that found nothing */
        sx_addr(s, s->a[i]);
        return;
    }
    if (sx_fetch_out(s, s->a[i], &r, sizeof r))
        sx_printf(s,
                  "{ru_utime={tv_sec=%ld, tv_usec=%ld}, ru_stime={tv_sec=%ld, tv_usec=%ld}, ...}",
                  (long)r.ru_utime.tv_sec, (long)r.ru_utime.tv_usec, (long)r.ru_stime.tv_sec,
                  (long)r.ru_stime.tv_usec);
}

static void limit_print(struct sx *s, uint64_t v)
{
    if (v == UINT64_MAX)
        sx_puts(s, "RLIM64_INFINITY");
    else if (v > 1024 && v % 1024 == 0)
        sx_printf(s, "%lu*1024", (unsigned long)(v / 1024));
    else
        sx_printf(s, "%lu", (unsigned long)v);
}

void p_rlimit(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_RLIMIT_O;
    struct lx_rlimit r;

    if (!(out ? sx_fetch_out(s, s->a[i], &r, sizeof r) : sx_fetch(s, s->a[i], &r, sizeof r)))
        return;
    sx_puts(s, "{rlim_cur=");
    limit_print(s, r.rlim_cur);
    sx_puts(s, ", rlim_max=");
    limit_print(s, r.rlim_max);
    sx_puts(s, "}");
}

void p_sysinfo(struct sx *s, unsigned i)
{
    struct lx_sysinfo v;

    if (sx_fetch_out(s, s->a[i], &v, sizeof v))
        sx_printf(s,
                  "{uptime=%ld, loads=[%lu, %lu, %lu], totalram=%lu, freeram=%lu, sharedram=%lu, "
                  "bufferram=%lu, totalswap=%lu, freeswap=%lu, procs=%u, totalhigh=%lu, "
                  "freehigh=%lu, mem_unit=%u}",
                  (long)v.uptime, (unsigned long)v.loads[0], (unsigned long)v.loads[1],
                  (unsigned long)v.loads[2], (unsigned long)v.totalram, (unsigned long)v.freeram,
                  (unsigned long)v.sharedram, (unsigned long)v.bufferram,
                  (unsigned long)v.totalswap, (unsigned long)v.freeswap, v.procs,
                  (unsigned long)v.totalhigh, (unsigned long)v.freehigh, v.mem_unit);
}

void p_utsname(struct sx *s, unsigned i)
{
    struct lx_utsname u;

    if (!sx_fetch_out(s, s->a[i], &u, sizeof u))
        return;
    sx_puts(s, "{sysname=");
    sx_quote(s, u.sysname, strnlen(u.sysname, sizeof u.sysname), false);
    sx_puts(s, ", nodename=");
    sx_quote(s, u.nodename, strnlen(u.nodename, sizeof u.nodename), false);
    sx_puts(s, ", ...}");
}

void p_gids(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_GIDS_O;
    long n = out ? s->ret : (int)s->a[i - 1];
    uint32_t gid;

    if ((out && (s->ret < 0 || !s->a[i - 1])) || !s->a[i]) {
        sx_addr(s, s->a[i]);
        return;
    }
    sx_puts(s, "[");
    for (long k = 0; k < n; k++) {
        if (k)
            sx_puts(s, ", ");
        if (k == SX_ELEMENTS) {
            sx_puts(s, "...");
            break;
        }
        if (!sx_fetch(s, s->a[i] + 4ul * (uint64_t)k, &gid, sizeof gid))
            break;
        sx_printf(s, "%u", gid);
    }
    sx_puts(s, "]");
}

void p_cpuset(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_CPUSET_O;
    uint8_t mask[128] = { 0 };
    size_t n = out ? (size_t)MAX(s->ret, 0l) : (unsigned)s->a[i - 1];
    const char *sep = "";

    if (out && s->ret < 0) {
        sx_addr(s, s->a[i]);
        return;
    }
    n = MIN(n, sizeof mask);
    if (!sx_fetch(s, s->a[i], mask, n))
        return;
    sx_puts(s, "[");
    for (size_t cpu = 0; cpu < 8 * n; cpu++)
        if (mask[cpu / 8] >> (cpu % 8) & 1) {
            sx_printf(s, "%s%zu", sep, cpu);
            sep = " ";
        }
    sx_puts(s, "]");
}

void p_sched_param(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SCHEDPARAM_O;
    struct lx_sched_param p;

    if (out ? sx_fetch_out(s, s->a[i], &p, sizeof p) : sx_fetch(s, s->a[i], &p, sizeof p))
        sx_printf(s, "[%d]", p.priority);
}

void p_sched_attr(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SCHEDATTR_O;
    struct lx_sched_attr a = { 0 };

    if (!(out ? sx_fetch_out(s, s->a[i], &a, LX_SCHED_ATTR_SIZE_VER0)
              : sx_fetch(s, s->a[i], &a, LX_SCHED_ATTR_SIZE_VER0)))
        return;
    sx_printf(s, "{size=%u, sched_policy=", a.size);
    sx_value(s, &x_policy, a.policy);
    sx_printf(s,
              ", sched_flags=%#lx, sched_nice=%d, sched_priority=%u, sched_runtime=%lu, "
              "sched_deadline=%lu, sched_period=%lu}",
              (unsigned long)a.flags, a.nice, a.priority, (unsigned long)a.runtime,
              (unsigned long)a.deadline, (unsigned long)a.period);
}

void p_cap_header(struct sx *s, unsigned i)
{
    struct lx_cap_header h;

    if (!sx_fetch(s, s->a[i], &h, sizeof h))
        return;
    if (h.version == LX_CAPABILITY_VERSION_3)
        sx_puts(s, "{version=_LINUX_CAPABILITY_VERSION_3");
    else
        sx_printf(s, "{version=%#x", h.version);
    sx_printf(s, ", pid=%d}", h.pid);
}

static void caps_print(struct sx *s, uint64_t caps)
{
    const char *sep = "";

    if (!caps)
        sx_puts(s, "0");
    for (unsigned k = 0; k < 64; k++) {
        if (!(caps >> k & 1))
            continue;
        const char *name = xset_name(&x_cap, k);
        name ? sx_printf(s, "%s1<<%s", sep, name) : sx_printf(s, "%s1<<%u", sep, k);
        sep = "|";
    }
}

void p_cap_data(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_CAPDATA_O;
    struct lx_cap_header h;
    struct lx_cap_data d[2] = { { 0, 0, 0 } };
    size_t n = sizeof d;

    if (copy_in(s->t, &h, s->a[0], sizeof h) == 0 && h.version == LX_CAPABILITY_VERSION_1)
        n = sizeof d[0];
    if (!(out ? sx_fetch_out(s, s->a[i], d, n) : sx_fetch(s, s->a[i], d, n)))
        return;
    sx_puts(s, "{effective=");
    caps_print(s, d[0].effective | (uint64_t)d[1].effective << 32);
    sx_puts(s, ", permitted=");
    caps_print(s, d[0].permitted | (uint64_t)d[1].permitted << 32);
    sx_puts(s, ", inheritable=");
    caps_print(s, d[0].inheritable | (uint64_t)d[1].inheritable << 32);
    sx_puts(s, "}");
}

/* Arguments 1 to 4 of prctl. */
void p_prctl_arg(struct sx *s, unsigned i)
{
    unsigned long v = s->a[i];

    switch (s->a[0]) {
    case PR_SET_NAME:
        i == 1 ? sx_cstr(s, v) : sx_printf(s, "%#lx", v);
        break;
    case PR_SET_PDEATHSIG:
        i == 1 ? sx_signame(s, (int)v) : sx_printf(s, "%#lx", v);
        break;
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
        i == 1 ? sx_value(s, &x_cap, v) : sx_printf(s, "%#lx", v);
        break;
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_TIMERSLACK:
    case PR_SET_THP_DISABLE:
        sx_printf(s, "%lu", v);
        break;
    default:
        sx_printf(s, "%#lx", v);
    }
}

void p_sembufs(struct sx *s, unsigned i)
{
    uint64_t n = MIN(s->a[i + 1], (uint64_t)SX_ELEMENTS);
    struct lx_sembuf b;

    if (!s->a[i]) {
        sx_puts(s, "NULL");
        return;
    }
    sx_puts(s, "[");
    for (uint64_t k = 0; k < n; k++) {
        if (k)
            sx_puts(s, ", ");
        if (!sx_fetch(s, s->a[i] + k * sizeof b, &b, sizeof b))
            break;
        sx_printf(s, "{sem_num=%u, sem_op=%d, sem_flg=%#x}", b.num, b.op,
                  (unsigned)(uint16_t)b.flg);
    }
    sx_puts(s, "]");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Printers of signals and wait statuses. See line.h. */
#include "abi/names.h"
#include "abi/signal.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "sentry/strace/xlat.h"
#include "sentry/syscalls/table.h"

static void set_print(struct sx *s, sigset64 set)
{
    bool inverted = __builtin_popcountll(set) > 32;
    const char *sep = "";
    sigset64 v = inverted ? ~set : set;

    sx_puts(s, inverted ? "~[" : "[");
    for (int sig = 1; sig <= LX_NSIG; sig++) {
        if (!(v >> (sig - 1) & 1))
            continue;
        const char *name = signal_name(sig);
        if (name)
            sx_printf(s, "%s%s", sep, name);
        else
            sx_printf(s, sig == 32 ? "%sRTMIN" : "%sRT_%d", sep, sig - 32);
        sep = " ";
    }
    sx_puts(s, "]");
}

void p_sigset(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SIGSET_O;
    sigset64 set;

    if (out ? sx_fetch_out(s, s->a[i], &set, sizeof set) : sx_fetch(s, s->a[i], &set, sizeof set))
        set_print(s, set);
}

void p_sigset_arg(struct sx *s, unsigned i)
{
    struct lx_sigset_arg a;
    sigset64 set;

    if (!sx_fetch(s, s->a[i], &a, sizeof a))
        return;
    sx_puts(s, "{sigmask=");
    if (sx_fetch(s, a.set, &set, sizeof set))
        set_print(s, set);
    sx_printf(s, ", sigsetsize=%lu}", (unsigned long)a.size);
}

void p_sigaction(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SIGACT_O;
    struct lx_sigaction sa;

    if (!(out ? sx_fetch_out(s, s->a[i], &sa, sizeof sa) : sx_fetch(s, s->a[i], &sa, sizeof sa)))
        return;
    sx_puts(s, "{sa_handler=");
    if (sa.handler <= 1)
        sx_puts(s, sa.handler ? "SIG_IGN" : "SIG_DFL");
    else
        sx_addr(s, sa.handler);
    sx_puts(s, ", sa_mask=");
    set_print(s, sa.mask);
    sx_puts(s, ", sa_flags=");
    sx_flags(s, &x_sa, sa.flags);
    if (sa.flags & LX_SA_RESTORER) {
        sx_puts(s, ", sa_restorer=");
        sx_addr(s, sa.restorer);
    }
    sx_puts(s, "}");
}

void p_sigaltstack(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SIGALT_O;
    struct lx_sigaltstack ss;

    if (!(out ? sx_fetch_out(s, s->a[i], &ss, sizeof ss) : sx_fetch(s, s->a[i], &ss, sizeof ss)))
        return;
    sx_puts(s, "{ss_sp=");
    sx_addr(s, ss.sp);
    sx_puts(s, ", ss_flags=");
    sx_flags(s, &x_ss, (uint32_t)ss.flags);
    sx_printf(s, ", ss_size=%lu}", (unsigned long)ss.size);
}

static const char *code_name(int sig, int code)
{
    static const char *const chld[] = { "CLD_EXITED",  "CLD_KILLED",  "CLD_DUMPED",
                                        "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED" };
    static const char *const segv[] = { "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR",
                                        "SEGV_PKUERR" };
    static const char *const bus[] = { "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR" };
    static const char *const fpe[] = { "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF",
                                       "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB" };
    static const char *const ill[] = { "ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP",
                                       "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC", "ILL_BADSTK" };
    static const char *const trap[] = { "TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH", "TRAP_HWBKPT" };
    static const struct {
        int sig, n;
        const char *const *names;
    } by_signal[] = {
        { SIGCHLD, ARRAY_SIZE(chld), chld }, { SIGSEGV, ARRAY_SIZE(segv), segv },
        { SIGBUS, ARRAY_SIZE(bus), bus },    { SIGFPE, ARRAY_SIZE(fpe), fpe },
        { SIGILL, ARRAY_SIZE(ill), ill },    { SIGTRAP, ARRAY_SIZE(trap), trap },
    };
    static const struct xlat t_any[] = {
        X(SI_USER),  X(SI_KERNEL),  X(SI_QUEUE), X(SI_TIMER),
        X(SI_MESGQ), X(SI_ASYNCIO), X(SI_SIGIO), X(SI_TKILL),
    };
    static const struct xset any = { t_any, ARRAY_SIZE(t_any), "SI_" };

    for (unsigned k = 0; k < ARRAY_SIZE(by_signal) && code > 0; k++)
        if (by_signal[k].sig == sig && code <= by_signal[k].n)
            return by_signal[k].names[code - 1];
    if (sig == SIGSYS && code == 1)
        return "SYS_SECCOMP";
    return xset_name(&any, (uint64_t)code);
}

static void fault_print(struct sx *s, const struct lx_siginfo *info)
{
    sx_puts(s, ", si_addr=");
    sx_addr(s, info->fault.addr);
}

static void chld_print(struct sx *s, const struct lx_siginfo *info)
{
    sx_printf(s, ", si_pid=%d, si_uid=%u, si_status=", info->chld.pid, info->chld.uid);
    if (info->code == CLD_EXITED)
        sx_printf(s, "%d", info->chld.status);
    else
        sx_signame(s, info->chld.status);
    sx_printf(s, ", si_utime=%ld, si_stime=%ld", (long)info->chld.utime, (long)info->chld.stime);
}

void sx_siginfo(struct sx *s, const struct lx_siginfo *info)
{
    const char *code = code_name(info->signo, info->code);

    if (!info->signo) {
        sx_puts(s, "{}");
        return;
    }
    sx_puts(s, "{si_signo=");
    sx_signame(s, info->signo);
    sx_puts(s, ", si_code=");
    code ? sx_puts(s, code) : sx_printf(s, "%#x", (unsigned)info->code);
    if (info->err)
        sx_printf(s, ", si_errno=%d", info->err);
    if (info->code == SI_TIMER) {
        sx_printf(s, ", si_timerid=%#x, si_overrun=%d, si_value={int=%d, ptr=%#lx}",
                  (unsigned)info->timer.tid, info->timer.overrun, (int)info->timer.value,
                  (unsigned long)info->timer.value);
    } else if (info->code <= 0) {
        sx_printf(s, ", si_pid=%d, si_uid=%u", info->rt.pid, info->rt.uid);
        if (info->code != SI_USER && info->code != SI_TKILL)
            sx_printf(s, ", si_value={int=%d, ptr=%#lx}", (int)info->rt.value,
                      (unsigned long)info->rt.value);
    } else if (info->code != SI_KERNEL) {
        if (info->signo == SIGCHLD)
            chld_print(s, info);
        else if (info->signo == SIGIO)
            sx_printf(s, ", si_band=%ld, si_fd=%d", (long)info->poll.band, info->poll.fd);
        else if (info->signo == SIGSYS)
            sx_printf(s, ", si_call_addr=%#lx, si_syscall=%d", (unsigned long)info->sys.call_addr,
                      info->sys.syscall);
        else
            fault_print(s, info);
    } else if (info->signo == SIGSEGV || info->signo == SIGBUS) {
        fault_print(s, info);
    }
    sx_puts(s, "}");
}

void p_siginfo(struct sx *s, unsigned i)
{
    bool out = s->d->kinds[i] == K_SIGINFO_O;
    struct lx_siginfo info;

    if (out ? sx_fetch_out(s, s->a[i], &info, sizeof info)
            : sx_fetch(s, s->a[i], &info, sizeof info))
        sx_siginfo(s, &info);
}

void p_sigevent(struct sx *s, unsigned i)
{
    static const char *const notify[] = { "SIGEV_SIGNAL", "SIGEV_NONE", "SIGEV_THREAD", "3",
                                          "SIGEV_THREAD_ID" };
    struct lx_sigevent ev;

    if (!sx_fetch(s, s->a[i], &ev, sizeof ev))
        return;
    sx_printf(s, "{sigev_value={int=%d, ptr=%#lx}, sigev_signo=", (int)ev.value,
              (unsigned long)ev.value);
    sx_signame(s, ev.signo);
    if ((unsigned)ev.notify < ARRAY_SIZE(notify))
        sx_printf(s, ", sigev_notify=%s", notify[ev.notify]);
    else
        sx_printf(s, ", sigev_notify=%d", ev.notify);
    if (ev.notify == 4)
        sx_printf(s, ", sigev_notify_thread_id=%d", ev.tid);
    sx_puts(s, "}");
}

void p_wstatus(struct sx *s, unsigned i)
{
    int32_t st;

    if (s->ret <= 0) { /* nothing was written */
        sx_addr(s, s->a[i]);
        return;
    }
    if (!sx_fetch_out(s, s->a[i], &st, sizeof st))
        return;
    if (WIFEXITED(st)) {
        sx_printf(s, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", WEXITSTATUS(st));
    } else if (WIFSIGNALED(st)) {
        sx_puts(s, "[{WIFSIGNALED(s) && WTERMSIG(s) == ");
        sx_signame(s, WTERMSIG(st));
        sx_puts(s, WCOREDUMP(st) ? " && WCOREDUMP(s)}]" : "}]");
    } else if (WIFSTOPPED(st)) {
        sx_puts(s, "[{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        sx_signame(s, WSTOPSIG(st));
        sx_puts(s, "}]");
    } else if (WIFCONTINUED(st)) {
        sx_puts(s, "[{WIFCONTINUED(s)}]");
    } else {
        sx_printf(s, "[%#x]", (unsigned)st);
    }
}

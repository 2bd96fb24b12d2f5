/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of the tracer, from the first argument to the result. See strace.h.
 *
 * A line (struct sx) is made by strace_enter, hangs at task->trace while the call waits, and is
 * written and freed by strace_call or strace_exit. If memory is at its limit there is no line.
 */
#include "sentry/strace/strace.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/kernel.h"
#include "sentry/mm/copy.h"
#include "sentry/strace/line.h"
#include "sentry/syscalls/table.h"

#define RESULT_COLUMN 40

static _Atomic int trace_fd = -1;

void strace_init(int fd)
{
    trace_fd = fd;
    kernel.strace = fd >= 0;
}

static void write_line(struct sx *s)
{
    if (trace_fd < 0)
        return;
    s->len = MIN(s->len, sizeof s->buf - 2);
    s->buf[s->len++] = '\n';
    if (kernel.platform && kernel.platform->worker_block_begin)
        kernel.platform->worker_block_begin();
    /* One write a line; a reader that went away or is full is not our guest's matter. */
    if (hostio_write(trace_fd, s->buf, s->len) < 0 && errno == EPIPE)
        trace_fd = -1; /* kernel.strace stays: lines that are begun have still to be freed */
    if (kernel.platform && kernel.platform->worker_block_end)
        kernel.platform->worker_block_end();
}

static struct sx *line_new(struct task *t)
{
    struct sx *s = kzalloc(sizeof *s);

    if (!s)
        return NULL;
    s->t = t;
    sx_printf(s, "[pid %5d] ", t->tid);
    return s;
}

static unsigned fcntl_args(unsigned cmd)
{
    switch (cmd) {
    case F_GETFD:
    case F_GETFL:
    case F_GETOWN:
    case F_GETSIG:
    case F_GETLEASE:
    case F_GETPIPE_SZ:
    case F_GET_SEALS:
        return 2;
    default:
        return 3;
    }
}

static unsigned futex_args(unsigned op)
{
    switch (op & (unsigned)FUTEX_CMD_MASK) {
    case FUTEX_UNLOCK_PI:
    case FUTEX_TRYLOCK_PI:
        return 2;
    case FUTEX_WAKE:
        return 3;
    case FUTEX_WAIT:
    case FUTEX_LOCK_PI:
        return 4;
    default:
        return 6;
    }
}

static unsigned prctl_args(unsigned option)
{
    switch (option) {
    case PR_GET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
    case PR_GET_TIMERSLACK:
        return 1;
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_SET_PDEATHSIG:
    case PR_GET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
    case PR_SET_SECUREBITS:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_TID_ADDRESS:
        return 2;
    default:
        return 5;
    }
}

/* How many of the arguments mean anything, given the earlier ones. */
static unsigned shown_args(const struct sx *s)
{
    const char *name = s->d->name;
    unsigned n = s->d->nargs;

    for (unsigned i = 0; i + 1 < n; i++)
        switch (s->d->kinds[i]) {
        case K_OFLAGS: /* a mode, if it is a call that has one */
            if (s->d->kinds[i + 1] == K_MODE && !(s->a[i] & O_CREAT) &&
                (s->a[i] & O_TMPFILE) != O_TMPFILE)
                return i + 1;
            break;
        case K_FCNTL:
            return fcntl_args((unsigned)s->a[i]);
        case K_FUTEXOP:
            return futex_args((unsigned)s->a[i]);
        case K_PRCTL:
            return prctl_args((unsigned)s->a[i]);
        case K_MREMAPFLAGS:
            return s->a[i] & MREMAP_FIXED ? n : i + 1;
        default:
            break;
        }
    if (!strcmp(name, "membarrier") && !s->a[1])
        return 2;
    return n;
}

static void print_arg(struct sx *s, unsigned i)
{
    enum arg_kind k = s->d->kinds[i];
    sx_printer p = sx_printer_of(k);
    bool flags;
    const struct xset *set = sx_set_of(k, &flags);

    if (p)
        p(s, i);
    else if (set && flags)
        sx_flags(s, set, s->a[i] & (strcmp(s->d->name, "mmap") ? UINT32_MAX : UINT64_MAX));
    else if (set)
        sx_value(s, set, (unsigned)s->a[i]);
    else
        sx_printf(s, "%#lx", (unsigned long)s->a[i]);
}

/* clone's arguments have names, as strace gives them, and their own order. */
static void print_clone(struct sx *s)
{
    uint64_t flags = s->a[0];

    sx_puts(s, "child_stack=");
    sx_addr(s, s->a[1]);
    sx_puts(s, ", flags=");
    p_clone_flags(s, 0);
    if (flags & 0x00100000 /* CLONE_PARENT_SETTID */)
        sx_printf(s, ", parent_tid=%#lx", (unsigned long)s->a[2]);
    if (flags & 0x00080000 /* CLONE_SETTLS */)
        sx_printf(s, ", tls=%#lx", (unsigned long)s->a[4]);
    if (flags & 0x01200000 /* CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID */)
        sx_printf(s, ", child_tidptr=%#lx", (unsigned long)s->a[3]);
    s->next = s->d->nargs;
}

static void print_args(struct sx *s)
{
    unsigned n = shown_args(s);

    if (s->next == 0 && !strcmp(s->d->name, "clone"))
        print_clone(s);
    for (; s->next < n; s->next++) {
        if (!s->exiting && sx_is_out(s->d->kinds[s->next]))
            return;
        if (s->next)
            sx_puts(s, ", ");
        print_arg(s, s->next);
    }
}

void strace_enter(struct task *t)
{
    struct sx *s;

    if (!kernel.strace || t->trace)
        return;
    s = line_new(t);
    if (!s)
        return;
    t->trace = s;
    s->d = syscall_desc(t->call.nr);
    memcpy(s->a, t->call.args, sizeof s->a);
    for (unsigned i = 0; s->d && i < s->d->nargs; i++)
        if (s->d->kinds[i] == K_LENP && s->a[i] &&
            copy_in(t, &s->len_given, s->a[i], sizeof s->len_given))
            s->len_given = 0;
    if (s->d) {
        sx_printf(s, "%s(", s->d->name);
        print_args(s);
    } else {
        sx_printf(s, "syscall_%#lx(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx", (unsigned long)t->call.nr,
                  (unsigned long)s->a[0], (unsigned long)s->a[1], (unsigned long)s->a[2],
                  (unsigned long)s->a[3], (unsigned long)s->a[4], (unsigned long)s->a[5]);
    }
}

static void put_quoted(struct sx *s, const char *text)
{
    size_t n = strlen(text);

    sx_quote(s, text, MIN(n, (size_t)SX_STRING), n > SX_STRING);
}

void strace_first(struct task *t, const char *path, char *const argv[], char *const envp[])
{
    struct sx *s = kernel.strace ? line_new(t) : NULL;
    unsigned n = 0;

    if (!s)
        return;
    t->trace = s;
    s->d = syscall_desc(59);
    s->next = s->d->nargs;
    sx_puts(s, "execve(");
    put_quoted(s, path);
    sx_puts(s, ", [");
    for (unsigned i = 0; argv[i] && i <= SX_ELEMENTS; i++) {
        sx_puts(s, i ? ", " : "");
        if (i < SX_ELEMENTS)
            put_quoted(s, argv[i]);
        else
            sx_puts(s, "...");
    }
    while (envp && envp[n])
        n++;
    sx_printf(s, "], [/* %u var%s */]", n, n == 1 ? "" : "s");
}

static void print_equals(struct sx *s)
{
    sx_puts(s, ")");
    while (s->len < RESULT_COLUMN - 1)
        sx_puts(s, " ");
    sx_puts(s, " = ");
}

static bool print_restart(struct sx *s, long ret)
{
    switch (ret) {
    case -ERESTARTSYS:
        sx_puts(s, "? ERESTARTSYS (To be restarted if SA_RESTART is set)");
        return true;
    case -ERESTARTNOINTR:
        sx_puts(s, "? ERESTARTNOINTR (To be restarted)");
        return true;
    case -ERESTARTNOHAND:
        sx_puts(s, "? ERESTARTNOHAND (To be restarted if no handler)");
        return true;
    case -ERESTART_RESTARTBLOCK:
        sx_puts(s, "? ERESTART_RESTARTBLOCK (Interrupted by signal)");
        return true;
    default:
        return false;
    }
}

static bool one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static void print_result(struct sx *s)
{
    static const char *const hex[] = { "mmap", "brk", "mremap", "shmat", NULL };
    static const char *const polls[] = { "poll", "ppoll", "select", "pselect6", NULL };
    const char *name = s->d ? s->d->name : "";

    if (s->ret == -EDETACHED) { /* it set the registers itself, or there is nobody to answer */
        sx_puts(s, !strncmp(name, "exec", 4) ? "0" : "?");
        return;
    }
    if (print_restart(s, s->ret))
        return;
    if (s->ret < 0 && s->ret >= -4095 && strcmp(name, "getpriority") != 0) {
        sx_puts(s, "-1 ");
        sx_errno(s, (int)-s->ret);
        return;
    }
    if (one_of(name, hex)) {
        sx_printf(s, "%#lx", (unsigned long)s->ret);
    } else if (!strcmp(name, "fcntl") && s->a[1] == F_GETFL) {
        sx_printf(s, "%#lx (flags ", (unsigned long)s->ret);
        sx_result_oflags(s);
        sx_puts(s, ")");
    } else if (!strcmp(name, "fcntl") && s->a[1] == F_GETFD) {
        sx_printf(s, "%#lx%s", (unsigned long)s->ret, s->ret & 1 ? " (flags FD_CLOEXEC)" : "");
    } else if (!strcmp(name, "umask")) {
        sx_mode(s, (unsigned)s->ret);
    } else {
        sx_printf(s, "%ld", s->ret);
        if (one_of(name, polls))
            sx_poll_result(s);
    }
}

void strace_call(struct task *t, long ret)
{
    struct sx *s = t->trace;

    if (!s)
        return;
    t->trace = NULL;
    if (kernel.strace) {
        s->exiting = true;
        s->ret = ret;
        if (s->d)
            print_args(s);
        print_equals(s);
        print_result(s);
        write_line(s);
    }
    kfree(s);
}

void strace_signal(struct task *t, int sig, const struct lx_siginfo *info)
{
    struct sx *s = kernel.strace ? line_new(t) : NULL;

    if (!s)
        return;
    sx_puts(s, "--- ");
    sx_signame(s, sig);
    sx_puts(s, " ");
    sx_siginfo(s, info);
    sx_puts(s, " ---");
    write_line(s);
    kfree(s);
}

void strace_exit(struct task *t, int status)
{
    struct sx *s = t->trace;

    t->trace = NULL;
    if (s && kernel.strace) {
        if (s->d && s->next < s->d->nargs)
            sx_puts(s, s->next ? ", <unfinished ...>" : "<unfinished ...>");
        print_equals(s);
        sx_puts(s, "?");
        write_line(s);
    }
    kfree(s);
    s = kernel.strace ? line_new(t) : NULL;
    if (!s)
        return;
    if (WIFEXITED(status)) {
        sx_printf(s, "+++ exited with %d +++", WEXITSTATUS(status));
    } else {
        sx_puts(s, "+++ killed by ");
        sx_signame(s, WTERMSIG(status));
        sx_puts(s, WCOREDUMP(status) ? " (core dumped) +++" : " +++");
    }
    write_line(s);
    kfree(s);
}

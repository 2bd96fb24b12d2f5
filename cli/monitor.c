/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See monitor.h. How a signal travels:
 *
 *   kill -TERM sbx            -> signalfd -> CTL_SIGNAL -> the program
 *   Ctrl-C at the terminal    -> the same, to the foreground group inside
 *   Ctrl-Z, or a read in the background -> the program is stopped inside -> CTL_STOPPED
 *       -> sbx stops itself by the same signal, the shell takes over
 *   fg -> SIGCONT -> CTL_CONT -> the program goes on
 *
 * SIGTTIN and SIGTTOU are among those that are blocked: whether the program may use the terminal now
 * is decided by the sentry, as the host would, from where we stand (enum term_place).
 *
 * A program ended by signal n makes sbx exit normally with 128+n: a shell shows the same number, and
 * sbx itself dumps no core for it. At --timeout the program gets SIGTERM, two seconds later everything
 * is ended.
 */
#include "cli/monitor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cgroup.h"
#include "cli/control.h"
#include "cli/detach.h"
#include "cli/error.h"
#include "cli/serve.h"

#define GRACE_NS 2000000000ull

/* Passed on to the program. The rest act on sbx itself. */
static const int forwarded[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2,
                                 SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM, SIGPIPE };

int monitor_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(forwarded); i++)
        sigaddset(&set, forwarded[i]);
    sigaddset(&set, SIGWINCH);
    sigaddset(&set, SIGCONT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static void tell(struct monitor *m, enum control_type type, uint64_t value)
{
    struct control_msg msg = { .type = type, .value = value };

    send(m->launch->control, &msg, sizeof msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void tell_winsize(struct monitor *m)
{
    uint16_t rows, cols;

    if (proxy_winsize(&m->proxy, &rows, &cols))
        tell(m, CTL_WINSIZE, (uint64_t)rows << 16 | cols);
}

static void tell_continued(struct monitor *m)
{
    tell_winsize(m);
    proxy_continued(&m->proxy);
    tell(m, CTL_CONT, proxy_place(&m->proxy));
}

/* Stops this process as the program was stopped; returns when it is continued. */
static void stop_self(struct monitor *m, int sig)
{
    sigset_t one, old, pending;

    proxy_drain(&m->proxy, 0); /* what the program did to the terminal before */
    sigemptyset(&one);
    sigaddset(&one, sig);
    signal(sig, SIG_DFL);
    raise(sig);
    sigprocmask(SIG_UNBLOCK, &one, &old); /* here it stops */
    sigprocmask(SIG_SETMASK, &old, NULL);
    /* In a group without a shell to continue it the signal does nothing. */
    m->proxy.orphaned = sigpending(&pending) == 0 && !sigismember(&pending, SIGCONT);
    tell_continued(m);
}

static void on_signals(struct monitor *m)
{
    struct signalfd_siginfo si;

    while (read(m->signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGWINCH) {
            tell_winsize(m);
        } else if (si.ssi_signo == SIGCONT) {
            tell_continued(m); /* stopped from outside, or put into the foreground */
        } else {
            /* the kernel sends what is for a whole group: a key, a hang-up */
            tell(m, CTL_SIGNAL, si.ssi_signo | (si.ssi_code == SI_KERNEL ? CTL_SIGNAL_KEY : 0));
        }
    }
}

static void end(struct monitor *m, int status)
{
    if (!m->ended) {
        m->ended = true;
        m->status = status;
    }
}

#define PF_EXITING 4 /* in the ninth word of /proc/PID/stat */

static bool is_ending(pid_t pid)
{
    char text[512] = "", *at;
    unsigned long flags = 0;
    FILE *f;

    snprintf(text, sizeof text, "/proc/%d/stat", (int)pid);
    f = fopen(text, "re");
    if (!f)
        return false;
    at = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
    fclose(f);
    return at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) == 1 && flags & PF_EXITING;
}

/*
 * Was the gofer killed? Programs fail in many ways without it, so that is said and not what they
 * say. When the sentry ends it leaves by itself. Its sockets are closed before its end is told here.
 */
static bool was_killed(pid_t pid, int pidfd, siginfo_t *si)
{
    struct pollfd over = { .fd = pidfd, .events = POLLIN };

    si->si_pid = 0;
    if (pidfd >= 0 && is_ending(pid))
        poll(&over, 1, 1000);
    return pidfd >= 0 &&
           waitid((idtype_t)P_PIDFD, (id_t)pidfd, si, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           si->si_pid != 0 && (si->si_code == CLD_KILLED || si->si_code == CLD_DUMPED);
}

static bool gofer_killed(struct monitor *m)
{
    siginfo_t si = { 0 };

    if (!was_killed(m->launch->gofer, m->launch->gofer_pidfd, &si) &&
        !was_killed(m->launch->shared, m->launch->shared_pidfd, &si))
        return false;
    proxy_drain(&m->proxy, 0);
    proxy_leave(&m->proxy, /* keep= */ false);
    end(m, fail(EXIT_SBX,
                "the gofer was ended by signal %d (%s); run with --log=FILE "
                "--log-level=debug",
                si.si_status, strsignal(si.si_status)));
    return true;
}

static void on_message(struct monitor *m, const struct control_msg *msg, size_t len)
{
    int status = (int)msg->value;

    switch (msg->type) {
    case CTL_EXIT:
        if (status != 0 && !m->ended && gofer_killed(m))
            break;
        m->regular = WIFEXITED(status);
        end(m, m->regular ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        break;
    case CTL_STOPPED:
        stop_self(m,
                  status == SIGTTIN || status == SIGTTOU || status == SIGTSTP ? status : SIGSTOP);
        break;
    case CTL_JOB_EXIT:
    case CTL_JOB_FAILED:
    case CTL_USAGE:
        named_control(msg);
        break;
    case CTL_STARTED:
        detach_started();
        break;
    case CTL_ERROR:
        if (!m->ended && gofer_killed(m))
            break;
        proxy_drain(&m->proxy, 0);
        proxy_leave(&m->proxy, /* keep= */ false);
        if (!m->ended)
            fail(status, "%.*s", (int)strnlen(msg->text, sizeof msg->text), msg->text);
        end(m, status > 0 && status < 256 ? status : EXIT_SBX);
        break;
    default:
        report_message(&m->report, msg, len);
    }
}

/* False when the other end is gone. */
static bool on_control(struct monitor *m, int fd)
{
    struct control_msg msg;
    ssize_t n;

    while ((n = recv(fd, &msg, sizeof msg, MSG_DONTWAIT)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        if ((size_t)n >= offsetof(struct control_msg, text) && msg.len <= sizeof msg.text)
            on_message(m, &msg, (size_t)n);
        if (m->ended)
            return true;
    }
    return n < 0 && errno == EAGAIN;
}

static void sentry_gone(struct monitor *m)
{
    int status = 0;

    on_control(m, m->launch->control);
    if (m->ended)
        return;
    proxy_leave(&m->proxy, /* keep= */ false);
    waitpid(m->launch->sentry, &status, 0);
    m->launch->sentry = -1;
    if (m->timed_out)
        end(m, EXIT_TIMEOUT);
    else if (cgroup_oom())
        end(m, 128 + SIGKILL); /* by the limit on memory */
    else if (WIFSIGNALED(status))
        end(m, fail(EXIT_SBX,
                    "the sentry was ended by signal %d (%s); run with --log=FILE "
                    "--log-level=debug",
                    WTERMSIG(status), strsignal(WTERMSIG(status))));
    else
        end(m, fail(EXIT_SBX,
                    "the sentry ended early (status %d); run with --log=FILE "
                    "--log-level=debug",
                    WEXITSTATUS(status)));
}

/*
 * Without its gofer a program would go on with what it has open, and nothing else. When the sentry
 * ends the gofer does too, so that is asked first.
 */
static void gofer_gone(struct monitor *m)
{
    struct pollfd sentry = { .fd = m->launch->sentry_pidfd, .events = POLLIN };
    bool over;

    if (gofer_killed(m)) {
        syscall(SYS_pidfd_send_signal, m->launch->sentry_pidfd, SIGKILL, NULL, 0);
        return;
    }
    over = poll(&sentry, 1, 2000) == 1 /* it left because the sentry does */;
    if (m->launch->gofer_status >= 0)
        on_control(m, m->launch->gofer_status); /* it may have said why */
    if (!m->ended)
        on_control(m, m->launch->control);
    if (!m->ended && over)
        sentry_gone(m);
    if (m->ended)
        return;
    syscall(SYS_pidfd_send_signal, m->launch->sentry_pidfd, SIGKILL, NULL, 0);
    proxy_leave(&m->proxy, /* keep= */ false);
    end(m, fail(EXIT_SBX, "the gofer ended early; run with --log=FILE --log-level=debug"));
}

/* It ends by itself when the sentry does; else the network is gone, and that is said. */
static void broker_gone(struct monitor *m)
{
    struct pollfd sentry = { .fd = m->launch->sentry_pidfd, .events = POLLIN };
    siginfo_t si = { 0 };

    waitid((idtype_t)P_PIDFD, (id_t)m->launch->broker_pidfd, &si, WEXITED | WNOHANG);
    m->launch->broker_pidfd = -1;
    if (m->launch->gofer_status >= 0)
        on_control(m, m->launch->gofer_status); /* it may have said why */
    if (si.si_code == CLD_EXITED && poll(&sentry, 1, 2000) == 1)
        return;
    if (m->ended)
        return;
    syscall(SYS_pidfd_send_signal, m->launch->sentry_pidfd, SIGKILL, NULL, 0);
    proxy_leave(&m->proxy, /* keep= */ false);
    end(m, fail(EXIT_SBX, "the net broker was ended; run with --log=FILE --log-level=debug"));
}

/* Time is up: ask, then insist, then end the sentry itself. */
static void on_deadline(struct monitor *m)
{
    m->timed_out = true;
    switch (m->kills++) {
    case 0:
        tell(m, CTL_SIGNAL, SIGTERM);
        tell(m, CTL_SIGNAL, SIGCONT);
        break;
    case 1:
        tell(m, CTL_KILL, 0);
        break;
    default:
        syscall(SYS_pidfd_send_signal, m->launch->sentry_pidfd, SIGKILL, NULL, 0);
        end(m, EXIT_TIMEOUT);
        return;
    }
    m->deadline = now_ns() + GRACE_NS;
}

static void on_side(struct monitor *m)
{
    char buf[4096], out[2 * sizeof buf];
    ssize_t n = read(m->side, buf, sizeof buf);
    size_t o = 0;

    if (n <= 0) {
        close(m->side);
        m->side = -1;
        return;
    }
    for (ssize_t i = 0; i < n; i++) { /* a raw terminal does not return the carriage */
        if (buf[i] == '\n' && !(m->proxy.applied.c_oflag & OPOST))
            out[o++] = '\r';
        out[o++] = buf[i];
    }
    if (write(STDERR_FILENO, out, o) < 0)
        return; /* nobody to tell */
}

static int timeout_ms(const struct monitor *m)
{
    uint64_t now = now_ns();

    if (!m->deadline)
        return -1;
    if (now >= m->deadline)
        return 0;
    return (int)MIN((m->deadline - now) / 1000000 + 1, 1000000ull);
}

/*
 * What the gofer said when it could not start is what the sentry's end comes from. It is not waited
 * for beside the rest: that it starts well, and closes its end, would wake us in the middle of it.
 */
static void ask_gofer(struct monitor *m)
{
    if (m->launch->gofer_status >= 0 && !on_control(m, m->launch->gofer_status)) {
        close(m->launch->gofer_status);
        m->launch->gofer_status = -1;
    }
}

static void loop_once(struct monitor *m)
{
    enum {
        CONTROL,
        SENTRY,
        SIGNALS,
        SIDE,
        GOFER,
        BROKER,
        SHARED,
        PROXY,
        SERVE = PROXY + 2,
        DETACH = SERVE + SERVE_FDS,
        COUNT = DETACH + DETACH_FDS
    };
    struct pollfd fds[COUNT] = {
        [CONTROL] = { .fd = m->launch->control, .events = POLLIN },
        [SENTRY] = { .fd = m->launch->sentry_pidfd, .events = POLLIN },
        [SIGNALS] = { .fd = m->signals, .events = POLLIN },
        [SIDE] = { .fd = m->side, .events = POLLIN },
        [GOFER] = { .fd = m->launch->gofer_pidfd, .events = POLLIN },
        [BROKER] = { .fd = m->launch->broker_pidfd, .events = POLLIN },
        [SHARED] = { .fd = m->launch->shared_pidfd, .events = POLLIN },
    };

    proxy_poll(&m->proxy, fds + PROXY);
    const bool named = m->launch->options->name;

    if (named) {
        named_poll(fds + SERVE);
        detach_poll(fds + DETACH);
    }
    if (poll(fds, named ? COUNT : SERVE, timeout_ms(m)) < 0) {
        if (errno != EINTR) /* would go on for ever */
            end(m, fail(EXIT_SBX, "cannot wait for the sandbox: %s", strerror(errno)));
        return;
    }
    proxy_run(&m->proxy, fds + PROXY); /* output before the end */
    if (fds[SIDE].revents)
        on_side(m);
    if (fds[SIGNALS].revents)
        on_signals(m);
    if (fds[CONTROL].revents || fds[SENTRY].revents || fds[GOFER].revents || fds[SHARED].revents)
        ask_gofer(m);
    if (!m->ended && fds[CONTROL].revents)
        on_control(m, m->launch->control);
    if (named) {
        named_serve(m->launch, fds + SERVE);
        detach_run(fds + DETACH);
    }
    if (!m->ended && fds[SENTRY].revents)
        sentry_gone(m);
    if (!m->ended && (fds[GOFER].revents || fds[SHARED].revents))
        gofer_gone(m);
    if (!m->ended && fds[BROKER].revents)
        broker_gone(m);
    if (!m->ended && m->deadline && now_ns() >= m->deadline)
        on_deadline(m);
}

/*
 * Everything that was printed is shown, however long the terminal takes. The program is over: signals
 * act on us now, as they would on a program that waits for its terminal.
 */
static void show_rest(struct monitor *m)
{
    struct signalfd_siginfo si;
    sigset_t all;

    proxy_drain(&m->proxy, 200);
    if (m->proxy.sock < 0)
        return;
    while (read(m->signals, &si, sizeof si) > 0)
        continue;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    proxy_drain(&m->proxy, timeout_ms(m));
}

int monitor_run(struct monitor *m)
{
    tell_winsize(m);
    while (!m->ended)
        loop_once(m);
    show_rest(m);
    while (m->side >= 0) { /* the last lines of a trace; it ends when the sentry does */
        struct pollfd fd = { .fd = m->side, .events = POLLIN };

        if (poll(&fd, 1, 500) <= 0)
            break;
        on_side(m);
    }
    proxy_leave(&m->proxy, m->regular && !m->timed_out);
    if (m->timed_out) {
        if (!m->report.limit)
            m->report.limit = xasprintf(
                "time is limited to %.6g s (--timeout): the program was ended",
                (double)m->launch->options->timeout_ns / 1e9);
        return EXIT_TIMEOUT;
    }
    return m->report.limit_status ? m->report.limit_status : m->status;
}

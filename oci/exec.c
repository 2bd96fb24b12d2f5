/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: a further program in the kernel that runs. Attached, the command itself stands for the process:
 * signals to it are passed on, and it ends with its status. Detached, a child of it does (the exec proxy),
 * in the container's cgroup and namespaces, and the command ends when the program was loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/create.h"
#include "oci/exec_terminal.h"
#include "oci/oci.h"
#include "oci/passed.h"
#include "oci/proxy.h"

#define EXEC_FAILED 255 /* an attached exec that could not be */

struct exec {
    const char *process, *pid_file, *console, *user, *cwd, *groups, *preserve, *pidfd;
    char **env, **caps;
    bool detach, tty, no_new_privs, ignore_paused;
    struct oci_process *what;
    struct oci_state *state;
    struct passed passed;
};

/* ---- what is to be run ---- */

static int take_user(const char *spec, struct process_spec *s)
{
    char *end;
    unsigned long uid = strtoul(spec, &end, 10), gid = s->gid;

    if (end != spec && *end == ':')
        gid = strtoul(end + 1, &end, 10);
    if (end == spec || *end || uid > UINT32_MAX || gid > UINT32_MAX)
        return oci_fail("--user %s: give UID or UID:GID", spec);
    s->uid = (uint32_t)uid;
    s->gid = (uint32_t)gid;
    return 0;
}

static int take_groups(const char *list, struct process_spec *s)
{
    s->ngroups = 0;
    while (*list) {
        char *end;
        unsigned long gid = strtoul(list, &end, 10);

        if (end == list || gid > UINT32_MAX || (*end && *end != ',') ||
            s->ngroups == PROCESS_GROUPS)
            return oci_fail("--additional-gids %s: give numbers with commas between them", list);
        s->groups[s->ngroups++] = (uint32_t)gid;
        list = *end ? end + 1 : end;
    }
    return 0;
}

static int take_caps(char *const *names, struct process_spec *s)
{
    for (; names && *names; names++) {
        int nr = oci_capability(*names);

        if (nr < 0)
            return oci_fail("--cap %s: there is no such capability", *names);
        s->cap_bounding |= 1ull << nr;
        s->cap_effective |= 1ull << nr;
        s->cap_permitted |= 1ull << nr;
    }
    return 0;
}

static char **joined(char **a, char **b)
{
    unsigned n = 0, k = 0;
    char **all;

    while (a && a[n])
        n++;
    while (b && b[k])
        k++;
    all = xcalloc(n + k + 1, sizeof *all);
    if (n)
        memcpy(all, a, n * sizeof *all);
    if (k)
        memcpy(all + n, b, k * sizeof *all);
    return all;
}

static int from_options(const struct exec *e, const struct oci_config *c, char **args,
                        struct oci_process *p)
{
    if (!args[0])
        return oci_fail("process args cannot be empty");
    *p = c->process;
    p->args = args;
    p->terminal = e->tty;
    p->rows = p->cols = 0;
    p->env = joined(c->process.env, e->env);
    if (e->cwd)
        p->cwd = e->cwd;
    if (e->no_new_privs)
        p->spec.flags |= PROCESS_NO_NEW_PRIVS;
    if ((e->user && take_user(e->user, &p->spec)) ||
        (e->groups && take_groups(e->groups, &p->spec)))
        return 1;
    return take_caps(e->caps, &p->spec);
}

static int find_process(const struct exec *e, char **args, struct oci_process *ret)
{
    static struct oci_config c, given;
    char why[OCI_WHY], *path = xjoin(e->state->dir, "config.json");
    json_t *doc;

    if (e->process) {
        if (oci_config_read(e->process, /* process_only= */ true, &given, &doc, why) < 0)
            return oci_fail("%s", why);
        *ret = given.process;
        ret->terminal |= e->tty;
        return 0;
    }
    if (oci_config_read(path, /* process_only= */ false, &c, &doc, why) < 0)
        return oci_fail("%s", why);
    return from_options(e, &c, args, ret);
}

/* sentry/job.h: what the sentry reads. A descriptor, or -1. */
static int write_request(const struct exec *e)
{
    struct oci_process with = *e->what;

    with.env = passed_environment(&e->passed, with.env);
    return box_job(&with, NULL, box_environment(&with, e->state->rootfs),
                   (with.terminal ? PROCESS_TTY : 0) | (e->passed.listen ? PROCESS_LISTEN : 0));
}

/* ---- the process ---- */

static int hold_signals(void)
{
    static const int ours[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    sigset_t set;

    sigfillset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
        sigdelset(&set, ours[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Sends it, and waits until it was loaded. A connection; -1 with one line in why. */
static int begin(const struct exec *e, struct exec_terminal *tty, char why[OCI_WHY])
{
    struct wire_msg m = { .type = WIRE_EXEC };
    int fds[WIRE_FDS] = { -1, 0, 1, 2 }, sock, r;

    if (exec_terminal_open(tty, e->what, e->console, why) < 0)
        return -1;
    snprintf(why, OCI_WHY, "cannot exec in a stopped container");
    fds[0] = write_request(e);
    sock = wire_connect(e->state);
    if (fds[0] < 0 || sock < 0)
        return -1;
    if (tty->theirs >= 0)
        fds[1] = tty->theirs;
    for (int i = 1; i < 4; i++) /* a closed one becomes nothing */
        if (fcntl(fds[i], F_GETFD) < 0)
            fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    memcpy(fds + 4, e->passed.fds, e->passed.n * sizeof *fds);
    r = wire_send(sock, &m, fds, 4 + e->passed.n);
    passed_close(&e->passed);
    close(fds[0]);
    if (tty->theirs >= 0)
        close(tty->theirs);
    if (r == 0)
        r = wire_receive(sock, &m, NULL, NULL) == 1 ? 0 : -EPIPE;
    if (r == 0 && m.type == WIRE_DONE)
        return sock;
    if (r == 0 && m.type == WIRE_FAILED)
        snprintf(why, OCI_WHY, "%.*s", (int)MIN(m.len, OCI_WHY - 1u), m.text);
    close(sock);
    return -1;
}

static void pass_on(int sock, int signals, const struct exec_terminal *tty)
{
    struct signalfd_siginfo si;
    struct wire_msg m;

    while (signals >= 0 && read(signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGWINCH && tty->fd >= 0)
            m = (struct wire_msg){ .type = WIRE_WINSIZE, .value = exec_terminal_size(tty) };
        else
            m = (struct wire_msg){ .type = WIRE_KILL, .value = (int)si.ssi_signo };
        wire_send(sock, &m, NULL, 0);
    }
}

/* Until it has ended; its status as shells have it. */
static int attend(int sock, int signals, struct exec_terminal *tty)
{
    int status = 128 + SIGKILL; /* when the container ends, and all in it */

    for (;;) {
        struct pollfd fds[2 + EXEC_TERMINAL_FDS] = { { .fd = sock, .events = POLLIN },
                                                     { .fd = signals, .events = POLLIN } };
        struct wire_msg m;

        exec_terminal_poll(tty, fds + 2);
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
            continue;
        exec_terminal_run(tty, fds + 2);
        if (fds[1].revents)
            pass_on(sock, signals, tty);
        if (!fds[0].revents)
            continue;
        if (wire_receive(sock, &m, NULL, NULL) != 1)
            break;
        if (m.type != WIRE_EXITED)
            continue;
        status = WIFEXITED(m.value) ? WEXITSTATUS(m.value) : 128 + WTERMSIG(m.value);
        break;
    }
    exec_terminal_close(tty);
    return status;
}

/* ---- detached ---- */

static void join_container(const struct oci_state *s)
{
    int fd = (int)syscall(SYS_pidfd_open, s->pid, 0);

    oci_cgroup_enter(s->cgroups);
    if (fd < 0)
        return;
    /* Who looks there sees what the init proxy shows; nothing depends on it. */
    if (setns(fd, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        oci_log(OCI_DEBUG, "the exec's namespaces are the host's: %s", oci_strerror(errno));
    close(fd);
}

static __attribute__((noreturn)) void exec_proxy(const struct exec *e, int to_parent)
{
    int keep[5 + PASSED_MAX] = { 0, 1, 2, to_parent, e->state->dir_fd };
    struct exec_terminal tty;
    char why[OCI_WHY];
    int sock, null, signals;

    memcpy(keep + 5, e->passed.fds, e->passed.n * sizeof *keep);
    child_close_all_but(keep, 5 + e->passed.n, -1);
    oci_log_child();
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_NAME, "sbx-exec");
    setsid();
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    signals = hold_signals();
    join_container(e->state);
    sock = begin(e, &tty, why);
    if (sock < 0) {
        (void)!write(to_parent, why, strlen(why));
        _exit(1);
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i < 3; i++)
        dup2(null, i);
    (void)!write(to_parent, "", 1); /* that it runs */
    close(to_parent);
    _exit(attend(sock, signals, &tty));
}

static int detach(const struct exec *e)
{
    char why[OCI_WHY];
    int fds[2], r;
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return oci_fail("exec: %s", oci_strerror(errno));
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        exec_proxy(e, fds[1]);
    close(fds[1]);
    if (pid < 0)
        return oci_fail("exec: %s", oci_strerror(errno));
    while ((n = read(fds[0], why, sizeof why - 1)) < 0 && errno == EINTR)
        continue;
    close(fds[0]);
    if (n == 1 && !why[0]) {
        r = send_pidfd(e->pidfd, pid) || write_pid_file(e->pid_file, pid);
        if (r)
            kill(pid, SIGKILL); /* its process ends with it */
        return r;
    }
    waitpid(pid, NULL, 0);
    why[MAX(n, 0)] = 0;
    return oci_fail("%s", n > 0 ? why : "exec failed");
}

static int attached(const struct exec *e)
{
    struct exec_terminal tty;
    char why[OCI_WHY];
    int signals = hold_signals(), sock = begin(e, &tty, why);

    if (sock < 0) {
        exec_terminal_close(&tty);
        oci_fail("%s", why);
        return EXEC_FAILED;
    }
    if (send_pidfd(e->pidfd, getpid()) || write_pid_file(e->pid_file, getpid())) {
        exec_terminal_close(&tty);
        return EXEC_FAILED;
    }
    return attend(sock, signals, &tty);
}

static int check_status(const struct exec *e)
{
    switch (oci_status_now(e->state)) {
    case OCI_STOPPED:
        return oci_fail("cannot exec in a stopped container");
    case OCI_PAUSED:
        return e->ignore_paused ? 0 : oci_fail("cannot exec in a paused container");
    case OCI_CREATING:
        return oci_fail("cannot exec in a container that is being created");
    default:
        return 0;
    }
}

static int check_terminal(const struct exec *e)
{
    bool socket = e->console && *e->console;

    if (e->what->terminal && e->detach && !socket)
        return oci_fail("cannot allocate tty if runc will detach without setting console socket");
    if (!e->what->terminal && socket)
        return oci_fail("cannot use console socket if runc will not detach or allocate tty");
    if (e->what->terminal && !socket && !isatty(STDIN_FILENO))
        return oci_fail("cannot allocate tty: standard input is none");
    return 0;
}

int oci_exec(int argc, char **argv)
{
    static struct exec e;
    static struct oci_process what;
    static struct oci_state s;
    static const char *none;
    const struct oci_option list[] = {
        { "process", 'p', true, &e.process, NULL },
        { "pid-file", 0, true, &e.pid_file, NULL },
        { "console-socket", 0, true, &e.console, NULL },
        { "detach", 'd', false, &e.detach, NULL },
        { "tty", 't', false, &e.tty, NULL },
        { "user", 'u', true, &e.user, NULL },
        { "env", 'e', true, NULL, &e.env },
        { "cwd", 0, true, &e.cwd, NULL },
        { "cap", 'c', true, NULL, &e.caps },
        { "additional-gids", 'g', true, &e.groups, NULL },
        { "preserve-fds", 0, true, &e.preserve, NULL },
        { "no-new-privs", 0, false, &e.no_new_privs, NULL },
        { "ignore-paused", 0, false, &e.ignore_paused, NULL },
        { "apparmor", 0, true, &none, NULL },
        { "process-label", 0, true, &none, NULL },
        { "cgroup", 0, true, &none, NULL },
        { "no-subreaper", 0, false, NULL, NULL },
        { "pidfd-socket", 0, true, &e.pidfd, NULL },
        { NULL, 0, false, NULL, NULL },
    };
    int at = oci_options(argc, argv, list);

    if (at < 0)
        return EXEC_FAILED;
    if (at >= argc) {
        oci_fail("exec: \"exec\" requires a minimum of 1 argument");
        return EXEC_FAILED;
    }
    e.state = &s;
    e.what = &what;
    if (oci_state_get(argv[at], /* lock= */ false, &s) || check_status(&e) ||
        find_process(&e, argv + at + 1, &what))
        return EXEC_FAILED;
    if (check_terminal(&e))
        return EXEC_FAILED;
    if (passed_find(e.preserve, &e.passed))
        return EXEC_FAILED;
    return e.detach ? detach(&e) : attached(&e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `sbx run`: from the command line to the exit status, by way of the other files here. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "abi/without.h"
#include "cli/cgroup.h"
#include "cli/cli.h"
#include "cli/detach.h"
#include "cli/environ.h"
#include "cli/error.h"
#include "cli/host.h"
#include "cli/launch.h"
#include "cli/learn.h"
#include "cli/monitor.h"
#include "cli/network.h"
#include "cli/profile.h"
#include "cli/require.h"
#include "cli/results.h"
#include "cli/serve.h"
#include "platform/platform.h"
#include "sentry/kernel/limits.h"

static int open_view(const struct run_options *o, struct view *ret)
{
    struct view v = {
        .root = AT_FDCWD, .rootfs = o->rootfs, .images = o->images, .nimages = o->nimages
    };
    char cwd[PATH_MAX];

    if (o->rootfs) {
        v.root = open(o->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (v.root < 0 || access(o->rootfs, R_OK | X_OK) < 0)
            return fail(EXIT_SBX, "--rootfs %s: %s; give a directory that you can read", o->rootfs,
                        strerror(errno));
        v.path = VIEW_PATH;
        v.cwd = "/";
    } else {
        if (!getcwd(cwd, sizeof cwd) || cwd[0] != '/')
            return fail(EXIT_SBX, "the current directory is gone; cd to one that exists");
        v.path = getenv("PATH");
        if (!v.path || !*v.path)
            v.path = VIEW_PATH;
        v.cwd = xstrdup(cwd);
    }
    v.moved = o->cwd != NULL;
    *ret = v;
    return 0;
}

#define OWN_FILES (2ull << 20) /* with less the first stub's channel cannot be made */

/* What `ulimit -f` says holds for the program, as natively; our own processes may have it lifted. */
static int take_file_limit(uint64_t *limit)
{
    struct rlimit r, all = { RLIM_INFINITY, RLIM_INFINITY };

    if (getrlimit(RLIMIT_FSIZE, &r) < 0 || r.rlim_cur == RLIM_INFINITY)
        return 0;
    *limit = r.rlim_cur;
    if (setrlimit(RLIMIT_FSIZE, &all) == 0)
        return 0;
    if (r.rlim_max < OWN_FILES)
        return fail(EXIT_SBX,
                    "files may have %llu bytes at most here (ulimit -H -f), and the sandbox's own "
                    "memory needs files of 2 MiB; raise it",
                    (unsigned long long)r.rlim_max);
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_FSIZE, &r);
    return 0;
}

static int check_words(const struct run_options *o, uint64_t *ret_without, uint64_t *ret_limits)
{
    const char *bad;
    struct sysinfo si;

    *ret_without = without_parse(getenv("SBX_WITHOUT"), &bad);
    if (bad)
        return fail(EXIT_SBX, "SBX_WITHOUT: unknown feature %.*s; see sbx(1)",
                    (int)strcspn(bad, ","), bad);
    limits_init(sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 1ull << 30, ret_limits);
    if (take_file_limit(&ret_limits[LIMIT_FILE_SIZE]) != 0)
        return EXIT_SBX;
    if (!limits_parse(getenv("SBX_LIMITS"), ret_limits, &bad))
        return fail(EXIT_SBX, "SBX_LIMITS: cannot take %.*s; see docs/limits.md",
                    (int)strcspn(bad, ","), bad);
    for (unsigned i = 0; i < LIMITS; i++) {
        if (o->given & 1u << i)
            ret_limits[i] = o->limit[i];
    }
    /* What the kernel keeps is memory too: it says no before processes are killed. */
    ret_limits[LIMIT_KERNEL] = MIN(ret_limits[LIMIT_KERNEL], ret_limits[LIMIT_MEMORY] / 6 * 5);
    ret_limits[LIMIT_FILE_BYTES] = MIN(ret_limits[LIMIT_FILE_BYTES],
                                       ret_limits[LIMIT_MEMORY] / 3 * 2);
    if (o->hostname && (!*o->hostname || strlen(o->hostname) > 64))
        return fail(EXIT_SBX, "--hostname %s: give 1 to 64 characters", o->hostname);
    for (unsigned i = 0; i < o->nenv; i++) {
        if (!*o->env[i] || o->env[i][0] == '=')
            return fail(EXIT_SBX, "--env %s: give NAME=VALUE or NAME", o->env[i]);
    }
    return 0;
}

/* Where the trace or the log goes: a file; our standard error; by a pipe when that is a terminal. */
static int open_output(const char *option, const char *file, struct monitor *m, int *pipe_end,
                       int *ret)
{
    int fds[2];

    if (file) {
        *ret = open(file, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        if (*ret < 0)
            return fail(EXIT_SBX, "%s=%s: %s; give a file that can be written", option, file,
                        strerror(errno));
        return 0;
    }
    if (!isatty(STDERR_FILENO)) {
        *ret = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        return 0;
    }
    if (pipe2(fds, O_CLOEXEC) < 0)
        return fail(EXIT_SBX, "%s: %s", option, strerror(errno));
    m->side = fds[0];
    *pipe_end = *ret = fds[1];
    return 0;
}

static int open_outputs(const struct run_options *o, struct monitor *m, struct launch *l,
                        int *pipe_end)
{
    int r = 0;

    if (o->strace)
        r = open_output("--strace", o->strace_file, m, pipe_end, &l->strace_fd);
    if (r == 0 && o->log_file)
        r = open_output("--log", o->log_file, m, pipe_end, &l->log_fd);
    return r;
}

static void find_terminal(struct launch *l, struct proxy *p)
{
    for (int i = 0; i < 3; i++)
        l->tty[i] = isatty(i);
    proxy_open(p, l->tty);
    l->terminal = p->fd >= 0;
    l->tty_place = proxy_place(p);
    l->tty_settings = p->found;
    if (!proxy_winsize(p, &l->tty_rows, &l->tty_cols))
        l->tty_rows = l->tty_cols = 0;
}

static unsigned whole(double cpus)
{
    unsigned n = (unsigned)cpus;

    return n + (cpus > n);
}

/*
 * Part of the cpus that we may use, beginning with a random one; all processes of the sandbox inherit it.
 * A fraction of a cpu needs a cgroup (cli/cgroup.h).
 */
static int take_cpus(double cpus)
{
    unsigned want = whole(cpus), have, at;
    cpu_set_t all, some;

    if (cpus == 0)
        return 0;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return fail(EXIT_SBX, "--cpus: %s", strerror(errno));
    have = (unsigned)CPU_COUNT(&all);
    if (want >= have)
        return 0;
    CPU_ZERO(&some);
    at = (unsigned)(now_ns() / 1000 % have);
    for (unsigned cpu = 0, n = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && (n++ + have - at) % have < want)
            CPU_SET(cpu, &some);
    }
    if (sched_setaffinity(0, sizeof some, &some) < 0)
        return fail(EXIT_SBX, "--cpus: %s", strerror(errno));
    return 0;
}

static void enter_cgroup(const struct launch *l)
{
    const struct run_options *o = l->options;
    struct cgroup_want want = { .memory = UINT64_MAX, .cpus = o->cpus };
    const char *why = "SBX_WITHOUT leaves it out";

    if (o->given & 1u << LIMIT_MEMORY)
        want.memory = l->limits[LIMIT_MEMORY];
    if (!(l->without & SBX_WITHOUT_CGROUP) && cgroup_enter(&want, &why))
        return;
    if (want.memory != UINT64_MAX)
        note("--memory is looked at, and not held by a cgroup: %s", why);
    if (want.cpus > 0 && want.cpus < whole(want.cpus))
        note("--cpus %.6g needs a cgroup, and %u may be used: %s", want.cpus, whole(want.cpus),
             why);
}

static int supervise(struct monitor *m, struct launch *l, struct results *res)
{
    const struct run_options *o = l->options;
    int pipe_end = -1, r = open_outputs(o, m, l, &pipe_end);

    if (r)
        return r;
    if (l->program->stdin_fd >= 0) {
        dup2(l->program->stdin_fd, STDIN_FILENO);
        close(l->program->stdin_fd);
    } else if (o->detach) {
        detach_no_input();
    }
    find_terminal(l, &m->proxy);
    m->signals = monitor_signals();
    if (m->signals < 0)
        return fail(EXIT_SBX, "signalfd: %s", strerror(-m->signals));
    r = take_cpus(o->cpus);
    if (r == 0 && o->name)
        r = named_open(o->name);
    if (r)
        return r;
    enter_cgroup(l);
    r = launch_start(l);
    cgroup_leave();
    if (r)
        named_close();
    if (r)
        return r;
    detach_launched();
    if (pipe_end >= 0)
        close(pipe_end);
    proxy_begin(&m->proxy, l->tty_sock);
    if (o->timeout_ns)
        m->deadline = l->t_start_ns + o->timeout_ns;
    r = monitor_run(m);
    if (!o->detach) /* else when its end is written down: who finds no name looks there */
        named_close();
    res->sock = l->results;
    r = results_finish(res, r);
    launch_end_broker(l);
    netfence_close(&l->netfence);
    if (o->stats && m->report.have_totals)
        report_stats(&m->report, l, o->stats);
    if (!m->report.limit && cgroup_oom())
        m->report.limit = xasprintf("memory is limited to %" PRIu64
                                    " MiB (--memory): the host ended a process",
                                    l->limits[LIMIT_MEMORY] >> 20);
    cgroup_end();
    report_limit(&m->report);
    report_notes(&m->report);
    return r;
}

/* What the profile and the command line come to. */
static int take_options(int argc, char **argv, FILE *learned, struct run_options *o)
{
    int r = options_parse(argc, argv, o);

    if (r || o->help)
        return r;
    o->learn = learned != NULL;
    r = profile_apply(o);
    if (r == 0)
        r = options_check(o);
    if (r == 0 && o->learn && !o->net && !o->nallow_net && !o->npublish) {
        o->net = "host";
        o->net_learned = true;
    }
    if (o->detach && !o->name)
        o->name = detach_name();
    return r;
}

static int run(struct run_options *o, struct monitor *m, struct launch *l, FILE *learned)
{
    static struct network net;
    struct program p;
    struct shown s;
    struct results res;
    struct view v;
    struct user u;
    int r;

    if ((r = check_words(o, &l->without, l->limits)) ||
        (r = require_check(o->require, l->without)) || (r = launch_platform(l, o->platform)) ||
        (r = open_view(o, &v)) || (r = user_find(&v, o->user, &u)) ||
        (r = program_find(&v, o->args, o->nargs, o->command, &p)) ||
        (r = shown_build(o, &v, &u, &p, &s)))
        return r;
    if (o->cwd)
        s.cwd = view_absolute(&v, o->cwd);
    r = results_prepare(&res, o, &v, &s, l->without);
    if (r)
        return r;
    r = network_prepare(o, &net);
    if (r)
        return r;
    network_show(&net, &s);
    l->network = &net;
    l->results_path = res.path;
    l->options = o;
    l->shown = &s;
    l->user = &u;
    l->program = &p;
    l->envp = environ_build(o, &s, &u);
    m->launch = l;
    launch_step(l, "look-up");
    r = supervise(m, l, &res);
    return learned && learn_print(learned, o, &u, &s) ? EXIT_SBX : r;
}

int run_sandbox(int argc, char **argv, FILE *learned)
{
    static struct monitor m = { .side = -1 };
    static struct launch l = { .log_fd = -1, .strace_fd = -1 };
    struct run_options o;
    int r;

    l.t_start_ns = now_ns();
    r = take_options(argc, argv, learned, &o);
    if (r)
        return r;
    if (o.help)
        options_usage(stdout);
    else if (o.print_profile)
        options_print_profile(stdout, &o);
    if (o.help || o.print_profile)
        return fflush(stdout) == 0 ? 0 : EXIT_SBX;
    if (o.detach && (r = detach_begin(o.name, !o.rm)) >= 0)
        return r;
    r = detach_end(run(&o, &m, &l, learned), o.args);
    named_close();
    named_end(r);
    return r;
}

int cmd_run(int argc, char **argv)
{
    return run_sandbox(argc, argv, NULL);
}

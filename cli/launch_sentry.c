/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's child, up to sentry_main(). It keeps its capabilities in its own user namespace until
 * the platform has made its zygote (a pid namespace below); sentry_main() drops them with the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "cli/error.h"
#include "cli/launch.h"
#include "cli/sanitize.h"

static int own_proc(void)
{
    int fs = (int)syscall(SYS_fsopen, "proc", 1 /* FSOPEN_CLOEXEC */), fd = -1;

    if (fs < 0)
        return -1;
    syscall(SYS_fsconfig, fs, 1 /* FSCONFIG_SET_STRING */, "subset", "pid", 0);
    if (syscall(SYS_fsconfig, fs, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0)
        fd = (int)syscall(SYS_fsmount, fs, 1 /* FSMOUNT_CLOEXEC */, 0);
    close(fs);
    return fd;
}

/*
 * A procfs mounted nowhere: of the pid namespace that we are pid 1 of, else a clone of the host's
 * (then our processes are in it), else its plain directory. -1 when all are refused.
 */
static int open_proc(unsigned flags)
{
    int fd = flags & CLONE_NEWPID ? own_proc() : -1;

    if (flags & CLONE_NEWPID)
        return fd; /* the host's would show other numbers */
    if (flags & CLONE_NEWNS)
        fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return fd >= 0 ? fd : open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * A time namespace whose monotonic clock starts now, for the stubs' sake: they read the clock and
 * pass deadlines to the host natively. Returns what was taken off the clock, 0 when refused.
 */
static uint64_t enter_time(uint64_t without)
{
    struct timespec mono, boot;
    char text[128];
    int fd, n, ok;

    if ((without & SBX_WITHOUT_TIMENS) || unshare(0x80 /* CLONE_NEWTIME */) < 0)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    n = snprintf(text, sizeof text, "monotonic -%lld 0\nboottime -%lld 0\n", (long long)mono.tv_sec,
                 (long long)boot.tv_sec);
    fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0)
        close(fd);
    if (!ok)
        return 0; /* entered or not, its clock is the host's */
    fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    ok = fd >= 0 && setns(fd, 0x80) == 0;
    if (fd >= 0)
        close(fd);
    /* Children alone in it would disagree with us; then nobody's clock is touched by us again. */
    return ok ? (uint64_t)mono.tv_sec * 1000000000ull : 0;
}

/* Where the host's memory, or that of a cgroup around us, ends: rather the sandbox than others. */
static void die_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!write(fd, "900", 3);
    close(fd);
}

static void raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Not closed by whoever started us: main() put something close-on-exec in the place of such. */
static bool stream_given(int fd)
{
    return fcntl(fd, F_GETFD) == 0;
}

static unsigned keep_descriptors(const struct launch *l, const struct launch_fds *f, int proc_fd,
                                 int root_fd, int *keep)
{
    const int candidates[] = {
        f->broker_sock[1], f->control, f->gofer_sock[1], f->shared_sock[1],
        f->ring,           f->results, f->tty_sock,      l->log_fd,
        l->strace_fd,      proc_fd,    root_fd,          sanitize_report_fd()
    };
    unsigned n = 0;

    for (int i = 0; i < 3; i++) {
        if (!l->tty[i] && stream_given(i))
            keep[n++] = i;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(candidates); i++) {
        if (candidates[i] >= 0)
            keep[n++] = candidates[i];
    }
    for (unsigned i = 0; i < l->npassed; i++)
        keep[n++] = l->passed[i];
    return n;
}

static int passed[PASSED_MAX]; /* their numbers in the sentry */

static void fill(struct sentry_config *c, const struct launch *l, const struct launch_fds *f)
{
    c->gofer_sock = f->gofer_sock[1];
    c->shared_sock = f->shared_sock[1];
    c->gofer_ring = f->ring;
    c->control_sock = f->control;
    c->tty_sock = f->tty_sock;
    c->tty_settings = l->tty_settings;
    c->tty_place = l->tty_place;
    c->tty_rows = l->tty_rows;
    c->tty_cols = l->tty_cols;
    c->results_sock = f->results;
    c->results_path = l->results_path;
    c->net.sock = f->broker_sock[1];
    c->net.host = l->network->policy.host;
    c->net.loopback = net_reaches_loopback(&l->network->policy);
    c->net.pub = l->network->inside;
    c->net.npub = l->network->policy.npub;
    c->log_fd = l->log_fd;
    c->strace_fd = l->strace_fd;
    c->log_level = l->options->log_level;
    c->without = l->without;
    c->limits = l->limits;
    c->mounts = l->shown->mounts;
    c->nmounts = l->shown->nmounts;
    c->argv = l->program->argv;
    c->envp = l->envp;
    c->exec_path = l->program->exec_path;
    c->cwd = l->shown->cwd;
    c->uid = l->user->uid;
    c->gid = l->user->gid;
    c->groups = l->user->groups;
    c->ngroups = l->user->ngroups;
    c->hostname = l->options->hostname ? l->options->hostname : "sbx";
    c->container = l->container;
    c->notify = l->notify;
    c->cgroup = l->cgroup;
    c->ncgroup = l->ncgroup;
    c->domainname = l->domainname;
    for (unsigned i = 0; i < l->npassed; i++)
        passed[i] = l->passed[i];
    c->passed = passed;
    c->npassed = l->npassed;
    c->sysctls = l->sysctls;
    c->nsysctls = l->nsysctls;
    c->uids = l->uids;
    c->gids = l->gids;
    c->mem_total = l->mem_total;
    c->ncpus = l->ncpus;
    c->stats = l->options->stats != STATS_OFF;
    c->tell_started = l->options->detach;
    c->learn = l->options->learn;
    for (int i = 0; i < 3; i++) {
        c->stdio_tty[i] = l->tty[i];
        c->stdio[i] = l->tty[i] || !stream_given(i) ? -1 : i;
    }
}

/* See abi/hostfd.h; what else stands at their numbers makes room. */
static bool settle_channels(struct sentry_config *c)
{
    int *all[] = { &c->control_sock, &c->gofer_sock, &c->shared_sock, &c->net.sock,  &c->tty_sock,
                   &c->results_sock, &c->gofer_ring, &c->log_fd,      &c->strace_fd, &c->proc_fd };

    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        hostfd_clear(all[i]);
    for (unsigned i = 0; i < c->npassed; i++)
        hostfd_clear(&passed[i]);
    if (!hostfd_settle(&c->control_sock, HOSTFD_CONTROL))
        return false;
    /* Numbers that are not used are taken as well: nothing else may get one. */
    for (int fd = HOSTFD_CHANNELS; fd < HOSTFD_CHANNELS + HOSTFD_NCHANNELS; fd++)
        if (fd != c->control_sock && dup3(c->control_sock, fd, O_CLOEXEC) != fd)
            return false;
    return hostfd_settle(&c->gofer_sock, HOSTFD_GOFER) &&
           hostfd_settle(&c->shared_sock, HOSTFD_SHARED) &&
           hostfd_settle(&c->net.sock, HOSTFD_BROKER) && hostfd_settle(&c->tty_sock, HOSTFD_TTY) &&
           hostfd_settle(&c->results_sock, HOSTFD_RESULTS);
}

void sentry_child(const struct launch *l, const struct launch_fds *f, struct spawn *sp)
{
    struct sentry_config cfg = { 0 };
    int keep[15 + PASSED_MAX], null_fd, root_fd = -1, r;
    unsigned n;
    uint64_t shift = 0;

    child_begin(sp);
    signal(SIGXFSZ,
           SIG_IGN); /* what is shared live is written under the caller's limit of a file */
    die_first();
    fill(&cfg, l, f);
    cfg.platform = l->platform;
    cfg.groups_stay = l->uids && sp->groups_stay;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (sp->flags)
        shift = enter_time(l->without);
    cfg.t_start_ns = l->t_start_ns - shift;
    cfg.proc_fd = open_proc(sp->flags);
    if ((sp->flags & CLONE_NEWNS) && !unfenced("emptyroot"))
        root_fd = child_empty_root();
    r = child_become(sp);
    if (r < 0)
        child_fail(f->control, EXIT_SBX, "cannot start the sentry: setuid: %s", strerror(-r));
    child_capabilities(~0ull); /* a change of ids took them from the effective set */
    raise_limits();
    n = keep_descriptors(l, f, cfg.proc_fd, root_fd, keep);
    child_close_all_but(keep, n, null_fd);
    if (!settle_channels(&cfg))
        child_fail(cfg.control_sock, EXIT_SBX, "cannot start the sentry: %s", strerror(errno));
    sentry_main(&cfg);
}

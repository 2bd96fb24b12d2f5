/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start and end of a sandbox: sentry_main() is called in the sentry's process, which is in its
 * namespaces by now and single-threaded.
 *
 *   platform->early (the zygote is forked) -> fence -> threads -> the guest's tree -> first program
 *
 * The same thread then becomes the event thread: each thread more costs a start 50 us, and each
 * hand-over to one that sleeps on another cpu as much again.
 *
 * The end comes by sandbox_end() when the first program has ended, by CTL_KILL, or by the control
 * socket's end (the front end is gone). The process then leaves; the zygote and all stubs die with
 * it.
 */
#include "sentry/kernel/container.h"
#include "sentry/sentry.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "cli/control.h"
#include "gofer/client.h"
#include "sentry/fence.h"
#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/proc/sys_set.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/ids.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/limits.h"
#include "sentry/kernel/oom.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/kernel/spent.h"
#include "sentry/net/broker.h"
#include "sentry/net/net.h"
#include "sentry/learn.h"
#include "sentry/notes.h"
#include "sentry/process.h"
#include "sentry/results.h"
#include "sentry/start.h"
#include "sentry/strace/strace.h"
#include "sentry/vfs/build.h"
#include "sentry/vfs/file.h"
#include "sentry/vfs/vfs.h"

struct kernel kernel = { .first = 2 };

static const struct sentry_config *config;
static _Atomic bool ending;

void klog(int level, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    int n;

    if (!config || config->log_fd < 0 || level > config->log_level)
        return;
    va_start(ap, fmt);
    n = vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    n = MIN(n, (int)sizeof line - 2);
    line[n] = '\n';
    (void)!hostio_write(config->log_fd, line, (size_t)n + 1);
}

/* ---- to and from the front end ---- */

static void send_message(struct container *c, uint32_t type, uint64_t value, const char *fmt,
                         va_list ap)
{
    struct control_msg m = { .type = type, .value = value };
    ssize_t n;

    if (fmt) {
        vsnprintf(m.text, sizeof m.text, fmt, ap);
        m.len = (uint32_t)strlen(m.text);
    }
    if (c->control < 0)
        return;
    if (container_is_first(c)) {
        (void)!hostio_send(c->control, &m, sizeof m, MSG_NOSIGNAL);
        return;
    }
    /* Its number is none of our channels'. It does not block: who does not read is not waited for, and lost. */
    do
        n = hostio_write(c->control, &m, sizeof m);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        shutdown(c->control, SHUT_RDWR);
}

void control_send(uint32_t type, uint64_t value, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    send_message(&first_container, type, value, fmt, ap);
    va_end(ap);
}

void control_tell(struct container *c, uint32_t type, uint64_t value, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    send_message(c, type, value, fmt, ap);
    va_end(ap);
}

static void refused(const char *what)
{
    control_send(CTL_NOTE, 0,
                 "%s was refused: there is no network inside; see --allow-net in sbx(1)", what);
}

static __attribute__((noreturn)) void leave(void)
{
    _exit(0);
}

bool sandbox_is_ending(void)
{
    return atomic_load(&ending);
}

/* These may be called by any worker; the first call decides. */
void sandbox_lost(const char *what, int status)
{
    char how[80] = "was ended from outside";

    if (atomic_exchange(&ending, true))
        return;
    if (status >= 0 && WIFSIGNALED(status))
        snprintf(how, sizeof how, "was ended from outside by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (status >= 0 && WIFEXITED(status))
        snprintf(how, sizeof how, "ended with status %d", WEXITSTATUS(status));
    control_send(CTL_ERROR, 125, "the %s %s; run with --log=FILE --log-level=debug", what, how);
    leave();
}

void sandbox_end(int wait_status)
{
    const char *lost = NULL;
    int how;

    if (WIFSIGNALED(wait_status) && kernel.platform->lost)
        lost = kernel.platform->lost(&how);
    if (lost) { /* the program died with it, and is only seen first */
        sandbox_lost(lost, how);
        return;
    }
    if (atomic_exchange(&ending, true))
        return;
    tty_host_drain();
    notes_send();
    broker_notes_send();
    learn_send();
    start_report_end(config);
    control_send(CTL_EXIT, (uint64_t)(unsigned)wait_status, NULL);
    results_serve(config);
    leave();
}

void sandbox_limited(int status, int sig, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!atomic_load(&ending))
        control_send(CTL_LIMIT, (uint64_t)status, "%s", text);
    sandbox_end(sig);
}

/* Where something failed at the start: because the host has ended what it needs? */
static void tell_lost(void)
{
    const char *lost = NULL;
    int how;

    if (kernel.platform && kernel.platform->lost)
        lost = kernel.platform->lost(&how);
    if (lost)
        sandbox_lost(lost, how);
}

void sandbox_start_refused(const char *why)
{
    tell_lost();
    control_send(CTL_ERROR, 125, "%s", why);
    leave();
}

void program_started(struct task *t)
{
    const uint32_t job = t->group->job;

    if (config->container || (config->tell_started && job == 0))
        control_tell(t->group->container, CTL_STARTED, (uint64_t)job << 32, NULL);
}

void program_start_failed(struct task *t, int err)
{
    int status = err == ENOENT || err == ENOTDIR ? 127 : 126;
    struct container *c = t->group->container;
    char why[PROCESS_WHY];

    if (!container_is_first(c)) {
        process_failed(t->comm, -err, why);
        control_tell(c, CTL_ERROR, 125, "%s", why);
        return;
    }
    if (config->container) {
        process_failed(config->argv[0], -err, why);
        sandbox_start_refused(why);
    }
    tell_lost();
    control_send(CTL_ERROR, (uint64_t)status, "%s: %s%s", config->exec_path, strerror(err),
                 err == ENOEXEC ? " (wrong architecture, or no program)" : "");
    leave();
}

/* The front end stops too, so that the user's shell sees a stopped job; told by the event thread. */
static struct ktimer stop_timer;
static _Atomic int stop_signal;

static void tell_stopped(struct ktimer *tm)
{
    (void)tm;
    tty_host_pump(); /* what the program did to the terminal before */
    control_send(CTL_STOPPED, (uint64_t)(unsigned)atomic_load(&stop_signal), NULL);
}

void sandbox_stopped(int sig)
{
    atomic_store(&stop_signal, sig);
    ktimer_arm(&stop_timer, ktime_now());
}

static __attribute__((noreturn)) void start_error(const char *what, int err)
{
    tell_lost();
    control_send(CTL_ERROR, 125, "cannot start the sandbox: %s: %s", what, process_strerror(err));
    leave();
}

static __attribute__((noreturn)) void mount_error(const char *path, int err)
{
    char why[PROCESS_WHY];

    if (!path)
        start_error("the file system", err);
    /* No link is followed there: it could lead out of what is being made. */
    if (!config->container) {
        tell_lost();
        control_send(CTL_ERROR, 125, "cannot show %s: %s%s", path, strerror(-err),
                     err == -ENOTDIR ? "; if a link or a file is in the way, give where it leads"
                                     : "");
        leave();
    }
    snprintf(why, sizeof why, "error mounting at \"%.600s\" in the rootfs: %s", path,
             process_strerror(err));
    sandbox_start_refused(why);
}

/* ---- start-up ---- */

static void init_kernel(const struct sentry_config *cfg)
{
    struct timespec ts;
    struct sysinfo si;

    kernel.platform = cfg->platform;
    lock_init(&kernel.tasks_lock, LOCK_TASKS);
    ktimer_init(&stop_timer, tell_stopped);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    kernel.boot_mono = ts.tv_sec * 1000000000ll + ts.tv_nsec;
    clock_gettime(CLOCK_REALTIME, &ts);
    kernel.boot_real = ts.tv_sec * 1000000000ll + ts.tv_nsec;
    kernel.ncpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
    sched_getaffinity(0, sizeof kernel.host_cpus, (cpu_set_t *)(void *)kernel.host_cpus);
    kernel.mem_host = sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 1ull << 30;
    kernel.proc_fd = cfg->proc_fd;
    kernel.stats = cfg->stats;
    kernel.learn = cfg->learn;
    snprintf(kernel.hostname, sizeof kernel.hostname, "%s", cfg->hostname ? cfg->hostname : "sbx");
    snprintf(kernel.domainname, sizeof kernel.domainname, "%s",
             cfg->domainname ? cfg->domainname : "(none)");
    kernel.first = cfg->container ? 1 : 2;
    if (cfg->limits)
        memcpy(limits, cfg->limits, sizeof limits);
    else
        limits_init(kernel.mem_host, limits);
    kernel.mem_host = MIN(kernel.mem_host, limit_of(LIMIT_MEMORY));
    kernel.mem_total = cfg->mem_total ? MIN(kernel.mem_host, cfg->mem_total) : kernel.mem_host;
    if (cfg->ncpus)
        kernel.ncpus = MIN(kernel.ncpus, cfg->ncpus);
    ids_shown(cfg->uids, cfg->gids, cfg->groups_stay);
    kcharge_limit(limit_of(LIMIT_KERNEL));
}

/* Pid 1, or in a container what is outside of it: the sentry itself, without a context. */
int container_make_init(struct container *c)
{
    struct task *t;
    int r = task_alloc_at(NULL, 0, 0, kernel.first == 1 ? PID_NONE : 0, &t);

    if (r < 0)
        return r;
    t->cred = cred_new_root();
    t->files = files_new();
    if (!t->cred || !t->files)
        return -ENOMEM;
    t->group->is_sentry = true;
    memcpy(t->comm, "sbx-init", 9);
    c->init = t->group;
    t->group->is_init = kernel.first != 1;
    r = task_publish(t);
    return r < 0 || kernel.first == 1 ? r : (int)MIN(do_setsid(t), 0);
}

static int start_threads(const struct sentry_config *cfg)
{
    int r = ktimers_reserve();

    if (r == 0)
        r = cfg->platform->start();
    return r == 0 ? control_init(cfg) : r;
}

/* What is fixed here stays as it is; of the network it holds where the sockets are (oci/namespaces.c). */
static void set_sysctls(const struct sentry_config *cfg)
{
    char why[PROCESS_WHY];

    for (unsigned i = 0; i < cfg->nsysctls; i++) {
        const struct sentry_sysctl *s = &cfg->sysctls[i];

        if (proc_sys_set(s->name, s->value) != -EINVAL)
            continue;
        snprintf(why, sizeof why, "cannot set sysctl %.100s to \"%.100s\": %s", s->name, s->value,
                 process_strerror(EINVAL));
        sandbox_start_refused(why);
    }
}

void sentry_main(const struct sentry_config *cfg)
{
    struct platform_config pc = { .client = &dispatch_client,
                                  .proc_fd = cfg->proc_fd,
                                  .without = cfg->without,
                                  .lends = cfg->net.sock >= 0,
                                  .max_workers = 64 };
    struct task *first = NULL;
    int r;

    config = cfg;
    first_container.control = cfg->control_sock;
    kalloc_init();
    hostfd_init();
    start_step("sentry");
    prctl(PR_SET_NAME, "sbx-sentry");
    init_kernel(cfg);
    r = fence_landlock(cfg);
    if (r < 0)
        start_error("Landlock is refused here; see sbx doctor", r);
    r = cfg->platform->early(&pc);
    if (r < 0)
        start_error("the platform's zygote", r);
    start_step("zygote");
    r = event_open();
    if (r < 0)
        start_error("events", r);
    r = fence_put_up(cfg);
    if (r < 0)
        start_error("seccomp is refused here; see sbx doctor", r);
    start_step("fence");
    if (cfg->strace_fd >= 0)
        strace_init(cfg->strace_fd);
    dispatch_worker_start(); /* this thread loads the first program, then waits for events */
    r = start_threads(cfg);
    if (r < 0)
        start_error("threads", r);
    if (cfg->gofer_sock >= 0) {
        r = gofer_client_new(cfg->gofer_sock, cfg->gofer_ring, &first_container.gofer);
        if (r < 0)
            start_error("the gofer", r);
    }
    if (cfg->shared_sock > 0) {
        r = gofer_client_new(cfg->shared_sock, /* ring_fd= */ -1, &first_container.shared);
        if (r < 0)
            start_error("the second gofer", r);
    }
    net_refused_note = refused;
    r = broker_init(&cfg->net);
    if (r < 0)
        start_error("the network", r);
    vfs_init();
    if (cfg->cgroup)
        (void)cgroup_view_set(&first_container, cfg->cgroup, cfg->ncgroup);
    const char *at = NULL;
    r = vfs_build(cfg->mounts, cfg->nmounts, &at);
    if (r < 0)
        mount_error(at, r);
    set_sysctls(cfg);
    start_step("tree");
    r = cfg->notify ? notify_open(cfg->notify) : 0;
    if (r == 0)
        r = container_make_init(&first_container);
    if (r == 0)
        r = start_first(cfg, &first);
    if (r < 0)
        start_error("the first program", r);
    oom_start();
    spent_start();
    start_step("program");
    control_hold(first);
    event_run();
}

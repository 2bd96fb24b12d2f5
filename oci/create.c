/* SPDX-License-Identifier: Apache-2.0 */
/* create, and what run has in common with it. proxy.h has the steps. */
#include "oci/create.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/hooks.h"
#include "oci/notify.h"
#include "oci/oci.h"
#include "oci/pod.h"
#include "oci/proxy.h"

int write_pid_file(const char *path, pid_t pid)
{
    char *tmp, text[20], *slash;
    int fd, n;

    if (!path)
        return 0;
    tmp = xstrdup(path);
    slash = strrchr(tmp, '/');
    tmp = slash ? xasprintf("%.*s/.%s", (int)(slash - tmp), tmp, slash + 1)
                : xasprintf(".%s", path);
    n = snprintf(text, sizeof text, "%d", (int)pid);
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)n) != n || rename(tmp, path) < 0) {
        int err = errno;

        if (fd >= 0)
            close(fd);
        unlink(tmp);
        return oci_fail("pid file %s: %s", path, oci_strerror(err));
    }
    close(fd);
    return 0;
}

bool await_end(pid_t pid, uint64_t start_time, int ms)
{
    for (int i = 0; i < ms; i++) {
        if (oci_start_time(pid) != start_time)
            return true;
        usleep(1000);
    }
    return false;
}

/* ---- the bundle ---- */

static int find_bundle(const struct create_options *o, struct oci_state *s)
{
    char real[PATH_MAX];

    if (!realpath(o->bundle ? o->bundle : ".", real))
        return oci_fail("bundle %s: %s", o->bundle ? o->bundle : ".", oci_strerror(errno));
    s->bundle = xstrdup(real);
    return 0;
}

static int read_config(const struct create_options *o, const char *bundle, struct oci_config *c)
{
    const char *name = o->config ? o->config : "config.json";
    char *path = *name == '/' ? xstrdup(name) : xjoin(bundle, name), why[OCI_WHY];
    json_t *doc; /* kept: the configuration points into it */

    if (oci_config_read(path, /* process_only= */ false, c, &doc, why) < 0)
        return oci_fail("%s", why);
    if (!c->has_process)
        return oci_fail("invalid config.json: process: is missing");
    c->process.spec.flags |= PROCESS_MAKE_CWD;
    return 0;
}

static int find_rootfs(const struct oci_config *c, struct oci_state *s)
{
    char real[PATH_MAX];
    char *path = *c->root == '/' ? xstrdup(c->root) : xjoin(s->bundle, c->root);

    if (!realpath(path, real))
        return oci_fail("invalid rootfs: stat %s: %s", path, oci_strerror(errno));
    s->rootfs = xstrdup(real);
    return 0;
}

static int check_terminal(const struct create_options *o, const struct oci_config *c)
{
    bool socket = o->console && *o->console;

    if (c->process.terminal && !socket && !o->foreground)
        return oci_fail("cannot allocate tty if runc will detach without setting console socket");
    if (c->process.terminal && !socket && !isatty(STDIN_FILENO))
        return oci_fail("cannot allocate tty: standard input is none");
    if (!c->process.terminal && socket)
        return oci_fail("cannot use console socket if runc will not detach or allocate tty");
    return 0;
}

/* What hooks at the end read: the bundle may be another's by then. */
static int keep_config(const struct create_options *o, const struct oci_state *s)
{
    const char *name = o->config ? o->config : "config.json";
    char *path = *name == '/' ? xstrdup(name) : xjoin(s->bundle, name), *text;
    size_t n;
    int fd, r = 0;

    text = oci_file_read(path, &n);
    fd = text ? openat(s->dir_fd, "config.json", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
              : -1;
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        r = oci_fail("cannot keep a copy of %s: %s", path, oci_strerror(errno));
    if (fd >= 0)
        close(fd);
    free(text);
    return r;
}

/* ---- the proxy ---- */

struct making {
    const struct create_options *options;
    struct oci_config *config;
    struct oci_state *state;
    struct box box;
    struct passed passed;
    int sync, pod;
};

/* The proxy's next message; what went wrong there is ours to print. */
static int await_proxy(const struct making *m, uint32_t type)
{
    struct wire_msg msg;
    int status, r = wire_receive(m->sync, &msg, NULL, NULL);

    if (r == 1 && msg.type == type)
        return 0;
    if (r == 1 && msg.type == WIRE_FAILED)
        return oci_fail("%.*s", (int)msg.len, msg.text);
    if (waitpid(m->state->pid, &status, WNOHANG) > 0 && WIFSIGNALED(status))
        return oci_fail("the container's init was ended by signal %d while it started",
                        WTERMSIG(status));
    return oci_fail("the container's init has ended while it started");
}

static void tell_proxy(const struct making *m, uint32_t type)
{
    struct wire_msg msg = { .type = type };

    wire_send(m->sync, &msg, NULL, 0);
}

static int run_hooks(const struct making *m, enum oci_hook_kind kind)
{
    char why[OCI_WHY];

    if (oci_hooks_run(m->config, kind, m->state, OCI_CREATING, why) == 0)
        return 0;
    return oci_fail("%s", why);
}

static int fork_proxy(struct making *m)
{
    int socks[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks) < 0)
        return oci_fail("no sockets: %s", oci_strerror(errno));
    fflush(NULL);
    m->state->pid = fork();
    if (m->state->pid < 0)
        return oci_fail("fork: %s", oci_strerror(errno));
    if (m->state->pid == 0) {
        const char *console = m->options->console;
        const struct proxy_setup setup = { .config = m->config,
                                           .state = m->state,
                                           .box = &m->box,
                                           .sync = socks[1],
                                           .pod = m->pod,
                                           .console = console && *console ? console : NULL,
                                           .passed = &m->passed,
                                           .notify = m->box.launch.notify,
                                           .foreground = m->options->foreground };

        m->state->pid = getpid();
        proxy_main(&setup);
    }
    close(socks[1]);
    if (m->pod >= 0)
        close(m->pod);
    m->sync = socks[0];
    m->state->start_time = oci_start_time(m->state->pid);
    return 0;
}

/* Of what was made, and holds. */
static int see_cgroup(struct making *m)
{
    int fd = oci_cgroup_view(m->state->cgroups, &m->config->resources);
    off_t n = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    void *text = n > 0 ? mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (text == MAP_FAILED)
        return oci_fail("cannot see the container's cgroup: %s", oci_strerror(errno));
    m->box.launch.cgroup = text;
    m->box.launch.ncgroup = (size_t)n;
    return 0;
}

static int make(struct making *m)
{
    struct oci_state *s = m->state;

    if (keep_config(m->options, s) || oci_cgroup_plan(m->config, s->id, &s->cgroups, &s->unit))
        return 1;
    if (oci_state_save(s) < 0)
        return oci_fail("cannot write the state of %s", s->id);
    if (oci_cgroup_make(m->config, s->id, s->cgroups, s->unit) || see_cgroup(m) || fork_proxy(m))
        return 1;
    if (oci_state_save(s) < 0)
        return oci_fail("cannot write the state of %s", s->id);
    if (userns_is_new(m->config)) {
        if (await_proxy(m, SYNC_USERNS) || userns_map(m->config, s->pid))
            return 1;
        tell_proxy(m, SYNC_GO);
    }
    if (await_proxy(m, SYNC_NAMESPACES))
        return 1;
    oci_cgroup_held();
    if (run_hooks(m, HOOK_PRESTART) || run_hooks(m, HOOK_CREATE_RUNTIME))
        return 1;
    tell_proxy(m, SYNC_GO);
    if (await_proxy(m, SYNC_READY))
        return 1;
    s->status = OCI_CREATED;
    if (oci_state_save(s) < 0)
        return oci_fail("cannot write the state of %s", s->id);
    tell_proxy(m, SYNC_KEEP);
    if (send_pidfd(m->options->pidfd, s->pid))
        return 1;
    return write_pid_file(m->options->pid_file, s->pid);
}

static void undo(struct making *m)
{
    struct oci_state *s = m->state;

    if (s->pid > 1) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    oci_cgroup_kill(s->cgroups);
    oci_cgroup_remove(s->cgroups, s->unit);
    oci_state_remove(s);
}

static int prepare(struct making *m)
{
    struct oci_process *p = &m->config->process;

    if (passed_find(m->options->preserve, &m->passed))
        return 1;
    m->pod = pod_find(m->config, m->state);
    p->env = passed_environment(&m->passed, p->env);
    if (notify_wanted())
        p->env = notify_environment(p->env);
    if (box_build(m->config, m->state, &m->box))
        return 1;
    m->box.launch.passed = m->passed.fds;
    m->box.launch.npassed = m->passed.n;
    m->box.launch.notify = notify_wanted() ? NOTIFY_INSIDE : NULL;
    return 0;
}

int container_create(const char *id, const struct create_options *o, struct oci_config *c,
                     struct oci_state *ret)
{
    static struct making m; /* the proxy's box is in it */
    struct oci_state found = { .lock_fd = -1 }, *s = ret;

    if (find_bundle(o, &found) || read_config(o, found.bundle, c) || find_rootfs(c, &found) ||
        check_terminal(o, c) || oci_state_new(id, s))
        return 1;
    s->bundle = found.bundle;
    s->rootfs = found.rootfs;
    s->version = xstrdup(c->version);
    s->annotations = (json_t *)(uintptr_t)c->annotations;
    s->terminal = c->process.terminal;
    s->status = OCI_CREATING;
    m = (struct making){ .options = o, .config = c, .state = s, .sync = -1, .pod = -1 };
    if (prepare(&m) == 0 && make(&m) == 0) {
        close(m.sync);
        passed_close(&m.passed);
        return 0;
    }
    undo(&m);
    return 1;
}

int container_start(struct oci_state *s, const struct oci_config *c, int *ret_notify)
{
    struct wire_msg m = { .type = WIRE_START };
    char why[OCI_WHY];

    *ret_notify = notify_wanted() ? notify_ask(s) : -1; /* before it may be over */
    if (wire_ask(s, &m))
        return 1;
    s->status = OCI_RUNNING;
    if (oci_state_save(s) < 0)
        return oci_fail("cannot write the state of %s", s->id);
    if (oci_hooks_run(c, HOOK_POSTSTART, s, OCI_RUNNING, why) == 0)
        return 0;
    kill(s->pid, SIGKILL); /* as runc does */
    return oci_fail("%s", why);
}

/* ---- the commands ---- */

int oci_create(int argc, char **argv)
{
    static struct create_options o;
    static struct oci_config c;
    struct oci_state s;
    const struct oci_option list[] = {
        { "bundle", 'b', true, &o.bundle, NULL },
        { "config", 'f', true, &o.config, NULL },
        { "pid-file", 0, true, &o.pid_file, NULL },
        { "console-socket", 0, true, &o.console, NULL },
        { "pidfd-socket", 0, true, &o.pidfd, NULL },
        { "preserve-fds", 0, true, &o.preserve, NULL },
        { "no-pivot", 0, false, NULL, NULL },
        { "no-new-keyring", 0, false, NULL, NULL },
        { NULL, 0, false, NULL, NULL },
    };
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, list));

    return id ? container_create(id, &o, &c, &s) : 1;
}

static pid_t running;

/* From the keyboard they come to both of us. */
static void forward(const struct signalfd_siginfo *si)
{
    if (si->ssi_code != SI_KERNEL && si->ssi_signo != SIGCHLD)
        kill(running, (int)si->ssi_signo);
}

void container_notify(struct oci_state *s, int notify)
{
    if (notify < 0)
        return;
    oci_state_unlock(s); /* it may take long until it is ready, and be killed before */
    notify_pass(notify, s->pid);
}

/* notify: a connection of notify_ask(). */
static int wait_for(pid_t pid, int notify)
{
    struct signalfd_siginfo si;
    sigset_t set;
    int status, fd;

    running = pid;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC);
    while (waitpid(pid, &status, WNOHANG) != pid) {
        struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = notify, .events = POLLIN } };

        if (poll(p, ARRAY_SIZE(p), -1) > 0 && p[1].revents) {
            notify_pass(notify, 0); /* who runs it has started us */
            notify = -1;
        }
        if (p[0].revents && read(fd, &si, sizeof si) == (ssize_t)sizeof si)
            forward(&si);
    }
    if (notify >= 0) /* it ended at once: what it said is there, or the end */
        notify_pass(notify, 0);
    close(fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int oci_run(int argc, char **argv)
{
    static struct create_options o;
    static struct oci_config c;
    bool detach = false, keep = false;
    struct oci_state s;
    const struct oci_option list[] = {
        { "bundle", 'b', true, &o.bundle, NULL },
        { "config", 'f', true, &o.config, NULL },
        { "detach", 'd', false, &detach, NULL },
        { "keep", 0, false, &keep, NULL },
        { "pid-file", 0, true, &o.pid_file, NULL },
        { "console-socket", 0, true, &o.console, NULL },
        { "pidfd-socket", 0, true, &o.pidfd, NULL },
        { "preserve-fds", 0, true, &o.preserve, NULL },
        { "no-pivot", 0, false, NULL, NULL },
        { "no-new-keyring", 0, false, NULL, NULL },
        { "no-subreaper", 0, false, NULL, NULL },
        { NULL, 0, false, NULL, NULL },
    };
    const char *id = oci_id_only(argc, argv, oci_options(argc, argv, list));
    sigset_t all, old;
    int status, notify;

    if (!id)
        return 1;
    o.foreground = !detach;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old); /* none is lost before they are passed on */
    if (container_create(id, &o, &c, &s))
        return 1;
    if (container_start(&s, &c, &notify)) {
        container_remove(&s);
        return 1;
    }
    if (detach) {
        container_notify(&s, notify);
        return 0;
    }
    oci_state_unlock(&s);
    status = wait_for(s.pid, notify);
    if (!keep)
        container_remove(&s);
    return status;
}

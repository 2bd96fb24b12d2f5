/* SPDX-License-Identifier: Apache-2.0 */
/* See proxy.h: from the fork to where it serves. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/error.h"
#include "oci/cgroup.h"
#include "oci/hooks.h"
#include "oci/network.h"
#include "oci/oci.h"
#include "oci/pod.h"
#include "oci/proxy_priv.h"

/* ---- to create ---- */

static void tell_creator(uint32_t type, const char *text)
{
    struct wire_msg m = { .type = type, .len = (uint32_t)strlen(text) };

    snprintf(m.text, sizeof m.text, "%s", text);
    wire_send(px.setup->sync, &m, NULL, 0);
}

static __attribute__((noreturn)) void give_up(const char *why)
{
    tell_creator(WIRE_FAILED, why);
    _exit(1); /* sentry and gofers end with us */
}

/* Its end before that means that create was ended: then there is to be nothing. */
static void await_creator(uint32_t type)
{
    struct wire_msg m;

    if (wire_receive(px.setup->sync, &m, NULL, NULL) != 1 || m.type != type)
        _exit(1);
}

/* ---- what it stands in ---- */

static void take_signals(void)
{
    static const int ours[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    sigset_t set;

    sigfillset(&set);
    for (unsigned i = 0; i < ARRAY_SIZE(ours); i++)
        sigdelset(&set, ours[i]);
    for (int sig = 1; sig < 32; sig++)
        signal(sig, SIG_DFL);
    sigprocmask(SIG_SETMASK, &set, NULL);
    px.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The terminal becomes the three streams, which launch_start() looks at. */
static void find_terminal(int slave)
{
    struct launch *l = px.launch;

    px.tty = (struct proxy){ .sock = -1, .fd = -1 };
    if (!px.setup->config->process.terminal)
        return;
    if (slave >= 0) {
        ioctl(slave, TIOCSCTTY, 0);
        for (int i = 0; i < 3; i++)
            dup2(slave, i);
        close(slave);
    }
    for (int i = 0; i < 3; i++)
        l->tty[i] = true;
    proxy_open(&px.tty, l->tty);
    l->terminal = px.tty.fd >= 0;
    l->tty_place = proxy_place(&px.tty);
    l->tty_settings = px.tty.found;
    if (!proxy_winsize(&px.tty, &l->tty_rows, &l->tty_cols))
        l->tty_rows = l->tty_cols = 0;
}

/* The streams are the guest's, and whoever reads them waits for their end. */
static void give_streams_away(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int i = 0; null >= 0 && i < 3; i++)
        dup2(null, i);
    if (null > 2)
        close(null);
    passed_close(px.setup->passed);
}

static void join_pod(void)
{
    const int theirs = px.stream.theirs, streams[3] = { theirs >= 0 ? theirs : 0, 1, 2 };
    int r;

    px.launch->sentry_pidfd = px.launch->broker_pidfd = px.launch->gofer_pidfd = -1;
    r = pod_join(px.setup->pod, px.launch, px.setup->state->pod_pids, &px.process, streams,
                 px.setup->passed, px.why);
    idmap_close(px.launch->shown);
    if (r < 0)
        give_up(px.why);
    if (theirs >= 0)
        close(theirs);
    px.stream.theirs = -1;
    give_streams_away();
}

static void launch(void)
{
    int r;

    px.launch->t_start_ns = now_ns();
    fail_keep(px.why, sizeof px.why);
    r = launch_start(px.launch);
    idmap_close(px.launch->shown);
    fail_keep(NULL, 0);
    if (r)
        give_up(px.why);
    proxy_begin(&px.tty, px.launch->tty_sock);
    give_streams_away();
}

/* Where the configuration has none it is that of the namespace, which may be a pod's. */
static void take_hostname(void)
{
    static char name[65];

    if ((!px.setup->config->hostname || !*px.setup->config->hostname) &&
        gethostname(name, sizeof name - 1) == 0 && *name)
        px.setup->box->options.hostname = name;
}

static void enter(void)
{
    const struct proxy_setup *s = px.setup;
    char why[OCI_WHY];
    int r = oci_cgroup_enter(s->state->cgroups);

    if (r < 0 && !oci.rootless) {
        snprintf(why, sizeof why, "cannot enter the container's cgroup: %s", oci_strerror(r));
        give_up(why);
    }
    px.listener = wire_listen(s->state); /* while the folder is ours to write to */
    if (px.listener < 0)
        give_up("cannot listen in the state folder");
    if (idmap_open(&s->box->shown, why) < 0 || namespaces_join(s->config, why) < 0 ||
        userns_enter(s->config, s->sync, why) < 0 || namespaces_make(s->config, why) < 0)
        give_up(why);
    take_hostname();
    userns_show(px.launch);
    userns_maker(s->sync);
    tell_creator(SYNC_NAMESPACES, "");
    await_creator(SYNC_GO);
    if (oci_hooks_run(s->config, HOOK_CREATE_CONTAINER, s->state, OCI_CREATING, why) < 0)
        give_up(why);
}

void proxy_main(const struct proxy_setup *s)
{
    int keep[6 + PASSED_MAX] = { 0, 1, 2, s->sync, s->state->dir_fd }, slave = -1;
    unsigned n = 5;

    px.setup = s;
    px.process = s->config->process;
    px.launch = &s->box->launch;
    for (unsigned i = 0; i < CLIENTS; i++)
        px.clients[i].fd = -1;
    if (s->pod >= 0)
        keep[n++] = s->pod;
    memcpy(keep + n, s->passed->fds, s->passed->n * sizeof *keep);
    child_close_all_but(keep, n + s->passed->n, -1);
    oci_log_child();
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_NAME, "sbx-init");
    if (!s->foreground)
        setsid();
    take_signals();
    px.stream.fd = px.stream.ours = px.stream.theirs = -1;
    if (px_further() && exec_terminal_open(&px.stream, &px.process, s->console, px.why) < 0)
        give_up(px.why);
    if (s->console && !px_further()) {
        slave = terminal_open(s->console, s->config->process.rows, s->config->process.cols, px.why);
        if (slave < 0)
            give_up(px.why);
    }
    enter();
    px.tty = (struct proxy){ .sock = -1, .fd = -1 };
    if (px_further()) {
        join_pod();
    } else {
        find_terminal(slave);
        launch();
    }
    px.network = px_further() ? -1 : oci.net && strcmp(oci.net, "none") == 0 ? -1 : network_watch();
    px_tell_network();
    px_tell_winsize();
    while (!px.ready && !px.ended)
        px_loop_once();
    if (px.ended)
        give_up(*px.why ? px.why : "the sandbox ended early");
    tell_creator(SYNC_READY, "");
    await_creator(SYNC_KEEP);
    close(s->sync);
    while (!px.ended)
        px_loop_once();
    px_leave();
}

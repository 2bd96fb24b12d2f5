/* SPDX-License-Identifier: Apache-2.0 */
/* See proxy.h. One thread, one poll, as cli/monitor.c, whose job it does for a container. */
#include "oci/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/proxy.h"
#include "oci/cgroup.h"
#include "oci/hooks.h"
#include "oci/network.h"
#include "oci/oci.h"

#define CLIENTS 256
#define LAST_WORDS_MS 2000 /* for a terminal that nobody reads */
#define SENTRY_END_MS 5000

static struct {
    const struct proxy_setup *setup;
    struct launch *launch;
    struct proxy tty;
    int signals, listener, network;
    bool ready, started, ended;
    int status;        /* exit status, when ended */
    char why[OCI_WHY]; /* the last error of sandbox or hooks */
    uint32_t jobs;     /* numbers given out */
    struct client {
        int fd;
        uint32_t job; /* of an exec; 0: none */
        bool starter; /* waits for the program to be loaded */
        bool pauser;  /* waits for the guest to be frozen */
    } clients[CLIENTS];
} px = { .listener = -1, .signals = -1, .network = -1 };

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

    if (wire_receive(px.setup->sync, &m, NULL) != 1 || m.type != type)
        _exit(1);
}

/* ---- to the sentry ---- */

static void tell_sentry(uint32_t type, uint64_t value, const int *fds, unsigned n)
{
    struct control_msg m = { .type = type, .value = value };

    send_with(px.launch->control, &m, sizeof m, fds, n);
}

static void tell_network(void)
{
    int fd = px.network >= 0 ? network_snapshot() : -1;

    if (fd >= 0)
        tell_sentry(CTL_NETWORK, 0, &fd, 1);
    close(fd);
}

static void tell_winsize(void)
{
    uint16_t rows, cols;

    if (proxy_winsize(&px.tty, &rows, &cols))
        tell_sentry(CTL_WINSIZE, (uint64_t)rows << 16 | cols, NULL, 0);
}

/* ---- to commands ---- */

static void answer(struct client *c, uint32_t type, int value, const char *text, size_t n)
{
    struct wire_msg m = { .type = type, .value = value };

    m.len = (uint32_t)MIN(n, sizeof m.text);
    if (m.len)
        memcpy(m.text, text, m.len);
    wire_send(c->fd, &m, NULL, 0);
}

/* The connection of an exec was its process. */
static void drop(struct client *c)
{
    if (c->job)
        tell_sentry(CTL_JOB_SIGNAL, (uint64_t)c->job << 32 | SIGKILL, NULL, 0);
    close(c->fd);
    *c = (struct client){ .fd = -1 };
}

static struct client *client_of(uint32_t job)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (px.clients[i].fd >= 0 && (job ? px.clients[i].job == job : px.clients[i].starter))
            return &px.clients[i];
    return NULL;
}

static void on_request(struct client *c, const struct wire_msg *m, int fds[WIRE_FDS])
{
    switch (m->type) {
    case WIRE_START:
        if (px.started) {
            answer(c, WIRE_FAILED, 1, "cannot start an already running container", 41);
            break;
        }
        px.started = c->starter = true;
        tell_network(); /* made between create and start, by most */
        tell_sentry(CTL_START, 0, NULL, 0);
        break;
    case WIRE_KILL:
        if (m->value < 0 || m->value > 64)
            break;
        if (c->job) {
            tell_sentry(CTL_JOB_SIGNAL, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
            break;
        }
        if (m->value)
            tell_sentry(CTL_SIGNAL, (uint64_t)m->value | (m->all ? CTL_SIGNAL_ALL : 0), NULL, 0);
        answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_PAUSE:
        c->pauser = true;
        tell_sentry(CTL_FREEZE, 0, NULL, 0);
        break;
    case WIRE_RESUME:
        tell_sentry(CTL_THAW, 0, NULL, 0);
        answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_WINSIZE:
        if (c->job)
            tell_sentry(CTL_JOB_WINSIZE, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
        break;
    case WIRE_EXEC:
        if (c->job || fds[WIRE_FDS - 1] < 0)
            break;
        c->job = ++px.jobs;
        tell_sentry(CTL_JOB, c->job, fds, WIRE_FDS);
        break;
    default:
        break;
    }
}

static void serve(struct client *c)
{
    int fds[WIRE_FDS];
    struct wire_msg m;
    int r = wire_receive(c->fd, &m, fds);

    if (r == 1)
        on_request(c, &m, fds);
    for (int i = 0; i < WIRE_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (r <= 0)
        drop(c);
}

static void take_client(void)
{
    int fd = accept4(px.listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred who;
    socklen_t len = sizeof who;

    if (fd < 0)
        return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && userns_may_ask(who.uid)) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            if (px.clients[i].fd < 0) {
                px.clients[i] = (struct client){ .fd = fd };
                return;
            }
        }
    }
    close(fd);
}

/* ---- from the sandbox ---- */

static void end(int status)
{
    if (!px.ended)
        px.status = status;
    px.ended = true;
}

static void keep_why(const char *text, size_t n)
{
    snprintf(px.why, sizeof px.why, "%.*s", (int)MIN(n, sizeof px.why - 1), text);
}

static const char *frozen_why(int err)
{
    return err == EBUSY ? "the container is frozen already"
                        : "the container cannot be frozen: something of it does not come to rest";
}

static void on_message(const struct control_msg *m)
{
    const uint32_t job = (uint32_t)(m->value >> 32);
    struct client *c;
    int status;

    switch (m->type) {
    case CTL_READY:
        px.ready = true;
        break;
    case CTL_STARTED:
        c = client_of(job);
        if (c)
            answer(c, WIRE_DONE, 0, NULL, 0);
        if (c)
            c->starter = false;
        break;
    case CTL_FROZEN:
        for (unsigned i = 0; i < CLIENTS; i++) {
            c = &px.clients[i];
            if (c->fd >= 0 && c->pauser)
                answer(c, m->value ? WIRE_FAILED : WIRE_DONE, 1, frozen_why((int)m->value),
                       m->value ? strlen(frozen_why((int)m->value)) : 0);
            c->pauser = false;
        }
        break;
    case CTL_JOB_EXIT:
    case CTL_JOB_FAILED:
        c = job ? client_of(job) : NULL;
        if (!c)
            break;
        answer(c, m->type == CTL_JOB_EXIT ? WIRE_EXITED : WIRE_FAILED, (int)(uint32_t)m->value,
               m->text, m->type == CTL_JOB_EXIT ? 0 : m->len);
        c->job = 0;
        break;
    case CTL_ERROR:
        keep_why(m->text, m->len);
        c = client_of(0);
        if (c)
            answer(c, WIRE_FAILED, 1, px.why, strlen(px.why));
        end(px.started ? 127 : 1);
        break;
    case CTL_EXIT:
        status = (int)m->value;
        end(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        break;
    default: /* notes for a person at a terminal */
        break;
    }
}

static bool drain(int fd)
{
    struct control_msg m;
    ssize_t n;

    while (!px.ended && (n = recv(fd, &m, sizeof m, MSG_DONTWAIT)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if ((size_t)n >= offsetof(struct control_msg, text) && m.len <= sizeof m.text)
            on_message(&m);
    }
    return px.ended;
}

/* Sentry or gofer are gone without a word: a gofer that could not start has left one. */
static void lost(const char *what)
{
    struct control_msg m;

    drain(px.launch->control);
    if (px.ended)
        return;
    if (recv(px.launch->gofer_status, &m, sizeof m, MSG_DONTWAIT) > 0 && m.type == CTL_ERROR)
        keep_why(m.text, MIN(m.len, (uint32_t)sizeof m.text));
    else
        snprintf(px.why, sizeof px.why, "the %s was ended%s", what,
                 oci_cgroup_oom(px.setup->state->cgroups) ? ": out of memory" : "");
    struct client *c = client_of(0);

    if (c)
        answer(c, WIRE_FAILED, 1, px.why, strlen(px.why));
    end(128 + SIGKILL);
}

static void on_signals(void)
{
    struct signalfd_siginfo si;

    while (read(px.signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGWINCH && px.tty.fd >= 0)
            tell_winsize();
        else
            tell_sentry(CTL_SIGNAL, si.ssi_signo | (si.ssi_code == SI_KERNEL ? CTL_SIGNAL_KEY : 0),
                        NULL, 0);
    }
}

/* ---- the loop ---- */

static void loop_once(void)
{
    enum { CONTROL, SENTRY, GOFER, SHARED, SIGNALS, LISTENER, NETWORK, TTY, CLIENT = TTY + 2 };
    struct pollfd fds[CLIENT + CLIENTS] = {
        [CONTROL] = { .fd = px.launch->control, .events = POLLIN },
        [SENTRY] = { .fd = px.launch->sentry_pidfd, .events = POLLIN },
        [GOFER] = { .fd = px.launch->gofer_pidfd, .events = POLLIN },
        [SHARED] = { .fd = px.launch->shared_pidfd, .events = POLLIN },
        [SIGNALS] = { .fd = px.signals, .events = POLLIN },
        [LISTENER] = { .fd = px.listener, .events = POLLIN },
        [NETWORK] = { .fd = px.network, .events = POLLIN },
    };

    proxy_poll(&px.tty, fds + TTY);
    for (unsigned i = 0; i < CLIENTS; i++)
        fds[CLIENT + i] = (struct pollfd){ .fd = px.clients[i].fd, .events = POLLIN };
    if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        return;
    proxy_run(&px.tty, fds + TTY);
    if (fds[SIGNALS].revents)
        on_signals();
    if (fds[CONTROL].revents)
        drain(px.launch->control);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (fds[CLIENT + i].revents && fds[CLIENT + i].fd == px.clients[i].fd)
            serve(&px.clients[i]);
    if (fds[NETWORK].revents) {
        network_drain(px.network);
        tell_network();
    }
    if (fds[LISTENER].revents)
        take_client();
    if (!px.ended && fds[SENTRY].revents)
        lost("sentry");
    if (!px.ended && (fds[GOFER].revents || fds[SHARED].revents))
        lost("gofer");
}

/* Everything that was printed is out, and the descriptors are closed, before anybody sees us end. */
static __attribute__((noreturn)) void leave(void)
{
    struct pollfd p = { .fd = px.launch->sentry_pidfd, .events = POLLIN };

    proxy_drain(&px.tty, LAST_WORDS_MS);
    proxy_leave(&px.tty, /* keep= */ true);
    if (px.status == 128 + SIGKILL || poll(&p, 1, SENTRY_END_MS) != 1)
        syscall(SYS_pidfd_send_signal, px.launch->sentry_pidfd, SIGKILL, NULL, 0);
    poll(&p, 1, SENTRY_END_MS);
    launch_end_broker(px.launch);
    _exit(px.status);
}

/* ---- the beginning ---- */

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

static void launch(void)
{
    int null, r;

    px.launch->t_start_ns = now_ns();
    fail_keep(px.why, sizeof px.why);
    r = launch_start(px.launch);
    fail_keep(NULL, 0);
    if (r)
        give_up(px.why);
    proxy_begin(&px.tty, px.launch->tty_sock);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; null >= 0 && i < 3; i++)
        dup2(null, i); /* they are the guest's, and whoever reads them waits for their end */
    if (null > 2)
        close(null);
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
    if (namespaces_join(s->config, why) < 0 || userns_enter(s->config, s->sync, why) < 0 ||
        namespaces_make(s->config, why) < 0)
        give_up(why);
    userns_show(px.launch);
    userns_maker(s->sync);
    tell_creator(SYNC_NAMESPACES, "");
    await_creator(SYNC_GO);
    if (oci_hooks_run(s->config, HOOK_CREATE_CONTAINER, s->state, OCI_CREATING, why) < 0)
        give_up(why);
}

void proxy_main(const struct proxy_setup *s)
{
    const int keep[] = { 0, 1, 2, s->sync, s->state->dir_fd };
    int slave = -1;

    px.setup = s;
    px.launch = &s->box->launch;
    for (unsigned i = 0; i < CLIENTS; i++)
        px.clients[i].fd = -1;
    child_close_all_but(keep, ARRAY_SIZE(keep), -1);
    oci_log_child();
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_NAME, "sbx-init");
    if (!s->foreground)
        setsid();
    take_signals();
    if (s->console) {
        slave = terminal_open(s->console, s->config->process.rows, s->config->process.cols, px.why);
        if (slave < 0)
            give_up(px.why);
    }
    enter();
    find_terminal(slave);
    launch();
    px.network = oci.net && strcmp(oci.net, "none") == 0 ? -1 : network_watch();
    tell_network();
    tell_winsize();
    while (!px.ready && !px.ended)
        loop_once();
    if (px.ended)
        give_up(*px.why ? px.why : "the sandbox ended early");
    tell_creator(SYNC_READY, "");
    await_creator(SYNC_KEEP);
    close(s->sync);
    while (!px.ended)
        loop_once();
    leave();
}

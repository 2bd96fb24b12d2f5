/* SPDX-License-Identifier: Apache-2.0 */
/* See proxy.h: what it does once it serves. One thread, one poll: cli/monitor.c's job, for a container. */
#include "oci/proxy_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/error.h"
#include "cli/proxy.h"
#include "oci/cgroup.h"
#include "oci/network.h"
#include "oci/oci.h"
#include "cli/serve.h"

#define LAST_WORDS_MS 2000 /* for a terminal that nobody reads */
#define SENTRY_END_MS 5000

struct init_proxy px = { .listener = -1, .signals = -1, .network = -1 };

/* ---- to the sentry ---- */

void px_tell(uint32_t type, uint64_t value, const int *fds, unsigned n)
{
    const struct control_msg m = { .type = type, .value = value };

    fdmsg_send(px.launch->control, &m, sizeof m, fds, n);
}

void px_tell_network(void)
{
    int fd = px.network >= 0 ? network_snapshot() : -1;

    if (fd >= 0)
        px_tell(CTL_NETWORK, 0, &fd, 1);
    close(fd);
}

void px_tell_winsize(void)
{
    uint16_t rows, cols;

    if (px_further()) {
        if (px.stream.fd >= 0)
            px_tell(CTL_WINSIZE, (uint64_t)exec_terminal_size(&px.stream), NULL, 0);
        return;
    }
    if (proxy_winsize(&px.tty, &rows, &cols))
        px_tell(CTL_WINSIZE, (uint64_t)rows << 16 | cols, NULL, 0);
}

/* ---- to commands ---- */

void px_answer(struct client *c, uint32_t type, int value, const char *text, size_t n)
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
        px_tell(CTL_JOB_SIGNAL, (uint64_t)c->job << 32 | SIGKILL, NULL, 0);
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

static void on_request(struct client *c, const struct wire_msg *m, const int *fds, unsigned nfds)
{
    switch (m->type) {
    case WIRE_START:
        if (px.started) {
            px_answer(c, WIRE_FAILED, 1, "cannot start an already running container", 41);
            break;
        }
        px.started = c->starter = true;
        px_tell_network(); /* made between create and start, by most */
        px_hooks_run();
        break;
    case WIRE_CGROUP:
        if (nfds == 1)
            px_tell(CTL_CGROUP, 0, fds, 1);
        px_answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_NOTIFY:
        c->notify = px.setup->notify && !px.notified;
        if (!c->notify)
            px_answer(c, px.notified ? WIRE_DONE : WIRE_FAILED, 1, NULL, 0);
        break;
    case WIRE_KILL:
        if (m->value < 0 || m->value > 64)
            break;
        if (c->job) {
            px_tell(CTL_JOB_SIGNAL, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
            break;
        }
        if (m->value)
            px_tell(CTL_SIGNAL, (uint64_t)m->value | (m->all ? CTL_SIGNAL_ALL : 0), NULL, 0);
        px_answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_PAUSE:
        c->pauser = true;
        px_tell(CTL_FREEZE, 0, NULL, 0);
        break;
    case WIRE_RESUME:
        px_tell(CTL_THAW, 0, NULL, 0);
        px_answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_POD:
        if (px_further() || nfds < 7)
            break;
        px_tell(CTL_CONTAINER, (uint32_t)m->value, fds, nfds);
        px_answer(c, WIRE_DONE, 0, NULL, 0);
        break;
    case WIRE_WINSIZE:
        if (c->job)
            px_tell(CTL_JOB_WINSIZE, (uint64_t)c->job << 32 | (uint32_t)m->value, NULL, 0);
        break;
    case WIRE_EXEC:
        if (c->job || nfds < 4)
            break;
        c->job = ++px.jobs;
        px_tell(CTL_JOB, c->job, fds, nfds);
        break;
    default:
        break;
    }
}

static void serve(struct client *c)
{
    int fds[WIRE_FDS];
    struct wire_msg m;
    unsigned nfds;
    int r = wire_receive(c->fd, &m, fds, &nfds);

    if (r == 1)
        on_request(c, &m, fds, nfds);
    fdmsg_close(fds, nfds);
    if (r <= 0)
        drop(c);
}

static void take_client(void)
{
    int fd = serve_accept(px.listener, userns_made_by());

    for (unsigned i = 0; fd >= 0 && i < CLIENTS; i++) {
        if (px.clients[i].fd < 0) {
            px.clients[i] = (struct client){ .fd = fd };
            return;
        }
    }
    close(fd);
}

/* ---- from the sandbox ---- */

void px_end(int status)
{
    if (!px.ended)
        px.status = status;
    px.ended = true;
}

void px_start_failed(void)
{
    struct client *c = client_of(0);

    if (c)
        px_answer(c, WIRE_FAILED, 1, px.why, strlen(px.why));
    px_end(px.started ? 127 : 1);
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
            px_answer(c, WIRE_DONE, 0, NULL, 0);
        if (c)
            c->starter = false;
        break;
    case CTL_FROZEN:
        for (unsigned i = 0; i < CLIENTS; i++) {
            c = &px.clients[i];
            if (c->fd >= 0 && c->pauser)
                px_answer(c, m->value ? WIRE_FAILED : WIRE_DONE, 1, frozen_why((int)m->value),
                          m->value ? strlen(frozen_why((int)m->value)) : 0);
            c->pauser = false;
        }
        break;
    case CTL_JOB_EXIT:
    case CTL_JOB_FAILED:
        if (px_hooks_ended(m))
            break;
        c = job ? client_of(job) : NULL;
        if (!c)
            break;
        px_answer(c, m->type == CTL_JOB_EXIT ? WIRE_EXITED : WIRE_FAILED, (int)(uint32_t)m->value,
                  m->text, m->type == CTL_JOB_EXIT ? 0 : m->len);
        c->job = 0;
        break;
    case CTL_NOTIFY:
        px.notified = true;
        for (unsigned i = 0; i < CLIENTS; i++)
            if (px.clients[i].fd >= 0 && px.clients[i].notify)
                px_answer(&px.clients[i], WIRE_DONE, 0, NULL, 0);
        break;
    case CTL_ERROR:
        keep_why(m->text, m->len);
        px_start_failed();
        break;
    case CTL_EXIT:
        status = (int)m->value;
        px_end(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        break;
    default: /* notes for a person at a terminal */
        break;
    }
}

/* false: nothing will come any more. */
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
    if (px.launch->gofer_status >= 0 &&
        recv(px.launch->gofer_status, &m, sizeof m, MSG_DONTWAIT) > 0 && m.type == CTL_ERROR)
        keep_why(m.text, MIN(m.len, (uint32_t)sizeof m.text));
    else
        snprintf(px.why, sizeof px.why, "the %s was ended%s", what,
                 oci_cgroup_oom(px.setup->state->cgroups) ? ": out of memory" : "");
    struct client *c = client_of(0);

    if (c)
        px_answer(c, WIRE_FAILED, 1, px.why, strlen(px.why));
    px_end(128 + SIGKILL);
}

static void on_signals(void)
{
    struct signalfd_siginfo si;

    while (read(px.signals, &si, sizeof si) == (ssize_t)sizeof si) {
        if (si.ssi_signo == SIGWINCH && (px.tty.fd >= 0 || px.stream.fd >= 0))
            px_tell_winsize();
        else
            px_tell(CTL_SIGNAL, si.ssi_signo | (si.ssi_code == SI_KERNEL ? CTL_SIGNAL_KEY : 0),
                    NULL, 0);
    }
}

/* ---- the loop ---- */

void px_loop_once(void)
{
    enum {
        CONTROL,
        SENTRY,
        GOFER,
        SHARED,
        SIGNALS,
        LISTENER,
        NETWORK,
        TTY,
        STREAM = TTY + 2,
        CLIENT = STREAM + 2
    };
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
    exec_terminal_poll(&px.stream, fds + STREAM);
    for (unsigned i = 0; i < CLIENTS; i++)
        fds[CLIENT + i] = (struct pollfd){ .fd = px.clients[i].fd, .events = POLLIN };
    if (poll(fds, ARRAY_SIZE(fds), px_hooks_wait()) < 0)
        return;
    px_hooks_late();
    proxy_run(&px.tty, fds + TTY);
    exec_terminal_run(&px.stream, fds + STREAM);
    if (fds[SIGNALS].revents)
        on_signals();
    if (fds[CONTROL].revents && !drain(px.launch->control) && px_further())
        lost("sandbox of its pod");
    for (unsigned i = 0; i < CLIENTS; i++)
        if (fds[CLIENT + i].revents && fds[CLIENT + i].fd == px.clients[i].fd)
            serve(&px.clients[i]);
    if (fds[NETWORK].revents) {
        network_drain(px.network);
        px_tell_network();
    }
    if (fds[LISTENER].revents)
        take_client();
    if (!px.ended && fds[SENTRY].revents)
        lost("sentry");
    if (!px.ended && (fds[GOFER].revents || fds[SHARED].revents))
        lost("gofer");
}

/* Everything that was printed is out, and the descriptors are closed, before anybody sees us end. */
void px_leave(void)
{
    struct pollfd p = { .fd = px.launch->sentry_pidfd, .events = POLLIN };

    if (px_further()) { /* what is left of it ends with our end of the socket */
        exec_terminal_close(&px.stream);
        _exit(px.status);
    }
    proxy_drain(&px.tty, LAST_WORDS_MS);
    proxy_leave(&px.tty, /* keep= */ true);
    if (px.status == 128 + SIGKILL || poll(&p, 1, SENTRY_END_MS) != 1)
        syscall(SYS_pidfd_send_signal, px.launch->sentry_pidfd, SIGKILL, NULL, 0);
    poll(&p, 1, SENTRY_END_MS);
    launch_end_broker(px.launch);
    _exit(px.status);
}

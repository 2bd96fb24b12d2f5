/* SPDX-License-Identifier: Apache-2.0 */
/* The front end's part of starting a sandbox: see launch.h. */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/without.h"
#include "cli/error.h"
#include "cli/host.h"
#include "cli/ids.h"
#include "cli/require.h"

/* An ordinary user without user namespaces: then Landlock is all that holds the gofer. */
static void warn_unfenced(const struct launch *l, const struct spawn *sp)
{
    bool landlock = !(l->without & SBX_WITHOUT_LANDLOCK) &&
                    syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* VERSION */) > 0;

    if (!(sp->flags & CLONE_NEWNS) && !landlock)
        note("neither user namespaces nor Landlock here: the gofer is fenced by seccomp alone; "
             "see `sbx doctor`");
}

uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void launch_step(struct launch *l, const char *name)
{
    if (l->nsteps < LAUNCH_STEPS) {
        l->steps[l->nsteps].name = name;
        l->steps[l->nsteps++].end_ns = now_ns();
    }
}

static int pair(int type, int ret[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ret) == 0)
        return 0;
    return fail(EXIT_SBX, "no sockets between the sandbox's processes: %s", strerror(errno));
}

/* Requests are small and may come in a burst: the queue is as long as the host allows. */
static int broker_pair(struct launch_fds *f)
{
    const int size = 4 << 20;

    if (pair(SOCK_SEQPACKET, f->broker_sock))
        return EXIT_SBX;
    for (int i = 0; i < 2; i++) {
        if (setsockopt(f->broker_sock[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
            setsockopt(f->broker_sock[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    return 0;
}

/* Our ends go to l, the children's to f. */
static int make_channels(struct launch *l, struct launch_fds *f)
{
    int control[2], status[2], term[2] = { -1, -1 }, results[2] = { -1, -1 }, rules[2] = { -1, -1 };

    if (pair(SOCK_SEQPACKET, control) || pair(SOCK_SEQPACKET, status) ||
        pair(SOCK_SEQPACKET, f->gofer_sock) || (l->terminal && pair(SOCK_SEQPACKET, term)) ||
        (l->results_path && pair(SOCK_STREAM, results)) ||
        (l->network->policy.on && broker_pair(f)) ||
        (l->network->policy.on && l->options->name && pair(SOCK_SEQPACKET, rules)))
        return EXIT_SBX;
    f->shared_sock[0] = f->shared_sock[1] = -1;
    if (l->shown->nshared && pair(SOCK_SEQPACKET, f->shared_sock))
        return EXIT_SBX;
    l->control = control[0];
    f->control = control[1];
    l->gofer_status = status[0];
    f->gofer_status = status[1];
    l->tty_sock = term[0];
    f->tty_sock = term[1];
    l->results = results[0];
    f->results = results[1];
    l->rules = rules[0];
    f->rules = rules[1];
    /* Descriptors are cheaper: docs/decisions/files-as-descriptors.md. */
    bool required = l->options->require & REQUIRE_IOURING;
    bool ring = (getenv("SBX_RING") || required) && !(l->without & SBX_WITHOUT_IOURING);
    f->ring = ring ? gofer_ring_new() : -1;
    if (f->ring < 0 && required)
        return fail(EXIT_SBX, "--require: not here: iouring (%s); needed: %s", strerror(-f->ring),
                    host_help_iouring());
    if (f->ring < 0)
        f->ring = -1;
    return 0;
}

static int refused(const char *what, int err)
{
    if (err == ECANCELED)
        return fail(EXIT_SBX, "the %s was ended while it started", what);
    return fail(EXIT_SBX, "cannot start the %s: %s; see `sbx doctor`", what, strerror(err));
}

static void end_child(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int undo(struct launch *l, const char *what, int err)
{
    end_child(l->sentry);
    end_child(l->gofer);
    end_child(l->shared);
    return refused(what, err);
}

/* Writes as the caller: with the caller's own id, in namespaces that map it (or all) to itself. */
static int start_shared(struct launch *l, struct launch_fds *f, unsigned must)
{
    struct spawn sp;

    l->shared_pidfd = -1;
    if (!l->shown->nshared)
        return 0;
    l->shared = spawn(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC, must, l->without,
                      geteuid(), /* whole= */ true, &sp, &l->shared_pidfd);
    if (l->shared == 0)
        gofer_child(l, f, &sp, /* shared= */ true);
    if (l->shared < 0)
        return undo(l, "second gofer", -l->shared);
    close(f->shared_sock[0]);
    close(f->shared_sock[1]);
    return 0;
}

/* The second fence of the network, where this host lets us; else doctor says what that costs. */
static int begin_fence(struct launch *l, struct launch_fds *f)
{
    const bool required = l->options->require & REQUIRE_BPF;
    int r = -EPERM;

    l->netfence = (struct netfence){ .dir = -1, .prog = -1, .peers = -1 };
    f->fenced[0] = f->fenced[1] = -1;
    if (!(l->without & SBX_WITHOUT_BPF))
        r = netfence_open(&l->netfence, l->network);
    if (r == 0 && pipe2(f->fenced, O_CLOEXEC) < 0) {
        r = -errno;
        netfence_close(&l->netfence);
    }
    return r < 0 && required ? r : 0;
}

static int end_fence(struct launch *l, struct launch_fds *f)
{
    int r = 0;

    if (f->fenced[0] < 0)
        return 0;
    close(f->fenced[0]);
    if (l->broker > 0)
        r = netfence_enter(&l->netfence, l->broker);
    if (r < 0 && !(l->options->require & REQUIRE_BPF)) {
        netfence_close(&l->netfence);
        r = 0;
    }
    if (r == 0 && l->broker > 0 && write(f->fenced[1], "g", 1) != 1)
        r = -EPIPE;
    close(f->fenced[1]);
    return r;
}

/* The one that stays in the host's network; there is none where nothing may be reached. */
static int start_broker(struct launch *l, struct launch_fds *f, uid_t id, bool userns)
{
    struct spawn sp;
    int r;

    l->broker_pidfd = -1;
    l->netfence.dir = l->netfence.prog = l->netfence.peers = -1;
    if (f->broker_sock[0] < 0)
        return 0;
    r = begin_fence(l, f);
    if (r < 0)
        return undo(l, "net broker", -r);
    l->broker = spawn(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS,
                      userns ? CLONE_NEWUSER : 0, l->without, id, /* whole= */ false, &sp,
                      &l->broker_pidfd);
    if (l->broker == 0)
        broker_child(l, f, &sp);
    r = end_fence(l, f);
    if (l->broker < 0 || r < 0) {
        end_child(l->broker);
        netfence_close(&l->netfence);
        return undo(l, "net broker", l->broker < 0 ? -l->broker : -r);
    }
    close(f->broker_sock[0]);
    close(f->broker_sock[1]);
    if (f->rules >= 0)
        close(f->rules);
    network_started(l->network);
    launch_step(l, "broker");
    return 0;
}

#define BROKER_END_MS 1000

void launch_end_broker(const struct launch *l)
{
    struct pollfd p = { .fd = l->broker_pidfd, .events = POLLIN };
    siginfo_t si;

    if (p.fd < 0)
        return;
    if (poll(&p, 1, BROKER_END_MS) != 1)
        syscall(SYS_pidfd_send_signal, p.fd, SIGKILL, NULL, 0);
    waitid((idtype_t)P_PIDFD, (id_t)p.fd, &si, WEXITED);
}

static int start_gofer(struct launch *l, struct launch_fds *f, uid_t id, unsigned must)
{
    struct spawn sp;

    l->gofer = spawn(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC, must, l->without,
                     id,
                     /* whole= */ true, &sp, &l->gofer_pidfd);
    if (l->gofer == 0)
        gofer_child(l, f, &sp, /* shared= */ false);
    if (l->gofer < 0)
        return undo(l, "gofer", -l->gofer);
    warn_unfenced(l, &sp);
    return 0;
}

int launch_gofers(struct launch *l, int *ret_shared, int *ret_plain)
{
    const unsigned must = l->options->require & REQUIRE_USERNS ? CLONE_NEWUSER : 0;
    struct launch_fds f = { .control = -1, .ring = -1, .gofer_sock = { -1, -1 } };
    struct launch_ids ids;
    int status[2], theirs, r = 0;

    l->gofer_pidfd = l->shared_pidfd = -1;
    if (pair(SOCK_SEQPACKET, status) || pair(SOCK_SEQPACKET, f.shared_sock))
        return EXIT_SBX;
    l->gofer_status = status[0];
    f.gofer_status = status[1];
    theirs = f.shared_sock[1];
    launch_ids(&ids);
    if (l->shown->nexports > l->shown->nshared) {
        r = pair(SOCK_SEQPACKET, f.gofer_sock);
        if (r == 0)
            r = start_gofer(l, &f, ids.gofer, must);
    }
    *ret_shared = fcntl(theirs, F_DUPFD_CLOEXEC, 3);
    if (r == 0)
        r = start_shared(l, &f, must);
    *ret_plain = f.gofer_sock[1];
    if (f.gofer_sock[0] >= 0)
        close(f.gofer_sock[0]);
    close(f.gofer_status);
    return r;
}

int launch_start(struct launch *l)
{
    struct launch_fds f = { .broker_sock = { -1, -1 } };
    struct spawn sp;
    const bool userns = l->options->require & REQUIRE_USERNS;
    struct launch_ids ids;
    int r = make_channels(l, &f);

    if (r)
        return r;
    launch_ids(&ids);
    launch_step(l, "channels");
    /* The sentry first: it has the most to do before it needs the other. */
    l->sentry = spawn(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET |
                          CLONE_NEWUTS | CLONE_NEWCGROUP,
                      userns ? CLONE_NEWUSER : 0, l->without, ids.sentry,
                      /* whole= */ false, &sp, &l->sentry_pidfd);
    if (l->sentry == 0)
        sentry_child(l, &f, &sp);
    if (l->sentry < 0)
        return refused("sentry", -l->sentry);
    launch_step(l, "sentry");
    r = start_gofer(l, &f, ids.gofer, userns ? CLONE_NEWUSER : 0);
    if (r)
        return r;
    r = start_shared(l, &f, userns ? CLONE_NEWUSER : 0);
    if (r)
        return r;
    r = start_broker(l, &f, ids.broker, userns);
    if (r)
        return r;
    launch_step(l, "gofer");
    close(f.control);
    close(f.gofer_status);
    close(f.gofer_sock[0]);
    close(f.gofer_sock[1]);
    if (f.ring >= 0)
        close(f.ring);
    if (f.tty_sock >= 0)
        close(f.tty_sock);
    if (f.results >= 0)
        close(f.results);
    return 0;
}

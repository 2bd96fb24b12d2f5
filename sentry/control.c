/* SPDX-License-Identifier: Apache-2.0 */
/* What the front end tells the sentry while it works; on the event thread. cli/control.h has the messages. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "cli/control.h"
#include "sentry/fs/cgroup/cgroup.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/job.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/net/netdev.h"
#include "sentry/start.h"

#define JOB_FDS (8 + PASSED_MAX)

static const struct sentry_config *config;

static void on_continued(unsigned place)
{
    struct tgroup *g;

    tty_host_pump(); /* the settings may have changed meanwhile */
    tty_host_place(place);
    lock(&kernel.tasks_lock);
    g = tgroup_find_locked(&first_pidns, kernel.first);
    if (g)
        signal_send_pgrp_locked(g->pgrp, SIGCONT, NULL);
    unlock(&kernel.tasks_lock);
}

/* Of the program of a further container. */
static void signal_program(struct container *c, int sig)
{
    if (sig < 1 || sig > LX_NSIG)
        return;
    LOCK_SCOPE(&kernel.tasks_lock);
    if (c->program)
        signal_send_group_locked(c->program, sig, NULL);
}

static void on_signal(int sig, bool key)
{
    struct tgroup *g;

    if (sandbox_is_ending() && (sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGQUIT))
        tty_host_hurry(); /* nobody is left to tell, and the user does not want to wait */
    if (sig < 1 || sig > LX_NSIG || (key && tty_host_signal(sig) == 0))
        return;
    lock(&kernel.tasks_lock);
    g = tgroup_find_locked(&first_pidns, kernel.first);
    if (g)
        signal_send_group_locked(g, sig, NULL);
    unlock(&kernel.tasks_lock);
}

static void on_start(struct container *c)
{
    struct task *t = c->held;

    c->held = NULL;
    if (t)
        task_make_ready(t);
}

/* What the front end of the sandbox alone may say. */
static void on_sandbox(const struct control_msg *m)
{
    switch (m->type) {
    case CTL_SIGNAL:
        on_signal((int)(m->value & 0xff), m->value & CTL_SIGNAL_KEY);
        break;
    case CTL_WINSIZE:
        tty_host_winsize((unsigned)(m->value >> 16), (unsigned)(m->value & 0xffff));
        break;
    case CTL_ASK_USAGE:
        usage_send(config);
        break;
    case CTL_CONT:
        on_continued((unsigned)m->value);
        break;
    case CTL_KILL: /* the value is the status that the front end wants to see */
        tty_host_hurry();
        sandbox_end(SIGKILL);
        break;
    default:
        break;
    }
}

/* The same of a further container. */
static void on_further(struct container *c, const struct control_msg *m)
{
    switch (m->type) {
    case CTL_SIGNAL:
        signal_program(c, (int)(m->value & 0xff));
        break;
    case CTL_WINSIZE:
        tty_relay_winsize(c, TTY_PROGRAM, (unsigned)(m->value >> 16),
                          (unsigned)(m->value & 0xffff));
        break;
    default:
        break;
    }
}

static void on_message(struct container *c, const struct control_msg *m)
{
    switch (m->type) {
    case CTL_JOB_SIGNAL:
        job_signal(c, (uint32_t)(m->value >> 32), (int)(m->value & 0xff));
        break;
    case CTL_JOB_WINSIZE:
        tty_relay_winsize(c, (uint32_t)(m->value >> 32), (unsigned)(m->value >> 16 & 0xffff),
                          (unsigned)(m->value & 0xffff));
        break;
    case CTL_FREEZE:
        pause_begin(c);
        break;
    case CTL_THAW:
        pause_end(c);
        break;
    case CTL_START:
        on_start(c);
        break;
    case CTL_SIGNAL:
        if (m->value & CTL_SIGNAL_ALL) {
            job_signal_all(c, (int)(m->value & 0xff));
            break;
        }
        /* fall through */
    default:
        if (container_is_first(c))
            on_sandbox(m);
        else
            on_further(c, m);
        break;
    }
}

/* Those that come with descriptors. */
static void on_message_with(struct container *c, const struct control_msg *m, int *fds,
                            unsigned nfds)
{
    if (m->type == CTL_JOB && nfds >= 4) {
        job_start(c, (uint32_t)m->value, fds[0], fds + 1, nfds - 1);
        return;
    }
    if (m->type == CTL_CONTAINER && container_is_first(c)) {
        pod_add(fds, nfds, (unsigned)m->value);
        return;
    }
    if (m->type == CTL_NETWORK && nfds == 1 && container_is_first(c))
        (void)netdevs_take(fds[0]);
    if (m->type == CTL_CGROUP && nfds == 1)
        (void)cgroup_view_take(c, fds[0]);
    fdmsg_close(fds, nfds);
}

static void on_control(void *arg, uint32_t events)
{
    struct container *c = arg;
    struct control_msg m;
    int fds[JOB_FDS];
    unsigned nfds;
    ssize_t n = fdmsg_receive(c->control, &m, sizeof m, MSG_DONTWAIT, fds, JOB_FDS, &nfds);

    (void)events;
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) { /* the front end is gone */
        if (container_is_first(c))
            _exit(0);
        pod_left(c);
        return;
    }
    if (n != (ssize_t)sizeof m)
        fdmsg_close(fds, nfds);
    else if (nfds)
        on_message_with(c, &m, fds, nfds);
    else
        on_message(c, &m);
}

int control_watch(struct container *c)
{
    return c->control >= 0 ? event_watch(c->control, EPOLLIN, on_control, c) : 0;
}

int control_init(const struct sentry_config *cfg)
{
    config = cfg;
    return control_watch(&first_container);
}

void control_hold(struct task *first)
{
    struct container *c = first->group->container;

    c->held = first;
    if (config->container)
        control_tell(c, CTL_READY, 0, NULL);
    else
        on_start(c);
}

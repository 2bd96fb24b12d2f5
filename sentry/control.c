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
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/proc.h"
#include "sentry/net/netdev.h"
#include "sentry/start.h"

#define JOB_FDS (4 + PASSED_MAX)

static const struct sentry_config *config;
static struct task *held; /* the first program, until it is to run */

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

static void on_start(void)
{
    struct task *t = held;

    held = NULL;
    if (t)
        task_make_ready(t);
}

static void on_control(void *arg, uint32_t events)
{
    struct control_msg m;
    int fds[JOB_FDS];
    unsigned nfds;
    ssize_t n = fdmsg_receive(config->control_sock, &m, sizeof m, MSG_DONTWAIT, fds, JOB_FDS,
                              &nfds);

    (void)arg, (void)events;
    if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
        _exit(0); /* the front end is gone */
    if (n == (ssize_t)sizeof m && m.type == CTL_JOB && nfds >= 4) {
        job_start((uint32_t)m.value, fds[0], fds + 1, nfds - 1);
        return;
    }
    if (n == (ssize_t)sizeof m && m.type == CTL_NETWORK && nfds == 1)
        (void)netdevs_take(fds[0]);
    if (n == (ssize_t)sizeof m && m.type == CTL_CGROUP && nfds == 1)
        (void)cgroup_view_take(fds[0]);
    fdmsg_close(fds, nfds);
    if (n != (ssize_t)sizeof m)
        return;
    switch (m.type) {
    case CTL_JOB_SIGNAL:
        job_signal((uint32_t)(m.value >> 32), (int)(m.value & 0xff));
        break;
    case CTL_JOB_WINSIZE:
        tty_relay_winsize((uint32_t)(m.value >> 32), (unsigned)(m.value >> 16 & 0xffff),
                          (unsigned)(m.value & 0xffff));
        break;
    case CTL_FREEZE:
        pause_begin();
        break;
    case CTL_THAW:
        pause_end();
        break;
    case CTL_START:
        on_start();
        break;
    case CTL_SIGNAL:
        if (m.value & CTL_SIGNAL_ALL)
            job_signal_all((int)(m.value & 0xff));
        else
            on_signal((int)(m.value & 0xff), m.value & CTL_SIGNAL_KEY);
        break;
    case CTL_WINSIZE:
        tty_host_winsize((unsigned)(m.value >> 16), (unsigned)(m.value & 0xffff));
        break;
    case CTL_ASK_USAGE:
        usage_send(config);
        break;
    case CTL_CONT:
        on_continued((unsigned)m.value);
        break;
    case CTL_KILL: /* the value is the status that the front end wants to see */
        tty_host_hurry();
        sandbox_end(SIGKILL);
        break;
    default:
        break;
    }
}

int control_watch(const struct sentry_config *cfg)
{
    config = cfg;
    return cfg->control_sock >= 0 ? event_watch(cfg->control_sock, EPOLLIN, on_control, NULL) : 0;
}

void control_hold(struct task *first)
{
    held = first;
    if (config->container)
        control_send(CTL_READY, 0, NULL);
    else
        on_start();
}

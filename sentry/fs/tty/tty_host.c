/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's own terminal: a pair whose master side is pumped by the event thread to and from a
 * stream socket, behind which the front end sits at the user's terminal.
 *
 *   guest writes -> tty->out -> out (staged) -> socket        flow: guest waits for room in tty->out
 *   socket -> in (staged) -> line discipline -> tty->in       flow: nothing is read while in is full
 *
 * The pump is the only one that takes from one side and types on the other; it runs on the event
 * thread, started by the socket or, through a timer that is due at once, by the pair's own wait
 * queues (whose callbacks may do no more than that). What has been staged is no longer subject to a
 * flush. When the socket ends, the terminal is hung up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/timer.h"
#include "sentry/kernel/kernel.h"

#define STAGE 4096

struct stage {
    uint8_t buf[STAGE];
    size_t off, len; /* what is in it still */
};

static struct {
    struct tty *tty; /* a reference; NULL: there is no such terminal */
    int sock;
    bool gone;             /* the socket has ended */
    bool reading, writing; /* what the socket is watched for */
    struct stage in, out;
    struct ktimer kick;
    struct wait_entry printed, room;
} host = { .sock = -1 };

static bool kick_pump(struct wait_entry *e, uint32_t events)
{
    (void)e;
    (void)events;
    ktimer_arm(&host.kick, 0);
    return true;
}

/* Fills the empty stage from what was printed. */
static void stage_out(void)
{
    const uint8_t *from;
    struct stage *s = &host.out;
    LOCK_SCOPE(&host.tty->lock);
    s->off = s->len = 0;
    while (s->len < STAGE && tty_out_count(host.tty)) {
        size_t n = MIN(tty_peek_locked(host.tty, &from), STAGE - s->len);
        __builtin_memcpy(s->buf + s->len, from, n);
        tty_taken_locked(host.tty, n);
        s->len += n;
    }
}

/* false: the socket takes no more now (or has ended). */
static bool send_out(void)
{
    struct stage *s = &host.out;
    while (s->len > 0) {
        ssize_t n = send(host.sock, s->buf + s->off, s->len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            host.gone |= errno != EAGAIN;
            return false;
        }
        s->off += (size_t)n;
        s->len -= (size_t)n;
    }
    return true;
}

static void pump_out(void)
{
    for (int rounds = 0; rounds < 64 && send_out(); rounds++) {
        stage_out();
        if (host.out.len == 0)
            return;
    }
}

static void type_in(void)
{
    struct stage *s = &host.in;
    LOCK_SCOPE(&host.tty->lock);
    size_t n = tty_type_locked(host.tty, s->buf + s->off, s->len);
    s->off += n;
    s->len -= n;
}

static void pump_in(void)
{
    struct stage *s = &host.in;
    for (int rounds = 0; rounds < 16; rounds++) {
        if (s->len > 0)
            type_in();
        if (s->len > 0)
            return; /* full: a reader makes room, and kicks */
        ssize_t n = recv(host.sock, s->buf, STAGE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            host.gone |= n == 0 || errno != EAGAIN;
            return;
        }
        s->off = 0;
        s->len = (size_t)n;
    }
}

static void host_ended(void)
{
    event_unwatch(host.sock);
    close(host.sock);
    host.sock = -1;
    tty_master_closed(host.tty);
}

static void pump(void)
{
    if (host.sock < 0)
        return;
    pump_out();
    pump_in();
    if (host.gone) {
        host_ended();
        return;
    }
    bool reading = host.in.len == 0, writing = host.out.len > 0;
    if (reading != host.reading || writing != host.writing) {
        host.reading = reading;
        host.writing = writing;
        event_rearm(host.sock, (reading ? EPOLLIN : 0u) | (writing ? EPOLLOUT : 0u));
    }
}

static void on_socket(void *arg, uint32_t events)
{
    (void)arg;
    if ((events & (EPOLLHUP | EPOLLERR)) && host.in.len > 0)
        host.gone = true; /* nobody reads what was typed, and nothing more comes */
    pump();
}

static void on_kick(struct ktimer *tm)
{
    (void)tm;
    pump();
}

static void hook(struct wait_entry *e, struct waitqueue *q)
{
    e->func = kick_pump;
    wq_add(q, e);
}

int tty_host_attach(int sock, unsigned rows, unsigned cols, struct file **ret_slave)
{
    struct tty *tty = tty_new(NULL);
    if (IS_ERR(tty))
        return PTR_ERR(tty);
    int fl = fcntl(sock, F_GETFL);
    if (fl >= 0)
        fcntl(sock, F_SETFL, fl | O_NONBLOCK);
    tty->locked = false;
    tty->ws = (struct lx_winsize){ .ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols };
    host.tty = tty;
    host.sock = sock;
    ktimer_init(&host.kick, on_kick);
    struct file *slave = devpts_open_slave(NULL, tty, O_RDWR | O_NOCTTY);
    int r = IS_ERR(slave) ? PTR_ERR(slave) : 0;
    if (!r) {
        host.reading = true;
        r = event_watch(sock, EPOLLIN, on_socket, NULL);
        if (r)
            file_put(slave);
    }
    if (r) {
        host.tty = NULL;
        host.sock = -1;
        tty_master_closed(tty);
        tty_put(tty);
        return r;
    }
    hook(&host.printed, &tty->master_rd);
    hook(&host.room, &tty->master_wr);
    *ret_slave = slave;
    return 0;
}

void tty_host_cooked(void)
{
    LOCK_SCOPE(&host.tty->lock);
    host.tty->tio.c_oflag &= ~(uint32_t)OPOST;
    host.tty->tio.c_lflag &= ~(uint32_t)(ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE);
}

void tty_host_winsize(unsigned rows, unsigned cols)
{
    if (!host.tty)
        return;
    struct lx_winsize ws = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols };
    tty_set_winsize(host.tty, &ws);
}

int tty_host_signal(int sig)
{
    if (!host.tty)
        return -ESRCH;
    LOCK_SCOPE(&kernel.tasks_lock);
    return host.tty->pgrp ? signal_send_pgrp_locked(host.tty->pgrp->nr, sig, NULL) : -ESRCH;
}

void tty_host_drain(int ms)
{
    if (!host.tty || host.sock < 0)
        return;
    event_unwatch(host.sock);
    wq_del(&host.printed);
    wq_del(&host.room);
    ktimer_cancel_sync(&host.kick);
    ktime_t end = ktime_now() + (ktime_t)ms * 1000000;
    for (;;) {
        pump_out();
        if (host.out.len == 0 || host.gone)
            return;
        ktime_t left = end - ktime_now();
        if (left <= 0)
            return;
        struct pollfd p = { .fd = host.sock, .events = POLLOUT };
        (void)poll(&p, 1, (int)(left / 1000000) + 1);
    }
}

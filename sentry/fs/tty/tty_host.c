/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's own terminal: a pair whose other side is the user's terminal, where the front end sits
 * (cli/proxy.h). The host's terminal does the editing, the echo, the output processing and the keys'
 * signals, in the settings that programs make here; so what is typed is not ours before a program reads:
 *
 *   write     -> tty->out -> PRINT       flow: the guest waits for room in tty->out
 *   tcsetattr -> cmds     -> SET         in its place between what is printed before and after
 *   read      -> want     -> READ -> INPUT -> tty->in, or NONE      one question at a time
 *   READY     -> ready    : a blocked reader asks again, poll says POLLIN
 *
 * A reader that goes away between READ and INPUT leaves a line in tty->in, for the next reader inside.
 * The pump alone sends and receives; it runs on the event thread, started by the socket or, through a
 * timer that is due at once, by who has something for it; at the very end by who ends the sandbox. When
 * the socket ends, the terminal is hung up.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/pid.h"
#include "sentry/kernel/spent.h"
#include "sentry/kernel/task.h"
#include "sentry/kernel/timer.h"

#define CMDS 8

struct cmd {
    unsigned at; /* tty->out_head when it was given */
    uint32_t type, arg;
    struct lx_termios2 tio;
};

/* [P] host.pump, which is taken before [L] host.tty->lock; [I] immutable once attached; [a] atomic */
static struct {
    struct tty *tty;  /* [I] a reference; NULL: there is no such terminal */
    _Atomic int sock; /* -1: there is none any more */
    struct lock pump;
    bool gone, over;          /* [P] the socket has ended; nobody but tty_host_drain pumps */
    bool writing;             /* [P] it is watched for room */
    struct term_msg msg, got; /* [P] */
    size_t len;               /* [P] of msg; 0: it is sent */
    struct ktimer kick;
    struct wait_entry printed;
    _Atomic int place; /* [a] enum term_place */
    _Atomic bool hurry;

    struct cmd cmds[CMDS]; /* [L] */
    unsigned ncmds;        /* [L] */
    bool asking;           /* [L] a question has not been sent yet */
    uint32_t want;         /* [L] its bytes; 0: it asks for the place only */
    unsigned asked;        /* [L] number of the last question; 0: none yet */
    unsigned answered;     /* [L] number of the last one that was answered */
    int error;             /* [L] the answer was an error */
    unsigned ready;        /* [L] bytes that the host's terminal has; 0: none that we know of */
} host = { .sock = -1 };

static void kick(void)
{
    ktimer_arm(&host.kick, 0);
}

static bool kick_pump(struct wait_entry *e, uint32_t events)
{
    (void)e;
    (void)events;
    kick();
    return true;
}

/* ---- out ---- */

static void put_cmd_locked(const struct cmd *c)
{
    host.msg.type = c->type;
    host.msg.arg = c->arg;
    host.len = TERM_HEAD;
    if (c->type == TERM_SET) {
        memcpy(host.msg.data, &c->tio, sizeof c->tio);
        host.len += sizeof c->tio;
    }
    host.ncmds--;
    memmove(host.cmds, host.cmds + 1, host.ncmds * sizeof *c);
}

static void put_printed_locked(size_t most)
{
    const uint8_t *from;
    size_t len = 0;
    if (tty_out_count(host.tty))
        most = spent_room(most);
    while (len < most && tty_out_count(host.tty)) {
        size_t n = MIN(tty_peek_locked(host.tty, &from), most - len);
        memcpy(host.msg.data + len, from, n);
        tty_taken_locked(host.tty, n);
        len += n;
    }
    spent_output(len);
    host.msg.type = TERM_PRINT;
    host.len = len ? TERM_HEAD + len : 0;
}

/* Makes the next message, if there is one. A question overtakes what is printed, no command. */
static void next_message(void)
{
    LOCK_SCOPE(&host.tty->lock);
    int before = host.ncmds ? (int)(host.cmds[0].at - host.tty->out_tail) : TERM_DATA;
    if (host.ncmds && before <= 0) {
        put_cmd_locked(&host.cmds[0]);
    } else if (host.asking && !host.ncmds) {
        host.msg.type = TERM_READ;
        host.msg.arg = host.want;
        host.len = TERM_HEAD;
        host.asking = false;
    } else {
        put_printed_locked(MIN((size_t)before, TERM_DATA));
    }
}

/* false: the socket takes no more now (or has ended). */
static bool send_message(void)
{
    ssize_t n;
    do
        n = hostio_send(host.sock, &host.msg, host.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        host.gone |= errno != EAGAIN;
        return false;
    }
    host.len = 0;
    return true;
}

static void pump_out(void)
{
    for (int rounds = 0; rounds < 64; rounds++) {
        if (host.len == 0)
            next_message();
        if (host.len == 0 || !send_message())
            return;
    }
    kick();
}

static void command_locked(uint32_t type, uint32_t arg)
{
    struct cmd c = { .at = host.tty->out_head, .type = type, .arg = arg, .tio = host.tty->tio };
    if (host.ncmds == CMDS) { /* the terminal is slow: the last settings are what counts */
        host.ncmds--;
        c.at = host.cmds[host.ncmds].at;
        if (host.cmds[host.ncmds].type != type)
            c.type = TERM_SET;
    }
    host.cmds[host.ncmds++] = c;
    kick();
}

void tty_host_set_locked(struct tty *tty, bool flush)
{
    if (!tty->host || atomic_load(&host.sock) < 0)
        return;
    if (flush)
        tty_host_flush_locked(tty, TCIFLUSH);
    command_locked(TERM_SET, 0);
}

void tty_host_flush_locked(struct tty *tty, int which)
{
    if (!tty->host || host.sock < 0)
        return;
    if (which != TCOFLUSH)
        host.ready = 0;
    command_locked(TERM_FLUSH, (uint32_t)which);
}

/* ---- in ---- */

unsigned tty_host_ready_locked(const struct tty *tty)
{
    return tty->host ? host.ready : 0;
}

static bool was_answered(unsigned question)
{
    return (int)(host.answered - question) >= 0;
}

/* Has one question more asked, or the one that is on its way already; its number. */
static int question_locked(size_t n)
{
    unsigned room = TTY_IN_SIZE - 1 - MIN(tty_in_count(host.tty), TTY_IN_SIZE - 2);
    if (host.asked == host.answered) {
        host.asked += host.asked == ~0u ? 2 : 1;
        host.asking = true;
        host.want = (uint32_t)MIN(n, room);
        host.error = 0;
        kick();
    }
    return (int)host.asked;
}

int tty_host_ask_locked(struct task *t, struct tty *tty, size_t n, bool may_wait)
{
    bool first = t->call.phase == 0, answered = !first && was_answered((unsigned)t->call.phase);
    assert_locked(&tty->lock);
    if (answered && host.error)
        return -host.error;
    /* Who may wait asks when there is something. */
    if (first ? !may_wait || host.ready : answered && may_wait && host.ready) {
        t->call.phase = question_locked(n);
        answered = false;
    }
    return answered && !may_wait ? -EAGAIN : task_wait(t, &tty->slave_rd, 0);
}

/* A job that was in the background may have been brought to the front without a word to anybody. */
int tty_host_where(struct task *t, struct tty *tty, enum term_place *ret)
{
    int r = 0;
    *ret = TERM_FOREGROUND;
    if (!tty->host || atomic_load(&host.place) == TERM_FOREGROUND)
        return 0;
    LOCK_SCOPE(&tty->lock);
    if (t->call.phase == 0 && host.sock >= 0)
        t->call.phase = question_locked(0);
    if (host.sock >= 0 && !was_answered((unsigned)t->call.phase))
        r = task_wait(t, &tty->slave_rd, 0);
    if (r)
        return r;
    *ret = (enum term_place)atomic_load(&host.place);
    if (*ret == TERM_FOREGROUND)
        t->call.phase = 0;
    return 0;
}

static void settings_locked(struct tty *tty, const uint8_t *data)
{
    struct lx_termios2 old = tty->tio;
    memcpy(&tty->tio, data, sizeof tty->tio);
    tty->tio.c_line = 0;
    tty_settings_changed_locked(tty, &old);
}

static void on_message(const struct term_msg *m, size_t n)
{
    struct tty *tty = host.tty;
    LOCK_SCOPE(&tty->lock);
    switch (m->type) {
    case TERM_INPUT:
        tty_typed_locked(tty, m->data, n);
        break;
    case TERM_NONE:
        host.error = (int)MIN(m->arg, 4095u);
        break;
    case TERM_READY:
        host.ready = MAX(m->arg, 1u);
        break;
    case TERM_SETTINGS:
        if (n == sizeof tty->tio)
            settings_locked(tty, m->data);
        break;
    case TERM_PLACE:
        tty_host_place(m->arg);
        break;
    default:
        return;
    }
    if (m->type == TERM_INPUT || m->type == TERM_NONE) {
        host.answered = host.asked;
        host.ready = 0;
    }
    wq_wake_all(&tty->slave_rd, POLLIN | POLLRDNORM);
}

static void pump_in(void)
{
    for (;;) {
        ssize_t n = hostio_recv(host.sock, &host.got, sizeof host.got, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < TERM_HEAD) {
            host.gone |= n >= 0 || errno != EAGAIN;
            return;
        }
        on_message(&host.got, (size_t)n - TERM_HEAD);
    }
}

/* ---- the pump ---- */

static void host_ended(void)
{
    int sock = atomic_exchange(&host.sock, -1);
    event_unwatch(sock);
    shutdown(sock, SHUT_RDWR); /* its number stays taken: abi/hostfd.h */
    tty_master_closed(host.tty);
}

/* What the socket is to be watched for now; 0: as before. */
static uint32_t pump_locked(void)
{
    if (host.over)
        return 0;
    pump_in();
    pump_out();
    bool writing = host.len > 0 && !host.gone;
    if (writing == host.writing)
        return 0;
    host.writing = writing;
    return EPOLLIN | (writing ? EPOLLOUT : 0u);
}

void tty_host_pump(void)
{
    if (atomic_load(&host.sock) < 0)
        return;
    lock(&host.pump);
    uint32_t events = pump_locked();
    bool gone = host.gone && !host.over;
    unlock(&host.pump);
    if (gone)
        host_ended();
    else if (events)
        event_rearm(host.sock, events);
}

static void on_socket(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    tty_host_pump();
}

static void on_kick(struct ktimer *tm)
{
    (void)tm;
    tty_host_pump();
}

/* ---- for the rest of the kernel ---- */

int tty_host_attach(int sock, const struct lx_termios2 *settings, struct file **ret_slave)
{
    struct tty *tty = tty_new(NULL);
    if (IS_ERR(tty))
        return PTR_ERR(tty);
    int fl = fcntl(sock, F_GETFL);
    if (fl >= 0)
        fcntl(sock, F_SETFL, fl | O_NONBLOCK);
    tty->host = true;
    tty->locked = false;
    tty->tio = *settings;
    host.tty = tty;
    host.sock = sock;
    lock_init(&host.pump, LOCK_SOCKET);
    ktimer_init(&host.kick, on_kick);
    struct file *slave = devpts_open_slave(NULL, tty, O_RDWR | O_NOCTTY);
    int r = IS_ERR(slave) ? PTR_ERR(slave) : event_watch(sock, EPOLLIN, on_socket, NULL);
    if (r) {
        if (!IS_ERR(slave))
            file_put(slave);
        host.tty = NULL;
        host.sock = -1;
        tty_master_closed(tty);
        tty_put(tty);
        return r;
    }
    host.printed.func = kick_pump;
    wq_add(&tty->master_rd, &host.printed);
    *ret_slave = slave;
    return 0;
}

void tty_host_winsize(unsigned rows, unsigned cols)
{
    if (!host.tty)
        return;
    struct lx_winsize ws = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols };
    tty_set_winsize(host.tty, &ws);
}

void tty_host_place(unsigned place)
{
    atomic_store(&host.place, (int)place);
}

bool tty_host_lent(const struct tty *tty)
{
    return tty->host && atomic_load(&host.place) != TERM_FOREGROUND;
}

int tty_host_signal(int sig)
{
    if (!host.tty)
        return -ESRCH;
    LOCK_SCOPE(&kernel.tasks_lock);
    return signal_send_pgrp_locked(host.tty->pgrp, sig, NULL);
}

void tty_host_hurry(void)
{
    atomic_store(&host.hurry, true);
}

void tty_host_drain(void)
{
    int sock = atomic_load(&host.sock);
    if (!host.tty || sock < 0)
        return;
    wq_del(&host.printed);
    for (;;) {
        struct pollfd p = { .fd = sock, .events = POLLOUT };
        lock(&host.pump);
        host.over = true;
        pump_out();
        bool done = host.len == 0 || host.gone;
        unlock(&host.pump);
        if (done || atomic_load(&host.hurry))
            return;
        (void)hostio_poll(&p, 1, 100000000);
    }
}

void tty_host_close(void)
{
    int sock = atomic_load(&host.sock);

    if (host.tty && sock >= 0)
        shutdown(sock, SHUT_RDWR);
}

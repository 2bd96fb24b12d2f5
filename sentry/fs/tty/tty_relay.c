/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals of programs that `sbx exec -t` starts: ordinary pairs, whose master side is this relay. It
 * carries bytes between the pair and a stream socket; at its other end sits sbx exec with the user's
 * terminal in raw mode. Editing, echo and the keys' signals are the pair's own, so several of them have
 * nothing to do with each other, or with the sandbox's first terminal (tty_host.c).
 *
 *   typed     socket -> pair    as much as the pair has room for; the rest waits in the socket
 *   printed   pair -> socket    what the socket does not take waits in the pair, and its writers with it
 *
 * The socket's end hangs the pair up. When the program has ended, what it printed is passed on, then
 * the socket is closed: who reads there has got everything. All but tty_relay_over runs on the event thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/hostfd.h"
#include "abi/hostio.h"
#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/call.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/spent.h"
#include "sentry/kernel/timer.h"

#define RELAYS_MAX 64
#define PIECE 4096
#define ROUNDS 64 /* then others have their turn */

/* [R] relays_lock; the rest is the event thread's */
static struct relay {
    struct container *of; /* a reference */
    uint32_t id;          /* [R] of a job of its; 0: it has ended, or there is none */
    _Atomic bool over;
    struct tty *tty; /* a reference; NULL: unused */
    int sock;
    uint32_t events; /* that the socket is watched for */
    struct ktimer kick;
    struct wait_entry printed, was_read;
    uint8_t out[PIECE];
    size_t len, sent;
} relays[RELAYS_MAX];

static struct lock relays_lock;

__attribute__((constructor)) static void relays_start(void)
{
    lock_init(&relays_lock, LOCK_OBJECT);
}

enum flow { FLOW_MORE, FLOW_DONE, FLOW_FULL, FLOW_GONE };

static size_t room(struct relay *r)
{
    LOCK_SCOPE(&r->tty->lock);
    return MIN(tty_type_room_locked(r->tty), (size_t)PIECE);
}

static enum flow take_typed(struct relay *r)
{
    uint8_t buf[PIECE];
    size_t most = room(r);
    ssize_t n;

    if (most == 0)
        return FLOW_FULL;
    n = hostio_recv(r->sock, buf, most, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return errno == EINTR ? FLOW_MORE : FLOW_DONE;
    if (n <= 0)
        return FLOW_GONE;
    LOCK_SCOPE(&r->tty->lock);
    (void)tty_type_locked(r->tty, buf, (size_t)n);
    return FLOW_MORE;
}

static void fill(struct relay *r)
{
    const uint8_t *from;

    LOCK_SCOPE(&r->tty->lock);
    r->len = r->sent = 0;
    size_t most = tty_out_count(r->tty) ? spent_room(PIECE) : 0;
    while (r->len < most && tty_out_count(r->tty)) {
        size_t n = MIN(tty_peek_locked(r->tty, &from), most - r->len);

        memcpy(r->out + r->len, from, n);
        tty_taken_locked(r->tty, n);
        r->len += n;
    }
    spent_output(r->len);
}

static enum flow put_printed(struct relay *r)
{
    ssize_t n;

    if (r->sent == r->len)
        fill(r);
    if (r->len == 0)
        return FLOW_DONE;
    n = hostio_write(r->sock, r->out + r->sent, r->len - r->sent);
    if (n < 0)
        return errno == EAGAIN ? FLOW_FULL : errno == EINTR ? FLOW_MORE : FLOW_GONE;
    r->sent += (size_t)n;
    return FLOW_MORE;
}

static enum flow often(struct relay *r, enum flow (*step)(struct relay *r))
{
    enum flow f = FLOW_MORE;

    for (int i = 0; f == FLOW_MORE && i < ROUNDS; i++)
        f = step(r);
    if (f == FLOW_MORE)
        ktimer_arm(&r->kick, 0);
    return f;
}

static void end(struct relay *r)
{
    struct tty *tty = r->tty;

    lock(&relays_lock);
    r->id = 0;
    unlock(&relays_lock);
    container_put(r->of);
    event_unwatch(r->sock);
    wq_del(&r->printed);
    wq_del(&r->was_read);
    ktimer_cancel(&r->kick);
    hostfd_close(r->sock);
    r->tty = NULL;
    tty_master_closed(tty);
    tty_put(tty);
}

static void pump(struct relay *r, bool gone)
{
    bool over = atomic_load(&r->over); /* before what it has printed is looked at */
    enum flow in = gone ? FLOW_GONE : over ? FLOW_DONE : often(r, take_typed);
    enum flow out = in == FLOW_GONE ? FLOW_GONE : often(r, put_printed);
    uint32_t events = (in == FLOW_FULL ? 0u : EPOLLIN) | (out == FLOW_FULL ? EPOLLOUT : 0u);

    if (out == FLOW_GONE || (over && out == FLOW_DONE)) {
        end(r);
    } else if (events != r->events) {
        r->events = events;
        event_rearm(r->sock, events);
    }
}

static void on_socket(void *arg, uint32_t events)
{
    pump(arg, events & (EPOLLHUP | EPOLLERR));
}

static void on_kick(struct ktimer *tm)
{
    struct relay *r = container_of(tm, struct relay, kick);

    if (r->tty)
        pump(r, false);
}

static bool kick_printed(struct wait_entry *e, uint32_t events)
{
    (void)events;
    ktimer_arm(&container_of(e, struct relay, printed)->kick, 0);
    return true;
}

static bool kick_read(struct wait_entry *e, uint32_t events)
{
    (void)events;
    ktimer_arm(&container_of(e, struct relay, was_read)->kick, 0);
    return true;
}

static struct relay *unused(void)
{
    for (unsigned i = 0; i < RELAYS_MAX; i++)
        if (!relays[i].tty)
            return &relays[i];
    return NULL;
}

static struct relay *find(const struct container *c, uint32_t id)
{
    for (unsigned i = 0; i < RELAYS_MAX; i++)
        if (id && relays[i].id == id && relays[i].of == c)
            return &relays[i];
    return NULL;
}

int tty_relay_start(struct task *t, uint32_t id, int sock, const struct lx_winsize *ws,
                    struct file **ret_slave)
{
    struct relay *r = unused();
    struct tty *tty = r ? tty_new(t) : ERR_PTR(-ENOSPC);
    struct file *slave;
    int fl = fcntl(sock, F_GETFL), e;

    if (IS_ERR(tty))
        return PTR_ERR(tty);
    tty->locked = false;
    tty->ws = *ws;
    slave = devpts_open_slave(NULL, tty, O_RDWR | O_NOCTTY);
    e = IS_ERR(slave) ? PTR_ERR(slave) : 0;
    if (e == 0 && (fl < 0 || fcntl(sock, F_SETFL, fl | O_NONBLOCK) < 0))
        e = -errno;
    lock(&relays_lock);
    *r = (struct relay){ .sock = sock, .events = EPOLLIN };
    unlock(&relays_lock);
    if (e == 0)
        e = event_watch(sock, EPOLLIN, on_socket, r);
    if (e < 0) {
        if (!IS_ERR(slave))
            file_put(slave);
        tty_master_closed(tty);
        tty_put(tty);
        return e;
    }
    ktimer_init(&r->kick, on_kick);
    r->printed.func = kick_printed;
    r->was_read.func = kick_read;
    r->tty = tty;
    wq_add(&tty->master_rd, &r->printed);
    wq_add(&tty->master_wr, &r->was_read);
    lock(&relays_lock);
    r->id = id;
    r->of = container_ref(t->group->container);
    unlock(&relays_lock);
    *ret_slave = slave;
    return 0;
}

void tty_relay_winsize(const struct container *c, uint32_t id, unsigned rows, unsigned cols)
{
    const struct lx_winsize ws = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols };
    struct relay *r = find(c, id);

    if (r)
        tty_set_winsize(r->tty, &ws);
}

void tty_relay_over(const struct container *c, uint32_t id)
{
    LOCK_SCOPE(&relays_lock);
    struct relay *r = find(c, id);

    if (r) {
        atomic_store(&r->over, true);
        ktimer_arm(&r->kick, 0);
    }
}

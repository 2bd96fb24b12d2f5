/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals whose master side is a stream of the host: each program of an `exec` with a terminal has one.
 * Unlike the sandbox's own (tty_host.c) they are like any pair inside, with all editing here; what stands at
 * the stream's other end passes bytes on, raw (oci/exec_terminal.c).
 *
 * The pump runs on the event thread alone, started by the stream or, through a timer that is due at once, by who
 * prints or reads. A pair goes when the stream has ended, or its last slave was closed and all is printed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "abi/hostio.h"
#include "sentry/fs/tty/tty_priv.h"
#include "sentry/kernel/alloc.h"
#include "sentry/kernel/event.h"
#include "sentry/kernel/kernel.h"
#include "sentry/kernel/list.h"
#include "sentry/kernel/timer.h"

#define PIECE 4096

struct stream { /* all of the event thread's, but for the timer */
    struct list link;
    struct tty *tty; /* a reference */
    int fd;
    uint32_t id, watched;
    bool gone;
    uint8_t in[PIECE], out[PIECE];
    size_t in_n, out_n, out_at;
    struct ktimer kick;
    struct wait_entry printed, taken;
};

static struct list streams = LIST_INIT(streams);

static bool kick_printed(struct wait_entry *e, uint32_t events)
{
    (void)events;
    ktimer_arm(&container_of(e, struct stream, printed)->kick, 0);
    return true;
}

static bool kick_taken(struct wait_entry *e, uint32_t events)
{
    (void)events;
    ktimer_arm(&container_of(e, struct stream, taken)->kick, 0);
    return true;
}

static void pump_in(struct stream *s)
{
    for (int rounds = 0; rounds < 16 && !s->gone; rounds++) {
        if (s->in_n == 0) {
            ssize_t n = hostio_recv(s->fd, s->in, sizeof s->in, MSG_DONTWAIT);

            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                s->gone = true;
            if (n <= 0)
                return;
            s->in_n = (size_t)n;
        }
        lock(&s->tty->lock);
        size_t took = tty_type_locked(s->tty, s->in, s->in_n);

        unlock(&s->tty->lock);
        s->in_n -= took;
        memmove(s->in, s->in + took, s->in_n);
        if (s->in_n)
            return; /* when somebody has read */
    }
}

/* true: there is more to print than the stream takes now. */
static bool fill(struct stream *s)
{
    const uint8_t *from;

    LOCK_SCOPE(&s->tty->lock);
    s->out_at = s->out_n = 0;
    while (s->out_n < PIECE && tty_out_count(s->tty)) {
        size_t n = MIN(tty_peek_locked(s->tty, &from), PIECE - s->out_n);

        if (n == 0)
            break; /* held by ^S */
        memcpy(s->out + s->out_n, from, n);
        tty_taken_locked(s->tty, n);
        s->out_n += n;
    }
    if (s->out_n == 0 && s->tty->slave_closed && !tty_out_count(s->tty))
        s->gone = true;
    return s->out_n > 0;
}

static void pump_out(struct stream *s)
{
    for (int rounds = 0; rounds < 64 && !s->gone; rounds++) {
        if (s->out_at == s->out_n && !fill(s))
            return;
        ssize_t n = hostio_write(s->fd, s->out + s->out_at, s->out_n - s->out_at);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR)
            s->gone = true;
        if (n > 0)
            s->out_at += (size_t)n;
    }
}

static void stream_free(struct stream *s)
{
    list_del(&s->link);
    event_unwatch(s->fd);
    close(s->fd);
    wq_del(&s->printed);
    wq_del(&s->taken);
    ktimer_cancel(&s->kick); /* it runs on this thread alone */
    tty_master_closed(s->tty);
    tty_put(s->tty);
    kfree(s);
}

static void pump(struct stream *s)
{
    pump_in(s);
    pump_out(s);
    if (s->gone) {
        stream_free(s);
        return;
    }
    uint32_t events = (s->in_n ? 0u : EPOLLIN) | (s->out_at < s->out_n ? EPOLLOUT : 0u);

    if (events != s->watched)
        event_rearm(s->fd, events);
    s->watched = events;
}

static void on_stream(void *arg, uint32_t events)
{
    (void)events;
    pump(arg);
}

static void on_kick(struct ktimer *tm)
{
    pump(container_of(tm, struct stream, kick));
}

static struct stream *find(uint32_t id)
{
    struct stream *s;

    list_for_each(s, &streams, link) {
        if (s->id == id)
            return s;
    }
    return NULL;
}

void tty_stream_winsize(uint32_t id, unsigned rows, unsigned cols)
{
    const struct lx_winsize ws = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)cols };
    struct stream *s = find(id);

    if (s)
        tty_set_winsize(s->tty, &ws);
}

int tty_stream_attach(int fd, uint32_t id, unsigned rows, unsigned cols, struct file **ret_slave)
{
    struct stream *s = kzalloc(sizeof *s);
    struct file *slave;
    struct tty *tty;
    int r;

    if (!s) {
        close(fd);
        return -ENOMEM;
    }
    tty = tty_new(NULL);
    if (IS_ERR(tty)) {
        close(fd);
        kfree(s);
        return PTR_ERR(tty);
    }
    tty->locked = false;
    s->tty = tty;
    s->fd = fd;
    s->id = id;
    s->watched = EPOLLIN;
    s->printed.func = kick_printed;
    s->taken.func = kick_taken;
    ktimer_init(&s->kick, on_kick);
    list_add_tail(&streams, &s->link);
    wq_add(&tty->master_rd, &s->printed);
    wq_add(&tty->master_wr, &s->taken);
    slave = devpts_open_slave(NULL, tty, O_RDWR | O_NOCTTY);
    r = IS_ERR(slave) ? PTR_ERR(slave) : event_watch(fd, EPOLLIN, on_stream, s);
    if (r < 0) {
        if (!IS_ERR(slave))
            file_put(slave);
        stream_free(s);
        return r;
    }
    tty_stream_winsize(id, rows, cols);
    *ret_slave = slave;
    return 0;
}

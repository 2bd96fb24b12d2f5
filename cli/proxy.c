/* SPDX-License-Identifier: Apache-2.0 */
/* See proxy.h. SIGTTIN and SIGTTOU are blocked (monitor.c): what we do here never stops us. */
#include "cli/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "abi/types.h"
#include "cli/launch.h"

static struct proxy *restore_at_exit;

static void restore(void)
{
    if (restore_at_exit)
        proxy_leave(restore_at_exit, /* keep= */ false);
}

/* ---- the terminal ---- */

static bool same_terminal(int a, int b)
{
    unsigned x, y;

    return ioctl(a, TIOCGDEV, &x) == 0 && ioctl(b, TIOCGDEV, &y) == 0 && x == y;
}

/*
 * A description of our own, so that it can be made not to block without a change for the others who
 * have the terminal open. Where that is refused (a terminal of another user's), the stream itself.
 */
static int open_again(int stream)
{
    char path[32];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%d", stream);
    fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : fcntl(stream, F_DUPFD_CLOEXEC, 3);
}

void proxy_open(struct proxy *p, const bool tty[3])
{
    int first = -1;

    *p = (struct proxy){ .sock = -1, .out = -1 };
    p->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        if (tty[i] && (first < 0 || (p->fd >= 0 && !same_terminal(first, p->fd))))
            first = i;
    }
    if (p->fd >= 0 && first >= 0 && !same_terminal(first, p->fd)) {
        close(p->fd);
        p->fd = -1;
    }
    p->controls = p->fd >= 0;
    if (p->fd < 0 && first >= 0)
        p->fd = open_again(first);
    if (p->fd < 0 || ioctl(p->fd, LX_TCGETS2, &p->found) < 0)
        p->fd = -1;
    p->wanted = p->applied = p->found;
}

void proxy_begin(struct proxy *p, int sock)
{
    p->sock = sock;
    p->armed = true;
    if (sock < 0)
        return;
    restore_at_exit = p;
    atexit(restore);
}

static enum term_place where(const struct proxy *p)
{
    if (!p->controls || tcgetpgrp(p->fd) == getpgrp())
        return TERM_FOREGROUND;
    return p->orphaned ? TERM_ORPHANED : TERM_BACKGROUND;
}

enum term_place proxy_place(struct proxy *p)
{
    return p->place = where(p);
}

bool proxy_winsize(const struct proxy *p, uint16_t *ret_rows, uint16_t *ret_cols)
{
    struct winsize ws;

    if (p->fd < 0 || ioctl(p->fd, TIOCGWINSZ, &ws) < 0)
        return false;
    *ret_rows = ws.ws_row;
    *ret_cols = ws.ws_col;
    return true;
}

static void apply(struct proxy *p, const struct lx_termios2 *settings)
{
    if (ioctl(p->fd, LX_TCSETS2, settings) == 0)
        ioctl(p->fd, LX_TCGETS2, &p->applied); /* as the driver took it */
}

/* Of the line to a real terminal (speed, bits) the program decides nothing. */
static void set(struct proxy *p, const uint8_t *data)
{
    struct lx_termios2 t, asked;

    memcpy(&asked, data, sizeof asked);
    t = p->found;
    t.c_iflag = asked.c_iflag;
    t.c_oflag = asked.c_oflag;
    t.c_lflag = asked.c_lflag;
    memcpy(t.c_cc, asked.c_cc, sizeof t.c_cc);
    p->wanted = t;
    p->changed = true;
    if (!(t.c_lflag & ICANON)) { /* the sentry counts and waits itself */
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
    }
    apply(p, &t);
}

void proxy_leave(struct proxy *p, bool keep)
{
    if (p->changed && p->fd >= 0)
        apply(p, keep ? &p->wanted : &p->found);
    p->changed = false;
}

/* ---- messages ---- */

static void hung_up(struct proxy *p)
{
    if (p->sock >= 0)
        close(p->sock);
    p->sock = -1;
}

static void tell(struct proxy *p, enum term_type type, uint32_t arg, const void *data, size_t n)
{
    struct term_msg m = { .type = type, .arg = arg };

    if (n)
        memcpy(m.data, data, n);
    if (p->sock >= 0 && send(p->sock, &m, TERM_HEAD + n, MSG_NOSIGNAL) < 0)
        hung_up(p);
}

static bool readable(const struct proxy *p)
{
    struct pollfd fd = { .fd = p->fd, .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

static void answer_read(struct proxy *p, uint32_t want)
{
    uint8_t buf[TERM_DATA];
    enum term_place place = where(p);
    ssize_t n;

    p->armed = true;
    if (place != p->place)
        tell(p, TERM_PLACE, place, NULL, 0);
    p->place = place;
    if (want == 0 || place != TERM_FOREGROUND || !readable(p)) {
        tell(p, TERM_NONE, 0, NULL, 0);
        return;
    }
    n = read(p->fd, buf, MIN(want, sizeof buf));
    if (n >= 0)
        tell(p, TERM_INPUT, 0, buf, (size_t)n);
    else
        tell(p, TERM_NONE, errno == EAGAIN || errno == EINTR ? 0 : (uint32_t)errno, NULL, 0);
}

static void flush(struct proxy *p, uint32_t which)
{
    if (which == TCIFLUSH || which == TCOFLUSH || which == TCIOFLUSH)
        tcflush(p->fd, (int)which);
    p->armed = true;
}

/* Others have it open, too: it stays in the mode it is in, and takes as much as does not block. */
static ssize_t write_out(int fd, const void *data, size_t n)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    ssize_t r = send(fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (r >= 0 || errno != ENOTSOCK)
        return r;
    errno = EAGAIN;
    return poll(&p, 1, 0) == 1 ? write(fd, data, MIN(n, (size_t)PIPE_BUF)) : -1;
}

/* false: what is to be written waits for the terminal. */
static bool print(struct proxy *p)
{
    while (p->printed < p->pending) {
        const void *data = p->print.data + p->printed;
        ssize_t n = p->out < 0 ? write(p->fd, data, p->pending - p->printed)
                               : write_out(p->out, data, p->pending - p->printed);

        if (n > 0)
            p->printed += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return false;
        else if (n == 0 || errno != EINTR)
            break; /* the terminal is gone: SIGHUP comes too */
    }
    p->printed = p->pending = 0;
    return true;
}

/* One message; false: there is none, or it has to wait. */
static bool from_guest(struct proxy *p)
{
    struct term_msg *m = &p->print;
    ssize_t n;

    if (p->sock < 0 || !print(p))
        return false;
    n = recv(p->sock, m, sizeof *m, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (n < TERM_HEAD) {
        hung_up(p);
        return false;
    }
    n -= TERM_HEAD;
    if (m->type == TERM_PRINT) {
        p->pending = (size_t)n;
        print(p);
    } else if (m->type == TERM_SET && n == (ssize_t)sizeof(struct lx_termios2)) {
        set(p, m->data);
        p->armed = true;
    } else if (m->type == TERM_FLUSH) {
        flush(p, m->arg);
    } else if (m->type == TERM_READ) {
        answer_read(p, m->arg);
    }
    return true;
}

static void can_be_read(struct proxy *p, short revents)
{
    int n = 0;

    if (revents & (POLLHUP | POLLERR | POLLNVAL)) {
        hung_up(p);
        return;
    }
    ioctl(p->fd, FIONREAD, &n);
    p->armed = false;
    tell(p, TERM_READY, (uint32_t)n, NULL, 0);
}

/* ---- for the monitor ---- */

void proxy_continued(struct proxy *p)
{
    struct lx_termios2 now;

    if (p->fd < 0 || ioctl(p->fd, LX_TCGETS2, &now) < 0 ||
        memcmp(&now, &p->applied, sizeof now) == 0)
        return;
    p->found = p->applied = p->wanted = now;
    p->changed = false;
    tell(p, TERM_SETTINGS, 0, &now, sizeof now);
}

void proxy_poll(const struct proxy *p, struct pollfd fds[2])
{
    bool full = p->printed < p->pending;
    short events = (short)((p->armed ? POLLIN : 0) | (full && p->out < 0 ? POLLOUT : 0));

    fds[0] = (struct pollfd){ .fd = p->sock >= 0 ? p->fd : -1, .events = events };
    fds[1] = full ? (struct pollfd){ .fd = p->out, .events = POLLOUT }
                  : (struct pollfd){ .fd = p->sock, .events = POLLIN };
}

void proxy_run(struct proxy *p, const struct pollfd fds[2])
{
    if (fds[0].revents & ~POLLOUT)
        can_be_read(p, fds[0].revents);
    if ((fds[0].revents & POLLOUT) || (fds[1].events == POLLOUT && fds[1].revents))
        print(p);
    else if (fds[1].revents)
        from_guest(p);
}

void proxy_drain(struct proxy *p, int ms)
{
    uint64_t end = now_ns() + (uint64_t)ms * 1000000;

    while (p->sock >= 0) {
        struct pollfd fds[2];
        int64_t left = (int64_t)(end - now_ns()) / 1000000;

        if (from_guest(p))
            continue;
        if (p->sock < 0)
            return;
        proxy_poll(p, fds);
        fds[0].events &= POLLOUT;
        if (poll(fds, 2, ms < 0 ? -1 : left > 0 ? (int)left : 0) <= 0)
            return;
        if (fds[0].revents & ~POLLOUT)
            return;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See proxy.h. The host's terminal is shared with others: it never becomes non-blocking. */
#include "cli/proxy.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/launch.h"

static struct proxy *restore_at_exit;

static void restore(void)
{
    if (restore_at_exit)
        proxy_leave(restore_at_exit);
}

static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

bool proxy_types(const bool tty[3])
{
    return tty[0] && !is_pipe(1);
}

void proxy_init(struct proxy *p, int sock, const bool tty[3])
{
    static const int prefer_out[] = { 1, 2, 0 };

    p->sock = sock;
    p->in = -1;
    p->out = -1;
    if (sock < 0)
        return;
    for (unsigned i = 0; i < 3 && p->out < 0; i++) {
        if (tty[prefer_out[i]])
            p->out = prefer_out[i];
    }
    if (proxy_types(tty))
        p->in = 0;
    restore_at_exit = p;
    atexit(restore);
}

void proxy_enter(struct proxy *p)
{
    struct termios t;

    /* In the background the terminal is somebody else's; the first read would stop us, as natively. */
    if (p->in < 0 || p->raw || tcgetpgrp(p->in) != getpgrp() || tcgetattr(p->in, &p->saved) < 0)
        return;
    t = p->saved;
    cfmakeraw(&t);
    if (tcsetattr(p->in, TCSADRAIN, &t) == 0)
        p->raw = true;
}

void proxy_leave(struct proxy *p)
{
    sigset_t block, old;

    if (!p->raw)
        return;
    sigemptyset(&block);
    sigaddset(&block, SIGTTOU); /* from the background it would stop us here */
    sigprocmask(SIG_BLOCK, &block, &old);
    tcsetattr(p->in, TCSADRAIN, &p->saved);
    sigprocmask(SIG_SETMASK, &old, NULL);
    p->raw = false;
}

bool proxy_winsize(const struct proxy *p, uint16_t *ret_rows, uint16_t *ret_cols)
{
    struct winsize ws;

    if (p->out < 0 || ioctl(p->out, TIOCGWINSZ, &ws) < 0)
        return false;
    *ret_rows = ws.ws_row;
    *ret_cols = ws.ws_col;
    return true;
}

void proxy_poll(const struct proxy *p, struct pollfd fds[2])
{
    bool full = p->sent < p->pending;

    fds[0] = (struct pollfd){ .fd = p->raw && !full && p->sock >= 0 ? p->in : -1,
                              .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = p->sock, .events = (short)(POLLIN | (full ? POLLOUT : 0)) };
}

static void flush(struct proxy *p)
{
    ssize_t n;

    while (p->sent < p->pending) {
        n = send(p->sock, p->to_guest + p->sent, p->pending - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n <= 0)
            return;
        p->sent += (size_t)n;
    }
    p->sent = p->pending = 0;
}

static void write_all(int fd, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, buf, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) { /* somebody made it non-blocking */
            struct pollfd wait = { .fd = fd, .events = POLLOUT };

            poll(&wait, 1, 1000);
            continue;
        }
        if (w <= 0)
            return; /* the terminal is gone: SIGHUP comes too */
        buf += w;
        n -= (size_t)w;
    }
}

static bool from_guest(struct proxy *p)
{
    char buf[PROXY_BUFFER];
    ssize_t n = recv(p->sock, buf, sizeof buf, MSG_DONTWAIT);

    if (n > 0)
        write_all(p->out, buf, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        close(p->sock);
        p->sock = -1;
    }
    return n > 0;
}

void proxy_run(struct proxy *p, const struct pollfd fds[2])
{
    if (fds[0].revents) {
        ssize_t n = read(p->in, p->to_guest, sizeof p->to_guest);

        if (n > 0) {
            p->pending = (size_t)n;
            p->sent = 0;
            flush(p);
        } else if (n == 0 || errno != EINTR) {
            proxy_leave(p);
            p->in = -1;
        }
    }
    if (p->sock >= 0 && (fds[1].revents & POLLOUT))
        flush(p);
    if (p->sock >= 0 && (fds[1].revents & ~POLLOUT))
        from_guest(p);
}

void proxy_drain(struct proxy *p, int ms)
{
    uint64_t end = now_ns() + (uint64_t)ms * 1000000;

    while (p->sock >= 0) {
        struct pollfd fd = { .fd = p->sock, .events = POLLIN };
        int64_t left = (int64_t)(end - now_ns()) / 1000000;

        if (poll(&fd, 1, left > 0 ? (int)left : 0) <= 0)
            return;
        if (!from_guest(p) && left <= 0)
            return;
    }
}

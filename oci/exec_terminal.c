/* SPDX-License-Identifier: Apache-2.0 */
/* See exec_terminal.h. */
#include "oci/exec_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "oci/oci.h"
#include "oci/proxy.h"

#define LAST_WORDS_MS 500 /* to who left a program behind that prints on, or does not read */

int exec_terminal_size(const struct exec_terminal *t)
{
    struct winsize ws = { 0 };

    ioctl(t->fd, TIOCGWINSZ, &ws);
    return ws.ws_row << 16 | ws.ws_col;
}

static void make_raw(struct exec_terminal *t)
{
    struct termios raw;

    if (tcgetattr(t->fd, &t->before) < 0)
        return;
    raw = t->before;
    cfmakeraw(&raw);
    t->changed = tcsetattr(t->fd, TCSANOW, &raw) == 0;
}

int exec_terminal_open(struct exec_terminal *t, struct oci_process *p, const char *console,
                       char why[OCI_WHY])
{
    int socks[2], size;

    t->fd = t->to = t->ours = t->theirs = -1;
    t->changed = false;
    t->in.n = t->in.at = t->out.n = t->out.at = 0;
    if (!p->terminal)
        return 0;
    if (console && *console)
        t->fd = terminal_open(console, p->rows, p->cols, why);
    else
        t->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (t->fd < 0)
        return -1;
    t->to = t->fd;
    if (!(console && *console) && !isatty(STDOUT_FILENO))
        t->to = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3); /* -1: it is closed, and so be it */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, socks) < 0) {
        snprintf(why, OCI_WHY, "no sockets: %s", oci_strerror(errno));
        return -1;
    }
    ioctl(t->fd, TIOCSCTTY, 0); /* of a detached one, for SIGWINCH and SIGHUP */
    t->ours = socks[0];
    t->theirs = socks[1];
    make_raw(t);
    size = exec_terminal_size(t);
    p->rows = (unsigned)size >> 16;
    p->cols = (unsigned)size & 0xffff;
    return 0;
}

void exec_terminal_poll(const struct exec_terminal *t, struct pollfd fds[EXEC_TERMINAL_FDS])
{
    const bool open = t->ours >= 0;

    fds[0] = (struct pollfd){ .fd = open && !t->in.n ? t->fd : -1, .events = POLLIN };
    fds[1] = (struct pollfd){
        .fd = t->ours, .events = (short)((t->out.n ? 0 : POLLIN) | (t->in.n ? POLLOUT : 0))
    };
    fds[2] = (struct pollfd){ .fd = open && t->out.n ? t->to : -1, .events = POLLOUT };
}

/* false: the other end is gone. */
static bool take(struct half *h, int fd)
{
    ssize_t n = h->n ? 1 : read(fd, h->buf, sizeof h->buf);

    if (h->n)
        return true;
    if (n > 0) {
        h->n = (size_t)n;
        h->at = 0;
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool give(struct half *h, int fd)
{
    while (h->n) {
        ssize_t n = write(fd, h->buf + h->at, h->n);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        h->at += (size_t)n;
        h->n -= (size_t)n;
    }
    return true;
}

static void hang_up(struct exec_terminal *t)
{
    close(t->ours);
    t->ours = -1;
}

void exec_terminal_run(struct exec_terminal *t, const struct pollfd fds[EXEC_TERMINAL_FDS])
{
    bool ok = true;

    if (t->ours < 0)
        return;
    if (fds[1].revents & (POLLIN | POLLHUP))
        ok = take(&t->out, t->ours);
    if (t->out.n)
        ok &= give(&t->out, t->to);
    if (fds[0].revents & (POLLIN | POLLHUP))
        ok &= take(&t->in, t->fd);
    if (t->in.n)
        ok &= give(&t->in, t->ours);
    if (!ok)
        hang_up(t);
}

void exec_terminal_close(struct exec_terminal *t)
{
    if (t->fd < 0)
        return;
    while (t->ours >= 0) { /* until the sentry has closed its end */
        struct pollfd fds[EXEC_TERMINAL_FDS];

        exec_terminal_poll(t, fds);
        fds[0] = (struct pollfd){ .fd = -1 };
        if (poll(fds, EXEC_TERMINAL_FDS, LAST_WORDS_MS) <= 0 || (fds[2].revents & ~POLLOUT))
            break;
        exec_terminal_run(t, fds);
    }
    if (t->changed)
        tcsetattr(t->fd, TCSANOW, &t->before);
    t->changed = false;
}

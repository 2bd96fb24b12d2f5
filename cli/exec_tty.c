/* SPDX-License-Identifier: Apache-2.0 */
/* See exec_tty.h. */
#include "cli/exec_tty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/error.h"

static struct exec_tty *restore_at_exit;

static void restore(void)
{
    if (restore_at_exit)
        exec_tty_leave(restore_at_exit);
}

static int terminal_of(bool input)
{
    for (int fd = input ? 0 : 1; fd < 3; fd++)
        if (isatty(fd))
            return fd;
    return -1;
}

int exec_tty_open(struct exec_tty *t, bool input, int *ret_far)
{
    int sv[2];

    *t = (struct exec_tty){ .sock = -1, .fd = -1, .input = input };
    if (input && !isatty(STDIN_FILENO))
        return fail(EXIT_SBX, "exec -it: standard input is no terminal; leave -t out");
    t->fd = terminal_of(input);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return fail(EXIT_SBX, "exec -t: %s", strerror(errno));
    t->sock = sv[0];
    *ret_far = sv[1];
    return 0;
}

uint32_t exec_tty_size(const struct exec_tty *t)
{
    struct winsize ws = { .ws_row = 0 };

    if (t->fd >= 0)
        ioctl(t->fd, TIOCGWINSZ, &ws);
    return (uint32_t)ws.ws_row << 16 | ws.ws_col;
}

void exec_tty_raw(struct exec_tty *t)
{
    struct termios raw;

    if (!t->input || (!t->changed && tcgetattr(t->fd, &t->found) < 0))
        return;
    raw = t->found;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(t->fd, TCSADRAIN, &raw) < 0)
        return;
    if (!t->changed) {
        t->changed = true;
        restore_at_exit = t;
        atexit(restore);
    }
}

void exec_tty_leave(struct exec_tty *t)
{
    if (t->changed)
        tcsetattr(t->fd, TCSADRAIN, &t->found);
    t->changed = false;
}

void exec_tty_poll(const struct exec_tty *t, struct pollfd fds[EXEC_TTY_FDS])
{
    bool typed = t->sent < t->len, shows = t->shown < t->have;
    short events = (short)((shows ? 0 : POLLIN) | (typed ? POLLOUT : 0));

    fds[0] = (struct pollfd){ .fd = t->input && !typed && t->sock >= 0 ? STDIN_FILENO : -1,
                              .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = t->sock, .events = events };
    fds[2] = (struct pollfd){ .fd = shows ? STDOUT_FILENO : -1, .events = POLLOUT };
}

static void hang_up(struct exec_tty *t)
{
    if (t->sock >= 0)
        close(t->sock);
    t->sock = -1;
}

static void take_typed(struct exec_tty *t)
{
    ssize_t n = read(STDIN_FILENO, t->typed, sizeof t->typed);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the terminal is gone: as when it hangs up */
        hang_up(t);
        return;
    }
    t->len = (size_t)n;
    t->sent = 0;
}

static void pass_typed(struct exec_tty *t)
{
    ssize_t n = send(t->sock, t->typed + t->sent, t->len - t->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n > 0)
        t->sent += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        t->sent = t->len; /* nobody reads any more; what was printed may still come */
}

static void take_printed(struct exec_tty *t)
{
    ssize_t n = recv(t->sock, t->print, sizeof t->print, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        hang_up(t);
    t->have = n > 0 ? (size_t)n : 0;
    t->shown = 0;
}

static void show(struct exec_tty *t)
{
    ssize_t n = write(STDOUT_FILENO, t->print + t->shown, t->have - t->shown);

    if (n > 0)
        t->shown += (size_t)n;
    else if (n < 0 && errno != EAGAIN && errno != EINTR)
        hang_up(t); /* nobody sees it */
}

void exec_tty_run(struct exec_tty *t, const struct pollfd fds[EXEC_TTY_FDS])
{
    if (fds[0].revents)
        take_typed(t);
    if (fds[1].revents & POLLOUT && t->sock >= 0)
        pass_typed(t);
    if (fds[1].revents & (POLLIN | POLLHUP | POLLERR) && t->sock >= 0 && t->shown == t->have)
        take_printed(t);
    if (fds[2].revents)
        show(t);
}

bool exec_tty_done(const struct exec_tty *t)
{
    return t->sock < 0 && t->shown == t->have;
}

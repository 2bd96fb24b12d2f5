/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of terminals share: making a pair, and reading until something is there. */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "guest.h"

/* Opens a pair; neither becomes a controlling terminal. */
static int pty_open(int *ret_master, int *ret_slave)
{
    char name[32];
    int zero = 0, n = -1;
    *ret_master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (*ret_master < 0 || ioctl(*ret_master, TIOCSPTLCK, &zero) ||
        ioctl(*ret_master, TIOCGPTN, &n))
        return -1;
    snprintf(name, sizeof name, "/dev/pts/%d", n);
    *ret_slave = open(name, O_RDWR | O_NOCTTY);
    return *ret_slave < 0 ? -1 : n;
}

/* Reads until want bytes are there or nothing has come for a while; a string. */
static char *pty_read(int fd, size_t want)
{
    static char buf[8192];
    size_t n = 0;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    while (n < want && n < sizeof buf - 1 && poll(&p, 1, 2000) == 1) {
        ssize_t r = read(fd, buf + n, sizeof buf - 1 - n);
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    buf[n] = 0;
    return buf;
}

/* What fd gives next is exactly s. */
#define EXPECT(fd, s)                                                                              \
    do {                                                                                           \
        const char *got_ = pty_read(fd, strlen(s));                                                \
        if (strcmp(got_, s)) {                                                                     \
            guest_failures++;                                                                      \
            printf("%s:%d: %s: failed: read '%s', wanted '%s'\n", __FILE__, __LINE__,              \
                   guest_current, pty_show(got_), pty_show2(s));                                   \
        }                                                                                          \
    } while (0)

static char *pty_escape(const char *s, char *to, size_t cap)
{
    size_t n = 0;
    for (; *s && n + 5 < cap; s++)
        n += (size_t)snprintf(to + n, cap - n, *s < 32 || *s == 127 ? "\\%03o" : "%c",
                              (unsigned char)*s);
    to[n] = 0;
    return to;
}

static char *pty_show(const char *s)
{
    static char buf[1024];
    return pty_escape(s, buf, sizeof buf);
}

static char *pty_show2(const char *s)
{
    static char buf[1024];
    return pty_escape(s, buf, sizeof buf);
}

static void pty_say(int fd, const char *s)
{
    CHECK_EQ(write(fd, s, strlen(s)), strlen(s));
}

__attribute__((unused)) static int pty_ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* Typed characters arrive by and by on Linux. */
__attribute__((unused)) static int pty_wait(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 2000);
}

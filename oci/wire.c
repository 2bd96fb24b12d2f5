/* SPDX-License-Identifier: Apache-2.0 */
/* See wire.h. A path may be longer than a socket's address: it is named through an open directory. */
#include "oci/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/fdmsg.h"
#include "oci/oci.h"
#include "oci/state.h"

static struct sockaddr_un address(const struct oci_state *s)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/control.sock", s->dir_fd);
    return a;
}

int wire_listen(const struct oci_state *s)
{
    struct sockaddr_un a = address(s);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

int wire_connect(const struct oci_state *s)
{
    struct sockaddr_un a = address(s);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

int wire_send(int sock, const struct wire_msg *m, const int *fds, unsigned n)
{
    return fdmsg_send(sock, m, sizeof *m, fds, n);
}

int wire_receive(int sock, struct wire_msg *ret, int *fds, unsigned *ret_n)
{
    unsigned got, *n = ret_n ? ret_n : &got;
    ssize_t r = fdmsg_receive(sock, ret, sizeof *ret, 0, fds, fds ? WIRE_FDS : 0, n);

    if (r == 0)
        return 0;
    if (r == (ssize_t)sizeof *ret && ret->len <= sizeof ret->text)
        return 1;
    fdmsg_close(fds, *n);
    *n = 0;
    return r < 0 ? (int)r : -EPROTO;
}

int wire_ask(const struct oci_state *s, const struct wire_msg *m)
{
    struct wire_msg answer;
    int sock = wire_connect(s), r;

    if (sock < 0)
        return oci_fail("container not running");
    r = wire_send(sock, m, NULL, 0);
    if (r == 0)
        r = wire_receive(sock, &answer, NULL, NULL);
    close(sock);
    if (r <= 0)
        return oci_fail("container not running");
    if (answer.type == WIRE_FAILED)
        return oci_fail("%.*s", (int)answer.len, answer.text);
    return 0;
}

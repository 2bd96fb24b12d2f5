/* SPDX-License-Identifier: Apache-2.0 */
/* See wire.h. A path may be longer than a socket's address: it is named through an open directory. */
#include "oci/wire.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

int send_with(int sock, const void *data, size_t len, const int *fds, unsigned n)
{
    struct iovec iov = { (void *)(uintptr_t)data, len };
    union {
        char buf[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } u = { { 0 } };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n) {
        struct cmsghdr *c;

        msg.msg_control = u.buf;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    }
    while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int wire_send(int sock, const struct wire_msg *m, const int *fds, unsigned n)
{
    return send_with(sock, m, sizeof *m, fds, n);
}

int wire_receive(int sock, struct wire_msg *ret, int *fds)
{
    struct iovec iov = { ret, sizeof *ret };
    union {
        char buf[CMSG_SPACE(WIRE_FDS * sizeof(int))];
        struct cmsghdr align;
    } u;
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    struct cmsghdr *c;
    ssize_t n;

    if (fds) {
        msg.msg_control = u.buf;
        msg.msg_controllen = sizeof u.buf;
        for (int i = 0; i < WIRE_FDS; i++)
            fds[i] = -1;
    }
    while ((n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC)) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    c = n > 0 && fds ? CMSG_FIRSTHDR(&msg) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    if (n == 0)
        return 0;
    if (n != (ssize_t)sizeof *ret || ret->len > sizeof ret->text) {
        for (int i = 0; fds && i < WIRE_FDS; i++) {
            if (fds[i] >= 0)
                close(fds[i]);
            fds[i] = -1;
        }
        return -EPROTO;
    }
    return 1;
}

int wire_ask(const struct oci_state *s, const struct wire_msg *m)
{
    struct wire_msg answer;
    int sock = wire_connect(s), r;

    if (sock < 0)
        return oci_fail("container not running");
    r = wire_send(sock, m, NULL, 0);
    if (r == 0)
        r = wire_receive(sock, &answer, NULL);
    close(sock);
    if (r <= 0)
        return oci_fail("container not running");
    if (answer.type == WIRE_FAILED)
        return oci_fail("%.*s", (int)answer.len, answer.text);
    return 0;
}

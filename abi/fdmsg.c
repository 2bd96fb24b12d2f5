/* SPDX-License-Identifier: Apache-2.0 */
/* See fdmsg.h. */
#include "abi/fdmsg.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    char buf[CMSG_SPACE(FDMSG_MAX * sizeof(int))];
    struct cmsghdr align;
};

int fdmsg_send(int sock, const void *data, size_t len, const int *fds, unsigned n)
{
    struct iovec iov = { (void *)(uintptr_t)data, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union control u;

    if (n > FDMSG_MAX)
        return -EINVAL;
    if (n) {
        struct cmsghdr *c;

        memset(u.buf, 0, CMSG_SPACE(n * sizeof(int)));
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

ssize_t fdmsg_receive(int sock, void *data, size_t len, int flags, int *fds, unsigned max,
                      unsigned *ret_n)
{
    struct iovec iov = { data, len };
    union control u;
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = u.buf,
                          .msg_controllen = CMSG_LEN(max * sizeof(int)) }; /* without what aligns: it
                                                                              holds one more */
    struct cmsghdr *c;
    ssize_t n;

    *ret_n = 0;
    while ((n = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC)) < 0) {
        if (errno != EINTR || flags & MSG_DONTWAIT)
            return -errno;
    }
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        *ret_n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), *ret_n * sizeof(int));
    }
    if (msg.msg_flags & MSG_CTRUNC) {
        fdmsg_close(fds, *ret_n);
        *ret_n = 0;
    }
    return n;
}

void fdmsg_close(int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host calls of the sentry by which several others can be done: the fewer there are in its fence
 * (sentry/fence_table.h), the less of the host's kernel a compromised sentry can try.
 */
#pragma once

#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* poll(2), for at most ns nanoseconds. */
static inline int hostio_poll(struct pollfd *p, nfds_t n, uint64_t ns)
{
    const struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

    return ppoll(p, n, &ts, NULL);
}

/* nanosleep(2); a signal ends it early. */
static inline void hostio_nap(uint64_t ns)
{
    (void)hostio_poll(NULL, 0, ns);
}

/* write(2) at the file's own position. */
static inline ssize_t hostio_write(int fd, const void *p, size_t n)
{
    const struct iovec iov = { (void *)(uintptr_t)p, n };

    return pwritev2(fd, &iov, 1, -1, 0);
}

/* send(2) and recv(2). */
static inline ssize_t hostio_send(int fd, const void *p, size_t n, int flags)
{
    struct iovec iov = { (void *)(uintptr_t)p, n };
    const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    return sendmsg(fd, &msg, flags);
}

static inline ssize_t hostio_recv(int fd, void *p, size_t n, int flags)
{
    struct iovec iov = { p, n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    return recvmsg(fd, &msg, flags);
}

/* The cpu that runs this, as Linux keeps it in a segment limit: no call, with or without a vDSO. */
static inline unsigned hostio_cpu(void)
{
    unsigned v;

    __asm__ volatile("lsl %1, %0" : "=r"(v) : "r"(0x7b) : "cc");
    return v & 0xfff;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on descriptors: pipes, sockets, terminals, epoll sets, files in flight, output. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "bomb.h"

/* Each one full. */
static int bomb_pipe(void)
{
    static char block[1 << 16];
    unsigned long n = 0;
    int p[2], err = 0;

    bomb_many_files();
    for (; n < bomb_cap; n++) {
        if (pipe2(p, O_NONBLOCK) < 0 || (write(p[1], block, sizeof block) < 0 && errno != EAGAIN)) {
            err = errno;
            break;
        }
    }
    return bomb_end(n, err, ENFILE, ENOMEM);
}

/* As many as one process may have unless it asks for more. */
static int bomb_descriptor(void)
{
    unsigned long n = 0;

    while (n < bomb_cap && eventfd(0, 0) >= 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, EMFILE);
}

static int bomb_descriptors(void)
{
    unsigned long n = 0;

    bomb_many_files();
    while (n < bomb_cap && eventfd(0, 0) >= 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, EMFILE, ENFILE);
}

/* Files that are the host's too. */
static int bomb_host_descriptors(void)
{
    unsigned long n = 0;
    int err = 0;

    bomb_many_files();
    for (; n < bomb_cap; n++) {
        int fd = memfd_create("x", 0);
        void *p;

        if (fd < 0 || ftruncate(fd, 4096) < 0) {
            err = errno;
            break;
        }
        p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            err = errno;
            break;
        }
        munmap(p, 4096);
    }
    return bomb_end(n, err, ENFILE, EMFILE);
}

static int bomb_host_opens(void)
{
    unsigned long n = 0;

    bomb_many_files();
    while (n < bomb_cap && open("/usr/bin/env", O_RDONLY) >= 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, EMFILE, ENFILE);
}

static int fill_sockets(int domain, int type)
{
    static char block[1 << 16];
    unsigned long n = 0;
    int p[2], err = 0;

    bomb_many_files();
    for (; n < bomb_cap; n++) {
        if (socketpair(domain, type | SOCK_NONBLOCK, 0, p) < 0) {
            err = errno;
            break;
        }
        while (write(p[0], block, sizeof block) > 0)
            continue;
        if (errno != EAGAIN) {
            err = errno;
            break;
        }
    }
    return bomb_end(n, err, ENFILE, ENOBUFS, ENOMEM);
}

static int bomb_socket(void)
{
    return fill_sockets(AF_UNIX, SOCK_STREAM);
}

static int bomb_datagram(void)
{
    return fill_sockets(AF_UNIX, SOCK_DGRAM);
}

/* Files within sockets within sockets. */
static int bomb_flight(void)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 }, c = 'x';
    struct iovec iov = { &c, 1 };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
    unsigned long n = 0;
    int err = 0, inner = eventfd(0, 0);

    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int));
    for (; n < bomb_cap; n++) {
        int p[2];

        if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0) {
            err = errno;
            break;
        }
        memcpy(CMSG_DATA(cm), &inner, sizeof inner);
        if (sendmsg(p[0], &m, 0) < 0) {
            err = errno;
            break;
        }
        close(inner);
        close(p[0]);
        inner = p[1];
    }
    return bomb_end(n, err, ETOOMANYREFS, ENOMEM, ENFILE);
}

/* Nothing is held open by anybody but what is in flight. */
static int bomb_flight_wide(void)
{
    char control[CMSG_SPACE(200 * sizeof(int))] = { 0 }, c = 'x';
    struct iovec iov = { &c, 1 };
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
    unsigned long n = 0;
    int fds[200], err = 0;

    bomb_many_files();
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof fds);
    for (; n < bomb_cap && !err; n++) {
        int p[2];

        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, p) < 0)
            return bomb_end(n, errno, EMFILE);
        for (int i = 0; i < 200; i++)
            err = (fds[i] = eventfd(0, 0)) < 0 ? errno : err;
        memcpy(CMSG_DATA(cm), fds, sizeof fds);
        if (!err && sendmsg(p[0], &m, 0) < 0)
            err = errno;
        for (int i = 0; i < 200; i++)
            close(fds[i]);
    }
    return bomb_end(n, err, ETOOMANYREFS, ENOMEM, ENFILE);
}

static int bomb_epoll(void)
{
    unsigned long n = 0;
    int ev = eventfd(0, 0), err = 0;

    bomb_many_files();
    for (; n < bomb_cap && !err; n++) {
        int ep = epoll_create1(0);
        struct epoll_event e = { .events = EPOLLIN };

        if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) < 0)
            err = errno;
    }
    return bomb_end(n, err, EMFILE, ENFILE, ENOSPC);
}

/* One set with as many items as there can be. */
static int bomb_epoll_items(void)
{
    unsigned long n = 0;
    int ep = epoll_create1(0), base = eventfd(0, 0), err = 0;
    struct epoll_event e = { .events = EPOLLIN };

    bomb_many_files();
    for (; n < bomb_cap && !err; n++) {
        int fd = dup(base);

        if (fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
            err = errno;
    }
    return bomb_end(n, err, EMFILE, ENOSPC);
}

static int bomb_pty(void)
{
    unsigned long n = 0;

    bomb_many_files();
    while (n < bomb_cap && open("/dev/ptmx", O_RDWR | O_NOCTTY) >= 0)
        n++;
    return bomb_end(n, n < bomb_cap ? errno : 0, ENOSPC);
}

/* For three seconds as fast as it goes; the driver looks at what memory does meanwhile. */
static int bomb_output(void)
{
    static char block[1 << 16];
    struct timeval start, now;
    unsigned long n = 0;

    memset(block, 'o', sizeof block);
    block[sizeof block - 1] = '\n';
    gettimeofday(&start, NULL);
    do {
        if (write(STDERR_FILENO, block, sizeof block) < 0)
            return 1;
        n++;
        gettimeofday(&now, NULL);
    } while (now.tv_sec - start.tv_sec < 3);
    return bomb_end(n, EAGAIN, EAGAIN);
}

const struct bomb bombs_fds[] = {
    { "pipe", bomb_pipe },
    { "descriptor", bomb_descriptor },
    { "descriptors", bomb_descriptors },
    { "host-descriptors", bomb_host_descriptors },
    { "host-opens", bomb_host_opens },
    { "socket", bomb_socket },
    { "datagram", bomb_datagram },
    { "flight", bomb_flight },
    { "flight-wide", bomb_flight_wide },
    { "epoll", bomb_epoll },
    { "epoll-items", bomb_epoll_items },
    { "pty", bomb_pty },
    { "output", bomb_output },
    { NULL, NULL },
};

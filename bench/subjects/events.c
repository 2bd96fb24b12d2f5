/* SPDX-License-Identifier: Apache-2.0 */
/* Waits over many descriptors, of which one becomes ready: it is made so, found and read. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/subjects/bench.h"

#define MOST 1000

static int fds[MOST], set, next;
static struct pollfd polled[MOST];

/* a: how many descriptors */
static void open_all(const struct row *row)
{
    struct rlimit limit = { MOST + 64, MOST + 64 };
    struct rlimit now;
    getrlimit(RLIMIT_NOFILE, &now);
    if (now.rlim_cur < limit.rlim_cur)
        ok(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    set = (int)ok(epoll_create1(0), "epoll_create1");
    for (int i = 0; i < row->a; i++) {
        fds[i] = (int)ok(eventfd(0, 0), "eventfd");
        polled[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };
        ok(epoll_ctl(set, EPOLL_CTL_ADD, fds[i], &event), "epoll_ctl");
    }
}

static void many(const struct row *row)
{
    open_all(row);
    each_us(row);
    for (int i = 0; i < row->a; i++)
        close(fds[i]);
    close(set);
}

static int make_ready(const struct row *row)
{
    uint64_t one = 1;
    next = (next + 7) % (int)row->a;
    write_all(fds[next], &one, sizeof one);
    return fds[next];
}

static void take(int fd)
{
    uint64_t value;
    read_all(fd, &value, sizeof value);
}

static void by_epoll(const struct row *row)
{
    struct epoll_event event;
    int fd = make_ready(row);
    if (epoll_wait(set, &event, 1, -1) != 1 || event.data.fd != fd)
        fail("epoll_wait");
    take(fd);
}

static void by_poll(const struct row *row)
{
    int fd = make_ready(row);
    if (poll(polled, (nfds_t)row->a, -1) != 1 || !(polled[next].revents & POLLIN))
        fail("poll");
    take(fd);
}

static const struct row rows[] = {
    { "epoll-1000", many, by_epoll, 5500, 1000, 0 },
    { "poll-100", many, by_poll, 5500, 100, 0 },
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]);
}

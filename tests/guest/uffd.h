/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of userfaultfd share: memory that is registered, who answers, who touches. */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "abi/uffd.h"
#include "guest.h"

#define PAGE 4096ul
#define PAGES 16
#define MISSING LX_UFFD_MODE_MISSING
#define WP LX_UFFD_MODE_WP

static inline int uffd(unsigned flags)
{
    return (int)syscall(SYS_userfaultfd, flags);
}

static inline int with_features(unsigned flags, uint64_t features)
{
    struct lx_uffdio_api a = { .api = LX_UFFD_API, .features = features };
    int fd = uffd(flags);

    CHECK(fd >= 0);
    CHECK_EQ(ioctl(fd, LX_UFFDIO_API, &a), 0);
    return fd;
}

static inline char *memory(int flags, int fd)
{
    char *m = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

    CHECK(m != MAP_FAILED);
    return m;
}

static inline int reg(int fd, char *m, size_t pages, uint64_t mode)
{
    struct lx_uffdio_register r = { .range = { (uintptr_t)m, pages * PAGE }, .mode = mode };

    return ioctl(fd, LX_UFFDIO_REGISTER, &r);
}

static inline int copy(int fd, char *to, char c, uint64_t mode)
{
    static _Thread_local char page[PAGE];
    struct lx_uffdio_copy u = {
        .dst = (uintptr_t)to & ~(PAGE - 1), .src = (uintptr_t)page, .len = PAGE, .mode = mode
    };

    memset(page, c, PAGE);
    return ioctl(fd, LX_UFFDIO_COPY, &u);
}

static inline int protect(int fd, char *at, int on)
{
    struct lx_uffdio_wp w = { { (uintptr_t)at & ~(PAGE - 1), PAGE }, on ? 1 : 0 };

    return ioctl(fd, LX_UFFDIO_WP, &w);
}

/* Answers faults until it is told to stop: pages of their own number, 'a' and on. */
struct server {
    pthread_t thread;
    int fd, stop[2];
    char *m;
    unsigned n, wp;
    uint64_t flags[64];
    unsigned page[64];
};

static inline void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd p[2] = { { .fd = s->fd, .events = POLLIN },
                           { .fd = s->stop[0], .events = POLLIN } };

    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        struct lx_uffd_msg m;
        char *at;

        if (read(s->fd, &m, sizeof m) != sizeof m)
            continue;
        CHECK_EQ(m.event, LX_UFFD_EVENT_PAGEFAULT);
        at = (char *)(uintptr_t)m.fault.address;
        if (s->n < 64) {
            s->flags[s->n] = m.fault.flags;
            s->page[s->n] = (unsigned)((size_t)(at - s->m) / PAGE);
        }
        s->n++;
        if (m.fault.flags & LX_UFFD_FAULT_WP) {
            s->wp++;
            CHECK_EQ(protect(s->fd, at, 0), 0);
            continue;
        }
        CHECK_EQ(copy(s->fd, at, (char)('a' + (at - s->m) / (long)PAGE), 0), 0);
    }
    return NULL;
}

static inline void serve_start(struct server *s, int fd, char *m)
{
    *s = (struct server){ .fd = fd, .m = m };
    CHECK_EQ(pipe(s->stop), 0);
    CHECK_EQ(pthread_create(&s->thread, NULL, serve, s), 0);
}

static inline void serve_stop(struct server *s)
{
    CHECK_EQ(write(s->stop[1], "", 1), 1);
    pthread_join(s->thread, NULL);
    close(s->stop[0]);
    close(s->stop[1]);
}

static inline void *write_page(void *m)
{
    static int p[2];

    CHECK_EQ(pipe(p), 0);
    CHECK_EQ(write(p[1], m, 1), 1);
    return m;
}

static inline void *touch(void *m)
{
    (void)*(volatile char *)m;
    return m;
}

static inline struct lx_uffd_msg next_msg(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    struct lx_uffd_msg m = { 0 };

    CHECK_EQ(poll(&p, 1, 5000), 1);
    CHECK_EQ(read(fd, &m, sizeof m), sizeof m);
    return m;
}

/* Skips where there is none, or none that is told of faults of calls. */
static inline void need_uffd(void)
{
    int fd = uffd(LX_UFFD_USER_MODE_ONLY);

    if (fd < 0 && (errno == EPERM || (errno == ENOSYS && !guest_inside())))
        SKIP("no userfaultfd: the platform ptrace has none, and hosts may forbid it");
    CHECK(fd >= 0);
    close(fd);
    fd = uffd(0);
    if (fd < 0 && !guest_inside())
        SKIP("faults of calls are told to who has CAP_SYS_PTRACE only");
    close(fd);
}

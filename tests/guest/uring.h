/* SPDX-License-Identifier: Apache-2.0 */
/* Rings for guest tests, by raw system calls. */
#pragma once

#include "abi/uring.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "guest.h"

struct ring {
    int fd;
    struct lx_uring_params p;
    uint8_t *rings, *sqes;
    size_t rings_len, sqes_len;
    unsigned queued;
};

static inline int uring_setup(unsigned n, struct lx_uring_params *p)
{
    return (int)syscall(SYS_io_uring_setup, n, p);
}

static inline int uring_enter(struct ring *r, unsigned submit, unsigned min, unsigned flags)
{
    return (int)syscall(SYS_io_uring_enter, r->fd, submit, min, flags, NULL, 0);
}

static inline int uring_register(struct ring *r, unsigned op, const void *arg, unsigned n)
{
    return (int)syscall(SYS_io_uring_register, r->fd, op, arg, n);
}

static inline _Atomic uint32_t *ring_word(struct ring *r, uint32_t off)
{
    return (_Atomic uint32_t *)(void *)(r->rings + off);
}

static inline size_t ring_cqe_size(const struct ring *r)
{
    return r->p.flags & LX_URING_CQE32 ? 32 : 16;
}

static inline size_t ring_sqe_size(const struct ring *r)
{
    return r->p.flags & LX_URING_SQE128 ? 128 : 64;
}

/* 0, or the errno of what failed. */
static inline int ring_try(struct ring *r, unsigned n, struct lx_uring_params p)
{
    *r = (struct ring){ .p = p };
    r->fd = uring_setup(n, &r->p);
    if (r->fd < 0)
        return errno;
    r->rings_len = r->p.cq_off.cqes + r->p.cq_entries * ring_cqe_size(r);
    if (!(r->p.flags & LX_URING_NO_SQARRAY))
        r->rings_len = r->p.sq_off.array + r->p.sq_entries * 4ul;
    r->sqes_len = r->p.sq_entries * ring_sqe_size(r);
    r->rings = mmap(NULL, r->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, LX_OFF_SQ_RING);
    r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, LX_OFF_SQES);
    return r->rings == MAP_FAILED || r->sqes == MAP_FAILED ? errno : 0;
}

static inline void ring_flags(struct ring *r, unsigned n, unsigned flags)
{
    CHECK_EQ(ring_try(r, n, (struct lx_uring_params){ .flags = flags }), 0);
}

static inline void ring_open(struct ring *r, unsigned n)
{
    ring_flags(r, n, 0);
}

static inline void ring_close(struct ring *r)
{
    munmap(r->rings, r->rings_len);
    munmap(r->sqes, r->sqes_len);
    close(r->fd);
}

/* The next entry, cleared. */
static inline struct lx_sqe *ring_sqe(struct ring *r, int op, int fd, uint64_t user_data)
{
    uint32_t tail = atomic_load(ring_word(r, r->p.sq_off.tail)) + r->queued++;
    uint32_t at = tail & (r->p.sq_entries - 1);
    struct lx_sqe *s = (void *)(r->sqes + at * ring_sqe_size(r));

    memset(s, 0, ring_sqe_size(r));
    if (!(r->p.flags & LX_URING_NO_SQARRAY))
        atomic_store(ring_word(r, r->p.sq_off.array) + at, at);
    s->opcode = (uint8_t)op;
    s->fd = fd;
    s->user_data = user_data;
    return s;
}

static inline void ring_publish(struct ring *r)
{
    atomic_fetch_add(ring_word(r, r->p.sq_off.tail), r->queued);
    r->queued = 0;
}

/* Submits what was prepared; how many were taken. */
static inline int ring_submit_wait(struct ring *r, unsigned min)
{
    unsigned n = r->queued;

    ring_publish(r);
    return uring_enter(r, n, min, min ? LX_ENTER_GETEVENTS : 0);
}

static inline int ring_submit(struct ring *r)
{
    return ring_submit_wait(r, 0);
}

static inline unsigned ring_ready(struct ring *r)
{
    return atomic_load(ring_word(r, r->p.cq_off.tail)) -
           atomic_load(ring_word(r, r->p.cq_off.head));
}

static inline struct lx_cqe *ring_peek(struct ring *r)
{
    uint32_t head = atomic_load(ring_word(r, r->p.cq_off.head));

    if (!ring_ready(r))
        return NULL;
    return (void *)(r->rings + r->p.cq_off.cqes +
                    (head & (r->p.cq_entries - 1)) * ring_cqe_size(r));
}

static inline void ring_seen(struct ring *r)
{
    atomic_fetch_add(ring_word(r, r->p.cq_off.head), 1);
}

/* The next result, waited for; user_data UINT64_MAX when none comes in a second. */
static inline struct lx_cqe ring_next(struct ring *r)
{
    struct lx_cqe c = { .user_data = UINT64_MAX, .res = -9999 };
    struct {
        int64_t s, ns;
    } ts = { 1, 0 };
    struct lx_uring_getevents_arg a = { .ts = (uintptr_t)&ts };
    struct lx_cqe *p = ring_peek(r);

    if (!p) {
        (void)syscall(SYS_io_uring_enter, r->fd, 0, 1, LX_ENTER_GETEVENTS | LX_ENTER_EXT_ARG, &a,
                      sizeof a);
        p = ring_peek(r);
    }
    if (!p)
        return c;
    c = *p;
    ring_seen(r);
    return c;
}

/* The result of the request with that user_data: the next one there is. */
static inline int ring_result(struct ring *r, uint64_t user_data)
{
    struct lx_cqe c = ring_next(r);

    CHECK_EQ(c.user_data, user_data);
    return c.res;
}

/* Submits the one entry that was prepared, and gives its result. */
static inline int ring_do(struct ring *r, struct lx_sqe *s)
{
    uint64_t user_data = s->user_data;

    CHECK_EQ(ring_submit_wait(r, 1), 1);
    return ring_result(r, user_data);
}

static inline void ring_need(void)
{
    struct lx_uring_params p = { 0 };
    int fd = uring_setup(1, &p);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        SKIP("no io_uring here");
    close(fd);
}

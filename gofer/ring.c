/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's use of the restricted ring: one read at a time, submitted and awaited in one call to
 * the host. A mutex keeps callers apart; what is in the page cache is done within the submission,
 * so it is held for about as long as a pread would take, and for the disk's time otherwise.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gofer/channel.h"
#include "gofer/ring.h"

struct gofer_ring {
    int fd;
    pthread_mutex_t lock; /* guards all below */
    unsigned char *rings;
    size_t rings_len, sqes_len;
    struct io_uring_sqe *sqes;
    uint64_t seq;
};

#define RING_U32(r, off) ((_Atomic uint32_t *)(void *)((r)->rings + (off)))

struct gofer_ring *gofer_ring_open(int ring_fd)
{
    const struct io_uring_params *p = &gofer_ring_params;
    struct gofer_ring *r = calloc(1, sizeof(*r));

    if (!r)
        goto no_ring;
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    r->fd = ring_fd;
    r->rings_len = sq > cq ? sq : cq;
    r->sqes_len = p->sq_entries * sizeof(struct io_uring_sqe);
    if (!p->sq_entries)
        goto no_ring; /* no ring was made in this program */
    r->rings = mmap(NULL, r->rings_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd,
                    IORING_OFF_SQ_RING);
    if (r->rings == MAP_FAILED)
        goto no_ring;
    r->sqes = mmap(NULL, r->sqes_len, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, IORING_OFF_SQES);
    if (r->sqes == MAP_FAILED)
        goto no_sqes;
    pthread_mutex_init(&r->lock, NULL);
    return r;
no_sqes:
    munmap(r->rings, r->rings_len);
no_ring:
    free(r);
    close(ring_fd);
    return NULL;
}

void gofer_ring_close(struct gofer_ring *r)
{
    if (!r)
        return;
    munmap(r->sqes, r->sqes_len);
    munmap(r->rings, r->rings_len);
    close(r->fd);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void submit_locked(struct gofer_ring *r, const struct io_uring_sqe *sqe)
{
    const struct io_sqring_offsets *o = &gofer_ring_params.sq_off;
    uint32_t tail = atomic_load(RING_U32(r, o->tail));
    uint32_t index = tail & (gofer_ring_params.sq_entries - 1);

    r->sqes[index] = *sqe;
    atomic_store(RING_U32(r, o->array) + index, index);
    atomic_store(RING_U32(r, o->tail), tail + 1);
}

/* Takes one completion; false: there is none yet. */
static bool complete_locked(struct gofer_ring *r, uint64_t *ret_data, int *ret_res)
{
    const struct io_cqring_offsets *o = &gofer_ring_params.cq_off;
    uint32_t head = atomic_load(RING_U32(r, o->head));

    if (head == atomic_load(RING_U32(r, o->tail)))
        return false;
    const struct io_uring_cqe *cqes = (const void *)(r->rings + o->cqes);
    const struct io_uring_cqe *c = &cqes[head & (gofer_ring_params.cq_entries - 1)];
    *ret_data = c->user_data;
    *ret_res = c->res;
    atomic_store(RING_U32(r, o->head), head + 1);
    return true;
}

ssize_t gofer_ring_read(struct gofer_ring *r, int slot, void *buf, size_t n, off_t off)
{
    int res = 0;
    uint64_t data = 0;
    unsigned to_submit = 1;

    pthread_mutex_lock(&r->lock);
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ,
        .flags = IOSQE_FIXED_FILE,
        .fd = slot,
        .addr = (uint64_t)(uintptr_t)buf,
        .len = n > 0x7ffff000 ? 0x7ffff000 : (uint32_t)n,
        .off = (uint64_t)off,
        .user_data = ++r->seq,
    };
    submit_locked(r, &sqe);
    /* The buffer is the kernel's until the completion is here: only a failed submission ends this. */
    while (data != sqe.user_data) {
        if (!complete_locked(r, &data, &res)) {
            long done = syscall(SYS_io_uring_enter, r->fd, to_submit, 1, IORING_ENTER_GETEVENTS,
                                NULL, 0);
            if (done > 0)
                to_submit = 0;
            else if (done < 0 && to_submit && errno != EINTR && errno != EAGAIN && errno != EBUSY)
                break;
        }
    }
    if (data != sqe.user_data)
        res = -EIO;
    pthread_mutex_unlock(&r->lock);
    return res;
}

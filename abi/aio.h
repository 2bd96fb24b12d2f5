/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous input and output: io_setup(2) and its kin. */
#pragma once

#include "abi/types.h"

enum {
    LX_IOCB_PREAD = 0,
    LX_IOCB_PWRITE = 1,
    LX_IOCB_FSYNC = 2,
    LX_IOCB_FDSYNC = 3,
    LX_IOCB_POLL = 5,
    LX_IOCB_NOOP = 6, /* has a number, and is refused */
    LX_IOCB_PREADV = 7,
    LX_IOCB_PWRITEV = 8,
};

#define LX_IOCB_FLAG_RESFD 1u
#define LX_IOCB_FLAG_IOPRIO 2u

struct lx_iocb {
    uint64_t data;
    uint32_t key;
    int32_t rw_flags;
    uint16_t opcode;
    int16_t reqprio;
    uint32_t fildes;
    uint64_t buf, nbytes;
    int64_t offset;
    uint64_t reserved2;
    uint32_t flags, resfd;
};

struct lx_io_event {
    uint64_t data, obj;
    int64_t res, res2;
};

/* The head of the ring that a context has in common with its process; events follow. */
struct lx_aio_ring {
    uint32_t id, nr, head, tail;
    uint32_t magic, compat, incompat, header_length;
};

#define LX_AIO_RING_MAGIC 0xa10a10a1u

struct lx_aio_sigset {
    gaddr_t sigmask;
    uint64_t size;
};

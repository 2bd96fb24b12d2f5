/* SPDX-License-Identifier: Apache-2.0 */
/* userfaultfd(2) of Linux 6.12: what is read from it, and its ioctls. */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#define LX_UFFD_API 0xaaull
#define LX_UFFD_USER_MODE_ONLY 1

/* Features. */
#define LX_UFFD_WP (1ull << 0)
#define LX_UFFD_EVENT_FORK (1ull << 1)
#define LX_UFFD_EVENT_REMAP (1ull << 2)
#define LX_UFFD_EVENT_REMOVE (1ull << 3)
#define LX_UFFD_MISSING_SHMEM (1ull << 5)
#define LX_UFFD_EVENT_UNMAP (1ull << 6)
#define LX_UFFD_SIGBUS (1ull << 7)
#define LX_UFFD_THREAD_ID (1ull << 8)
#define LX_UFFD_MINOR_SHMEM (1ull << 10)
#define LX_UFFD_EXACT_ADDRESS (1ull << 11)
#define LX_UFFD_WP_SHMEM (1ull << 12)
#define LX_UFFD_WP_UNPOPULATED (1ull << 13)
#define LX_UFFD_POISON (1ull << 14)
#define LX_UFFD_WP_ASYNC (1ull << 15)
#define LX_UFFD_MOVE (1ull << 16)

/* Modes of a registered range; of what fills one. */
#define LX_UFFD_MODE_MISSING 1ull
#define LX_UFFD_MODE_WP 2ull
#define LX_UFFD_MODE_MINOR 4ull
#define LX_UFFD_DONTWAKE 1ull
#define LX_UFFD_WP_DONTWAKE 2ull

struct lx_uffdio_range {
    uint64_t start, len;
};

struct lx_uffdio_api {
    uint64_t api, features, ioctls;
};

struct lx_uffdio_register {
    struct lx_uffdio_range range;
    uint64_t mode, ioctls;
};

struct lx_uffdio_copy { /* UFFDIO_MOVE too */
    uint64_t dst, src, len, mode;
    int64_t copy;
};

struct lx_uffdio_fill { /* of UFFDIO_ZEROPAGE, UFFDIO_CONTINUE, UFFDIO_POISON */
    struct lx_uffdio_range range;
    uint64_t mode;
    int64_t done;
};

struct lx_uffdio_wp {
    struct lx_uffdio_range range;
    uint64_t mode;
};

/* Their numbers, which are those of a bit in the ioctls of UFFDIO_API and UFFDIO_REGISTER too. */
enum {
    LX_UFFDIO_NR_REGISTER = 0,
    LX_UFFDIO_NR_UNREGISTER = 1,
    LX_UFFDIO_NR_WAKE = 2,
    LX_UFFDIO_NR_COPY = 3,
    LX_UFFDIO_NR_ZEROPAGE = 4,
    LX_UFFDIO_NR_MOVE = 5,
    LX_UFFDIO_NR_WP = 6,
    LX_UFFDIO_NR_CONTINUE = 7,
    LX_UFFDIO_NR_POISON = 8,
    LX_UFFDIO_NR_API = 0x3f,
};
#define LX_UFFDIO_API _IOWR(0xaa, LX_UFFDIO_NR_API, struct lx_uffdio_api)
#define LX_UFFDIO_REGISTER _IOWR(0xaa, LX_UFFDIO_NR_REGISTER, struct lx_uffdio_register)
#define LX_UFFDIO_UNREGISTER _IOR(0xaa, LX_UFFDIO_NR_UNREGISTER, struct lx_uffdio_range)
#define LX_UFFDIO_WAKE _IOR(0xaa, LX_UFFDIO_NR_WAKE, struct lx_uffdio_range)
#define LX_UFFDIO_COPY _IOWR(0xaa, LX_UFFDIO_NR_COPY, struct lx_uffdio_copy)
#define LX_UFFDIO_ZEROPAGE _IOWR(0xaa, LX_UFFDIO_NR_ZEROPAGE, struct lx_uffdio_fill)
#define LX_UFFDIO_MOVE _IOWR(0xaa, LX_UFFDIO_NR_MOVE, struct lx_uffdio_copy)
#define LX_UFFDIO_WP _IOWR(0xaa, LX_UFFDIO_NR_WP, struct lx_uffdio_wp)
#define LX_UFFDIO_CONTINUE _IOWR(0xaa, LX_UFFDIO_NR_CONTINUE, struct lx_uffdio_fill)
#define LX_UFFDIO_POISON _IOWR(0xaa, LX_UFFDIO_NR_POISON, struct lx_uffdio_fill)

/* Of /dev/userfaultfd; its argument is flags. */
#define LX_USERFAULTFD_IOC_NEW _IO(0xaa, 0)

/* What is read. */
#define LX_UFFD_EVENT_PAGEFAULT 0x12
#define LX_UFFD_FAULT_WRITE 1ull
#define LX_UFFD_FAULT_WP 2ull
#define LX_UFFD_FAULT_MINOR 4ull

struct lx_uffd_msg {
    uint8_t event, reserved[7];
    union {
        struct {
            uint64_t flags, address;
            uint32_t ptid;
        } fault;
        uint64_t word[3];
    };
};

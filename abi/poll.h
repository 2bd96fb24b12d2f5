/* SPDX-License-Identifier: Apache-2.0 */
/* poll, epoll and inotify. */
#pragma once

#include "abi/types.h"

struct lx_pollfd {
    int32_t fd;
    int16_t events, revents;
};

struct lx_epoll_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

struct lx_inotify_event { /* and len bytes of name */
    int32_t wd;
    uint32_t mask, cookie, len;
};

/* A file descriptor set of select is an array of these. */
#define LX_NFDBITS 64

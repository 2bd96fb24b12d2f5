/* SPDX-License-Identifier: Apache-2.0 */
/* A file of the guest over a descriptor of the host: the standard streams. */
#pragma once

#include <poll.h>

#include "sentry/vfs/file.h"

/* What the host says is ready, by poll(2) or epoll(7), with the names that Linux adds for ordinary data. */
static inline uint32_t host_ready(uint32_t events)
{
    if (events & POLLIN)
        events |= POLLRDNORM;
    if (events & POLLOUT)
        events |= POLLWRNORM;
    return events;
}

/*
 * Takes over fd, also on failure. flags: LX_O_ACCMODE, where the host does not tell it. The host's
 * O_NONBLOCK is neither looked at nor changed: the guest's is its own. ERR_PTR.
 */
struct file *host_file_new(int fd, unsigned flags);

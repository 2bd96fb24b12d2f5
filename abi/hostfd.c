/* SPDX-License-Identifier: Apache-2.0 */
/* See hostfd.h. */
#include "abi/hostfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/types.h"

#define FDS_MOST (1u << 20) /* the lowest that is free is given: nobody has more */

static int ends[] = { [HOSTFD_FILE] = INT_MAX, [HOSTFD_PROCESS] = INT_MAX };

void hostfd_clear(int *fd)
{
    int to;

    if (*fd < HOSTFD_CHANNELS || *fd >= HOSTFD_CHANNELS + HOSTFD_NCHANNELS)
        return;
    to = fcntl(*fd, F_DUPFD_CLOEXEC, HOSTFD_CHANNELS + HOSTFD_NCHANNELS);
    if (to < 0)
        return;
    close(*fd);
    *fd = to;
}

bool hostfd_settle(int *fd, enum hostfd_channel as)
{
    int to = HOSTFD_CHANNELS + (int)as;

    if (*fd < 0 || *fd == to)
        return true;
    if (dup3(*fd, to, O_CLOEXEC) != to)
        return false;
    close(*fd);
    *fd = to;
    return true;
}

int hostfd_close_range(unsigned from, unsigned to)
{
    struct rlimit r;

    if (close_range(from, to, 0) == 0)
        return 0;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0) /* the hard limit: the soft one was lower perhaps */
        return -errno;
    for (rlim_t fd = from; fd <= to && fd < MIN(r.rlim_max, (rlim_t)FDS_MOST); fd++)
        close((int)fd);
    return 0;
}

void hostfd_close(int fd)
{
    if (fd >= HOSTFD_CHANNELS && fd < HOSTFD_CHANNELS + HOSTFD_NCHANNELS)
        shutdown(fd, SHUT_RDWR);
    else
        close(fd);
}

void hostfd_init(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return;
    int n = (int)MIN(r.rlim_cur, (rlim_t)INT_MAX);

    ends[HOSTFD_FILE] = n / 4 * 3;
    ends[HOSTFD_PROCESS] = n / 8 * 7;
}

bool hostfd_may(int fd, enum hostfd_use use)
{
    return fd < ends[use];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See hostfd.h. */
#include "abi/hostfd.h"

#include <limits.h>
#include <sys/resource.h>

#include "abi/types.h"

static int ends[] = { [HOSTFD_FILE] = INT_MAX, [HOSTFD_PROCESS] = INT_MAX };

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

/* SPDX-License-Identifier: Apache-2.0 */
/* See fence.h. */
#include "sentry/fence.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/types.h"
#include "fence_sentry.h"

static int drop_capabilities(void)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

    /* EINVAL behind the last one; EPERM for an ordinary user, who has none to lose. */
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
    return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

int fence_put_up(const struct sentry_config *cfg)
{
    int r;

    (void)cfg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = drop_capabilities();
    if (r < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    return fence_apply(fence_sentry, ARRAY_SIZE(fence_sentry));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See fence.h. */
#include "sentry/fence.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "abi/fence.h"
#include "abi/landlock.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "fence_sentry.h"

/* Limits that are 0: of what it never uses. Its memory and descriptors are the guest's. */
static const int no_use_of[] = { RLIMIT_CORE, RLIMIT_MSGQUEUE, RLIMIT_MEMLOCK, RLIMIT_NICE,
                                 RLIMIT_RTPRIO };

int fence_early(const struct sentry_config *cfg)
{
    struct landlock_rule proc = {
        .fd = cfg->proc_fd,
        .rights = LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE /* a stub's memory */ | LANDLOCK_READ_DIR,
    };

    if ((cfg->without & SBX_WITHOUT_LANDLOCK) || unfenced("landlock"))
        return 0;
    int r = landlock_apply(&proc, cfg->proc_fd >= 0);
    return r == -EOPNOTSUPP ? 0 : r;
}

int fence_put_up(const struct sentry_config *cfg)
{
    int r;

    (void)cfg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = fence_capabilities(/* keep= */ 0);
    if (r < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(no_use_of); i++)
        if ((r = fence_limit(no_use_of[i], 0)) < 0)
            return r;
    if (unfenced("sentryfilter"))
        return 0;
    return fence_apply(fence_sentry, ARRAY_SIZE(fence_sentry));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See fence.h. */
#include "sentry/fence.h"

#include <errno.h>
#include <sys/prctl.h>

#include "abi/fence.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "fence_sentry.h"

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
    if (unfenced("sentryfilter"))
        return 0;
    return fence_apply(fence_sentry, ARRAY_SIZE(fence_sentry));
}

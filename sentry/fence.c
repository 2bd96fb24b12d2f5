/* SPDX-License-Identifier: Apache-2.0 */
/* See fence.h. */
#include "sentry/fence.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abi/fence.h"
#include "abi/landlock.h"
#include "abi/types.h"
#include "abi/unfenced.h"
#include "abi/without.h"
#include "platform/platform.h"
#include "fence_sentry.h"

#define MEMLOCK (8ul << 20) /* as a guest has it: SHM_LOCK keeps pages by it */
#define NPROC 41000         /* its stubs count too, which have 40000 (platform/shared/zygote.c) */

int fence_landlock(const struct sentry_config *cfg)
{
    int ruleset, r = 0;

    if ((cfg->without & SBX_WITHOUT_LANDLOCK) || unfenced("landlock"))
        return 0;
    ruleset = landlock_new();
    if (ruleset < 0)
        return ruleset == -EOPNOTSUPP ? 0 : ruleset;
    if (cfg->proc_fd >= 0) /* memory of stubs is written where process_vm_writev is refused */
        r = landlock_allow(ruleset, cfg->proc_fd, LANDLOCK_READ_FILE | LANDLOCK_WRITE_FILE);
    if (r == 0)
        return landlock_enter(ruleset);
    close(ruleset);
    return r;
}

#ifdef __GLIBC__
static int never(const void *a, const void *b)
{
    (void)a, (void)b;
    return 0;
}
#endif

/* For more than a KiB glibc's qsort() asks how much memory there is (sysinfo), once: before there is a filter. */
static void sort_once(void)
{
#ifdef __GLIBC__
    static char much[4096];

    qsort(much, sizeof much, 1, never);
#endif
}

int fence_put_up(const struct sentry_config *cfg)
{
    static const int none[] = { RLIMIT_CORE, RLIMIT_MSGQUEUE };
    int r = fence_limits(none, ARRAY_SIZE(none));

    sort_once();
    if (r == 0)
        r = fence_limit(RLIMIT_MEMLOCK, MEMLOCK);
    if (r == 0)
        r = fence_limit(RLIMIT_NPROC, NPROC);
    if (r == 0)
        r = fence_limit(RLIMIT_NOFILE, 1u << 20); /* what the rules of close reach */
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    r = fence_capabilities(/* keep= */ 0);
    if (r < 0)
        return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return -errno;
    fence_no_new_code();
    if (unfenced("sentryfilter") || (cfg->without & SBX_WITHOUT_SECCOMP))
        return 0;
    if (cfg->platform->tracee)
        return cfg->gofer_ring >= 0
                   ? fence_apply_tracer(fence_sentry_ring_tracer,
                                        ARRAY_SIZE(fence_sentry_ring_tracer),
                                        cfg->platform->tracee())
                   : fence_apply_tracer(fence_sentry_tracer, ARRAY_SIZE(fence_sentry_tracer),
                                        cfg->platform->tracee());
    return cfg->gofer_ring >= 0 ? fence_apply(fence_sentry_ring, ARRAY_SIZE(fence_sentry_ring))
                                : fence_apply(fence_sentry, ARRAY_SIZE(fence_sentry));
}

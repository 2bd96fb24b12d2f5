/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock around the gofer: whatever it does when it is compromised, the kernel lets it open nothing
 * but what lies beneath its exports, for reading; where they are shared live, for writing too.
 */
#include "abi/landlock.h"

#include <unistd.h>

#include "gofer/server.h"

/* No devices. What a host's Landlock does not know yet cannot be asked of it. */
static uint64_t shared_rights(void)
{
    uint64_t rights = LANDLOCK_WRITE_FILE | LANDLOCK_READ_FILE | LANDLOCK_READ_DIR |
                      LANDLOCK_REMOVE_DIR | LANDLOCK_REMOVE_FILE | LANDLOCK_MAKE_DIR |
                      LANDLOCK_MAKE_REG | LANDLOCK_MAKE_SOCK | LANDLOCK_MAKE_FIFO |
                      LANDLOCK_MAKE_SYM;

    if (landlock_abi() >= 2)
        rights |= LANDLOCK_REFER;
    if (landlock_abi() >= 3)
        rights |= LANDLOCK_TRUNCATE;
    return rights;
}

static int allow(int ruleset, const struct gofer_config *cfg, const struct gofer_export *e)
{
    if (!cfg->shared)
        return landlock_allow(ruleset, e->fd, LANDLOCK_READ_FILE | LANDLOCK_READ_DIR);
    return landlock_allow(ruleset, e->single ? e->only_fd : e->fd, shared_rights());
}

int gofer_landlock(const struct gofer_config *cfg)
{
    int ruleset = landlock_new(), r = 0;

    if (ruleset < 0)
        return ruleset;
    for (unsigned i = 0; r == 0 && i < cfg->nexports; i++)
        r = allow(ruleset, cfg, &cfg->exports[i]);
    if (r == 0)
        return landlock_enter(ruleset);
    close(ruleset);
    return r;
}
